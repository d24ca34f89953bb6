//! Questions about usage, as operators put them.

use super::control::Admin;
use super::failure;
use crate::api::usage::{Dimension, Step, UsageReport};
use crate::api::{Failure, Moment};
use crate::usage::{self, Query};

/// The time that a question covers which names no begin.
const DEFAULT_MS: i64 = 24 * 60 * 60 * 1_000;

/// Units of `-24h`, in milliseconds.
const UNITS: &[(&str, i64)] = &[("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl Admin {
    /// Answers a question about usage. What was used until now is in it. Blocks.
    ///
    /// # Errors
    /// When the question cannot be understood, or the store not be read.
    pub fn usage<'q>(&self, pairs: impl Iterator<Item = (&'q str, &'q str)>) -> Result<UsageReport, Failure> {
        let query = read(pairs, self.engine.clock.wall_ms())?;
        // Where the last records cannot be written, those that could be are still worth an answer.
        let _ = self.engine.recorder.flush().wait();
        Ok(usage::totals(self.engine.recorder.rollups(), &query)?)
    }
}

/// Reads a question from the pairs of a URL's query.
fn read<'q>(pairs: impl Iterator<Item = (&'q str, &'q str)>, now_ms: i64) -> Result<Query, Failure> {
    let mut query = Query { from_ms: now_ms - DEFAULT_MS, to_ms: now_ms.saturating_add(1), ..Query::default() };
    for (key, value) in pairs {
        match key {
            "from" => query.from_ms = time(key, value, now_ms)?,
            "to" => query.to_ms = time(key, value, now_ms)?,
            "by" => query.by = dimensions(value)?,
            "step" => {
                let wrong = |()| failure::at(key, "write none, minute, hour or day");
                query.step = value.parse::<Step>().map_err(wrong)?;
            }
            _ => match key.parse::<Dimension>() {
                Ok(dimension) => query.filters.push((dimension, value.to_owned())),
                Err(()) => {
                    return Err(failure::at(key, "is not known: from, to, by, step, and what can be grouped by"));
                }
            },
        }
    }
    if query.from_ms >= query.to_ms {
        return Err(failure::at("from", "must be before to"));
    }
    Ok(query)
}

fn dimensions(text: &str) -> Result<Vec<Dimension>, Failure> {
    let known: Vec<_> = Dimension::ALL.iter().map(|one| one.name()).collect();
    let wrong = |()| failure::at("by", &format!("write one or more of {}, with commas between", known.join(", ")));
    let mut all = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let dimension = name.parse().map_err(wrong)?;
        if !all.contains(&dimension) {
            all.push(dimension);
        }
    }
    Ok(all)
}

/// Reads the time under a key of a query, in milliseconds since 1970: RFC 3339, a date (its begin in UTC), `now`, or so
/// long ago: `-24h`.
///
/// # Errors
/// When it is none of them.
pub fn time(key: &str, text: &str, now_ms: i64) -> Result<i64, Failure> {
    let ago = || {
        let plain = text.strip_prefix('-')?;
        let (count, unit_ms) = UNITS.iter().find_map(|(unit, ms)| Some((plain.strip_suffix(unit)?, ms)))?;
        now_ms.checked_sub(count.parse::<u32>().map(i64::from).ok()?.checked_mul(*unit_ms)?)
    };
    let date = || format!("{text}T00:00:00Z").parse::<Moment>().ok();
    let moment = || text.parse::<Moment>().ok().or_else(date).map(|at| at.0);
    let found = if text == "now" { Some(now_ms) } else { ago().or_else(moment) };
    found.ok_or_else(|| failure::at(key, "write a time such as 2026-01-31T00:00:00Z, a date, or -24h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn ask(query: &str) -> Result<Query, Failure> {
        read(query.split('&').filter_map(|pair| pair.split_once('=')), NOW_MS)
    }

    #[test]
    fn a_question_is_read_whole() {
        let query = ask("from=-24h&to=2023-11-14T22:00:00Z&by=connection,feature&step=hour&app=a&app=b").unwrap();
        assert_eq!((query.from_ms, query.to_ms), (NOW_MS - 86_400_000, 1_699_999_200_000));
        assert_eq!((query.by, query.step), (vec![Dimension::Connection, Dimension::Feature], Step::Hour));
        assert_eq!(query.filters, [(Dimension::App, "a".into()), (Dimension::App, "b".into())]);
    }

    #[test]
    fn the_last_day_is_meant_where_nothing_is_said() {
        let query = ask("").unwrap();
        assert_eq!((query.from_ms, query.step, query.by.len()), (NOW_MS - 86_400_000, Step::None, 0));
        assert!(query.to_ms > NOW_MS, "what has just ended counts");
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (query, param) in [
            ("from=yesterday", "from"),
            ("from=-1y", "from"),
            ("from=now&to=-1h", "from"),
            ("by=colour", "by"),
            ("step=week", "step"),
            ("colour=red", "colour"),
        ] {
            assert_eq!(ask(query).unwrap_err().param.as_deref(), Some(param), "{query}");
        }
    }
}
