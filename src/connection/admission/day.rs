//! What is counted of a provider's calendar day.

use super::count::Count;

/// Requests or tokens of one day. What is under way may yet arrive on the next.
#[derive(Debug, Default)]
pub(in crate::connection) struct DayCount {
    pub(in crate::connection) count: Count,
    /// What was written down as used; none: nothing is written down. More than that is not used before more is.
    leased: Option<u64>,
}

impl DayCount {
    /// Begins the next day: what is under way may arrive on it. `ahead` was written down for it.
    pub(in crate::connection) fn turn(&mut self, ahead: u64) {
        self.count = self.count.under_way();
        self.leased = self.leased.map(|_| ahead.max(self.count.used()));
    }

    /// Begins a period that takes nothing over. `ahead` was written down for it.
    pub(in crate::connection) fn begin_anew(&mut self, ahead: u64) {
        self.count = Count::default();
        self.leased = self.leased.map(|_| ahead);
    }

    /// Whether `need` more is within the limit.
    pub(in crate::connection) fn has_room(&self, need: u64, limit: u64) -> bool {
        self.count.used().saturating_add(need.min(limit)) <= limit
    }

    /// Whether `need` more is within what was written down.
    pub(in crate::connection) fn is_leased(&self, need: u64) -> bool {
        self.leased.is_none_or(|leased| self.count.used().saturating_add(need) <= leased)
    }

    /// Counts more, or less, than had been reserved.
    pub(in crate::connection) fn correct(&mut self, more: u64, less: u64) {
        self.count.add(more);
        self.count.sub(less);
    }

    /// Counts more than is known of, so that no more than `room` is left.
    pub(in crate::connection) fn lower(&mut self, room: u64, limit: u64) {
        self.count.add(limit.saturating_sub(room).saturating_sub(self.count.used()));
    }

    /// What shall be written down: what is used, and `ahead` more, as far as there is more.
    pub(in crate::connection) fn wanted(&self, ahead: u64, limit: Option<u64>) -> u64 {
        let (used, wanted) = (self.count.used(), self.count.used().saturating_add(ahead));
        // What is used beyond a limit that only warns is counted on.
        limit.filter(|&limit| used < limit).map_or(wanted, |limit| wanted.min(limit))
    }

    /// Whether less than half of `ahead` is left of what was written down, and there is more to write down.
    pub(in crate::connection) fn runs_out(&self, ahead: u64, limit: u64) -> bool {
        self.leased.is_none_or(|leased| {
            let used = self.count.used();
            let is_all = leased >= limit && used <= limit;
            !is_all && leased.saturating_sub(used) < ahead / 2 + 1
        })
    }

    /// Notes what was written down.
    pub(in crate::connection) fn lease(&mut self, leased: u64) {
        self.leased = Some(leased);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_written_down_ahead() {
        let mut count = DayCount::default();
        count.count.add(60);
        assert_eq!((count.wanted(30, Some(100)), count.wanted(50, Some(100)), count.wanted(50, None)), (90, 100, 110));
        count.lease(90);
        assert!(!count.runs_out(30, 100) && count.runs_out(80, 100));
        count.lease(100);
        assert!(!count.runs_out(80, 100), "there is no more to write down");
        count.count.add(60);
        assert_eq!(count.wanted(30, Some(100)), 150, "what is used beyond a limit that only warns is counted on");
        assert!(count.runs_out(30, 100));
    }

    #[test]
    fn what_is_under_way_at_midnight_counts_on_both_days() {
        let mut count = DayCount::default();
        count.count.take(1);
        count.count.take(1);
        count.count.arrived(1);
        count.turn(0);
        assert_eq!(count.count.used(), 1);
        assert!(!count.has_room(1, 1));
        count.count.give_back(1);
        assert!(count.has_room(1, 1));
    }
}
