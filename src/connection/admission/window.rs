//! What counts in any sixty seconds, as the provider counts it: by arrival.
//!
//! When a call arrives is not known here. It is some time between the reservation and the head of the reply; so it counts
//! from the one, and for a minute after the other. Of any sixty seconds as the provider sees them, let the call that was
//! reserved last be the one to look at: all others were reserved before it, and had their heads less than a minute before
//! it was, so all of them were counted then.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::count::Count;
use crate::bounds;

/// How long a part counts after it arrived.
const SPAN: Duration = bounds::LIMIT_WINDOW.saturating_add(bounds::LIMIT_WINDOW_GUARD);

/// A sliding minute of requests or tokens. Its memory is bounded by time: parts that arrive together are one.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// What is under way and may arrive at any moment, and the parts.
    pub(super) count: Count,
    /// What was used beyond the limit, and has yet to be paid.
    debt: u64,
    /// What has arrived, in the order of time.
    parts: VecDeque<Part>,
}

#[derive(Debug)]
struct Part {
    first: Instant,
    last: Instant,
    amount: u64,
}

impl Window {
    /// What was used beyond the limit, and has yet to be paid.
    pub(super) fn debt(&self) -> u64 {
        self.debt
    }

    /// Forgets what is too old to count, and pays debts with the room that it leaves.
    pub(super) fn expire(&mut self, now: Instant, limit: Option<u64>) {
        while let Some(part) = self.parts.pop_front_if(|part| part.last + SPAN <= now) {
            self.count.sub(part.amount);
            if self.debt > 0 {
                self.pay(limit, part.last + SPAN);
            }
        }
        if self.debt > 0 {
            self.pay(limit, now);
        }
    }

    /// When `need` more would fit; none where it does now. Ask after [`Window::expire`].
    pub(super) fn full_until(&self, need: u64, limit: u64, now: Instant) -> Option<Instant> {
        // What is larger than the limit goes out when nothing else counts, and leaves a debt.
        let need = need.min(limit);
        let mut over = self.count.used().saturating_add(need).saturating_sub(limit).saturating_add(self.debt);
        if over == 0 {
            return None;
        }
        for part in &self.parts {
            over = over.saturating_sub(part.amount);
            if over == 0 {
                return Some(part.last + SPAN);
            }
        }
        // The rest is under way, and counts for a minute from when it has arrived; or it is a debt, paid by the minute.
        let from = self.parts.back().filter(|_| self.debt > 0).map_or(now, |part| part.last + SPAN);
        let minutes = u32::try_from(over.div_ceil(limit.max(1))).unwrap_or(u32::MAX);
        Some(from + SPAN * minutes.min(bounds::LIMIT_DEBT_WINDOWS_MAX))
    }

    /// Notes that what went out has arrived by now. What comes back names the place for [`Window::refund`].
    pub(super) fn arrived(&mut self, amount: u64, now: Instant) -> Instant {
        self.count.arrived(amount);
        self.put(amount, now)
    }

    /// Takes back a part of what arrived, if it still counts.
    pub(super) fn refund(&mut self, amount: u64, place: Instant) {
        let index = self.parts.partition_point(|part| part.last < place);
        if let Some(part) = self.parts.get_mut(index).filter(|part| part.first <= place) {
            let amount = amount.min(part.amount);
            part.amount -= amount;
            self.count.sub(amount);
        }
    }

    /// Counts what was used beyond what had been reserved: as far as there is room now, and the rest as a debt.
    pub(super) fn overshoot(&mut self, amount: u64, limit: Option<u64>, now: Instant) {
        self.debt = self.debt.saturating_add(amount);
        self.pay(limit, now);
        let most = limit.map_or(0, |limit| limit.saturating_mul(bounds::LIMIT_DEBT_WINDOWS_MAX.into()));
        self.debt = self.debt.min(most);
    }

    /// Counts more than is known of, so that no more than `room` is left: somebody else uses the same quota.
    pub(super) fn lower(&mut self, room: u64, limit: u64, now: Instant) {
        let missing = limit.saturating_sub(self.count.used()).saturating_sub(room);
        if missing > 0 {
            self.count.add(missing);
            self.put(missing, now);
        }
    }

    /// Counts what a process before this one sent, as arrived at `at`.
    pub(super) fn restore(&mut self, amount: u64, at: Instant) {
        self.count.add(amount);
        self.put(amount, at);
    }

    fn pay(&mut self, limit: Option<u64>, at: Instant) {
        let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.count.used()));
        let paid = self.debt.min(room);
        if paid > 0 {
            self.debt -= paid;
            self.count.add(paid);
            self.put(paid, at);
        }
    }

    /// Adds an amount to the newest part, or makes a new one. Time does not go back in here.
    fn put(&mut self, amount: u64, at: Instant) -> Instant {
        match self.parts.back_mut() {
            Some(part) if at <= part.first + bounds::LIMIT_WINDOW_GRAIN => {
                part.last = part.last.max(at);
                part.amount = part.amount.saturating_add(amount);
                part.last
            }
            _ => {
                self.parts.push_back(Part { first: at, last: at, amount });
                at
            }
        }
    }

    /// How many parts it holds.
    #[cfg(test)]
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_slot_is_free_again_a_minute_and_a_guard_after_the_head() {
        let (mut window, begin) = (Window::default(), Instant::now());
        window.count.take(1);
        assert_eq!(window.full_until(1, 1, begin), Some(begin + 61 * S), "the head may come at once, and not before");
        window.arrived(1, begin + 5 * S);
        assert_eq!(window.full_until(1, 1, begin + 6 * S), Some(begin + 66 * S));
        window.expire(begin + 66 * S - Duration::from_nanos(1), Some(1));
        assert!(window.full_until(1, 1, begin).is_some());
        window.expire(begin + 66 * S, Some(1));
        assert_eq!(window.full_until(1, 1, begin + 66 * S), None);
    }

    #[test]
    fn memory_stays_small_at_500_requests_a_second_and_no_slot_is_free_too_early() {
        let (mut window, begin) = (Window::default(), Instant::now());
        for n in 0..60_000_u32 {
            let now = begin + n * Duration::from_millis(2);
            window.expire(now, Some(30_000));
            if window.full_until(1, 30_000, now).is_none() {
                window.count.take(1);
                window.arrived(1, now);
            }
        }
        assert!(window.parts() <= 245, "{}", window.parts());
        assert!((29_800..=30_000).contains(&window.count.used()), "the grain costs little: {}", window.count.used());
    }

    #[test]
    fn an_overshoot_is_paid_by_the_minutes_that_follow() {
        let (mut window, begin) = (Window::default(), Instant::now());
        window.count.take(100);
        let place = window.arrived(100, begin);
        window.overshoot(2_400, Some(1_000), begin);
        assert_eq!((window.count.used(), window.debt()), (1_000, 1_500));
        assert_eq!(window.full_until(500, 1_000, begin), Some(begin + 2 * 61 * S), "a minute for the debt alone");
        window.expire(begin + 61 * S, Some(1_000));
        assert_eq!((window.count.used(), window.debt()), (1_000, 500));
        window.expire(begin + 122 * S, Some(1_000));
        assert_eq!((window.count.used(), window.debt()), (500, 0));
        assert_eq!(window.full_until(500, 1_000, begin + 122 * S), None);
        window.refund(100, place);
        assert_eq!(window.count.used(), 500, "what no longer counts is not taken back");
    }

    #[test]
    fn what_was_not_needed_is_taken_back_while_it_counts() {
        let (mut window, begin) = (Window::default(), Instant::now());
        window.count.take(100);
        let place = window.arrived(100, begin);
        window.refund(70, place);
        assert_eq!(window.count.used(), 30);
        window.expire(begin + 61 * S, None);
        assert_eq!(window.count.used(), 0);
    }

    #[test]
    fn a_remaining_quota_lowers_and_never_raises() {
        let (mut window, begin) = (Window::default(), Instant::now());
        window.lower(3, 10, begin);
        assert_eq!(window.count.used(), 7);
        window.lower(9, 10, begin);
        assert_eq!(window.count.used(), 7);
        window.expire(begin + 61 * S, Some(10));
        assert_eq!(window.count.used(), 0);
    }
}
