//! The parts of the calendar that budgets are for.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::config::Per;
use crate::connection::day::Day;

const HOUR_MS: i64 = 3_600_000;

/// The hour, day or month of a zone that a moment falls on, right across changes of daylight saving. Only the ends of
/// time have none: there it never ends.
pub(super) fn of(per: Per, wall_ms: i64, zone: &TimeZone) -> Day {
    let found = match per {
        Per::Hour => hour(wall_ms, zone),
        Per::Day => Day::of(wall_ms, zone),
        Per::Month => month(wall_ms, zone),
    };
    found.unwrap_or(Day { starts_ms: wall_ms, ends_ms: i64::MAX })
}

/// An hour is as long as any other, also when clocks change: the second 2 o'clock of that night is an hour of its own.
fn hour(wall_ms: i64, zone: &TimeZone) -> Option<Day> {
    let now = Timestamp::from_millisecond(wall_ms).ok()?;
    let offset_ms = i64::from(zone.to_offset(now).seconds()) * 1_000;
    let starts_ms = (wall_ms + offset_ms).div_euclid(HOUR_MS) * HOUR_MS - offset_ms;
    Some(Day { starts_ms, ends_ms: starts_ms + HOUR_MS })
}

fn month(wall_ms: i64, zone: &TimeZone) -> Option<Day> {
    let today = Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(zone.clone()).date();
    let begin =
        |date: jiff::civil::Date| date.to_datetime(Time::midnight()).to_zoned(zone.clone()).ok()?.start_of_day().ok();
    let (starts, ends) = (begin(today.first_of_month())?, begin(today.last_of_month().tomorrow().ok()?)?);
    Some(Day { starts_ms: starts.timestamp().as_millisecond(), ends_ms: ends.timestamp().as_millisecond() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(per: Per, at: &str, zone: &str) -> (i64, String) {
        let at: Timestamp = at.parse().unwrap();
        let found = of(per, at.as_millisecond(), &TimeZone::get(zone).unwrap());
        assert!((found.starts_ms..found.ends_ms).contains(&at.as_millisecond()));
        let end = Timestamp::from_millisecond(found.ends_ms).unwrap();
        ((found.ends_ms - found.starts_ms) / HOUR_MS, end.to_string())
    }

    #[test]
    fn hours_end_where_the_zones_clock_shows_a_full_one() {
        assert_eq!(ends(Per::Hour, "2026-03-01T10:59:59.999Z", "UTC"), (1, "2026-03-01T11:00:00Z".into()));
        assert_eq!(ends(Per::Hour, "2026-03-01T10:30:00Z", "Asia/Kolkata"), (1, "2026-03-01T11:30:00Z".into()));
        // The night of the change has two hours that are called two o'clock.
        assert_eq!(ends(Per::Hour, "2026-10-25T00:30:00Z", "Europe/Berlin"), (1, "2026-10-25T01:00:00Z".into()));
        assert_eq!(ends(Per::Hour, "2026-10-25T01:30:00Z", "Europe/Berlin"), (1, "2026-10-25T02:00:00Z".into()));
    }

    #[test]
    fn days_are_as_long_as_the_zones_clock_makes_them() {
        assert_eq!(ends(Per::Day, "2026-03-29T12:00:00Z", "Europe/Berlin"), (23, "2026-03-29T22:00:00Z".into()));
        assert_eq!(ends(Per::Day, "2026-10-25T12:00:00Z", "Europe/Berlin"), (25, "2026-10-25T23:00:00Z".into()));
    }

    #[test]
    fn months_have_as_many_days_as_they_have() {
        assert_eq!(ends(Per::Month, "2026-02-28T23:59:59Z", "UTC"), (28 * 24, "2026-03-01T00:00:00Z".into()));
        assert_eq!(ends(Per::Month, "2028-02-29T12:00:00Z", "UTC"), (29 * 24, "2028-03-01T00:00:00Z".into()));
        assert_eq!(ends(Per::Month, "2026-12-31T23:59:59Z", "UTC"), (31 * 24, "2027-01-01T00:00:00Z".into()));
        // One hour less, for the change of clocks in March; and it begins where midnight is in Berlin.
        assert_eq!(
            ends(Per::Month, "2026-02-28T23:30:00Z", "Europe/Berlin"),
            (31 * 24 - 1, "2026-03-31T22:00:00Z".into())
        );
    }
}
