//! What has been spent of one budget, and what is under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::period;
use crate::bounds;
use crate::clock::Now;
use crate::config::{Most, Per};
use crate::connection::admission::{DayCount, Leased, Leases};
use crate::connection::day::Day;
use crate::store::Lease;

/// How many figures a budget has.
const FIGURES: usize = 3;

/// Requests, tokens and nano-dollars, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Requests.
    pub requests: u64,
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Nano-dollars.
    pub nano_usd: u64,
}

impl Amounts {
    pub(super) const fn each(self) -> [u64; FIGURES] {
        [self.requests, self.tokens, self.nano_usd]
    }

    const fn of([requests, tokens, nano_usd]: [u64; FIGURES]) -> Self {
        Self { requests, tokens, nano_usd }
    }
}

/// The limits of a budget, figure by figure.
pub(super) fn limits(most: &Most) -> [Option<u64>; FIGURES] {
    [most.requests, most.tokens, most.usd.map(|usd| usd.0)]
}

/// The counters of one budget. They belong to its name, and outlive snapshots.
#[derive(Debug)]
pub struct Purse {
    name: String,
    pub(super) number: u64,
    state: Mutex<State>,
    leases: Arc<Leases>,
}

#[derive(Debug)]
pub(super) struct State {
    per: Per,
    zone: TimeZone,
    limits: [Option<u64>; FIGURES],
    pub(super) period: Day,
    /// Counts up with every period.
    pub(super) turn: u64,
    /// Whether the period is to be found anew, because it is another one now.
    moved: bool,
    counts: [DayCount; FIGURES],
    /// What was written down for a period after this one.
    ahead: [u64; FIGURES],
    /// The most that one call has reserved in this period.
    largest: [u64; FIGURES],
    /// Whether more is about to be written down.
    asked: bool,
    /// Whether it was told that this period's is spent.
    pub(super) told: bool,
}

/// Why nothing more can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// There is too little left.
    Spent,
    /// There is some left that is not written down yet.
    Unwritten,
}

impl Purse {
    pub(super) fn new(name: String, number: u64, leases: Arc<Leases>) -> Self {
        let state = State {
            per: Per::Day,
            zone: TimeZone::UTC,
            limits: [None; FIGURES],
            period: Day::default(),
            turn: 0,
            moved: true,
            counts: Default::default(),
            ahead: [0; FIGURES],
            largest: [0; FIGURES],
            asked: false,
            told: false,
        };
        Self { name, number, state: Mutex::new(state), leases }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets how much there is, and when it begins anew. What has been spent stays.
    pub(super) fn set(&self, most: &Most, per: Per, zone: &TimeZone) {
        let mut state = self.state();
        state.limits = limits(most);
        if state.per != per || state.zone != *zone {
            (state.per, state.zone, state.moved) = (per, zone.clone(), true);
        }
    }

    /// What has been spent, what is under way included, and the period that it was spent in.
    pub fn spent(&self, now: Now) -> (Amounts, Day) {
        let mut state = self.state();
        state.advance(now.wall_ms);
        (state.spent(), state.period)
    }

    /// Asks for more to be written down, where it runs out.
    pub(super) fn look(self: &Arc<Self>, state: &mut State) {
        if !state.asked && state.runs_low() && self.leases.ask(self) {
            state.asked = true;
        }
    }

    /// Goes on from what a process before this one wrote down.
    pub(super) fn restore(&self, lease: &Lease, now_ms: i64) {
        let mut state = self.state();
        let period = Day { starts_ms: lease.starts_ms, ends_ms: lease.ends_ms };
        let amounts = if now_ms < period.ends_ms {
            // A clock that was put back opens no period anew.
            (state.period, state.moved) = (period, false);
            [lease.requests, lease.tokens, lease.nano_usd]
        } else {
            [lease.requests_ahead, lease.tokens_ahead, lease.nano_usd_ahead]
        };
        state.counts.iter_mut().zip(amounts).for_each(|(count, amount)| count.count.add(amount));
    }

    fn noted(&self, state: &State, ahead: [u64; FIGURES]) -> Lease {
        let mut wanted = [0; FIGURES];
        for (((wanted, count), ahead), limit) in wanted.iter_mut().zip(&state.counts).zip(ahead).zip(state.limits) {
            *wanted = count.wanted(ahead, limit);
        }
        let (used, ahead) = (Amounts::of(wanted), Amounts::of(ahead));
        Lease {
            scope: self.name.clone(),
            starts_ms: state.period.starts_ms,
            ends_ms: state.period.ends_ms,
            requests: used.requests,
            tokens: used.tokens,
            nano_usd: used.nano_usd,
            requests_ahead: ahead.requests,
            tokens_ahead: ahead.tokens,
            nano_usd_ahead: ahead.nano_usd,
        }
    }
}

impl Leased for Purse {
    fn lease(&self, now: Now) -> Option<Lease> {
        let mut state = self.state();
        state.advance(now.wall_ms);
        let ahead = state.ahead();
        Some(self.noted(&state, ahead))
    }

    fn last_lease(&self, now: Now) -> Option<Lease> {
        let mut state = self.state();
        state.advance(now.wall_ms);
        Some(self.noted(&state, [0; FIGURES]))
    }

    fn leased(self: Arc<Self>, lease: &Lease) {
        let mut state = self.state();
        state.asked = false;
        state.ahead = [lease.requests_ahead, lease.tokens_ahead, lease.nano_usd_ahead];
        // One that was written down for the period before says nothing about this one.
        if state.period.starts_ms == lease.starts_ms {
            let written = [lease.requests, lease.tokens, lease.nano_usd];
            state.counts.iter_mut().zip(written).for_each(|(count, written)| count.lease(written));
        }
    }
}

impl State {
    /// Turns to the period of this moment. A wall clock that is put back opens none anew.
    pub(super) fn advance(&mut self, wall_ms: i64) {
        if wall_ms < self.period.ends_ms && !self.moved {
            return;
        }
        if !std::mem::take(&mut self.moved) {
            self.turn += 1;
            self.largest = [0; FIGURES];
            self.told = false;
            // What is under way was reserved in the period before, and stays there.
            self.counts.iter_mut().zip(self.ahead).for_each(|(count, ahead)| count.begin_anew(ahead));
        }
        self.period = period::of(self.per, wall_ms, &self.zone);
    }

    pub(super) fn spent(&self) -> Amounts {
        let mut spent = [0; FIGURES];
        spent.iter_mut().zip(&self.counts).for_each(|(spent, count)| *spent = count.count.used());
        Amounts::of(spent)
    }

    /// Why no more may be taken. A further call of a request that is counted already needs no room for requests; whatever
    /// else is spent stops a call that needs nothing of it, as far as anybody knows, too.
    pub(super) fn lacks(&self, need: Amounts) -> Option<Lack> {
        let needs = [need.requests, need.tokens.max(1), need.nano_usd.max(1)];
        let limited =
            || self.counts.iter().zip(needs).zip(self.limits).filter_map(|(count, limit)| Some((count, limit?)));
        if limited().any(|((count, need), limit)| need > 0 && !count.has_room(need, limit)) {
            return Some(Lack::Spent);
        }
        limited().any(|((count, need), limit)| !count.is_leased(need.min(limit))).then_some(Lack::Unwritten)
    }

    /// Whether more was spent than there is.
    pub(super) fn is_over(&self) -> bool {
        self.counts.iter().zip(self.limits).any(|(count, limit)| limit.is_some_and(|limit| count.count.used() > limit))
    }

    /// Notes what a call needs, so that enough is written down ahead for others like it.
    pub(super) fn note_need(&mut self, need: Amounts) {
        for ((largest, need), limit) in self.largest.iter_mut().zip(need.each()).zip(self.limits) {
            *largest = (*largest).max(need.min(limit.unwrap_or(0)));
        }
    }

    pub(super) fn take(&mut self, need: Amounts) {
        self.note_need(need);
        self.counts.iter_mut().zip(need.each()).for_each(|(count, need)| count.count.take(need));
    }

    /// Puts what was used in the place of what was reserved.
    pub(super) fn settle(&mut self, reserved: Amounts, used: Amounts) {
        for ((count, reserved), used) in self.counts.iter_mut().zip(reserved.each()).zip(used.each()) {
            count.count.give_back(reserved);
            count.count.add(used);
        }
    }

    fn runs_low(&self) -> bool {
        let figures = self.counts.iter().zip(self.ahead()).zip(self.limits);
        figures.into_iter().any(|((count, ahead), limit)| limit.is_some_and(|limit| count.runs_out(ahead, limit)))
    }

    /// How much is written down ahead: a small part of the limit, and of a small one some more. The largest call fits into
    /// the half that is left when more is written down.
    fn ahead(&self) -> [u64; FIGURES] {
        let mut all = [0; FIGURES];
        for ((ahead, limit), largest) in all.iter_mut().zip(self.limits).zip(self.largest) {
            let most = limit.map_or(u64::MAX, |limit| limit / bounds::LIMIT_LEASE_PART_MOST);
            let few = largest.saturating_mul(bounds::LIMIT_LEASE_REQUESTS).min(most);
            let part = limit.unwrap_or(0) / bounds::LIMIT_LEASE_PART;
            *ahead = part.max(few).max(largest.saturating_mul(2)).max(1);
        }
        all
    }

    /// When this period is over.
    pub(super) fn ends(&self, now: Now) -> Instant {
        now.instant_of(self.period.ends_ms)
    }
}
