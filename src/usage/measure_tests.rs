//! What usage costs, printed: bytes on the disk, the time of answers, memory, and what recording takes of a processor.
//!
//! `tests/long usage` runs it at full size, optimised; here a few thousand records show that it works.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::query::{Query, totals};
use super::testing::{Fixture, MIDNIGHT_MS, record};
use super::*;
use crate::api::usage::{Dimension, RecordId, Step};
use crate::api::{NanoUsd, Outcome, RequestId, Tokens, UsageRecord};
use crate::config::Retention;

const DAY_MS: i64 = 86_400_000;
const MONTH_MS: i64 = 30 * DAY_MS;
const HOUR_MS: i64 = 3_600_000;
const HOUR_SLACK_MS: i64 = 300_000;
/// How often a question is asked again.
const TIMES: u32 = 10;

fn random(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A call as hosts have them: of three apps with three features, over six connections and two models, one in twenty of
/// which fails.
fn call(n: u64, at_ms: i64) -> UsageRecord {
    let pick = |salt: u64, below: u64| random(n.wrapping_mul(31).wrapping_add(salt)) % below;
    let request_id = RequestId::from_parts(at_ms.cast_unsigned(), u128::from(random(n)) << 8);
    let ok = pick(1, 20) > 0;
    let long = pick(2, 10) == 0;
    let duration_ms = if long { 4_000 + pick(3, 30_000) } else { 400 + pick(3, 2_500) };
    UsageRecord {
        id: RecordId(request_id.as_u128() | 1),
        request_id,
        at_ms,
        app: ["translator", "shop", "www-data"][pick(4, 3) as usize].parse().unwrap(),
        feature: ["auto-translation", "trade-analysis", "multi-channel"][pick(5, 3) as usize].parse().unwrap(),
        connection: Some(format!("openai:c{}", pick(6, 6)).parse().unwrap()),
        model_served: Some(["gpt-4.1-mini-2025-04-14", "gpt-4.1-2025-04-14"][pick(7, 2) as usize].into()),
        outcome: if ok { Outcome::Ok } else { Outcome::RateShort },
        status: Some(if ok { 200 } else { 429 }),
        tokens: Tokens { input: ok.then(|| pick(8, 4_000)), output: ok.then(|| pick(9, 800)), ..Tokens::default() },
        cost: ok.then(|| NanoUsd(pick(8, 4_000) * 400 + pick(9, 800) * 1_600)),
        ttft_ms: ok.then(|| 150 + pick(10, 900)),
        duration_ms,
        error: (!ok).then(|| "Rate limit reached for gpt-4.1-mini in organization org-acme".into()),
        ..record(1)
    }
}

fn on_disk(dir: &Path, counts: &dyn Fn(&str) -> bool) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let sizes = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        if !counts(entry.file_name().to_str().unwrap()) {
            return 0;
        }
        let own = entry.metadata().unwrap().blocks() * 512;
        if entry.file_type().unwrap().is_dir() { own + on_disk(&entry.path(), &|_| true) } else { own }
    });
    sizes.sum()
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1_024.0
}

/// Nanoseconds that a thread of this process was on a processor.
fn on_processor(task: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A month with so many records, evenly, up to its last minute; rolled up as they came, and written down a little after
/// each hour, as a daemon does.
fn month_of(records: u64) -> Fixture {
    let fixture = Fixture::new();
    let at_ms = |n: u64| MIDNIGHT_MS + (i128::from(n) * i128::from(MONTH_MS) / i128::from(records)) as i64;
    let mut batch = Vec::with_capacity(1_000);
    let mut hour = 0;
    for n in 0..records {
        batch.push(call(n, at_ms(n)));
        if batch.len() == 1_000 || n + 1 == records {
            fixture.append(&batch);
            batch.clear();
            let over = (at_ms(n) - HOUR_SLACK_MS) / HOUR_MS;
            if over > hour {
                fixture.rollups.write_now(true);
                hour = over;
            }
            fixture.rollups.keep(at_ms(n));
        }
    }
    fixture
}

fn question(by: &[Dimension], step: Step) -> Query {
    Query { from_ms: MIDNIGHT_MS, to_ms: MIDNIGHT_MS + MONTH_MS, by: by.to_vec(), step, ..Query::default() }
}

/// Asks and prints the time of the first answer and the least of some more; and what one of those took of a processor,
/// which a busy machine changes least.
fn ask(fixture: &Fixture, what: &str, query: &Query) -> String {
    let once = || {
        let begun = Instant::now();
        let report = totals(&fixture.rollups, query).unwrap();
        (begun.elapsed().as_secs_f64() * 1_000.0, report.rows.len())
    };
    let (first, rows) = once();
    let begun = on_processor("thread-self");
    let again = (0..TIMES).map(|_| once().0).fold(f64::INFINITY, f64::min);
    let spent = (on_processor("thread-self") - begun) as f64 / 1_000_000.0 / f64::from(TIMES);
    format!("{what}: {rows} rows in {first:.1} ms, again {again:.1} ms, {spent:.1} ms of a processor")
}

fn measure(records: u64) {
    let begun = Instant::now();
    let fixture = month_of(records);
    let filled = begun.elapsed();
    let usage = fixture.dir.path().join("usage");
    let each = |bytes: u64| bytes as f64 / records as f64;
    let (segments, rollups) = (|name: &str| !name.contains("rollups"), |name: &str| name.contains("rollups"));
    let before = on_disk(&usage, &rollups);
    let retention = Retention::default();
    fixture.rollups.retain(&retention, MIDNIGHT_MS + MONTH_MS);
    let (of_records, of_rollups) = (on_disk(&usage, &segments), on_disk(&usage, &rollups));
    println!(
        "{records} records over 30 days: {:.1} B each on disk, {:.1} of them rollups ({:.1} with the minutes of all \
         days); stored and counted in {:.1} s; {:.0} MiB resident",
        each(of_records + of_rollups),
        each(of_rollups),
        each(before),
        filled.as_secs_f64(),
        resident_mib(),
    );
    thread::scope(|scope| {
        thread::Builder::new().name("usage-asker".into()).spawn_scoped(scope, || ask_all(&fixture, records)).unwrap();
    });
}

fn ask_all(fixture: &Fixture, records: u64) {
    use Dimension::{App, Connection, Feature, Model};
    let hour = Query { from_ms: MIDNIGHT_MS + 61_234, ..question(&[Connection], Step::Hour) };
    for answer in [
        ask(fixture, "by hour and connection", &question(&[Connection], Step::Hour)),
        ask(fixture, "by day and model", &question(&[Model], Step::Day)),
        ask(fixture, "by app", &question(&[App], Step::None)),
        ask(
            fixture,
            "by app, feature, connection and model",
            &question(&[App, Feature, Connection, Model], Step::None),
        ),
        ask(fixture, "by hour, app and feature", &question(&[App, Feature], Step::Hour)),
        ask(fixture, "by hour and connection, from within a minute", &hour),
    ] {
        println!("{records} records, {answer}; {:.0} MiB resident", resident_mib());
    }
}

/// What the writer and the database take of a processor at a steady rate, and what recording takes of a worker.
fn recording(per_second: u64, seconds: u64) {
    let fixture = Fixture::new();
    let (recorder, writer) = recorder(Arc::clone(&fixture.store));
    let write = move || {
        let begun = on_processor("thread-self");
        writer.run();
        on_processor("thread-self") - begun
    };
    // Named, so that a profile tells them apart.
    let writing = thread::Builder::new().name("usage-writer".into()).spawn(write).unwrap();
    let (begun, mut spent) = (Instant::now(), Duration::ZERO);
    let total = per_second * seconds;
    for n in 0..total {
        let due = begun + Duration::from_micros(n * 1_000_000 / per_second);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let record = call(n, MIDNIGHT_MS + (n * 1_000 / per_second).cast_signed());
        let at = Instant::now();
        recorder.record(record);
        spent += at.elapsed();
    }
    recorder.close();
    let nanoseconds = writing.join().unwrap();
    assert_eq!((recorder.lost(), recorder.queued()), (0, 0));
    println!(
        "{per_second} records/s for {seconds} s: {:.2} µs of the writer's thread a record, rollups included; {:.2} µs of \
         the caller's; 0 lost",
        nanoseconds as f64 / 1_000.0 / total as f64,
        spent.as_secs_f64() * 1_000_000.0 / total as f64,
    );
}

#[test]
fn what_usage_costs() {
    match std::env::var("BURSAR_USAGE_RECORDS").ok().and_then(|most| most.parse::<u64>().ok()) {
        Some(most) => {
            let sizes = std::iter::successors(Some(100_000), |size| Some(size * 10));
            sizes.take_while(|&size| size <= most).for_each(measure);
            recording(5_000, 30);
        }
        None => {
            measure(3_000);
            recording(2_000, 1);
        }
    }
}
