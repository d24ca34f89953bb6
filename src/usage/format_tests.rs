//! Usage as earlier versions stored it, which must always be read: segments of records, and rollups of three days of which
//! the last was still being counted.
//!
//! A fixture is the state directory as `store/format_tests.rs` packs it, with what it must tell beside it: its records, and
//! reports by each step. It is written once per format, by `write_the_fixture_of_the_format`, and never again.

use std::fs;
use std::ops::ControlFlow;

use super::query::{Query, totals};
use super::rollup::tests::{STEPS, three_days_half_written};
use super::testing::{Fixture, MIDNIGHT_MS};
use crate::api::UsageRecord;
use crate::api::usage::{Dimension, UsageReport};
use crate::store::format_tests::{fixture, keep, pack, unpack};

const DAY_MS: i64 = 86_400_000;
/// Blocks of format 3 with rows of format 2; rollups of format 1, and of format 2, whose histograms may be runs.
const NAMES: [&str; 2] = ["blocks-3-rollups-1", "blocks-3-rollups-2"];

fn queries() -> Vec<Query> {
    let by = [vec![], vec![Dimension::Connection], vec![Dimension::App, Dimension::Model, Dimension::Outcome]];
    let query = |step, by: &Vec<_>| Query {
        from_ms: MIDNIGHT_MS,
        to_ms: MIDNIGHT_MS + 3 * DAY_MS,
        by: by.clone(),
        step,
        ..Query::default()
    };
    STEPS.iter().flat_map(|&step| by.iter().map(move |by| query(step, by))).collect()
}

fn reports(fixture: &Fixture) -> Vec<UsageReport> {
    queries().iter().map(|query| totals(&fixture.rollups, query).unwrap()).collect()
}

fn records(fixture: &Fixture) -> Vec<UsageRecord> {
    let mut all = Vec::new();
    let visitor = |record: &UsageRecord| {
        all.push(record.clone());
        ControlFlow::Continue(())
    };
    fixture.store.usage().scan(0, i64::MAX, visitor).unwrap();
    all.sort_by_key(|record| record.id);
    all
}

fn beside<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let packed = fs::read(fixture(name)).unwrap();
    serde_json::from_slice(&zstd::bulk::decompress(&packed, 64 << 20).unwrap()).unwrap()
}

fn assert_reads(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    unpack(&format!("{name}.state.zst"), dir.path());
    let fixture = Fixture::at(dir.path());
    let written: Vec<UsageReport> = beside(&format!("{name}.reports.zst"));
    assert_eq!(records(&fixture), beside::<Vec<UsageRecord>>(&format!("{name}.records.zst")));
    for (query, (found, written)) in queries().iter().zip(reports(&fixture).iter().zip(&written)) {
        assert_eq!(found, written, "{query:?}");
    }
    // What was not counted yet goes on in the format of today, behind what there is.
    fixture.rollups.write_now(true);
    fixture.rollups.close();
    let fixture = fixture.crashed_at(dir.path());
    assert_eq!(reports(&fixture), written);
    while fixture.rollups.keep(MIDNIGHT_MS + 9 * DAY_MS).is_some_and(|left| left.is_zero()) {}
    assert_eq!(reports(&fixture), written);
    assert_eq!(fixture.store.notices(), Vec::<String>::new(), "nothing was set aside");
}

#[test]
fn usage_of_every_format_is_read() {
    NAMES.iter().for_each(|name| assert_reads(name));
}

#[test]
#[ignore = "writes a fixture, once for each format"]
fn write_the_fixture_of_the_format() {
    let name = NAMES[NAMES.len() - 1];
    let written = three_days_half_written();
    let (records, reports) = (records(&written), reports(&written));
    let Fixture { store, rollups, dir, .. } = written;
    drop((rollups, store));
    keep(&format!("{name}.state.zst"), &pack(dir.path()));
    let zstd = |json: Vec<u8>| zstd::bulk::compress(&json, 19).unwrap();
    keep(&format!("{name}.records.zst"), &zstd(serde_json::to_vec(&records).unwrap()));
    keep(&format!("{name}.reports.zst"), &zstd(serde_json::to_vec(&reports).unwrap()));
}
