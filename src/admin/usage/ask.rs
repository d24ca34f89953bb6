//! What the query of a URL asks, read whole: whatever cannot be understood is named, and nothing is passed over.

use std::str::FromStr;

use crate::admin::failure;
use crate::api::usage::{Dimension, RecordId, Step};
use crate::api::{AppName, ConnectionId, Failure, Feature, Moment, Outcome, ProviderSlug, RecordOrder};
use crate::bounds;
use crate::store::RecordAsk;
use crate::usage::Query;

/// The time that a report covers which names no begin.
const DEFAULT_MS: i64 = 24 * 60 * 60 * 1_000;

/// Records of a page that names no number.
const PAGE_DEFAULT: usize = 100;

/// Units of `-24h`, in milliseconds.
const UNITS: &[(&str, i64)] = &[("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// What sort of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// What all used, by groups.
    Report,
    /// What the app that asks used, by groups.
    OwnReport,
    /// The records themselves.
    Records,
}

/// A question that was understood.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) query: Query,
    /// Which page of the records is meant.
    pub(super) page: RecordAsk,
}

impl Ask {
    /// Reads a question from the pairs of a URL's query.
    ///
    /// # Errors
    /// When one of them cannot be understood; the error names it.
    pub(super) fn read<'q>(
        self,
        pairs: impl Iterator<Item = (&'q str, &'q str)>,
        now_ms: i64,
    ) -> Result<Asked, Failure> {
        let begin = if self == Self::Records { i64::MIN } else { now_ms.saturating_sub(DEFAULT_MS) };
        let query = Query { from_ms: begin, to_ms: now_ms.saturating_add(1), ..Query::default() };
        let mut asked = Asked { query, page: RecordAsk { limit: PAGE_DEFAULT, ..RecordAsk::default() } };
        let mut once = Vec::new();
        for (key, value) in pairs {
            if self.takes(&mut asked, key, value, now_ms)? {
                if once.contains(&key) {
                    return Err(failure::at(key, "is given twice"));
                }
                once.push(key);
            } else {
                asked.query.filters.push((self.filter(key, value)?, value.to_owned()));
            }
        }
        if asked.query.from_ms >= asked.query.to_ms {
            return Err(failure::at("from", "must be before to"));
        }
        (asked.page.from_ms, asked.page.to_ms) = (asked.query.from_ms, asked.query.to_ms);
        Ok(asked)
    }

    /// Takes a key that may stand once. Tells whether it is one.
    fn takes(self, asked: &mut Asked, key: &str, value: &str, now_ms: i64) -> Result<bool, Failure> {
        let (query, page) = (&mut asked.query, &mut asked.page);
        match (key, self) {
            ("from", _) => query.from_ms = time(key, value, now_ms)?,
            ("to", _) => query.to_ms = time(key, value, now_ms)?,
            ("by", Self::Report | Self::OwnReport) => query.by = dimensions(value)?,
            ("step", Self::Report | Self::OwnReport) => {
                query.step = of(key, value, "write none, minute, hour or day", Step::from_str)?;
            }
            ("after", Self::Records) => {
                let help = "write what the page before named as next: 32 hexadecimal digits";
                page.after = Some(of(key, value, help, RecordId::from_str)?);
            }
            ("limit", Self::Records) => page.limit = limit(key, value)?,
            ("order", Self::Records) => {
                page.order = of(key, value, "write newest or oldest", RecordOrder::from_str)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The dimension that a key filters by, if its value can be one of its.
    fn filter(self, key: &str, value: &str) -> Result<Dimension, Failure> {
        let dimension = key.parse::<Dimension>().ok().filter(|one| self != Self::OwnReport || *one != Dimension::App);
        let dimension = dimension.ok_or_else(|| failure::at(key, self.known()))?;
        let slug = "is no name: use a-z, 0-9, '.', '_' and '-'";
        match dimension {
            Dimension::Connection => drop(of(key, value, "write provider:name", ConnectionId::from_str)?),
            Dimension::Provider => drop(of(key, value, slug, ProviderSlug::from_str)?),
            Dimension::Feature => drop(of(key, value, slug, Feature::from_str)?),
            Dimension::App => drop(of(key, value, slug, AppName::from_str)?),
            Dimension::Outcome => drop(of(key, value, &outcomes(), Outcome::from_str)?),
            Dimension::Model if value.is_empty() || value.len() > bounds::MODEL_BYTES_MAX => {
                return Err(failure::at(key, "is no model's name"));
            }
            Dimension::Model => {}
        }
        Ok(dimension)
    }

    fn known(self) -> &'static str {
        match self {
            Self::Report => {
                "is not known: from, to, by, step, and the filters app, feature, provider, connection, model, outcome"
            }
            Self::OwnReport => {
                "is not known: from, to, by, step, and the filters feature, provider, connection, model, outcome"
            }
            Self::Records => {
                "is not known: from, to, after, limit, order, and the filters app, feature, provider, connection, \
                 model, outcome"
            }
        }
    }
}

fn of<T, E>(key: &str, value: &str, help: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Failure> {
    read(value).map_err(|_| failure::at(key, help))
}

fn limit(key: &str, value: &str) -> Result<usize, Failure> {
    let most = bounds::USAGE_PAGE_MAX;
    let limit = value.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| failure::at(key, &format!("write a number from 1 to {most}")))
}

fn outcomes() -> String {
    let names: Vec<_> = Outcome::ALL.iter().map(|one| one.name()).collect();
    format!("write one of {}", names.join(", "))
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
/// long ago: `-24h`, and `24h` alike.
///
/// # Errors
/// When it is none of them.
pub fn time(key: &str, text: &str, now_ms: i64) -> Result<i64, Failure> {
    let ago = || {
        let plain = text.strip_prefix('-').unwrap_or(text);
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

    fn read(ask: Ask, query: &str) -> Result<Asked, Failure> {
        ask.read(query.split('&').filter_map(|pair| pair.split_once('=')), NOW_MS)
    }

    fn report(query: &str) -> Result<Query, Failure> {
        read(Ask::Report, query).map(|asked| asked.query)
    }

    #[test]
    fn a_question_is_read_whole() {
        let query = report("from=-24h&to=2023-11-14T22:00:00Z&by=connection,feature&step=hour&app=a&app=b").unwrap();
        assert_eq!((query.from_ms, query.to_ms), (NOW_MS - 86_400_000, 1_699_999_200_000));
        assert_eq!((query.by, query.step), (vec![Dimension::Connection, Dimension::Feature], Step::Hour));
        assert_eq!(query.filters, [(Dimension::App, "a".into()), (Dimension::App, "b".into())]);
        assert_eq!(report("from=7d&to=2023-11-14").unwrap().from_ms, NOW_MS - 7 * 86_400_000);
        assert_eq!(report("from=7d&to=2023-11-14").unwrap().to_ms, 1_699_920_000_000);
    }

    #[test]
    fn the_last_day_is_meant_where_nothing_is_said() {
        let query = report("").unwrap();
        assert_eq!((query.from_ms, query.step, query.by.len()), (NOW_MS - 86_400_000, Step::None, 0));
        assert!(query.to_ms > NOW_MS, "what has just ended counts");
    }

    #[test]
    fn a_page_of_records_is_asked_for_whole() {
        let id = "019d4c1e22f07a1b00000000000001ff";
        let asked = read(Ask::Records, &format!("from=-1h&after={id}&limit=7&order=oldest&outcome=ok")).unwrap();
        let expected = RecordAsk {
            after: id.parse().ok(),
            order: RecordOrder::Oldest,
            from_ms: NOW_MS - 3_600_000,
            to_ms: NOW_MS + 1,
            limit: 7,
        };
        assert_eq!((asked.page, asked.query.filters.len()), (expected, 1));
        assert_eq!(read(Ask::Records, "").unwrap().page.from_ms, i64::MIN, "all that there is");
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (query, param) in [
            ("from=yesterday", "from"),
            ("from=-1y", "from"),
            ("from=now&to=-1h", "from"),
            ("to=2023-13-01", "to"),
            ("by=colour", "by"),
            ("step=week", "step"),
            ("step=day&step=hour", "step"),
            ("colour=red", "colour"),
            ("outcome=fine", "outcome"),
            ("connection=openai", "connection"),
            ("app=Not-a-Name", "app"),
            ("model=", "model"),
            ("after=019d4c1e22f07a1b00000000000001ff", "after"),
        ] {
            assert_eq!(report(query).unwrap_err().param.as_deref(), Some(param), "{query}");
        }
        for (query, param) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=many", "limit"),
            ("after=req_1", "after"),
            ("after=+19d4c1e22f07a1b00000000000001ff", "after"),
            ("order=random", "order"),
            ("by=app", "by"),
            ("step=day", "step"),
        ] {
            assert_eq!(read(Ask::Records, query).unwrap_err().param.as_deref(), Some(param), "{query}");
        }
    }

    #[test]
    fn an_app_cannot_name_another() {
        assert_eq!(read(Ask::OwnReport, "app=other").unwrap_err().param.as_deref(), Some("app"));
        assert!(read(Ask::OwnReport, "by=app,feature&feature=f").is_ok());
    }
}
