//! A real process is killed after each step of what changes a whole store, one step after the other: whatever it had
//! come to, the store opens with all that was in it, and the same command brings it to its end.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Stdio};

use super::damage_tests::copy;
use super::format_tests::unpack;
use super::testing;
use super::tests::{all_usage, assert_full, fill, master};
use super::*;

const SCENARIO: &str = "BURSAR_STEP_SCENARIO";
const DIRECTORY: &str = "BURSAR_STEP_DIRECTORY";

fn next_master() -> MasterKey {
    MasterKey::parse(b"abcdef0123456789abcdef0123456789").unwrap()
}

fn backup_key() -> BackupKey {
    BackupKey::from_key(&MasterKey::parse(b"00000000001111111111222222222233").unwrap()).unwrap()
}

/// The process that is killed.
#[test]
fn the_process_that_takes_steps() {
    let (Ok(scenario), Ok(dir)) = (std::env::var(SCENARIO), std::env::var(DIRECTORY)) else { return };
    let root = Path::new(&dir);
    let store = root.join("store");
    match scenario.as_str() {
        "up" => drop(Store::open(&store, &master()).unwrap()),
        "down" => drop(Store::migrate(&store, &[master()], 1).unwrap()),
        "restore" => {
            let backup = fs::read(root.join("backup")).unwrap();
            drop(backup::restore(&store, &master(), &backup_key(), Cursor::new(backup)).unwrap());
        }
        "rotate" => {
            let opened = Store::open_with(&store, &[master(), next_master()]).unwrap();
            if opened.master_key_id().unwrap() != next_master().id() {
                opened.change_master_key(&master(), &next_master()).unwrap();
            }
        }
        "renew" => {
            let opened = Store::open(&store, &master()).unwrap();
            opened.renew_data_keys(&master()).unwrap();
            opened.reseal().unwrap();
        }
        "heal" => drop(Store::open(&store, &master()).unwrap()),
        other => panic!("{other}"),
    }
    println!("steps: {}", testing::count());
}

/// Runs it to a step, or to its end; then it tells how many there were.
fn run(scenario: &str, root: &Path, die_at: Option<u64>) -> Option<u64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "store::step_tests::the_process_that_takes_steps", "--nocapture"])
        .env(SCENARIO, scenario)
        .env(DIRECTORY, root)
        .stderr(Stdio::null());
    if let Some(at) = die_at {
        command.env(testing::DIE_AT, at.to_string());
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let count = said.lines().find_map(|line| line.split("steps: ").nth(1)?.parse().ok());
    assert_eq!(output.status.success(), die_at.is_none(), "{scenario} at {die_at:?}: {said}");
    count
}

/// Kills at each step of a scenario on copies of a directory. `after_kill` looks at what is left, `at_end` at what the
/// same command makes of that.
fn kill_at_each(scenario: &str, original: &Path, after_kill: impl Fn(&Path), at_end: impl Fn(&Path)) {
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        copy(original, dir.path());
        dir
    };
    let whole = fresh();
    let steps = run(scenario, whole.path(), None).unwrap();
    at_end(&whole.path().join("store"));
    assert!(steps >= 6, "{scenario} has {steps} steps");
    // All of them where it is asked for; else a few, others of them for each scenario.
    let all = std::env::var_os("BURSAR_EVERY_STEP").is_some();
    let chosen: Vec<u64> =
        (1..=steps).filter(|at| all || at % (steps / 6) == scenario.len() as u64 % (steps / 6)).collect();
    for &at in &chosen {
        let dir = fresh();
        run(scenario, dir.path(), Some(at));
        let looked = tempfile::tempdir().unwrap();
        copy(dir.path(), looked.path());
        after_kill(&looked.path().join("store"));
        run(scenario, dir.path(), None);
        at_end(&dir.path().join("store"));
    }
    println!("{scenario}: killed after {} of {steps} steps, 0 lost", chosen.len());
}

fn filled() -> (tempfile::TempDir, Vec<StoredConnection>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), &master()).unwrap();
    let connections = fill(&store, &block::tests::sample_records(60));
    (dir, connections)
}

/// The connections of a store but for what seals their credentials.
fn unsealed(store: &Store) -> Vec<StoredConnection> {
    let all = store.connections().list().unwrap().into_iter();
    all.map(|one| StoredConnection { secret: None, ..one }).collect()
}

/// That everything is there and opens.
fn assert_whole(store: &Store) {
    assert_full(store, &store.connections().list().unwrap());
    assert_eq!(store.connections().list().unwrap().len(), 20);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    assert_eq!(store.notices(), Vec::<String>::new());
}

#[test]
fn a_migration_is_killed_at_each_step() {
    let dir = tempfile::tempdir().unwrap();
    unpack("format-1.state.zst", &dir.path().join("store"));
    let whole = |store: &Path| assert_whole(&Store::open(store, &master()).unwrap());
    kill_at_each("up", dir.path(), whole, whole);

    let (dir, connections) = filled();
    let (first, usage) = {
        let store = Store::open(&dir.path().join("store"), &master()).unwrap();
        (connections, all_usage(&store))
    };
    let at_end = |store: &Path| {
        assert_eq!(layout::read(&state::Paths::of(store)).unwrap(), layout::Layout::Format(1));
        let store = Store::open(store, &master()).unwrap();
        assert_full(&store, &first);
        assert_eq!(all_usage(&store), usage);
    };
    kill_at_each("down", dir.path(), whole, at_end);
}

#[test]
fn a_restore_is_killed_at_each_step() {
    let (dir, connections) = filled();
    let store = dir.path().join("store");
    let opened = Store::open(&store, &master()).unwrap();
    let usage = all_usage(&opened);
    let mut backup = Vec::new();
    opened.backup(&backup_key(), &mut backup).unwrap();
    fs::write(dir.path().join("backup"), backup).unwrap();
    // What came after the backup tells the old state from the restored one.
    opened.connections().remove(&connections[0].id).unwrap();
    drop(opened);
    let either = |store: &Path| {
        let store = Store::open(store, &master()).unwrap();
        let count = store.connections().list().unwrap().len();
        assert!([19, 20].contains(&count), "{count}");
        assert_eq!(all_usage(&store), usage);
        assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
        assert_eq!(store.notices(), Vec::<String>::new());
    };
    let at_end = |store: &Path| {
        let opened = Store::open(store, &master()).unwrap();
        assert_whole(&opened);
        assert_eq!(unsealed(&opened).len(), 20);
        assert_eq!(all_usage(&opened), usage);
        drop(opened);
        let kept = fs::read_dir(store)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("kept-"));
        assert!(kept.count() >= 1, "what was there is kept");
    };
    kill_at_each("restore", dir.path(), either, at_end);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let clean = |store: &Path| drop(Store::open(store, &master()).unwrap());
    let restored = |store: &Path| assert_whole(&Store::open(store, &master()).unwrap());
    kill_at_each("restore", dir.path(), clean, restored);
}

#[test]
fn a_rotation_of_keys_is_killed_at_each_step() {
    let (dir, connections) = filled();
    let either = |store: &Path| {
        let opened = Store::open_with(store, &[master(), next_master()]).unwrap();
        assert_full(&opened, &connections);
        assert_whole(&opened);
    };
    let at_end = |store: &Path| {
        assert!(matches!(Store::open(store, &master()), Err(OpenError::WrongMasterKey { .. })));
        assert_full(&Store::open(store, &next_master()).unwrap(), &connections);
    };
    kill_at_each("rotate", dir.path(), either, at_end);

    let before = Store::open(&dir.path().join("store"), &master()).unwrap().key_status().unwrap();
    let whole = |store: &Path| assert_whole(&Store::open(store, &master()).unwrap());
    let at_end = |store: &Path| {
        let opened = Store::open(store, &master()).unwrap();
        assert_whole(&opened);
        let after = opened.key_status().unwrap();
        assert!(!after.resealing);
        assert_ne!(after.data_keys[0], before.data_keys[0]);
        assert_ne!(after.data_keys[2], before.data_keys[2]);
        assert_eq!(after.data_keys[1], before.data_keys[1]);
        assert_eq!(after.credentials, [(after.data_keys[0].1, 20)]);
    };
    kill_at_each("renew", dir.path(), whole, at_end);
}

#[test]
fn healing_is_killed_at_each_step() {
    let (dir, connections) = filled();
    let database = dir.path().join("store/state/db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[..4_096].fill(0);
    fs::write(database, bytes).unwrap();
    let whole = |store: &Path| {
        let opened = Store::open(store, &master()).unwrap();
        assert_full(&opened, &connections);
        assert!(!opened.notices().is_empty());
    };
    kill_at_each("heal", dir.path(), whole, whole);
}
