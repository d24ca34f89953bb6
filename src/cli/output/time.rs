//! Times as people say them.

use super::table::Cell;
use crate::api::Moment;

/// A time that has passed: `2 min ago`.
pub(in crate::cli) fn ago(at: Option<Moment>, now_ms: i64) -> Cell {
    Cell::maybe(at, |at| Cell::text(format!("{} ago", span(now_ms.saturating_sub(at.0) / 1_000))).raw(at))
}

/// A time that is to come: `in 2 min`.
pub(in crate::cli) fn ahead(at: Option<Moment>, now_ms: i64) -> Cell {
    Cell::maybe(at, |at| match at.0.saturating_sub(now_ms) / 1_000 {
        left if left <= 0 => Cell::text("over").raw(at),
        left => Cell::text(format!("in {}", span(left))).raw(at),
    })
}

/// So many seconds, in the largest unit that fits.
pub(in crate::cli) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s @ 7_200..=172_799 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// A time of the API's, to the minute: `2026-01-31 23:59`.
pub(in crate::cli) fn minutes(at: &str) -> String {
    at.get(..16).map_or_else(|| at.to_owned(), |at| at.replace('T', " "))
}

/// A time of the API's, to the second: `2026-01-31 23:59:59`.
pub(in crate::cli) fn seconds(at: &str) -> String {
    at.get(..19).map_or_else(|| at.to_owned(), |at| at.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_the_largest_unit_that_fits() {
        let said: Vec<_> = [0, 119, 120, 7_199, 7_200, 172_800, -5].map(span).into();
        assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d", "0 s"]);
    }
}
