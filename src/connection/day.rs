//! When a provider's calendar day ends.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The next midnight of a zone, in milliseconds since 1970, right across changes of daylight saving: a day may have 23
/// or 25 hours, and may not begin at 0:00. None where the calendar ends.
pub fn next_reset_ms(zone: &TimeZone, wall_ms: i64) -> Option<i64> {
    let now = Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(zone.clone());
    Some(now.tomorrow().ok()?.start_of_day().ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(zone: &str, now: &str) -> String {
        let now: Timestamp = now.parse().unwrap();
        let reset = next_reset_ms(&TimeZone::get(zone).unwrap(), now.as_millisecond()).unwrap();
        Timestamp::from_millisecond(reset).unwrap().to_string()
    }

    #[test]
    fn a_day_ends_at_the_providers_midnight_also_when_the_clocks_change() {
        assert_eq!(reset("UTC", "2026-11-22T10:00:00Z"), "2026-11-23T00:00:00Z");
        assert_eq!(reset("UTC", "2026-11-22T00:00:00Z"), "2026-11-23T00:00:00Z");
        assert_eq!(reset("America/Los_Angeles", "2026-11-22T07:59:59Z"), "2026-11-22T08:00:00Z");
        assert_eq!(reset("America/Los_Angeles", "2026-11-22T08:00:00Z"), "2026-11-23T08:00:00Z");
        // The day of 25 hours, and the one of 23.
        assert_eq!(reset("America/Los_Angeles", "2026-11-01T07:00:00Z"), "2026-11-02T08:00:00Z");
        assert_eq!(reset("America/Los_Angeles", "2026-03-08T08:00:00Z"), "2026-03-09T07:00:00Z");
        // A day that begins at 1:00, because its midnight is left out.
        assert_eq!(reset("America/Asuncion", "2024-10-05T12:00:00Z"), "2024-10-06T04:00:00Z");
    }
}
