//! The power goes, again and again: what was not synced may be gone, or there in part. Whatever was acknowledged is there.
//!
//! A shadow of the directory holds what is durable for certain: of each file the bytes at its last sync, of each directory
//! the names at its last sync. At some step of a random workload the power goes: each file is then what it was at its last
//! sync, or, page by page, that or what it is now, as a disk may have written some of it before it was asked to.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::files::Step;
use super::testing;
use super::tests::{all_usage, connection, master};
use super::*;

type Inode = u64;

/// A small generator, so that a failure can be repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

/// What is durable for certain.
#[derive(Default, Clone)]
struct Shadow {
    files: HashMap<Inode, Vec<u8>>,
    directories: HashMap<Inode, Vec<(PathBuf, Inode, bool)>>,
}

impl Shadow {
    fn see(&mut self, step: Step<'_>) {
        match step {
            Step::Synced(path) => {
                // One that has another name, or none, by now was synced through its handle.
                let Ok(meta) = fs::metadata(path) else { return };
                self.files.insert(meta.ino(), fs::read(path).unwrap_or_default());
            }
            Step::SyncedDirectory(path) => {
                let (Ok(meta), Ok(entries)) = (fs::metadata(path), fs::read_dir(path)) else { return };
                let entries = entries.flatten().filter_map(|entry| {
                    let meta = entry.metadata().ok()?;
                    Some((entry.file_name().into(), meta.ino(), meta.is_dir()))
                });
                self.directories.insert(meta.ino(), entries.collect());
            }
            Step::Changed(_) => {}
        }
    }

    /// What is found after the power went. `now` gives the bytes that a file has at that moment.
    fn after_the_cut(&self, root: Inode, to: &Path, torn: bool, now: &HashMap<Inode, Vec<u8>>, random: &mut Random) {
        fs::create_dir_all(to).unwrap();
        for (name, inode, is_directory) in self.directories.get(&root).into_iter().flatten() {
            let path = to.join(name);
            if *is_directory {
                self.after_the_cut(*inode, &path, torn, now, random);
                continue;
            }
            let mut bytes = self.files.get(inode).cloned().unwrap_or_default();
            if let Some(now) = now.get(inode).filter(|_| torn) {
                tear(&mut bytes, now, random);
            }
            fs::write(path, bytes).unwrap();
        }
    }
}

/// Some pages of what was not synced had come to the disk all the same.
fn tear(synced: &mut Vec<u8>, now: &[u8], random: &mut Random) {
    if now.len() > synced.len() && random.below(2) == 0 {
        synced.resize(now.len(), 0);
    }
    for (at, page) in now.chunks(4_096).enumerate() {
        let begin = at * 4_096;
        let end = (begin + page.len()).min(synced.len());
        if begin < end && synced[begin..end] != page[..end - begin] && random.below(2) == 0 {
            synced[begin..end].copy_from_slice(&page[..end - begin]);
        }
    }
}

fn bytes_now(dir: &Path, all: &mut HashMap<Inode, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            bytes_now(&entry.path(), all);
        } else {
            all.insert(meta.ino(), fs::read(entry.path()).unwrap_or_default());
        }
    }
}

/// What was acknowledged by the moment of the cut.
#[derive(Default, Clone)]
struct Acknowledged {
    changed: std::collections::BTreeMap<u64, i64>,
    removed: std::collections::BTreeSet<u64>,
    recorded: usize,
}

/// Works until the power goes at a random step, and gives what is then found on the disk.
fn work_until_the_cut(seed: u64, torn: bool) -> (tempfile::TempDir, Acknowledged) {
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let found = Arc::new(Mutex::new(None));
    let cut_at = random.below(150);
    let watching = {
        let (root, found, acknowledged) = (root.clone(), found.clone(), acknowledged.clone());
        let (mut shadow, mut count) = (Shadow::default(), 0);
        let mut random = Random(seed ^ 0xdead_beef);
        testing::watch(dir.path(), move |step| {
            shadow.see(step);
            count += 1;
            if count != cut_at {
                return;
            }
            let after = tempfile::tempdir().unwrap();
            if let Ok(meta) = fs::metadata(&root) {
                let mut now = HashMap::new();
                bytes_now(&root, &mut now);
                shadow.after_the_cut(meta.ino(), &after.path().join("store"), torn, &now, &mut random);
            }
            *found.lock().unwrap() = Some((after, acknowledged.lock().unwrap().clone()));
        })
    };
    let store = Store::open(&root, &master()).unwrap();
    let records = block::tests::sample_records(400);
    for n in 0.. {
        if found.lock().unwrap().is_some() || n > 60 {
            break;
        }
        let slot = random.below(6);
        let id = format!("openai:c{slot}");
        match random.below(8) {
            0 => {
                store.connections().remove(&id.parse().unwrap()).unwrap();
                let mut said = acknowledged.lock().unwrap();
                said.changed.remove(&slot);
                said.removed.insert(slot);
            }
            1 => {
                let begin = acknowledged.lock().unwrap().recorded;
                if begin < 380 {
                    store.usage().append(&records[begin..begin + 20]).unwrap();
                    acknowledged.lock().unwrap().recorded += 20;
                }
            }
            2 if random.below(3) == 0 => {
                store.renew_data_keys(&master()).unwrap();
                store.reseal().unwrap();
            }
            _ => {
                let one = StoredConnection { created_ms: n, ..connection(&store, &id) };
                store.connections().put(&one).unwrap();
                let mut said = acknowledged.lock().unwrap();
                said.removed.remove(&slot);
                said.changed.insert(slot, n);
            }
        }
    }
    drop(store);
    drop(watching);
    let cut = found.lock().unwrap().take();
    cut.unwrap_or_else(|| {
        let after = tempfile::tempdir().unwrap();
        super::damage_tests::copy(&root, &after.path().join("store"));
        (after, acknowledged.lock().unwrap().clone())
    })
}

#[test]
fn what_was_acknowledged_before_the_power_went_is_there() {
    let runs: u64 = std::env::var("BURSAR_POWER_CUTS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(20);
    let (mut changes, mut healed) = (0, 0);
    for seed in 0..runs {
        let (after, acknowledged) = work_until_the_cut(seed, seed % 2 == 1);
        let store = match Store::open(&after.path().join("store"), &master()) {
            Ok(store) => store,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let all = store.connections().list().unwrap();
        for (slot, created_ms) in &acknowledged.changed {
            let there = all.iter().find(|one| one.id.name.as_str() == format!("c{slot}"));
            // The change after the last acknowledged one may be there too.
            let there = there.map(|one| one.created_ms);
            assert!(there.is_none_or(|there| there >= *created_ms), "seed {seed}: c{slot} is an older one");
            changes += 1;
        }
        let gone = acknowledged
            .changed
            .keys()
            .filter(|slot| !all.iter().any(|one| one.id.name.as_str() == format!("c{slot}")));
        assert!(gone.count() <= 1, "seed {seed}: lost more than one change that was under way can remove");
        let usage = all_usage(&store).len();
        let (recorded, notices) = (acknowledged.recorded, store.notices());
        assert!(usage >= recorded, "seed {seed}: {usage} of {recorded} records; {notices:?}");
        assert_eq!(store.verify().unwrap().problems, Vec::<String>::new(), "seed {seed}");
        healed += u64::from(!store.notices().is_empty());
        let secret = |one: &StoredConnection| {
            store.open_secret(&one.id, &super::tests::origin(), one.secret.as_ref().unwrap()).map(drop)
        };
        all.iter().for_each(|one| secret(one).unwrap());
    }
    println!("{runs} power cuts: {changes} acknowledged changes looked for, 0 lost, {healed} stores healed");
}
