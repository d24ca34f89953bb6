//! What all questions about usage have in common: their time, and their filters.

use clap::Args;
use url::form_urlencoded::Serializer;

use crate::api::Moment;
use crate::api::usage::Dimension;

/// Which records count.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filters {
    /// Only this app; more than once for any of several, as with the other filters
    #[arg(long)]
    app: Vec<String>,
    /// Only this feature
    #[arg(long)]
    feature: Vec<String>,
    /// Only this provider
    #[arg(long)]
    provider: Vec<String>,
    /// Only this connection, such as openai:main
    #[arg(long)]
    connection: Vec<String>,
    /// Only this model
    #[arg(long)]
    model: Vec<String>,
    /// Only what ended so, such as ok or rate_short
    #[arg(long)]
    outcome: Vec<String>,
}

impl Filters {
    fn put(&self, query: &mut Serializer<'_, String>) {
        let filters = [
            (Dimension::App, &self.app),
            (Dimension::Feature, &self.feature),
            (Dimension::Provider, &self.provider),
            (Dimension::Connection, &self.connection),
            (Dimension::Model, &self.model),
            (Dimension::Outcome, &self.outcome),
        ];
        for (dimension, values) in filters {
            for value in values {
                query.append_pair(dimension.name(), value);
            }
        }
    }
}

/// The path of a question, with its query.
pub(super) fn path(base: &str, pairs: &[(&str, Option<&str>)], filters: &Filters) -> String {
    let begin = format!("{base}?");
    let from = begin.len();
    let mut query = Serializer::for_suffix(begin, from);
    for (key, value) in pairs {
        if let Some(value) = value {
            query.append_pair(key, value);
        }
    }
    filters.put(&mut query);
    query.finish()
}

/// A time as the API takes it: `24h` becomes `-24h`; what the daemon reads itself passes through.
pub(in crate::cli) fn moment(text: &str) -> Result<String, String> {
    let date = || format!("{text}T00:00:00Z").parse::<Moment>();
    if text == "now" || text.parse::<Moment>().is_ok() || date().is_ok() {
        return Ok(text.to_owned());
    }
    let plain = text.strip_prefix('-').unwrap_or(text);
    let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = plain.get(digits.len()..).unwrap_or_default();
    let good = digits.parse::<u32>().is_ok() && matches!(unit, "s" | "m" | "h" | "d" | "w");
    let help = "write 90m, 24h or 7d for so long ago, a date, or a time such as 2026-01-31T00:00:00Z";
    if good { Ok(format!("-{plain}")) } else { Err(help.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_the_api_takes_them() {
        assert_eq!(moment("24h").unwrap(), "-24h");
        assert_eq!(moment("-7d").unwrap(), "-7d");
        for as_it_is in ["2026-01-31T00:00:00Z", "2026-01-31", "now"] {
            assert_eq!(moment(as_it_is).unwrap(), as_it_is);
        }
        for bad in ["", "h", "24", "1y2", "yesterday", "2026-02-30"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_names_what_is_asked_and_every_filter() {
        let filters = Filters { app: vec!["a".into(), "b".into()], model: vec!["x/y z".into()], ..Filters::default() };
        let path = path("/usage", &[("from", Some("-1h")), ("to", None)], &filters);
        assert_eq!(path, "/usage?from=-1h&app=a&app=b&model=x%2Fy+z");
    }
}
