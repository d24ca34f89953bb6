//! What is counted of a provider's calendar day.

/// Requests or tokens of one day.
#[derive(Debug, Default)]
pub(super) struct DayCount {
    used: u64,
    /// What is under way, and may yet arrive on the next day.
    open: u64,
    /// What was written down as used; none: nothing is written down. More than that is not used before more is.
    leased: Option<u64>,
}

impl DayCount {
    /// What counts today.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Begins the next day: what is under way may arrive on it. `ahead` was written down for it.
    pub(super) fn turn(&mut self, ahead: u64) {
        self.used = self.open;
        self.leased = self.leased.map(|_| ahead.max(self.open));
    }

    /// Whether `need` more is within the limit.
    pub(super) fn has_room(&self, need: u64, limit: u64) -> bool {
        self.used.saturating_add(need.min(limit)) <= limit
    }

    /// Whether `need` more is within what was written down.
    pub(super) fn is_leased(&self, need: u64) -> bool {
        self.leased.is_none_or(|leased| self.used.saturating_add(need) <= leased)
    }

    /// Counts what goes out now.
    pub(super) fn take(&mut self, amount: u64) {
        self.used = self.used.saturating_add(amount);
        self.open = self.open.saturating_add(amount);
    }

    /// Takes back what never went out.
    pub(super) fn give_back(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
        self.open = self.open.saturating_sub(amount);
    }

    /// Notes that what went out has arrived.
    pub(super) fn arrived(&mut self, amount: u64) {
        self.open = self.open.saturating_sub(amount);
    }

    /// Counts more, or less, than had been reserved.
    pub(super) fn correct(&mut self, more: u64, less: u64) {
        self.used = self.used.saturating_add(more).saturating_sub(less);
    }

    /// Counts more than is known of, so that no more than `room` is left.
    pub(super) fn lower(&mut self, room: u64, limit: u64) {
        self.used = self.used.max(limit.saturating_sub(room));
    }

    /// Counts what was written down before this process.
    pub(super) fn restore(&mut self, used: u64) {
        self.used = self.used.saturating_add(used);
    }

    /// What shall be written down: what is used, and `ahead` more.
    pub(super) fn wanted(&self, ahead: u64) -> u64 {
        self.used.saturating_add(ahead)
    }

    /// Whether less than half of `ahead` is left of what was written down.
    pub(super) fn runs_out(&self, ahead: u64) -> bool {
        self.leased.is_none_or(|leased| leased.saturating_sub(self.used) < ahead / 2 + 1)
    }

    /// Notes what was written down.
    pub(super) fn lease(&mut self, leased: u64) {
        self.leased = Some(leased);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_at_midnight_counts_on_both_days() {
        let mut count = DayCount::default();
        count.take(1);
        count.take(1);
        count.arrived(1);
        count.turn(0);
        assert_eq!(count.used(), 1);
        assert!(!count.has_room(1, 1));
        count.give_back(1);
        assert!(count.has_room(1, 1));
    }
}
