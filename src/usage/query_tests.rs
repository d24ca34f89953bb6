//! Reports over a few records whose sums are plain.

use super::super::testing::{Fixture, MIDNIGHT_MS, record};
use super::*;
use crate::api::usage::{UsageFigures, UsageRow};
use crate::api::{NanoUsd, Outcome, Tokens};
use crate::bounds;

/// Three good calls, one that failed over from `backup` to `main`, one that had no candidate.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let backup = || Some("openai:backup".parse().unwrap());
    let failed = UsageRecord {
        is_final: false,
        connection: backup(),
        outcome: Outcome::RateShort,
        tokens: Tokens::default(),
        cost: None,
        ..record(40)
    };
    let nowhere = UsageRecord {
        provider: None,
        connection: None,
        model_served: None,
        outcome: Outcome::Unavailable,
        tokens: Tokens::default(),
        cost: None,
        ..record(7_200_000)
    };
    let other_app = UsageRecord { app: "translator".parse().unwrap(), ..record(3_600_000) };
    let records = [record(10), record(20), other_app, failed, record(50), nowhere];
    fixture.append(&records);
    fixture
}

fn query(by: &[Dimension]) -> Query {
    Query { from_ms: MIDNIGHT_MS, to_ms: MIDNIGHT_MS + 86_400_000, by: by.to_vec(), ..Query::default() }
}

/// The labels of each row with its requests, attempts and errors.
fn counts(report: &UsageReport) -> Vec<(Vec<Option<&str>>, [u64; 3])> {
    let row = |row: &'_ UsageRow| [row.figures.requests, row.figures.attempts, row.figures.errors];
    report.rows.iter().map(|one| (one.labels.values().map(Option::as_deref).collect(), row(one))).collect()
}

#[test]
fn a_cost_is_unknown_where_one_may_have_come_about() {
    let (fixture, empty) = (fixture(), query(&[]));
    let of = |outcome, status| UsageRecord { outcome, status, cost: None, ..record(100) };
    let all = |status| Outcome::ALL.iter().map(|&outcome| of(outcome, status)).collect::<Vec<_>>();
    fixture.append(&all(None));
    // ok, timeout, cut and client_gone: the provider may have worked, or did.
    assert_eq!(totals(&fixture.rollups, &empty).unwrap().totals.cost_unknown, 4);
    // transient, too_large and in_band too, where it answered and nobody could read that.
    fixture.append(&all(Some(200)));
    assert_eq!(totals(&fixture.rollups, &empty).unwrap().totals.cost_unknown, 4 + 7);
}

#[test]
fn totals_count_requests_attempts_and_errors_for_what_they_are() {
    let report = totals(&fixture().rollups, &query(&[])).unwrap();
    let figures = UsageFigures {
        requests: 5,
        attempts: 5,
        errors: 1,
        input_tokens: 40,
        output_tokens: 20,
        cost_usd: NanoUsd(48_000),
        cost_unknown: 0,
        p50_ms: Some(20),
        ..report.totals
    };
    assert_eq!(report.totals, figures);
    let p99 = report.totals.p99_ms.unwrap();
    assert!(p99.abs_diff(3_600_000) < 3_600_000 / 128, "{p99}");
    assert_eq!(report.rows.len(), 1);
    assert_eq!(report.rows[0].figures, report.totals);
    assert_eq!(report.from, "2024-10-04T00:00:00.000Z");
}

#[test]
fn a_request_counts_at_the_connection_that_ended_it() {
    let report = totals(&fixture().rollups, &query(&[Dimension::Connection])).unwrap();
    let expected =
        [(vec![None], [1, 0, 1]), (vec![Some("openai:backup")], [0, 1, 0]), (vec![Some("openai:main")], [4, 4, 0])];
    assert_eq!(counts(&report), expected);
    assert_eq!(report.rows[1].figures.p50_ms, None, "no request ended there");
}

#[test]
fn groups_of_two_dimensions_and_filters() {
    let fixture = fixture();
    let store = &fixture.rollups;
    let report = totals(store, &query(&[Dimension::App, Dimension::Outcome])).unwrap();
    let labels: Vec<_> = counts(&report).into_iter().map(|(labels, counts)| (labels, counts[0])).collect();
    let expected = [
        (vec![Some("shop"), Some("ok")], 3),
        (vec![Some("shop"), Some("rate_short")], 0),
        (vec![Some("shop"), Some("unavailable")], 1),
        (vec![Some("translator"), Some("ok")], 1),
    ];
    for (group, requests) in expected {
        assert!(
            labels.iter().any(|(labels, count)| labels.iter().all(|one| group.contains(one)) && *count == requests)
        );
    }
    let filtered = |filters: &[(Dimension, &str)]| {
        let filters = filters.iter().map(|&(dimension, value)| (dimension, value.to_owned())).collect();
        totals(store, &Query { filters, ..query(&[]) }).unwrap().totals.requests
    };
    assert_eq!(filtered(&[(Dimension::App, "translator")]), 1);
    assert_eq!(filtered(&[(Dimension::App, "translator"), (Dimension::App, "shop")]), 5);
    assert_eq!(filtered(&[(Dimension::App, "shop"), (Dimension::Outcome, "ok")]), 3);
    assert_eq!(filtered(&[(Dimension::Model, "gpt-4.1-mini")]), 4);
    assert_eq!(filtered(&[(Dimension::Connection, "openai:gone")]), 0);
}

#[test]
fn steps_begin_at_full_hours_and_the_end_is_not_included() {
    let fixture = fixture();
    let store = &fixture.rollups;
    let report = totals(store, &Query { step: Step::Hour, ..query(&[]) }).unwrap();
    let rows: Vec<_> = report.rows.iter().map(|row| (row.at.as_deref().unwrap(), row.figures.requests)).collect();
    let expected = [("2024-10-04T00:00:00.000Z", 3), ("2024-10-04T01:00:00.000Z", 1), ("2024-10-04T02:00:00.000Z", 1)];
    assert_eq!(rows, expected);
    let until = |to_ms| totals(store, &Query { to_ms: MIDNIGHT_MS + to_ms, ..query(&[]) }).unwrap().totals.requests;
    assert_eq!((until(20), until(21)), (1, 2));
}

#[test]
fn rows_are_bounded_and_the_totals_count_all() {
    let fixture = Fixture::new();
    let records: Vec<_> = (0..bounds::USAGE_ROWS_MAX as u64 + 50)
        .map(|n| UsageRecord { app: format!("app-{n}").parse().unwrap(), ..record(n) })
        .collect();
    fixture.append(&records);
    let report = totals(&fixture.rollups, &query(&[Dimension::App])).unwrap();
    assert_eq!(report.rows.len(), bounds::USAGE_ROWS_MAX);
    assert!(report.truncated);
    assert_eq!(report.totals.requests, records.len() as u64);
}

#[test]
fn a_row_in_json_has_labels_and_figures_side_by_side_and_reads_back() {
    let report = totals(&fixture().rollups, &query(&[Dimension::Connection, Dimension::App])).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let row = &json["rows"][0];
    assert_eq!((&row["connection"], &row["app"]), (&serde_json::Value::Null, &"shop".into()));
    assert_eq!((&row["requests"], &row["p50_ms"]), (&1.into(), &serde_json::Value::Null));
    assert!(row.get("at").is_none() && row.get("model").is_none());
    assert_eq!(json["totals"]["cost_usd"], 0.000_048);
    assert_eq!(serde_json::from_value::<UsageReport>(json).unwrap(), report);
}
