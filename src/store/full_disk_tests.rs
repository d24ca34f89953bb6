//! A disk that is really full: a small file system of its own, whose path `BURSAR_SMALL_DISK` tells (for example a
//! tmpfs of 16 MiB). Without it there is nothing to fill, and `tests.rs` covers what an injected figure can.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use super::tests::{all_usage, assert_full, connection, fill, master};
use super::*;

/// Fills the disk to the last byte.
fn fill_up(path: &PathBuf) {
    let mut file = File::create(path).unwrap();
    for chunk in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![1; chunk]).is_ok() {}
    }
}

#[test]
fn a_disk_that_is_really_full_loses_nothing_and_recovers() {
    let Ok(disk) = std::env::var("BURSAR_SMALL_DISK") else { return };
    let dir = PathBuf::from(&disk).join("state");
    let filler = PathBuf::from(&disk).join("filler");
    let records = block::tests::sample_records(100);
    let store = Store::open(&dir, &master()).unwrap();
    let connections = fill(&store, &records);
    assert!(dir.join("reserve").exists());

    fill_up(&filler);
    let more = connection(&store, "openai:more");
    assert!(matches!(store.connections().put(&more), Err(StoreError::Full { .. })));
    assert!(matches!(store.usage().append(&records), Err(StoreError::Full { .. })));
    assert_full(&store, &connections);
    assert_eq!(all_usage(&store), records);

    drop(store);
    let store = Store::open(&dir, &master()).unwrap();
    assert!(!dir.join("reserve").exists(), "given up, so that the store opens");
    assert_full(&store, &connections);
    assert_eq!(all_usage(&store), records);

    fs::remove_file(&filler).unwrap();
    store.connections().put(&more).unwrap();
    store.usage().append(&block::tests::sample_records(200)[100..]).unwrap();
    assert!(dir.join("reserve").exists());
    drop(store);
    let store = Store::open(&dir, &master()).unwrap();
    assert_eq!(store.connections().list().unwrap().len(), connections.len() + 1);
    assert_eq!(all_usage(&store).len(), 200);
    println!("a full disk was refused, reopened on and recovered from");
}
