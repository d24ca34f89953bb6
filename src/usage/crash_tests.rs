//! A real process that records under load is killed at random moments, again and again on one directory: nothing that it
//! acknowledged is missing, nothing is there twice, and the rollups are what the records say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::query::Query;
use super::rollup::tests::{STEPS, assert_as_scanned};
use super::testing::{Fixture, MIDNIGHT_MS, record};
use super::*;
use crate::api::UsageRecord;
use crate::api::usage::{Dimension, RecordId};
use crate::api::{Feature, RequestId};

const DIRECTORY: &str = "BURSAR_USAGE_CRASH_DIRECTORY";
const FIRST: &str = "BURSAR_USAGE_CRASH_FIRST";

/// How old a record may be at most that a crash loses.
const YOUNG: Duration = Duration::from_secs(1);
/// Kills on one directory before another is begun: all of its records are read after each.
const KILLS_PER_DIRECTORY: u64 = 10;

/// The record of a number. Each is three seconds after the one before, so that a life sees hours and days go by.
fn numbered(n: u64, feature: &str) -> UsageRecord {
    let at_ms = MIDNIGHT_MS + i64::try_from(n).unwrap() * 3_000;
    let unique = u128::from(n) << 9 | u128::from(feature == "each") << 8;
    let request_id = RequestId::from_parts(u64::try_from(at_ms).unwrap(), unique);
    let connection = ["openai:main", "openai:spare"][(n % 2) as usize].parse().unwrap();
    let labelled = UsageRecord { feature: feature.parse().unwrap(), connection: Some(connection), ..record(1) };
    UsageRecord { id: RecordId(request_id.as_u128()), request_id, at_ms, duration_ms: n, ..labelled }
}

/// The process that is killed: two threads record, one as it comes and one that waits for each record, and say what they
/// did; a third has rollups written far more often than in life.
#[test]
fn the_process_that_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let fixture = Fixture::at(Path::new(&dir));
    let (recorder, writer) = recorder(Arc::clone(&fixture.store));
    let say = |what: &str, n: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{what} {n}").and_then(|()| out.flush()).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(move || writer.run());
        scope.spawn(|| {
            for n in first.. {
                recorder.record(numbered(n, "batched"));
                if n.is_multiple_of(8) {
                    say("recorded", n);
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        scope.spawn(|| {
            for n in first.. {
                if recorder.record_durable(numbered(n, "each")).wait().is_ok() {
                    say("durable", n);
                }
            }
        });
        scope.spawn(|| {
            for n in 0_u64.. {
                std::thread::sleep(Duration::from_millis(20 + n * 7 % 60));
                recorder.rollups().write_now(n.is_multiple_of(3));
            }
        });
    });
}

/// What one life of the process said, and when that was read.
#[derive(Default)]
struct Said {
    recorded: Vec<(u64, Instant)>,
    durable: Vec<u64>,
}

fn start(dir: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "usage::crash_tests::the_process_that_is_killed", "--nocapture"])
        .env(DIRECTORY, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Starts the process and kills it a while after its first words; tells what it had said, and when it was killed.
fn live_and_die(dir: &Path, first: u64, life: Duration) -> (Said, Instant) {
    let mut child = start(dir, first);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Said::default();
    let mut note = |line: String| match line.split_once(' ').map(|(what, n)| (what, n.parse())) {
        Some(("recorded", Ok(n))) => said.recorded.push((n, Instant::now())),
        Some(("durable", Ok(n))) => said.durable.push(n),
        _ => {}
    };
    let is_word = |line: &String| line.starts_with("recorded") || line.starts_with("durable");
    note(lines.by_ref().find(is_word).expect("the process began"));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(life);
        let killed = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        killed
    });
    lines.for_each(note);
    (said, killer.join().unwrap())
}

/// The numbers that are stored, by feature; none may be there twice.
fn stored(fixture: &Fixture) -> BTreeMap<Feature, BTreeSet<u64>> {
    let mut all = BTreeMap::<Feature, BTreeSet<u64>>::new();
    let visitor = |record: &UsageRecord| {
        let fresh = all.entry(record.feature.clone()).or_default().insert(record.duration_ms);
        assert!(fresh, "{} {} is there twice", record.feature, record.duration_ms);
        ControlFlow::Continue(())
    };
    fixture.store.usage().scan(0, i64::MAX, visitor).unwrap();
    all
}

#[test]
fn a_killed_process_loses_nothing_but_what_was_young_and_counts_right() {
    let kills: u64 = std::env::var("BURSAR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(50);
    let (mut recorded, mut durable, mut young) = (0, 0, 0);
    let mut dir = tempfile::tempdir().unwrap();
    let mut first = 0;
    let mut kept = BTreeMap::<&str, BTreeSet<u64>>::new();
    for kill in 0..kills {
        if kill.is_multiple_of(KILLS_PER_DIRECTORY) {
            (dir, first, kept) = (tempfile::tempdir().unwrap(), 0, BTreeMap::new());
        }
        // One in five lives long enough for its first records to be old.
        let longest = if kill.is_multiple_of(5) { 1_500_000 } else { 300_000 };
        let (said, killed) = live_and_die(dir.path(), first, Duration::from_micros(1_000 + kill * 7_919_131 % longest));
        let fixture = Fixture::at(dir.path());
        let there = stored(&fixture);
        let last = said.recorded.last().map_or(first, |&(n, _)| n);
        let of = |feature: &str| there.get(feature).cloned().unwrap_or_default();
        for &(n, at) in &said.recorded {
            let is_old = killed.saturating_duration_since(at) >= YOUNG;
            assert!(!is_old || of("batched").contains(&n), "{n} was lost at kill {kill}, and was old");
        }
        let missing = said.durable.iter().find(|n| !of("each").contains(n));
        assert_eq!(missing, None, "lost at kill {kill}, and was acknowledged");
        for (feature, before) in &kept {
            assert!(before.is_subset(&of(feature)), "what was there before kill {kill} is gone");
        }
        // Commits are whole, and come in order: there is no gap before the last record that is there.
        let fresh: Vec<u64> = of("batched").range(first..).copied().collect();
        assert!(fresh.iter().zip(first..).all(|(&n, expected)| n == expected), "half a batch at kill {kill}");
        assert_eq!(fixture.store.notices(), Vec::<String>::new());
        for step in STEPS {
            let by = vec![Dimension::Connection, Dimension::Feature];
            assert_as_scanned(&fixture, &Query { from_ms: 0, to_ms: i64::MAX, by, step, ..Query::default() });
        }
        recorded += last + 1 - first;
        durable += said.durable.len();
        young += (last + 1 - first).saturating_sub(fresh.len() as u64);
        kept = [("batched", of("batched")), ("each", of("each"))].into();
        first = kept.values().filter_map(|numbers| numbers.last()).max().unwrap_or(&first).max(&last) + 1;
    }
    println!(
        "{kills} kills: {recorded} records, {young} lost that were younger than 1 s, 0 older; {durable} durable ones \
         acknowledged, 0 lost; no batch by half, no record twice, rollups as the records each time"
    );
}
