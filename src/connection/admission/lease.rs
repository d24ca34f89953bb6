//! Day counters outlive the process. Nothing is written while a request waits: what is written down is a lease, as much
//! as has been used and some more, and no more than that is used before the next one is. So what a crash leaves behind
//! may count too much, and never too little.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::scope::{Scope, State};
use crate::bounds;
use crate::clock::Now;
use crate::connection::day::Day;
use crate::store::Lease;

/// What is written down: as much as has been used, and some more.
pub trait Leased: Send + Sync {
    /// What is to be written down now; none where nothing is.
    fn lease(&self, now: Now) -> Option<Lease>;

    /// What has been used, when nothing more will be.
    fn last_lease(&self, now: Now) -> Option<Lease>;

    /// Notes that a lease was written down.
    fn leased(self: Arc<Self>, lease: &Lease);
}

/// Scopes and budgets whose lease runs out.
#[derive(Debug, Default)]
pub struct Leases {
    /// Whether anybody writes leases down. Where not, counters are as free as they are forgetful.
    written: AtomicBool,
    low: Mutex<Low>,
    more: Notify,
}

/// Whose lease runs out.
#[derive(Default)]
struct Low(Vec<Arc<dyn Leased>>);

impl fmt::Debug for Low {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leases", self.0.len())
    }
}

impl Leases {
    /// Tells that leases are written down from now on.
    pub fn begin(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// Waits until some lease runs out, and tells which.
    pub async fn low(&self) -> Vec<Arc<dyn Leased>> {
        loop {
            let low = std::mem::take(&mut self.low.lock().unwrap_or_else(PoisonError::into_inner).0);
            if !low.is_empty() {
                return low;
            }
            self.more.notified().await;
        }
    }

    /// Notes that a lease runs out, once.
    pub(super) fn look(&self, scope: &Arc<Scope>, state: &mut State) {
        if !state.today.asked && state.runs_low() {
            state.today.asked = self.ask(scope);
        }
    }

    /// Asks for a lease to be written down; false where nobody writes any.
    pub(in crate::connection) fn ask<L: Leased + 'static>(&self, of: &Arc<L>) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        if written {
            self.low.lock().unwrap_or_else(PoisonError::into_inner).0.push(Arc::clone(of) as Arc<dyn Leased>);
            self.more.notify_one();
        }
        written
    }
}

impl State {
    fn has_days(&self) -> bool {
        self.limits.requests_per_day.is_some() || self.limits.tokens_per_day.is_some()
    }

    fn runs_low(&self) -> bool {
        let (requests, tokens) = self.ahead();
        let (limits, today) = (&self.limits, &self.today);
        limits.requests_per_day.is_some_and(|limit| today.requests.runs_out(requests, limit))
            || limits.tokens_per_day.is_some_and(|limit| today.tokens.runs_out(tokens, limit))
    }

    /// Notes what an attempt needs of the day, so that enough is written down ahead for others like it.
    pub(super) fn note_need(&mut self, tokens: u64) {
        if let Some(limit) = self.limits.tokens_per_day {
            self.today.largest = self.today.largest.max(tokens.min(limit));
        }
    }

    /// The same for one that fits into the day and waits for no more than that this is written down.
    pub(super) fn note_unwritten(&mut self, tokens: u64) {
        let fits =
            |limit: u64| self.today.tokens.has_room(tokens, limit) && !self.today.tokens.is_leased(tokens.min(limit));
        if self.limits.tokens_per_day.is_some_and(fits) {
            self.note_need(tokens);
        }
    }

    /// How much is written down ahead: a small part of the limit, and of a small one some more.
    fn ahead(&self) -> (u64, u64) {
        let part = |limit: Option<u64>, least: u64| {
            let limit = limit.unwrap_or(0);
            (limit / bounds::LIMIT_LEASE_PART).max(least.min(limit / bounds::LIMIT_LEASE_PART_MOST))
        };
        let requests = part(self.limits.requests_per_day, bounds::LIMIT_LEASE_REQUESTS).max(1);
        let tokens = self.today.largest.saturating_mul(bounds::LIMIT_LEASE_REQUESTS);
        // The largest attempt fits into the half that is left when more is written down.
        (requests, part(self.limits.tokens_per_day, tokens).max(self.today.largest.saturating_mul(2)))
    }
}

/// Nothing is written down where no day is limited.
impl Leased for Scope {
    fn lease(&self, now: Now) -> Option<Lease> {
        let mut state = self.state();
        state.advance(now);
        let (requests, tokens) = state.ahead();
        state.has_days().then(|| self.noted(&state, requests, tokens))
    }

    fn last_lease(&self, now: Now) -> Option<Lease> {
        let mut state = self.state();
        state.advance(now);
        state.has_days().then(|| self.noted(&state, 0, 0))
    }

    /// Calls whoever waited for it, too.
    fn leased(self: Arc<Self>, lease: &Lease) {
        let mut state = self.state();
        let today = &mut state.today;
        today.asked = false;
        today.ahead = (lease.requests_ahead, lease.tokens_ahead);
        // One that was written down for the day before says nothing about this one.
        if today.day.starts_ms == lease.starts_ms {
            today.requests.lease(lease.requests);
            today.tokens.lease(lease.tokens);
        }
        drop(state);
        self.notify();
    }
}

impl Scope {
    fn noted(&self, state: &State, requests_ahead: u64, tokens_ahead: u64) -> Lease {
        let today = &state.today;
        Lease {
            scope: self.key().stored(),
            starts_ms: today.day.starts_ms,
            ends_ms: today.day.ends_ms,
            requests: today.requests.wanted(requests_ahead, state.limits.requests_per_day),
            tokens: today.tokens.wanted(tokens_ahead, state.limits.tokens_per_day),
            requests_ahead,
            tokens_ahead,
            nano_usd: 0,
            nano_usd_ahead: 0,
        }
    }

    /// Counts a call that a process before this one made, which had arrived by then.
    pub(super) fn restore_call(&self, tokens: u64, arrived: Instant) {
        let mut state = self.state();
        state.requests.restore(1, arrived);
        state.tokens.restore(tokens, arrived);
    }

    /// Goes on from what a process before this one wrote down.
    pub(super) fn restore(&self, lease: &Lease, now_ms: i64) {
        let mut state = self.state();
        let today = &mut state.today;
        let day = Day { starts_ms: lease.starts_ms, ends_ms: lease.ends_ms };
        if now_ms < day.ends_ms {
            // A clock that was put back opens no day anew.
            (today.day, today.moved) = (day, false);
            today.requests.count.add(lease.requests);
            today.tokens.count.add(lease.tokens);
        } else {
            today.requests.count.add(lease.requests_ahead);
            today.tokens.count.add(lease.tokens_ahead);
        }
    }
}
