//! `bursar usage`: sums by groups; on a terminal, with a step, each with its course over the time.

use clap::{Args, ValueEnum};

use super::ask::{self, Filters, moment};
use crate::api::Moment;
use crate::api::usage::{Dimension, UsageFigures, UsageReport};
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::output::{Cell, Format, Output, Table, Tone, minutes};

/// The most cells of a course, however wide the terminal.
const COURSE_CELLS_MAX: usize = 60;
/// As many as other columns make room for.
const COURSE_CELLS_MIN: usize = 24;

#[derive(Debug, Args)]
pub(super) struct Report {
    /// What to group by: connection, provider, model, feature, app, outcome
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', default_value = "connection", value_parser = dimension)]
    by: Vec<Dimension>,
    /// The begin: so long ago, such as 24h or 7d, a date, or a time such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment, allow_hyphen_values = true)]
    since: String,
    /// The end, likewise [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<String>,
    /// The width of a row's time. On a terminal a group stays one row, and shows its course
    #[arg(long, value_enum, default_value_t = Width::None)]
    step: Width,
    /// A row for each step on a terminal too, as in a pipe
    #[arg(long)]
    rows: bool,
    /// What a course shows
    #[arg(long, value_enum, value_name = "FIGURE", default_value_t = Course::Requests)]
    course: Course,
    #[command(flatten)]
    filters: Filters,
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

impl Width {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// What a course shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Course {
    /// How many requests
    Requests,
    /// How many of them failed
    Errors,
    /// Tokens in and out
    Tokens,
    /// The cost, as far as it is known
    Cost,
}

impl Course {
    fn of(self, figures: &UsageFigures) -> u64 {
        match self {
            Self::Requests => figures.requests,
            Self::Errors => figures.errors,
            Self::Tokens => figures.input_tokens.saturating_add(figures.output_tokens),
            Self::Cost => figures.cost_usd.0,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

fn dimension(text: &str) -> Result<Dimension, String> {
    text.parse().map_err(|()| {
        let known: Vec<_> = Dimension::ALL.iter().map(|one| one.name()).collect();
        format!("write one of {}", known.join(", "))
    })
}

impl Report {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        let shows_courses =
            self.step != Width::None && !self.rows && out.format == Format::Table && out.width().is_some();
        let report = if shows_courses {
            self.show_courses(client, out).await?
        } else {
            let report: UsageReport = client.at_work().get(&self.path(self.step)).await?;
            match out.format {
                Format::Csv => out.rows(&report, || csv(&report, &self.by)),
                _ => out.rows(&report, || table(&report, &self.by)),
            }
            report
        };
        self.remarks(out, &report);
        Ok(Exit::Ok)
    }

    /// A row for each group: what it amounts to over the whole time, and its course.
    async fn show_courses(&self, client: &Client, out: &Output) -> Result<UsageReport, crate::cli::exit::Failed> {
        let whole: UsageReport = client.at_work().get(&self.path(Width::None)).await?;
        let steps: UsageReport = client.at_work().get(&self.path(self.step)).await?;
        let shown = |cells| with_courses(&whole, &steps, &self.by, self.course, |values| out.course(values, cells));
        // Whatever the rest leaves free of the terminal's width, and other columns go before it gets too narrow.
        let width = out.width().unwrap_or_default();
        let (others, _) = shown(0).fitted(Some(width.saturating_sub(COURSE_CELLS_MIN + 2)));
        let cells = width.saturating_sub(others.width() + 2).clamp(1, COURSE_CELLS_MAX);
        out.rows(&whole, || shown(cells));
        let (name, step, from) = (self.course.name(), self.step.name(), minutes(&steps.from));
        out.remark(&format!("course: {name} by {step} since {from}, each row by its own highest"));
        if steps.truncated {
            out.remark("some courses are cut: name filters, a shorter time or a wider step");
        }
        Ok(whole)
    }

    fn path(&self, step: Width) -> String {
        let by: Vec<_> = self.by.iter().map(|one| one.name()).collect();
        let pairs = [
            ("from", Some(self.since.as_str())),
            ("to", self.until.as_deref()),
            ("by", Some(&by.join(","))),
            ("step", Some(step.name())),
        ];
        ask::path("/admin/v1/usage", &pairs, &self.filters)
    }

    /// What the figures do not say themselves.
    fn remarks(&self, out: &Output, report: &UsageReport) {
        let totals = &report.totals;
        if totals.estimated > 0 && out.format == Format::Table {
            out.remark(&format!(
                "~ holds estimates: of {} of {} attempts the provider told not all tokens, or the reply was cut",
                totals.estimated, totals.attempts
            ));
        }
        if totals.cost_unknown > 0 && out.format == Format::Table {
            out.remark(&format!(
                "? the cost of {} of {} attempts is unknown and in no sum: their model has no price in providers.toml, or \
                 its provider told no usage",
                totals.cost_unknown, totals.attempts
            ));
        }
        if report.truncated {
            out.remark(
                "there are more groups than are shown: name filters, or a shorter time; the totals count them all",
            );
        }
    }
}

/// Columns for people, and which of them go first where a terminal is narrow.
const FIGURES: [&str; 11] = [
    "requests",
    "attempts",
    "errors",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "ttft_p50_ms",
    "ttft_p90_ms",
];
const FIRST_TO_GO: [&str; 7] = ["ttft_p90_ms", "ttft_p50_ms", "p90_ms", "attempts", "p50_ms", "p99_ms", "errors"];

/// A row for each group, and for each step of the time where there are steps.
fn table(report: &UsageReport, by: &[Dimension]) -> Table {
    let stepped = report.rows.iter().any(|row| row.at.is_some());
    let times = stepped.then_some("at").into_iter();
    let columns = times.chain(by.iter().map(|one| one.name())).chain(FIGURES);
    let mut table = Table::new(columns, nothing(report)).optional(FIRST_TO_GO);
    for row in &report.rows {
        let at = row.at.iter().map(|at| Cell::text(minutes(at)));
        table.row(at.chain(labels(&row.labels, by)).chain(cells(&row.figures)));
    }
    total(&mut table, report, usize::from(stepped) + by.len(), None);
    table
}

/// A row for each group of the whole time, with its course in steps.
fn with_courses(
    whole: &UsageReport,
    steps: &UsageReport,
    by: &[Dimension],
    course: Course,
    draw: impl Fn(&[u64]) -> String,
) -> Table {
    let columns = by.iter().map(|one| one.name()).chain(FIGURES).chain(["course"]);
    let mut table = Table::new(columns, nothing(whole)).optional(FIRST_TO_GO);
    let axis = Axis::of(steps);
    for row in &whole.rows {
        let own = steps.rows.iter().filter(|step| step.labels == row.labels);
        let values = axis.values(own.filter_map(|step| Some((step.at.as_deref()?, course.of(&step.figures)))));
        let drawn = Cell::text(draw(&values));
        table.row(labels(&row.labels, by).chain(cells(&row.figures)).chain([drawn]));
    }
    let all = axis.values(steps.rows.iter().filter_map(|step| Some((step.at.as_deref()?, course.of(&step.figures)))));
    total(&mut table, whole, by.len(), Some(Cell::text(draw(&all))));
    table
}

/// The time of a report, step by step.
struct Axis {
    begin_ms: i64,
    step_ms: i64,
    count: usize,
}

impl Axis {
    fn of(report: &UsageReport) -> Self {
        let ms = |text: &str| text.parse::<Moment>().map_or(0, |at| at.0);
        let step_ms = report.step.ms().unwrap_or(i64::MAX);
        let begin_ms = ms(&report.from).div_euclid(step_ms).saturating_mul(step_ms);
        let end_ms = ms(&report.to).max(begin_ms + 1);
        let count = (end_ms - begin_ms).div_euclid(step_ms) + i64::from((end_ms - begin_ms).rem_euclid(step_ms) > 0);
        Self { begin_ms, step_ms, count: usize::try_from(count).unwrap_or(1) }
    }

    /// A value for every step, from those that have one.
    fn values<'a>(&self, some: impl Iterator<Item = (&'a str, u64)>) -> Vec<u64> {
        let mut values = vec![0_u64; self.count];
        for (at, value) in some {
            let at_ms = at.parse::<Moment>().map_or(0, |at| at.0);
            let place = usize::try_from((at_ms - self.begin_ms).div_euclid(self.step_ms)).ok();
            if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
                *slot = slot.saturating_add(value);
            }
        }
        values
    }
}

fn nothing(report: &UsageReport) -> String {
    format!("nothing was used from {} to {}", minutes(&report.from), minutes(&report.to))
}

type Labels = std::collections::BTreeMap<Dimension, Option<String>>;

fn labels<'a>(labels: &'a Labels, by: &'a [Dimension]) -> impl Iterator<Item = Cell> + 'a {
    by.iter().map(|one| Cell::maybe(labels.get(one).cloned().flatten(), Cell::text))
}

fn total(table: &mut Table, report: &UsageReport, blank: usize, course: Option<Cell>) {
    if report.rows.len() > 1 {
        let names = (0..blank).map(|index| Cell::text(if index == 0 { "total" } else { "" }));
        table.row(names.chain(cells(&report.totals)).chain(course));
    }
}

fn cells(figures: &UsageFigures) -> impl Iterator<Item = Cell> + use<> {
    let errors = Cell::number(figures.errors);
    [
        Cell::number(figures.requests),
        Cell::number(figures.attempts),
        if figures.errors > 0 { errors.tone(Tone::Warn) } else { errors },
        tokens(figures.input_tokens, figures),
        tokens(figures.output_tokens, figures),
        cost(figures),
        Cell::maybe(figures.p50_ms, Cell::number),
        Cell::maybe(figures.p90_ms, Cell::number),
        Cell::maybe(figures.p99_ms, Cell::number),
        Cell::maybe(figures.ttft_p50_ms, Cell::number),
        Cell::maybe(figures.ttft_p90_ms, Cell::number),
    ]
    .into_iter()
}

/// What stands before a sum that holds estimates.
fn about(figures: &UsageFigures) -> &'static str {
    if figures.estimated > 0 { "~" } else { "" }
}

fn tokens(count: u64, figures: &UsageFigures) -> Cell {
    Cell::number(format!("{}{count}", about(figures)))
}

/// A cost that never passes off as known what is not.
fn cost(figures: &UsageFigures) -> Cell {
    let known = format!("{}{}", about(figures), figures.cost_usd);
    match (figures.cost_usd.0, figures.cost_unknown) {
        (_, 0) => Cell::number(known),
        (0, _) => Cell::number("?").tone(Tone::Warn),
        (_, _) => Cell::number(format!("{known} + ?")).tone(Tone::Warn),
    }
}

/// Every figure, for programs.
fn csv(report: &UsageReport, by: &[Dimension]) -> Table {
    let stepped = report.rows.iter().any(|row| row.at.is_some());
    let object = |figures: &UsageFigures| match serde_json::to_value(figures) {
        Ok(serde_json::Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    };
    let figures: Vec<_> = object(&report.totals).keys().cloned().collect();
    let names = stepped.then_some("at").into_iter().chain(by.iter().map(|one| one.name())).map(str::to_owned);
    let mut table = Table::new(names.chain(figures), "");
    for row in &report.rows {
        let at = row.at.iter().map(Cell::text);
        // Exact: a number of dollars in JSON may be written with an exponent.
        let exact = |(name, value)| match (name, value) {
            (name, _) if name == "cost_usd" => Cell::number(row.figures.cost_usd),
            (_, serde_json::Value::Null) => Cell::none(),
            (_, value) => Cell::number(value),
        };
        let figures = object(&row.figures).into_iter().map(|(name, value): (String, _)| exact((name, value)));
        table.row(at.chain(labels(&row.labels, by)).chain(figures));
    }
    table
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
