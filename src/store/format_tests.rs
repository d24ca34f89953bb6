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

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store").join(name)
}

fn unpack(name: &str, to: &Path) {
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
#[ignore = "writes a fixture, once for each format"]
fn write_the_fixture_of_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    fill(&store, &block::tests::sample_records(30));
    let usage = serde_json::to_vec(&all_usage(&store)).unwrap();
    drop(store);
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir.path()).unwrap().to_owned();
            if path.is_dir() {
                files.insert(name, "directory".into());
                folders.push(path);
            } else if !["lock", "reserve"].contains(&name.to_str().unwrap()) {
                files.insert(name, STANDARD.encode(fs::read(&path).unwrap()));
            }
        }
    }
    let packed = zstd::bulk::compress(&serde_json::to_vec(&files).unwrap(), 19).unwrap();
    for (name, bytes) in [("format-1.state.zst", packed), ("format-1.usage.json", usage)] {
        assert!(!fixture(name).exists(), "a fixture is never written again");
        fs::create_dir_all(fixture(name).parent().unwrap()).unwrap();
        fs::write(fixture(name), bytes).unwrap();
    }
}
