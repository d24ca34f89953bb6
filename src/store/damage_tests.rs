//! Copies of a store, each damaged somewhere: whole, refused or set aside, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::tests::{all_usage, assert_full, fill, master};
use super::*;
use crate::api::UsageRecord;

/// A small generator, so that a failure can be repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The part of a file that is written: databases grow by zeroed steps, where damage would hit nothing.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

const KINDS: [&str; 6] = ["flip", "zero", "truncate", "swap", "tail", "remove"];

fn damage(path: &Path, kind: &str, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    let used = written(&bytes).max(1);
    let at = usize::try_from(random.below(used as u64)).unwrap();
    let page = 4_096.min(bytes.len());
    match kind {
        _ if bytes.is_empty() => {}
        "flip" => bytes[at] ^= 1 << random.below(8),
        "zero" => {
            let end = (at + page).min(bytes.len());
            bytes[at..end].fill(0);
        }
        "truncate" => bytes.truncate(at),
        "swap" => {
            let other = usize::try_from(random.below(used as u64)).unwrap();
            let (low, high) = (at.min(other), at.max(other));
            for n in 0..page.min(high - low).min(bytes.len() - high) {
                bytes.swap(low + n, high + n);
            }
        }
        // What a lost sync leaves: the last bytes never came.
        "tail" => bytes[used - used.min(1 + page / 4)..used].fill(0),
        _ => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

struct Original {
    dir: tempfile::TempDir,
    connections: Vec<StoredConnection>,
    records: Vec<UsageRecord>,
}

impl Original {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut records = block::tests::sample_records(400);
        let a_day_later = block::tests::DAY_MS;
        records
            .extend((0..100).map(|n| block::tests::sample(block::tests::NOON_MS + a_day_later + n, 1_000 + n as u64)));
        let connections = fill(&Store::open(dir.path(), &master()).unwrap(), &records);
        // Opening again leaves the snapshots that a store in use has.
        drop(Store::open(dir.path(), &master()).unwrap());
        Self { dir, connections, records }
    }

    /// How a damaged copy opens.
    fn verdict(&self, copy: &Path) -> &'static str {
        let begun = Instant::now();
        let verdict = match Store::open(copy, &master()) {
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Io { .. }), "{error:?}");
                assert_eq!(error.exit_code(), 78);
                "refused"
            }
            Ok(store) => {
                assert_full(&store, &self.connections);
                let usage_whole = all_usage(&store) == self.records;
                let notices = store.notices();
                if notices.iter().any(|notice| notice.contains("made anew")) {
                    assert!(usage_whole);
                    drop(store);
                    let again = Store::open(copy, &master()).unwrap();
                    assert_full(&again, &self.connections);
                    assert!(!again.notices().iter().any(|notice| notice.contains("made anew")));
                    "healed"
                } else if usage_whole {
                    "intact"
                } else {
                    assert!(!store.notices().is_empty(), "usage is missing, and nothing was said");
                    let fresh = block::tests::sample(block::tests::NOON_MS, 9_999);
                    store.usage().append(std::slice::from_ref(&fresh)).unwrap();
                    assert!(all_usage(&store).contains(&fresh), "serving goes on");
                    "set aside"
                }
            }
        };
        assert!(begun.elapsed() < Duration::from_secs(12), "opening took {:?}", begun.elapsed());
        verdict
    }
}

/// `BURSAR_DAMAGED_COPIES` tells how many copies; a few dozen without it.
fn copies() -> u64 {
    std::env::var("BURSAR_DAMAGED_COPIES").ok().and_then(|count| count.parse().ok()).unwrap_or(72)
}

#[test]
fn a_damaged_copy_is_whole_refused_or_set_aside() {
    let original = Original::new();
    let mut verdicts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for seed in 0..copies() {
        let mut random = Random(seed);
        let kind = KINDS[usize::try_from(seed).unwrap() % KINDS.len()];
        let damaged = tempfile::tempdir().unwrap();
        copy(original.dir.path(), damaged.path());
        let targets: Vec<_> = files(damaged.path())
            .into_iter()
            .filter(|path| !path.ends_with("reserve") && !path.ends_with("lock"))
            .collect();
        // Every other one in a log, where nearly all bytes are.
        let logs: Vec<_> = targets
            .iter()
            .filter(|path| path.ends_with("db/db") || path.ends_with("state/db") || path.ends_with("changes"))
            .collect();
        let target = if random.below(2) == 0 {
            logs[usize::try_from(random.below(logs.len() as u64)).unwrap()]
        } else {
            &targets[usize::try_from(random.below(targets.len() as u64)).unwrap()]
        };
        println!("seed {seed}: {kind} {}", target.strip_prefix(damaged.path()).unwrap().display());
        damage(target, kind, &mut random);
        *verdicts.entry((kind, original.verdict(damaged.path()))).or_default() += 1;
    }
    println!("{} copies: {verdicts:?}", copies());
}

#[test]
fn a_lost_file_or_directory_is_never_a_fresh_start() {
    let original = Original::new();
    for lost in ["state", "manifest", "changes", "initialized", "state/db", "state/conf", "state/blobs", "usage"] {
        let damaged = tempfile::tempdir().unwrap();
        copy(original.dir.path(), damaged.path());
        let path = damaged.path().join(lost);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        match lost {
            // The manifests tell as much as the marker; usage may be moved away; large values are few.
            "initialized" | "state/blobs" => assert_eq!(original.verdict(damaged.path()), "intact", "{lost}"),
            "usage" => assert_full(&Store::open(damaged.path(), &master()).unwrap(), &original.connections),
            _ => assert_eq!(original.verdict(damaged.path()), "healed", "{lost}"),
        }
    }
}

#[test]
fn an_older_copy_of_the_database_is_healed_and_of_the_log_too_is_refused_with_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &master()).unwrap());
    let older = tempfile::tempdir().unwrap();
    copy(dir.path(), older.path());
    let connections = fill(&Store::open(dir.path(), &master()).unwrap(), &[]);
    let bring_back = |name: &str| {
        fs::remove_dir_all(dir.path().join(name)).or_else(|_| fs::remove_file(dir.path().join(name))).unwrap();
        let (from, to) = (older.path().join(name), dir.path().join(name));
        if from.is_dir() { copy(&from, &to) } else { _ = fs::copy(from, to).unwrap() }
    };
    for (name, says) in
        [("state", "it holds change 1, and change 23 was made"), ("changes", "a change"), ("manifest", "older copy")]
    {
        bring_back(name);
        let store = Store::open(dir.path(), &master()).unwrap();
        assert_full(&store, &connections);
        assert!(name == "changes" || store.notices()[0].contains(says), "{:?}", store.notices());
        let anew = store.notices().into_iter().filter(|notice| notice.contains("made anew"));
        assert_eq!(anew.count(), 1, "{name}");
    }
    bring_back("state");
    bring_back("changes");
    let refused = Store::open(dir.path(), &master()).unwrap_err().to_string();
    assert!(refused.contains("change 23 was the last one acknowledged, and the database holds change 1"), "{refused}");
}

#[test]
fn a_manifest_one_behind_is_a_crash_between_sync_and_rename_and_is_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let manifest = dir.path().join("manifest");
    store.connections().put(&super::tests::connection(&store, "openai:one")).unwrap();
    let one_behind = fs::read(&manifest).unwrap();
    store.connections().put(&super::tests::connection(&store, "openai:two")).unwrap();
    drop(store);
    let current = fs::read(&manifest).unwrap();
    fs::write(&manifest, one_behind).unwrap();
    assert_eq!(Store::open(dir.path(), &master()).unwrap().connections().list().unwrap().len(), 2);
    assert_eq!(fs::read(&manifest).unwrap(), current);
}
