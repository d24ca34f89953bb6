//! Reports as people and as programs read them.

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
        ttft_p90_ms: Some(120),
        ..UsageFigures::default()
    }
}

fn report(rows: Vec<UsageRow>) -> UsageReport {
    UsageReport {
        from: "2026-01-01T00:00:00.000Z".into(),
        to: "2026-01-04T00:00:00.000Z".into(),
        step: Step::Day,
        rows,
        totals: figures(59),
        truncated: false,
    }
}

fn row(at: Option<&str>, connection: Option<&str>, figures: UsageFigures) -> UsageRow {
    UsageRow { at: at.map(Into::into), figures, labels: [(Dimension::Connection, connection.map(Into::into))].into() }
}

const BY: [Dimension; 1] = [Dimension::Connection];

#[test]
fn usage_is_shown_by_what_was_asked_with_its_total() {
    let at = Some("2026-01-01T00:00:00.000Z");
    let report = report(vec![row(at, Some("openai:main"), figures(42)), row(at, None, figures(17))]);
    insta::assert_snapshot!(table(&report, &BY).to_text(false), @r"
    AT                CONNECTION   REQUESTS  ATTEMPTS  ERRORS  TOKENS IN  TOKENS OUT  COST USD  P50 MS  P90 MS  P99 MS  TTFT P50 MS  TTFT P90 MS
    2026-01-01 00:00  openai:main        42        44       1      42000          50  0.001234     310  -       -       -                    120
    2026-01-01 00:00  -                  17        19       1      17000          50  0.001234     310  -       -       -                    120
    total                                59        61       1      59000          50  0.001234     310  -       -       -                    120
    ");
    let empty = self::report(Vec::new());
    let said = table(&empty, &BY).to_text(false);
    assert_eq!(said, "nothing was used from 2026-01-01 00:00 to 2026-01-04 00:00\n");
}

#[test]
fn a_cost_that_is_not_known_is_not_shown_as_nothing() {
    let unknown = UsageFigures { cost_usd: NanoUsd(0), cost_unknown: 3, ..figures(1) };
    let partly = UsageFigures { cost_unknown: 1, ..figures(1) };
    let rows = [unknown, partly, figures(1)].map(|one| row(None, Some("openai:main"), one)).to_vec();
    let shown = table(&report(rows), &BY).to_text(false);
    let costs: Vec<_> = shown.lines().skip(1).take(3).map(|line| line.get(62..78).unwrap().trim()).collect();
    assert_eq!(costs, ["?", "0.001234 + ?", "0.001234"], "{shown}");
}

#[test]
fn sums_that_hold_estimates_are_marked() {
    let estimated = UsageFigures { estimated: 1, ..figures(1) };
    let unknown = UsageFigures { cost_usd: NanoUsd(0), cost_unknown: 1, ..estimated };
    let rows = [estimated, UsageFigures { cost_unknown: 2, ..estimated }, unknown, figures(1)];
    let rows = rows.map(|one| row(None, Some("openai:main"), one)).to_vec();
    let shown = table(&report(rows), &BY).to_text(false);
    let figures = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .skip(4)
            .take(3)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = shown.lines().skip(1).take(4).map(figures).collect();
    assert_eq!(lines[0], ["~1000", "~50", "~0.001234"], "{shown}");
    assert_eq!(lines[1], ["~1000", "~50", "~0.001234 + ?"]);
    assert_eq!(lines[2], ["~1000", "~50", "?"]);
    assert_eq!(lines[3], ["1000", "50", "0.001234"]);
}

#[test]
fn a_narrow_terminal_loses_the_rarer_figures_first() {
    let report = report(vec![row(None, Some("openai:main"), figures(1))]);
    let (_, left_out) = table(&report, &BY).fitted(Some(100));
    assert_eq!(left_out, ["TTFT P90 MS", "TTFT P50 MS"]);
    assert!(table(&report, &BY).fitted(Some(140)).1.is_empty());
}

#[test]
fn programs_get_every_figure_exactly() {
    let figures = UsageFigures { cost_usd: NanoUsd(4_400), cost_unknown: 2, ..figures(1) };
    let text = csv(&report(vec![row(None, None, figures)]), &BY).to_csv();
    let (names, values) = text.split_once("\r\n").unwrap();
    let value = |name: &str| {
        let place = names.split(',').position(|one| one == name).unwrap_or_else(|| panic!("{name} in {names}"));
        values.trim_end().split(',').nth(place).unwrap().to_owned()
    };
    assert_eq!(
        (value("connection"), value("requests"), value("cost_usd")),
        (String::new(), "1".into(), "0.0000044".into())
    );
    assert_eq!((value("cost_unknown"), value("p50_ms"), value("p99_ms")), ("2".into(), "310".into(), String::new()));
}

#[test]
fn a_course_has_a_value_for_every_step_and_belongs_to_its_row() {
    let day = |day: u32| format!("2026-01-0{day}T00:00:00.000Z");
    let step = |at: u32, connection, requests| row(Some(&day(at)), connection, figures(requests));
    let main = Some("openai:main");
    let steps = report(vec![step(1, main, 4), step(3, main, 9), step(3, None, 5)]);
    let whole = report(vec![row(None, main, figures(13)), row(None, None, figures(5))]);
    let draw = |values: &[u64]| values.iter().map(u64::to_string).collect::<Vec<_>>().join("/");
    let shown = with_courses(&whole, &steps, &BY, Course::Requests, draw).to_text(false);
    let courses: Vec<_> = shown.lines().skip(1).map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(courses, ["4/0/9", "0/0/5", "4/0/14"], "{shown}");
}

#[test]
fn a_time_that_begins_in_the_middle_of_a_step_has_that_step() {
    let odd =
        UsageReport { from: "2026-01-01T22:00:00Z".into(), to: "2026-01-03T00:00:00.001Z".into(), ..report(vec![]) };
    let axis = Axis::of(&odd);
    assert_eq!((axis.begin_ms, axis.count), ("2026-01-01T00:00:00Z".parse::<Moment>().unwrap().0, 3));
}
