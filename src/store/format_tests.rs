//! State directories that older versions wrote, which must always open.
//!
//! A fixture is a whole directory (a map of paths to base64 in JSON, under zstd) with its usage records as JSON beside
//! it. It is written once per format, by `write_the_fixture_of_the_format`, and never again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tests::{all_usage, assert_full, fill, master};
use super::*;
use crate::api::admin::Limits;
use crate::credential::Fingerprint;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store").join(name)
}

pub(crate) fn unpack(name: &str, to: &Path) {
    let packed = fs::read(fixture(name)).unwrap();
    let json = zstd::bulk::decompress(&packed, 64 << 20).unwrap();
    let files: BTreeMap<PathBuf, String> = serde_json::from_slice(&json).unwrap();
    for (path, content) in files {
        let path = to.join(path);
        if content == "directory" {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, STANDARD.decode(content).unwrap()).unwrap();
        }
    }
}

#[test]
fn format_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    unpack("format-1.state.zst", dir.path());
    let store = Store::open(dir.path(), &master()).unwrap();
    let connections = store.connections().list().unwrap();
    assert_eq!(connections.len(), 20);
    assert_full(&store, &connections);
    let first = &connections[0];
    let expected = StoredConnection {
        id: "openai:c00".parse().unwrap(),
        secret: first.secret.clone(),
        enabled: true,
        priority: 1,
        weight: 2,
        limits: Limits { requests_per_minute: Some(60), ..Limits::default() },
        limit_group: Some("org-acme".parse().unwrap()),
        settings: r#"{"organization":"acme"}"#.into(),
        ui_metadata: "{}".into(),
        created_ms: 1_700_000_000_000,
        updated_ms: 1_700_000_000_001,
        expires_ms: None,
    };
    assert_eq!(*first, expected);
    let usage: serde_json::Value = serde_json::from_slice(&fs::read(fixture("format-1.usage.json")).unwrap()).unwrap();
    let found = serde_json::to_value(all_usage(&store)).unwrap();
    assert_eq!(found.as_array().unwrap().len(), usage.as_array().unwrap().len());
    for (found, written) in found.as_array().unwrap().iter().zip(usage.as_array().unwrap()) {
        for (name, value) in found.as_object().unwrap() {
            // What format 1 did not know is unknown, or did not happen.
            let absent = if name == "partial" { &false.into() } else { &serde_json::Value::Null };
            assert_eq!(value, written.get(name).unwrap_or(absent), "{name}");
        }
        assert!(written.as_object().unwrap().keys().all(|name| found.get(name).is_some()));
    }
    assert_eq!(store.notices(), Vec::<String>::new());
}

#[test]
fn what_two_databases_held_is_read_over_into_one() {
    let dir = tempfile::tempdir().unwrap();
    unpack("counters-and-facts.state.zst", dir.path());
    for _ in 0..2 {
        let store = Store::open(dir.path(), &master()).unwrap();
        assert_eq!(store.counters().list().unwrap(), [lease("connection openai:c00"), lease("group org-acme")]);
        assert_eq!(store.facts().list().unwrap(), facts());
        assert_eq!(store.notices(), Vec::<String>::new());
        assert!(["counters", "facts"].iter().all(|name| !dir.path().join(name).exists()));
    }
}

fn lease(scope: &str) -> Lease {
    let (starts_ms, ends_ms) = (1_799_971_200_000, 1_800_057_600_000);
    let ahead = (7, 700);
    Lease {
        scope: scope.into(),
        starts_ms,
        ends_ms,
        requests: 42,
        tokens: 4_200,
        requests_ahead: ahead.0,
        tokens_ahead: ahead.1,
        nano_usd: 0,
        nano_usd_ahead: 0,
    }
}

fn facts() -> [(Scope, Facts); 2] {
    let cooling = CoolingFact { began_ms: 1_800_000_000_000, until_ms: 1_800_000_060_000, strikes: 2, said: true };
    let model = |model: &str| ModelFact { model: model.into(), cooling: Some(cooling), barred_until_ms: Some(7) };
    let one = Facts {
        rejected: Some(RejectedFact { since_ms: 5, print: Fingerprint([6; 16]), reason: "401".into() }),
        models: vec![model("gpt-4.1-mini"), model("vendor/gpt")],
        ..Facts::default()
    };
    let group = Facts { parked: Some(ParkedFact { since_ms: 4, reason: "402".into() }), ..Facts::default() };
    [(Scope::Connection("openai:c00".parse().unwrap()), one), (Scope::Group("org-acme".parse().unwrap()), group)]
}

#[test]
#[ignore = "writes a fixture, once for each format"]
fn write_the_fixture_of_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    fill(&store, &block::tests::sample_records(30));
    let usage = serde_json::to_vec(&all_usage(&store)).unwrap();
    drop(store);
    keep("format-2.state.zst", &pack(dir.path()));
    keep("format-2.usage.json", &usage);
}

pub(crate) fn pack(dir: &Path) -> Vec<u8> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_owned();
            if path.is_dir() {
                files.insert(name, "directory".into());
                folders.push(path);
            } else if !["lock", "reserve"].contains(&name.to_str().unwrap()) {
                files.insert(name, STANDARD.encode(fs::read(&path).unwrap()));
            }
        }
    }
    zstd::bulk::compress(&serde_json::to_vec(&files).unwrap(), 19).unwrap()
}

pub(crate) fn keep(name: &str, bytes: &[u8]) {
    assert!(!fixture(name).exists(), "a fixture is never written again");
    fs::create_dir_all(fixture(name).parent().unwrap()).unwrap();
    fs::write(fixture(name), bytes).unwrap();
}

fn backup_key() -> BackupKey {
    BackupKey::from_key(&MasterKey::parse(b"00000000001111111111222222222233").unwrap()).unwrap()
}

#[test]
fn a_backup_of_format_1_is_restored() {
    let backup = fs::read(fixture("backup-1.backup")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    restore(dir.path(), &master(), &backup_key(), std::io::Cursor::new(backup)).unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    assert_full(&store, &store.connections().list().unwrap());
    assert_eq!(all_usage(&store).len(), 30);
}

#[test]
fn a_log_of_changes_of_format_1_makes_a_state_anew() {
    let dir = tempfile::tempdir().unwrap();
    unpack("format-2.state.zst", dir.path());
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    assert_full(&store, &store.connections().list().unwrap());
    assert!(store.notices()[0].contains("made anew"));
}

#[test]
#[ignore = "writes a fixture, once for each format"]
fn write_the_fixture_of_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    fill(&store, &block::tests::sample_records(30));
    let mut backup = Vec::new();
    store.backup(&backup_key(), &mut backup).unwrap();
    assert!(!fixture("backup-1.backup").exists(), "a fixture is never written again");
    fs::write(fixture("backup-1.backup"), backup).unwrap();
}
