//! Backups as their callers see them, whole and damaged.

use std::fs;
use std::io::Cursor;
use std::sync::OnceLock;

use super::*;
use crate::credential::{BackupKey, MasterKey};
use crate::store::block::tests::sample_records;
use crate::store::tests::{all_usage, assert_full, fill, master};
use crate::store::{Facts, ParkedFact, Scope, Store, StoredConnection};

fn key() -> BackupKey {
    BackupKey::from_key(&MasterKey::parse(b"00000000001111111111222222222233").unwrap()).unwrap()
}

fn other_master() -> MasterKey {
    MasterKey::parse(b"fedcba9876543210fedcba9876543210").unwrap()
}

fn facts() -> (Scope, Facts) {
    let parked = Some(ParkedFact { since_ms: 1_700_000_000_000, reason: "out of money".into() });
    (Scope::Connection("openai:c00".parse().unwrap()), Facts { parked, ..Facts::default() })
}

/// A store with something of everything, and a backup of it.
fn backed_up() -> (tempfile::TempDir, Vec<StoredConnection>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let connections = fill(&store, &sample_records(400));
    store.facts().put(&[facts()]).unwrap();
    let mut backup = Vec::new();
    let counts = store.backup(&key(), &mut backup).unwrap();
    assert_eq!((counts.records, counts.credentials, counts.volatile, counts.segments), (22, 20, 1, 1));
    (dir, connections, backup)
}

/// One for all tests that only read it.
fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| backed_up().2)
}

#[test]
fn a_backup_is_restored_on_a_clean_host_with_another_master_key() {
    let (from, connections, backup) = backed_up();
    let before = Store::open(from.path(), &master()).unwrap();
    let to = tempfile::tempdir().unwrap();
    let dir = to.path().join("store");
    let restored = restore(&dir, &other_master(), &key(), Cursor::new(&backup)).unwrap();
    assert_eq!(restored.kept, None);
    assert!(Store::open(&dir, &master()).is_err());
    let store = Store::open(&dir, &other_master()).unwrap();
    assert_full(&store, &store.connections().list().unwrap());
    let bare = |all: Vec<StoredConnection>| -> Vec<_> {
        all.into_iter().map(|one| StoredConnection { secret: None, ..one }).collect()
    };
    assert_eq!(bare(store.connections().list().unwrap()), bare(connections.clone()));
    assert_eq!(all_usage(&store), all_usage(&before));
    assert_eq!(store.facts().list().unwrap(), [facts()]);
    assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    assert_eq!(store.generation(), before.generation());
    // Other data keys seal there, and fingerprints stay good.
    let (old, new) = (before.key_status().unwrap().data_keys, store.key_status().unwrap().data_keys);
    assert!(old[0] != new[0] && old[1] == new[1] && old[2] != new[2]);
    store.connections().put(&crate::store::tests::connection(&store, "openai:later")).unwrap();
}

#[test]
fn a_restore_over_a_store_keeps_what_was_there() {
    let (dir, connections, backup) = backed_up();
    let store = Store::open(dir.path(), &master()).unwrap();
    assert!(matches!(
        restore(dir.path(), &master(), &key(), Cursor::new(&backup)),
        Err(BackupError::Open(OpenError::InUse { .. }))
    ));
    for one in &connections[3..] {
        store.connections().remove(&one.id).unwrap();
    }
    drop(store);
    let restored = restore(dir.path(), &master(), &key(), Cursor::new(&backup)).unwrap();
    let kept = Store::open(&restored.kept.unwrap(), &master()).unwrap();
    assert_eq!(kept.connections().list().unwrap(), connections[..3]);
    let store = Store::open(dir.path(), &master()).unwrap();
    assert_eq!(store.connections().list().unwrap().len(), 20);
    assert_eq!(store.notices(), Vec::<String>::new());
}

#[test]
fn no_plain_secret_is_in_a_backup_and_what_it_says_in_clear_is_little() {
    let backup = bytes();
    for secret in [crate::store::tests::CANARY, "openai:c00", "org-acme", "out of money"] {
        assert!(!backup.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
    let head = head(backup).unwrap();
    assert_eq!((head.lock, head.writer.as_str()), (key().lock(), concat!("bursar ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_wrong_key_and_what_is_no_backup_are_told_apart() {
    let wrong = BackupKey::from_key(&other_master()).unwrap();
    assert!(matches!(inspect(bytes(), &wrong), Err(BackupError::WrongKey("key"))));
    for none in [&b""[..], b"bursar", &[0; 4_096], &bytes()[..30], b"bursar backup 1\n\xff\xff\xff\xff"] {
        assert!(matches!(inspect(none, &key()), Err(BackupError::NoBackup)), "{}", none.len());
    }
    let passphrase = BackupKey::from_passphrase(b"correct horse battery").unwrap();
    let mut sealed = Vec::new();
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), &master()).unwrap().backup(&passphrase, &mut sealed).unwrap();
    let lock = head(&*sealed).unwrap().lock;
    let again = BackupKey::of_passphrase(b"correct horse battery", lock).unwrap();
    assert_eq!(inspect(&*sealed, &again).unwrap().counts.records, 0);
    let guessed = BackupKey::of_passphrase(b"correct horse batterz", lock).unwrap();
    assert!(matches!(inspect(&*sealed, &guessed), Err(BackupError::WrongKey("passphrase"))));
}

#[test]
fn a_cut_lengthened_or_altered_backup_is_refused_wherever_it_is() {
    let whole = bytes();
    inspect(whole, &key()).unwrap();
    let cuts = (0..whole.len()).step_by(whole.len() / 97).chain([whole.len() - 1]);
    for end in cuts {
        assert!(inspect(&whole[..end], &key()).is_err(), "cut at {end}");
    }
    assert!(inspect(&*[whole, b"x"].concat(), &key()).is_err());
    for at in (0..whole.len()).step_by(whole.len() / 499) {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 1 << (at % 8);
        assert!(inspect(&*flipped, &key()).is_err(), "flipped at {at}");
    }
}

#[test]
fn chunks_that_are_left_out_exchanged_or_of_another_backup_are_refused() {
    // More than one chunk, from two backups of one store under one key.
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    for n in 0..4 {
        let mut one = crate::store::tests::connection(&store, &format!("openai:c{n}"));
        one.settings = format!("{{\"x\":\"{}\"}}", "y".repeat(60_000));
        store.connections().put(&one).unwrap();
    }
    let [one, other] = [(); 2].map(|()| {
        let mut backup = Vec::new();
        store.backup(&key(), &mut backup).unwrap();
        chunks(&backup)
    });
    assert!(one.len() >= 4, "{}", one.len());
    let refused = |parts: Vec<&[u8]>| assert!(inspect(&*parts.concat(), &key()).is_err());
    let parts = || one.iter().map(Vec::as_slice).collect::<Vec<_>>();
    assert!(inspect(&*parts().concat(), &key()).is_ok());
    for at in 1..one.len() {
        let mut left_out = parts();
        left_out.remove(at);
        refused(left_out);
        let mut twice = parts();
        twice.insert(at, &one[at]);
        refused(twice);
        let mut foreign = parts();
        foreign[at] = &other[at];
        refused(foreign);
        if at > 1 {
            let mut exchanged = parts();
            exchanged.swap(at, at - 1);
            refused(exchanged);
        }
    }
}

/// The head, and each chunk.
fn chunks(backup: &[u8]) -> Vec<Vec<u8>> {
    let length = |at: usize| u32::from_le_bytes(*backup[at..].first_chunk().unwrap()) as usize;
    let mut at = 20 + length(16);
    let mut all = vec![backup[..at].to_vec()];
    while at < backup.len() {
        let end = at + 5 + length(at + 1);
        all.push(backup[at..end].to_vec());
        at = end;
    }
    all
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let (dir, connections, mut backup) = backed_up();
    let last = backup.len() - 1;
    backup[last] ^= 1;
    let before: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(restore(dir.path(), &master(), &key(), Cursor::new(&backup)).is_err());
    let after: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before, after);
    assert_full(&Store::open(dir.path(), &master()).unwrap(), &connections);
}

#[test]
fn a_backup_under_load_is_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                // Both are changed in one step: a backup has both or neither.
                for n in 0.. {
                    let mut changes = store.changes();
                    for half in ["a", "b"] {
                        let id = format!("openai:t{thread}-{half}");
                        let one = crate::store::tests::connection(store, &id);
                        changes.put_connection(&StoredConnection { created_ms: n, ..one }).unwrap();
                    }
                    changes.commit().unwrap();
                    if done.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for _ in 0..5 {
            let mut backup = Vec::new();
            store.backup(&key(), &mut backup).unwrap();
            let to = tempfile::tempdir().unwrap();
            restore(to.path(), &master(), &key(), Cursor::new(backup)).unwrap();
            let all = Store::open(to.path(), &master()).unwrap().connections().list().unwrap();
            for pair in all.chunks(2) {
                assert_eq!(pair[0].created_ms, pair[1].created_ms);
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
