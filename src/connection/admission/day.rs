//! Calendar days: they begin at midnight where the provider's do, and are 23 or 25 hours long twice a year.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A calendar day, as milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Day {
    /// Its first moment.
    pub(super) starts_ms: i64,
    /// The first moment of the next.
    pub(super) ends_ms: i64,
}

impl Day {
    /// The day that a moment falls on.
    pub(super) fn of(wall_ms: i64, zone: &TimeZone) -> Self {
        let day = || {
            let now = Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(zone.clone());
            let starts = now.start_of_day().ok()?;
            let ends = now.tomorrow().ok()?.start_of_day().ok()?;
            Some(Self { starts_ms: starts.timestamp().as_millisecond(), ends_ms: ends.timestamp().as_millisecond() })
        };
        // Only the ends of time have no day.
        day().unwrap_or(Self { starts_ms: wall_ms, ends_ms: i64::MAX })
    }
}

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

    const HOUR_MS: i64 = 3_600_000;

    fn hours(at: &str, zone: &str) -> (i64, String) {
        let at: Timestamp = at.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let day = Day::of(at.as_millisecond(), &zone);
        assert!((day.starts_ms..day.ends_ms).contains(&at.as_millisecond()));
        let next = Timestamp::from_millisecond(day.ends_ms).unwrap();
        ((day.ends_ms - day.starts_ms) / HOUR_MS, next.to_string())
    }

    #[test]
    fn days_end_at_midnight_where_the_provider_is() {
        assert_eq!(hours("2026-11-22T10:00:00Z", "UTC"), (24, "2026-11-23T00:00:00Z".into()));
        assert_eq!(hours("2026-11-22T07:59:59Z", "America/Los_Angeles"), (24, "2026-11-22T08:00:00Z".into()));
        assert_eq!(hours("2026-11-22T08:00:00Z", "America/Los_Angeles"), (24, "2026-11-23T08:00:00Z".into()));
    }

    #[test]
    fn the_days_of_the_change_of_clocks_are_an_hour_shorter_and_longer() {
        assert_eq!(hours("2026-03-08T12:00:00Z", "America/Los_Angeles"), (23, "2026-03-09T07:00:00Z".into()));
        assert_eq!(hours("2026-11-01T12:00:00Z", "America/Los_Angeles"), (25, "2026-11-02T08:00:00Z".into()));
        // Where the clocks change at midnight, a day begins at one in the morning.
        assert_eq!(hours("2026-09-06T12:00:00Z", "America/Santiago"), (23, "2026-09-07T03:00:00Z".into()));
    }

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
