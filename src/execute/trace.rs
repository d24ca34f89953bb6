//! The way of requests through their candidates, remembered for whoever asks why they went there.
//!
//! Written at the end of every request, so it must not wait: a request that finds one part of the memory in use takes
//! another, and is counted as lost where all are.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::labels::Labels;
use super::ledger::Attempted;
use crate::api::{ConnectionId, Outcome, RequestId};
use crate::bounds;
use crate::rotation::{Skip, Skipped};

/// Parts of the memory, each with a lock of its own: more than workers that end a request at the same moment.
const SHARDS: usize = 16;

/// A connection that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The attempts that had been made by then.
    pub after: usize,
    /// Which.
    pub connection: ConnectionId,
    /// Why.
    pub why: Skip,
}

impl PassedOver {
    fn is_again(&self, one: &Skipped, after: usize) -> bool {
        self.after == after && self.connection == one.connection && self.why.name() == one.why.name()
    }
}

/// The connections that a request passed over, as many as are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The first of them, in order.
    pub named: Vec<PassedOver>,
    /// All of them.
    pub count: usize,
    /// Of the present walk's, how many were taken in.
    seen: usize,
    /// Those that earlier walks passed over.
    earlier: usize,
}

impl Passed {
    /// Takes in what a walk has passed over by now, after so many attempts.
    pub fn note(&mut self, skipped: &[Skipped], after: usize) {
        for one in skipped.iter().skip(self.seen) {
            if self.named.iter().take(self.earlier).any(|before| before.is_again(one, after)) {
                continue;
            }
            self.count += 1;
            if self.named.len() < bounds::TRACE_SKIPPED_MAX {
                self.named.push(PassedOver { after, connection: one.connection.clone(), why: one.why });
            }
        }
        self.seen = skipped.len();
    }

    /// Notes that the walk begins anew: what it passes over for the same reason as before is no news.
    pub fn again(&mut self) {
        (self.seen, self.earlier) = (0, self.named.len());
    }
}

/// The way of one request.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Whose request it was, and what it asked for.
    pub labels: Arc<Labels>,
    /// When it began, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// How long it had waited when it ended, since its last attempt, in milliseconds.
    pub waited_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, as its final record has it.
    pub error: Option<String>,
    /// Its attempts.
    pub attempts: Vec<Attempted>,
    /// Whom it passed over.
    pub passed: Passed,
}

impl Trace {
    /// Bytes that it takes, roughly: names are shared with what is in force, but for the labels that apps send.
    fn bytes(&self) -> usize {
        let texts = self.attempts.iter().filter_map(|one| one.error.as_ref()).chain(&self.error).map(String::len);
        size_of::<Self>()
            + size_of::<Labels>()
            + bounds::NAME_BYTES_MAX
            + self.labels.model.len()
            + self.attempts.len() * size_of::<Attempted>()
            + self.passed.named.len() * size_of::<PassedOver>()
            + texts.sum::<usize>()
    }
}

/// The memory: the newest requests, within its bounds.
#[derive(Debug, Default)]
pub struct Traces {
    shards: [Mutex<Shard>; SHARDS],
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    kept: VecDeque<Trace>,
    bytes: usize,
}

impl Traces {
    /// Keeps the way of a request that has ended. Never waits.
    pub fn keep(&self, trace: Trace) {
        // The counted part of an id: those that end together began one after the other.
        let place = usize::try_from((trace.labels.request_id.as_u128() >> 8) & 0xff).unwrap_or_default();
        let (before, from) = self.shards.split_at(place % SHARDS);
        match from.iter().chain(before).find_map(unused) {
            Some(mut shard) => shard.keep(trace),
            None => _ = self.lost.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The way of a request, while it is remembered.
    pub fn of(&self, id: RequestId) -> Option<Trace> {
        self.shards.iter().find_map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.kept.iter().rev().find(|trace| trace.labels.request_id == id).cloned()
        })
    }

    /// Requests that found no part of the memory free.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn unused(shard: &Mutex<Shard>) -> Option<MutexGuard<'_, Shard>> {
    match shard.try_lock() {
        Ok(shard) => Some(shard),
        Err(TryLockError::Poisoned(shard)) => Some(shard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Shard {
    fn keep(&mut self, trace: Trace) {
        self.bytes += trace.bytes();
        self.kept.push_back(trace);
        while self.kept.len() > bounds::TRACES_MAX / SHARDS || self.bytes > bounds::TRACES_BYTES_MAX / SHARDS {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Feature, Operation};
    use crate::connection::ManagedBy;

    fn trace(n: u64, error: usize) -> Trace {
        let labels = Labels {
            request_id: RequestId::from_parts(1, u128::from(n) << 8),
            app: "shop".parse().unwrap(),
            feature: Feature::unlabelled(),
            model: "fast".into(),
            operation: Operation::Chat,
            stream: false,
            input_estimate: 1,
            characters: None,
            trace: None,
        };
        Trace {
            labels: Arc::new(labels),
            at_ms: 1,
            ms: 1,
            waited_ms: 0,
            outcome: Outcome::Ok,
            error: Some("x".repeat(error)),
            attempts: Vec::new(),
            passed: Passed::default(),
        }
    }

    fn kept(traces: &Traces) -> usize {
        traces.shards.iter().map(|shard| shard.lock().unwrap().kept.len()).sum()
    }

    #[test]
    fn the_newest_are_remembered_within_the_bounds() {
        let traces = Traces::default();
        let many = u64::try_from(bounds::TRACES_MAX).unwrap();
        (0..many + 100).for_each(|n| traces.keep(trace(n, 0)));
        assert_eq!(kept(&traces), bounds::TRACES_MAX);
        let of = |n: u64| traces.of(RequestId::from_parts(1, u128::from(n) << 8));
        assert!(of(99).is_none() && of(100).is_some() && of(many + 99).is_some());
        (0..many).for_each(|n| traces.keep(trace(n, 64 * 1024)));
        let bytes: usize = traces.shards.iter().map(|shard| shard.lock().unwrap().bytes).sum();
        assert!(bytes <= bounds::TRACES_BYTES_MAX && kept(&traces) > 64, "{bytes}");
    }

    #[test]
    fn a_reader_makes_nobody_wait_and_what_is_lost_is_counted() {
        let traces = Traces::default();
        let mut readers: Vec<_> = traces.shards.iter().map(|shard| shard.lock().unwrap()).collect();
        traces.keep(trace(0, 0));
        assert_eq!(traces.lost(), 1);
        readers.pop();
        traces.keep(trace(0, 0));
        drop(readers);
        assert_eq!((traces.lost(), kept(&traces)), (1, 1));
    }

    #[test]
    fn those_who_were_passed_over_are_named_once_and_no_more_than_the_bound() {
        let skipped = |n: usize| Skipped {
            connection: format!("one:c{n}").parse().unwrap(),
            managed_by: ManagedBy::Store,
            why: Skip::Disabled,
        };
        let all: Vec<_> = (0..1_000).map(skipped).collect();
        let mut passed = Passed::default();
        passed.note(&all[..2], 0);
        passed.note(&all[..2], 1);
        passed.note(&all, 1);
        assert_eq!((passed.named.len(), passed.count), (bounds::TRACE_SKIPPED_MAX, 1_000));
        let after: Vec<_> = passed.named.iter().take(3).map(|one| one.after).collect();
        assert_eq!(after, [0, 0, 1]);

        // A walk that begins anew meets most of them again.
        let mut passed = Passed::default();
        passed.note(&all[..2], 1);
        passed.again();
        passed.note(&all[1..3], 1);
        let names: Vec<_> = passed.named.iter().map(|one| one.connection.name.to_string()).collect();
        assert_eq!((names, passed.count), (vec!["c0".into(), "c1".into(), "c2".into()], 3));
    }
}
