//! The near end of the queue: takes records and never blocks.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::sync::oneshot;

use super::meter::Meter;
use super::rollup::Rollups;
use super::writer::Writer;
use crate::api::UsageRecord;
use crate::bounds;
use crate::config::Retention;
use crate::store::Store;

/// Makes both ends of the queue. The caller runs the writer on a thread and joins it after [`Recorder::close`].
pub fn recorder(store: Arc<Store>) -> (Recorder, Writer) {
    let rollups = Arc::new(Rollups::new(store));
    let shared = Arc::new(Shared::default());
    (Recorder { shared: Arc::clone(&shared), rollups: Arc::clone(&rollups) }, Writer::new(shared, rollups))
}

/// Takes the records of attempts. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    rollups: Arc<Rollups>,
}

/// What both ends share.
#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Tells the writer that there is something to do.
    pub(super) wake: Condvar,
    pub(super) lost: AtomicU64,
    /// How long what is kept; for ever as long as nobody said.
    pub(super) retention: Mutex<Option<Retention>>,
    /// Records that the writer has taken and not yet written.
    pub(super) held: AtomicUsize,
    /// Running sums of all records that the writer has seen.
    pub(super) meter: Meter,
}

/// Records that wait for the writer. They are numbered from 0 in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) records: VecDeque<UsageRecord>,
    /// The number of the record in front.
    pub(super) front: u64,
    /// Who wants to know when all records below a number are durable.
    pub(super) waiting: Vec<(u64, oneshot::Sender<Result<(), NotDurable>>)>,
    /// Whether the last write failed. Nobody waits for the next one then.
    pub(super) failing: bool,
    pub(super) closing: bool,
}

/// A record is not durable, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotDurable {
    /// The store takes none at the moment; the record is kept and tried again.
    #[error("usage cannot be stored at the moment, and is kept in memory")]
    Held,
    /// The writer has ended.
    #[error("usage is no longer stored: the daemon is stopping")]
    Closed,
}

/// Tells when what was recorded before it is durable.
#[must_use = "a receipt does nothing unless it is awaited"]
pub struct Receipt(oneshot::Receiver<Result<(), NotDurable>>);

impl Recorder {
    /// Takes a record. Never blocks; when the queue is full, the oldest record in it is dropped and counted.
    pub fn record(&self, record: UsageRecord) {
        self.push(record, None);
    }

    /// Takes a record, and tells when it is durable: for the end of a reply where each record must be.
    pub fn record_durable(&self, record: UsageRecord) -> Receipt {
        let (done, receipt) = oneshot::channel();
        self.push(record, Some(done));
        Receipt(receipt)
    }

    /// Has everything that was recorded until now written, and tells when it is: for questions that must see it.
    pub fn flush(&self) -> Receipt {
        let (done, receipt) = oneshot::channel();
        self.shared.queue().wait(done);
        self.shared.wake.notify_all();
        Receipt(receipt)
    }

    /// Says how long what is to be kept from now on.
    pub fn retain(&self, retention: Retention) {
        *self.shared.retention.lock().unwrap_or_else(PoisonError::into_inner) = Some(retention);
    }

    /// What was recorded amounts to this: for questions about usage.
    pub fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// Records that were dropped because the queue was full, or the writer had ended.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Records that are not yet stored.
    pub fn queued(&self) -> usize {
        self.shared.queue().records.len() + self.shared.held.load(Ordering::Relaxed)
    }

    /// Running sums of what was recorded, up to the last few hundred milliseconds.
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// Tells the writer to store what there is and to end. Records that come later are dropped and counted.
    pub fn close(&self) {
        self.shared.queue().closing = true;
        self.shared.wake.notify_all();
    }

    fn push(&self, record: UsageRecord, done: Option<oneshot::Sender<Result<(), NotDurable>>>) {
        let mut queue = self.shared.queue();
        if queue.closing {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if queue.records.len() >= bounds::USAGE_QUEUE_MAX && queue.records.pop_front().is_some() {
            queue.front += 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        queue.records.push_back(record);
        let waited_for = done.is_some();
        if let Some(done) = done {
            queue.wait(done);
        }
        // The first one starts the writer's interval, a batch's worth ends it.
        let wake = waited_for || queue.records.len() == 1 || queue.records.len() == bounds::USAGE_BATCH_RECORDS_MAX;
        drop(queue);
        if wake {
            self.shared.wake.notify_all();
        }
    }
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Lets somebody wait for all records that are here now.
    fn wait(&mut self, done: oneshot::Sender<Result<(), NotDurable>>) {
        if self.failing {
            let _ = done.send(Err(NotDurable::Held));
        } else if !self.closing {
            self.waiting.push((self.front + self.records.len() as u64, done));
        }
    }

    /// Answers those who wait for records below a number.
    pub(super) fn answer_below(&mut self, number: u64) {
        let (answered, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|&(below, _)| below <= number);
        self.waiting = waiting;
        answer(answered, Ok(()));
    }

    /// Answers everybody who waits.
    pub(super) fn answer_all(&mut self, answer_with: Result<(), NotDurable>) {
        answer(std::mem::take(&mut self.waiting), answer_with);
    }
}

fn answer(waiting: Vec<(u64, oneshot::Sender<Result<(), NotDurable>>)>, result: Result<(), NotDurable>) {
    for (_, done) in waiting {
        let _ = done.send(result);
    }
}

impl Receipt {
    /// Waits on a thread that may block.
    ///
    /// # Errors
    /// When the records are not durable yet, or never will be.
    pub fn wait(self) -> Result<(), NotDurable> {
        self.0.blocking_recv().unwrap_or(Err(NotDurable::Closed))
    }
}

impl Future for Receipt {
    type Output = Result<(), NotDurable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(NotDurable::Closed)))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({} queued, {} lost)", self.queued(), self.lost())
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
