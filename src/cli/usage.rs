//! `bursar usage`.

use clap::{Args, ValueEnum};

use super::client::Client;
use super::exit::{Exit, Outcome};
use super::output::{Cell, Output, Table, Tone};
use crate::api::usage::{Dimension, UsageFigures, UsageReport};

/// Show what was used, and what it cost
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar usage                                  the last 24 hours by connection\n  \
    bursar usage --by feature,model --since 7d    a week by feature and model\n  \
    bursar usage --by app --step day --since 30d  a month, day by day\n  \
    bursar usage --provider openai --format csv   for a spreadsheet")]
pub(super) struct Usage {
    /// What to group by: connection, provider, model, feature, app, outcome
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', default_value = "connection", value_parser = dimension)]
    by: Vec<Dimension>,
    /// The begin: so long ago, such as 24h or 7d, or a time such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment)]
    since: String,
    /// The end, likewise [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// The width of a row's time
    #[arg(long, value_enum, default_value_t = Width::None)]
    step: Width,
    /// Only this connection; more than once for any of several, as with the other filters
    #[arg(long, help_heading = "Filters")]
    connection: Vec<String>,
    /// Only this provider
    #[arg(long, help_heading = "Filters")]
    provider: Vec<String>,
    /// Only this model
    #[arg(long, help_heading = "Filters")]
    model: Vec<String>,
    /// Only this feature
    #[arg(long, help_heading = "Filters")]
    feature: Vec<String>,
    /// Only this app
    #[arg(long, help_heading = "Filters")]
    app: Vec<String>,
    /// Only what ended so, such as ok or rate_short
    #[arg(long, help_heading = "Filters")]
    outcome: Vec<String>,
}

/// The width of a row's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Width {
    /// The whole time in one row
    None,
    /// Minute by minute
    Minute,
    /// Hour by hour
    Hour,
    /// Day by day, in UTC
    Day,
}

fn dimension(text: &str) -> Result<Dimension, String> {
    text.parse().map_err(|()| {
        let known: Vec<_> = Dimension::ALL.iter().map(|one| one.name()).collect();
        format!("write one of {}", known.join(", "))
    })
}

/// A time as the API takes it: `24h` becomes `-24h`; what the daemon reads itself passes through.
pub(super) fn moment(text: &str) -> Result<String, String> {
    if text.parse::<crate::api::Moment>().is_ok() || text == "now" {
        return Ok(text.to_owned());
    }
    let plain = text.strip_prefix('-').unwrap_or(text);
    let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = plain.get(digits.len()..).unwrap_or_default();
    let good = digits.parse::<u32>().is_ok() && matches!(unit, "s" | "m" | "h" | "d" | "w");
    if good { Ok(format!("-{plain}")) } else { Err("write 90m, 24h, 7d or a time such as 2026-01-31T00:00:00Z".into()) }
}

impl Usage {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        let report: UsageReport = client.get(&self.path()).await?;
        out.rows(&report, || table(&report, &self.by));
        if report.truncated {
            out.remark(
                "there are more groups than are shown: name filters, or a shorter time; the totals count them all",
            );
        }
        Ok(Exit::Ok)
    }

    fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::from("/admin/v1/usage?"));
        query.append_pair("from", &self.since);
        if let Some(until) = &self.until {
            query.append_pair("to", until);
        }
        let by: Vec<_> = self.by.iter().map(|one| one.name()).collect();
        query.append_pair("by", &by.join(","));
        if let Some(step) = self.step.to_possible_value() {
            query.append_pair("step", step.get_name());
        }
        let filters = [
            (Dimension::Connection, &self.connection),
            (Dimension::Provider, &self.provider),
            (Dimension::Model, &self.model),
            (Dimension::Feature, &self.feature),
            (Dimension::App, &self.app),
            (Dimension::Outcome, &self.outcome),
        ];
        for (dimension, values) in filters {
            for value in values {
                query.append_pair(dimension.name(), value);
            }
        }
        query.finish()
    }
}

const FIGURES: [&str; 9] =
    ["requests", "attempts", "errors", "input_tokens", "output_tokens", "cost_usd", "cost_unknown", "p50_ms", "p99_ms"];

fn table(report: &UsageReport, by: &[Dimension]) -> Table {
    let stepped = report.rows.iter().any(|row| row.at.is_some());
    let times = stepped.then_some("at").into_iter();
    let columns = times.chain(by.iter().map(|one| one.name())).chain(FIGURES);
    let mut table = Table::new(columns, format!("nothing was used from {} to {}", report.from, report.to));
    for row in &report.rows {
        let at = row.at.iter().map(Cell::text);
        let labels = by.iter().map(|one| Cell::maybe(row.labels.get(one).cloned().flatten(), Cell::text));
        table.row(at.chain(labels).chain(cells(&row.figures)));
    }
    if report.rows.len() > 1 {
        let blank = usize::from(stepped) + by.len();
        let names = (0..blank).map(|index| Cell::text(if index == 0 { "total" } else { "" }));
        table.row(names.chain(cells(&report.totals)));
    }
    table
}

fn cells(figures: &UsageFigures) -> impl Iterator<Item = Cell> {
    let errors = Cell::number(figures.errors);
    [
        Cell::number(figures.requests),
        Cell::number(figures.attempts),
        if figures.errors > 0 { errors.tone(Tone::Warn) } else { errors },
        Cell::number(figures.input_tokens),
        Cell::number(figures.output_tokens),
        Cell::number(figures.cost_usd),
        Cell::number(figures.cost_unknown),
        Cell::maybe(figures.p50_ms, Cell::number),
        Cell::maybe(figures.p99_ms, Cell::number),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NanoUsd;
    use crate::api::usage::{Step, UsageRow};

    fn figures(requests: u64) -> UsageFigures {
        UsageFigures {
            requests,
            attempts: requests + 2,
            errors: 1,
            input_tokens: 1_000 * requests,
            output_tokens: 50,
            cost_usd: NanoUsd(1_234_000),
            p50_ms: Some(310),
            ..UsageFigures::default()
        }
    }

    fn report(rows: Vec<UsageRow>) -> UsageReport {
        UsageReport {
            from: "2026-01-01T00:00:00.000Z".into(),
            to: "2026-01-02T00:00:00.000Z".into(),
            step: Step::Day,
            rows,
            totals: figures(59),
            truncated: false,
        }
    }

    fn row(connection: Option<&str>, requests: u64) -> UsageRow {
        UsageRow {
            at: Some("2026-01-01T00:00:00.000Z".into()),
            figures: figures(requests),
            labels: [(Dimension::Connection, connection.map(Into::into))].into(),
        }
    }

    #[test]
    fn usage_is_shown_by_what_was_asked_with_its_total() {
        let report = report(vec![row(Some("openai:main"), 42), row(None, 17)]);
        insta::assert_snapshot!(table(&report, &[Dimension::Connection]).to_text(false), @r"
        AT                        CONNECTION   REQUESTS  ATTEMPTS  ERRORS  INPUT TOKENS  OUTPUT TOKENS  COST USD  COST UNKNOWN  P50 MS  P99 MS
        2026-01-01T00:00:00.000Z  openai:main        42        44       1         42000             50  0.001234             0     310  -
        2026-01-01T00:00:00.000Z  -                  17        19       1         17000             50  0.001234             0     310  -
        total                                        59        61       1         59000             50  0.001234             0     310  -
        ");
        let empty = self::report(Vec::new());
        let said = table(&empty, &[Dimension::Connection]).to_text(false);
        assert_eq!(said, "nothing was used from 2026-01-01T00:00:00.000Z to 2026-01-02T00:00:00.000Z\n");
    }

    #[test]
    fn times_are_said_as_the_api_takes_them() {
        assert_eq!(moment("24h").unwrap(), "-24h");
        assert_eq!(moment("-7d").unwrap(), "-7d");
        assert_eq!(moment("2026-01-31T00:00:00Z").unwrap(), "2026-01-31T00:00:00Z");
        for bad in ["", "h", "24", "1y2", "yesterday"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
