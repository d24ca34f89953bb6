//! Providers' calendar days.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A calendar day, as milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Its first moment.
    pub starts_ms: i64,
    /// The first moment of the next.
    pub ends_ms: i64,
}

impl Day {
    /// The day of a zone that a moment falls on, right across changes of daylight saving: it may have 23 or 25 hours, and
    /// may not begin at 0:00. None where the calendar ends.
    pub fn of(wall_ms: i64, zone: &TimeZone) -> Option<Self> {
        let now = Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(zone.clone());
        let (starts, ends) = (now.start_of_day().ok()?, now.tomorrow().ok()?.start_of_day().ok()?);
        Some(Self { starts_ms: starts.timestamp().as_millisecond(), ends_ms: ends.timestamp().as_millisecond() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn hours(at: &str, zone: &str) -> (i64, String) {
        let at: Timestamp = at.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let day = Day::of(at.as_millisecond(), &zone).unwrap();
        assert!((day.starts_ms..day.ends_ms).contains(&at.as_millisecond()));
        let next = Timestamp::from_millisecond(day.ends_ms).unwrap();
        ((day.ends_ms - day.starts_ms) / HOUR_MS, next.to_string())
    }

    #[test]
    fn days_end_at_midnight_where_the_provider_is() {
        assert_eq!(hours("2026-11-22T10:00:00Z", "UTC"), (24, "2026-11-23T00:00:00Z".into()));
        assert_eq!(hours("2026-11-22T07:59:59Z", "America/Los_Angeles"), (24, "2026-11-22T08:00:00Z".into()));
        assert_eq!(hours("2026-11-22T08:00:00Z", "America/Los_Angeles"), (24, "2026-11-23T08:00:00Z".into()));
        assert_eq!(hours("2026-11-22T00:00:00Z", "UTC"), (24, "2026-11-23T00:00:00Z".into()));
    }

    #[test]
    fn the_days_of_the_change_of_clocks_are_an_hour_shorter_and_longer() {
        assert_eq!(hours("2026-03-08T12:00:00Z", "America/Los_Angeles"), (23, "2026-03-09T07:00:00Z".into()));
        assert_eq!(hours("2026-11-01T12:00:00Z", "America/Los_Angeles"), (25, "2026-11-02T08:00:00Z".into()));
        // Where the clocks change at midnight, a day begins at one in the morning.
        assert_eq!(hours("2026-09-06T12:00:00Z", "America/Santiago"), (23, "2026-09-07T03:00:00Z".into()));
    }
}
