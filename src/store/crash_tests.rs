//! A real process is killed at random moments, again and again on one directory: what it acknowledged is there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::tests::{all_usage, connection, master};
use super::*;

const DIRECTORY: &str = "BURSAR_CRASH_DIRECTORY";
const FIRST: &str = "BURSAR_CRASH_FIRST";

/// The process that is killed: changes connections and appends usage, and says what was acknowledged.
#[test]
fn the_process_that_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Store::open(Path::new(&dir), &master()).unwrap();
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
    };
    for n in first.. {
        let mut one = connection(&store, &format!("openai:c{}", n % 10));
        one.created_ms = i64::try_from(n).unwrap();
        store.connections().put(&one).unwrap();
        say(format!("changed {n}"));
        let records: Vec<_> = (0..records_of(n)).map(|record| record_of(n, record)).collect();
        store.usage().append(&records).unwrap();
        say(format!("recorded {n}"));
    }
}

/// How many records are appended as one: now and then more than a block holds.
fn records_of(n: u64) -> u64 {
    if n.is_multiple_of(4) { 600 } else { 20 }
}

fn record_of(n: u64, record: u64) -> crate::api::UsageRecord {
    block::tests::sample(block::tests::NOON_MS + i64::try_from(n).unwrap(), n * 1_000 + record)
}

/// What one life of the process acknowledged.
#[derive(Default)]
struct Acknowledged {
    changed: Option<u64>,
    recorded: BTreeSet<u64>,
}

/// Starts the process, kills it a while after its first acknowledgement, and reads what it had said.
fn live_and_die(dir: &Path, first: u64, life: Duration) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::crash_tests::the_process_that_is_killed", "--nocapture"])
        .env(DIRECTORY, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Acknowledged::default();
    let mut note = |line: String| match line.split_once(' ').map(|(what, n)| (what, n.parse::<u64>())) {
        Some(("changed", Ok(n))) => said.changed = Some(n),
        Some(("recorded", Ok(n))) => drop(said.recorded.insert(n)),
        _ => {}
    };
    let begun = lines.by_ref().find(|line| line.starts_with("changed"));
    note(begun.expect("the process began"));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(life);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    lines.for_each(note);
    killer.join().unwrap();
    said
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let kills: u64 = std::env::var("BURSAR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(15);
    let dir = tempfile::tempdir().unwrap();
    let (mut changed, mut recorded) = (BTreeMap::new(), BTreeSet::new());
    let (mut next, mut acknowledged, mut slowest) = (0, 0, Duration::ZERO);
    for kill in 0..kills {
        let said = live_and_die(dir.path(), next, Duration::from_micros(1_000 + kill * 7_919 % 90_000));
        let last = said.changed.unwrap();
        acknowledged += last + 1 - next;
        recorded.extend(said.recorded);

        let begun = Instant::now();
        let store = Store::open(dir.path(), &master()).unwrap();
        slowest = slowest.max(begun.elapsed());
        assert_eq!(store.notices(), Vec::<String>::new());
        changed.extend((next..=last).map(|n| (n % 10, n)));
        for (slot, n) in &changed {
            let there = store.connections().get(&format!("openai:c{slot}").parse().unwrap()).unwrap().unwrap();
            assert!(there.created_ms >= i64::try_from(*n).unwrap(), "change {n} was lost at kill {kill}");
        }
        let usage = all_usage(&store);
        let ids: BTreeSet<_> = usage.iter().map(|record| record.id).collect();
        assert_eq!(ids.len(), usage.len(), "no record twice");
        for &n in &recorded {
            let all = (0..records_of(n)).all(|record| ids.contains(&record_of(n, record).id));
            assert!(all, "usage {n} was lost at kill {kill}");
        }
        for n in [last, last + 1] {
            let there = (0..records_of(n)).filter(|&record| ids.contains(&record_of(n, record).id)).count() as u64;
            assert!(there == 0 || there == records_of(n), "half of usage {n} is there at kill {kill}");
        }
        next = last + 2;
    }
    let blocks = recorded.len();
    println!(
        "{kills} kills: {acknowledged} changes and {blocks} blocks acknowledged, 0 lost, slowest open {slowest:?}"
    );
}
