//! What a provider says of its limits beside its answers: how long to wait, how much is left.
//!
//! Which header counts what is the provider's declaration (`rate_limits`), because the same name means a minute here and
//! a day there.

use std::time::Duration;

use http::HeaderMap;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use crate::config::{Counted, Figure, RateLimitHeader, ResetFormat};

/// A window from this length on is a day's.
const DAY_S: u32 = 24 * 60 * 60;

/// What a reply says of the provider's limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hints {
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    /// What is left of its limits.
    pub remaining: Vec<Remaining>,
}

/// What is left of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// What it counts.
    pub counted: Counted,
    /// Over how many seconds.
    pub window_s: u32,
    /// How many there may be.
    pub limit: Option<u64>,
    /// How many there may still be.
    pub remaining: Option<u64>,
    /// In how long all are there again.
    pub resets_in: Option<Duration>,
}

impl Hints {
    /// What the headers of a reply say, read at a wall time in milliseconds since 1970.
    pub fn read(table: &[RateLimitHeader], headers: &HeaderMap, wall_ms: i64) -> Self {
        let mut remaining: Vec<Remaining> = Vec::new();
        for declared in table {
            let Some(text) = headers.get(&declared.header).and_then(|value| value.to_str().ok()) else { continue };
            let same = |one: &Remaining| one.counted == declared.counted && one.window_s == declared.window_s;
            let place = remaining.iter().position(same).unwrap_or(remaining.len());
            if place == remaining.len() {
                let (counted, window_s) = (declared.counted, declared.window_s);
                remaining.push(Remaining { counted, window_s, limit: None, remaining: None, resets_in: None });
            }
            let Some(one) = remaining.get_mut(place) else { continue };
            match declared.figure {
                Figure::Limit => one.limit = figure(text),
                Figure::Remaining => one.remaining = figure(text),
                Figure::Reset => one.resets_in = reset(text, declared.format, wall_ms),
            }
        }
        Self { retry_after: None, remaining }
    }

    /// The same with a wait that the provider asked for.
    #[must_use]
    pub fn after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// In how long the limits that are used up are there again; none where none is, or nobody knows when.
    pub fn exhausted(&self) -> Option<Duration> {
        self.remaining.iter().filter(|one| one.remaining == Some(0)).filter_map(|one| one.resets_in).max()
    }

    /// A limit by the day that is used up.
    pub fn day_exhausted(&self) -> Option<&Remaining> {
        self.remaining.iter().find(|one| one.window_s >= DAY_S && one.remaining == Some(0))
    }
}

/// A count. Some send -1 where they mean that they do not know; some send fractions.
fn figure(text: &str) -> Option<u64> {
    let text = text.trim();
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse().ok()
}

/// In how long a reset is.
fn reset(text: &str, format: ResetFormat, wall_ms: i64) -> Option<Duration> {
    let text = text.trim();
    let until = |at_ms: i64| Duration::from_millis(u64::try_from(at_ms.saturating_sub(wall_ms)).unwrap_or(0));
    let epoch = |text: &str| text.parse::<f64>().ok().filter(|at| at.is_finite());
    match format {
        ResetFormat::Duration => duration(text),
        ResetFormat::Rfc3339 => Some(until(text.parse::<Timestamp>().ok()?.as_millisecond())),
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and such a time is clamped")]
        ResetFormat::EpochMs => Some(until(epoch(text)? as i64)),
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and such a time is clamped")]
        ResetFormat::EpochS => Some(until((epoch(text)? * 1000.0) as i64)),
    }
}

/// A duration as Go writes it, `6m0s` or `1m2.5s` or `7.66ms`; a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit);
        let seconds = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// `retry-after-ms`, else `Retry-After`: seconds, or a date, which is compared with the reply's own.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| text(headers, name)?.parse::<f64>().ok();
    let until_date = || Some(date(headers, "retry-after")?.duration_since(date(headers, "date")?).as_secs_f64());
    let seconds =
        number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after")).or_else(until_date)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// How long it is until the date that `Retry-After` names, where the reply has no date of its own to compare it with: by
/// this wall clock, in milliseconds since 1970.
pub fn retry_after_undated(headers: &HeaderMap, wall_ms: i64) -> Option<Duration> {
    if headers.contains_key("date") || headers.contains_key("retry-after-ms") {
        return None;
    }
    let at = date(headers, "retry-after")?;
    let left = at.duration_since(Timestamp::from_millisecond(wall_ms).ok()?);
    Duration::try_from(left.max(SignedDuration::ZERO)).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// An HTTP date (RFC 9110, section 5.6.7), in the form that all servers send.
fn date(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    rfc2822::parse(text(headers, name)?).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests;
