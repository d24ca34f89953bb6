//! The far end of the queue: one thread that stores records in blocks.
//!
//! A batch that could not be stored is kept and tried again as it is, so that what may have been written of it is
//! replaced and never doubled. Meanwhile the queue is the bounded ring that later records wait in.
//!
//! The same thread counts what it stored in the rollups, and forgets what is old.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::recorder::{NotDurable, Queue, Shared};
use super::rollup::Rollups;
use crate::api::UsageRecord;
use crate::bounds;
use crate::clock::Clock;
use crate::store::StoreError;

/// Stores what the recorder takes. [`Writer::run`] is a thread's whole life.
pub struct Writer {
    shared: Arc<Shared>,
    rollups: Arc<Rollups>,
    clock: Clock,
    /// When the rollups are to be seen to again.
    keep_at: Instant,
    /// When old usage was last looked for.
    retained: Option<Instant>,
    /// Whether it was said that the store takes nothing.
    complained: bool,
    /// The number of the first record that the meter has not seen.
    unmetered: u64,
}

/// Records on their way to the store, and the number of the first one after them.
struct Batch {
    records: Vec<UsageRecord>,
    end: u64,
}

/// What the writer does next.
enum Next {
    Batch(Batch),
    /// Sees to what is kept.
    Keep,
    End,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, rollups: Arc<Rollups>) -> Self {
        let (clock, keep_at) = (Clock::system(), Instant::now());
        Self { shared, rollups, clock, keep_at, retained: None, complained: false, unmetered: 0 }
    }

    /// Stores records until the recorder is closed and the queue is empty. Blocks; the caller gives it a thread.
    pub fn run(mut self) {
        loop {
            if Instant::now() >= self.keep_at {
                self.keep();
            }
            match self.next() {
                Next::Keep => {}
                Next::End => break self.rollups.close(),
                Next::Batch(batch) => {
                    while let Err(error) = self.store(&batch) {
                        self.complain(&error);
                        if self.pause() {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Sees to the rollups and to what is kept, if that is due.
    fn keep(&mut self) {
        let now_ms = self.clock.wall_ms();
        let next = self.rollups.keep(now_ms).unwrap_or(bounds::RETENTION_INTERVAL);
        if self.retained.is_none_or(|last| last.elapsed() >= bounds::RETENTION_INTERVAL) && !next.is_zero() {
            let retention = *self.shared.retention.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(retention) = retention {
                self.rollups.retain(&retention, now_ms);
            }
            self.rollups.store.usage().close_idle();
            self.retained = Some(Instant::now());
        }
        self.keep_at = Instant::now() + next.min(bounds::RETENTION_INTERVAL);
    }

    /// Waits until there is something to store, or something else to do.
    fn next(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        loop {
            // Those who wait for no record that is still here wait for nothing.
            let front = queue.front;
            queue.answer_below(front);
            if !queue.records.is_empty() {
                break;
            }
            if queue.closing {
                return Next::End;
            }
            let left = self.keep_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Keep;
            }
            queue = shared.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let due = Instant::now() + bounds::USAGE_BLOCK_INTERVAL;
        while !is_due(&queue) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = shared.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = queue.records.len().min(bounds::USAGE_BATCH_RECORDS_MAX);
        let records: Vec<_> = queue.records.drain(..count).collect();
        queue.front += count as u64;
        shared.held.store(count, Ordering::Relaxed);
        let (begin, end) = (queue.front - count as u64, queue.front);
        drop(queue);
        self.meter(begin, records.iter());
        Next::Batch(Batch { records, end })
    }

    /// Shows records, of which the first has this number, to the meter: each once.
    fn meter<'r>(&mut self, begin: u64, records: impl ExactSizeIterator<Item = &'r UsageRecord>) {
        let end = begin + records.len() as u64;
        let seen = usize::try_from(self.unmetered.saturating_sub(begin)).unwrap_or(usize::MAX);
        self.shared.meter.add(records.skip(seen));
        self.unmetered = self.unmetered.max(end);
    }

    fn store(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.rollups.prepare(&batch.records);
        let positions = self.rollups.store.usage().append(&batch.records)?;
        let due = Instant::now() + self.rollups.add(&batch.records, &positions);
        self.keep_at = self.keep_at.min(due);
        self.shared.held.store(0, Ordering::Relaxed);
        if std::mem::take(&mut self.complained) {
            let lost = self.shared.lost.load(Ordering::Relaxed);
            tracing::info!(lost, "usage is stored again");
        }
        let mut queue = self.shared.queue();
        queue.failing = false;
        queue.answer_below(batch.end);
        Ok(())
    }

    /// Says once that the store takes nothing, and sends away everybody who waits for it.
    fn complain(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::error!(%error, "usage cannot be stored; it is kept in memory, as far as there is room");
        }
        let mut queue = self.shared.queue();
        queue.failing = true;
        queue.answer_all(Err(NotDurable::Held));
    }

    /// Waits before the next try; tells whether the recorder was closed. What waits is metered meanwhile: a full disk
    /// shall not hide what happens.
    fn pause(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let queue = shared.queue();
        self.meter(queue.front, queue.records.iter());
        let waited = self.shared.wake.wait_timeout_while(queue, bounds::USAGE_RETRY_PAUSE, |queue| !queue.closing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }
}

/// Whether there is no reason to wait for more.
fn is_due(queue: &Queue) -> bool {
    queue.closing || !queue.waiting.is_empty() || queue.records.len() >= bounds::USAGE_BATCH_RECORDS_MAX
}

impl Drop for Writer {
    /// However it ends: nobody waits for it any longer, and what it leaves is counted.
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        let lost = queue.records.drain(..).count() + self.shared.held.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.shared.lost.fetch_add(lost as u64, Ordering::Relaxed);
            tracing::error!(lost, "usage was lost: it could not be stored before the end");
        }
        queue.closing = true;
        queue.answer_all(Err(NotDurable::Closed));
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}
