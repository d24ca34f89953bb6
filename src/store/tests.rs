//! The store as its callers see it, on real directories.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::api::UsageRecord;
use crate::api::admin::Limits;
use crate::bounds;
use crate::credential::Fingerprint;

pub(super) const CANARY: &str = "sk-canary-canary-0123456789";

pub(super) fn master() -> MasterKey {
    MasterKey::parse(b"0123456789abcdef0123456789abcdef").unwrap()
}

pub(super) fn origin() -> Origin {
    "https://api.openai.com".parse().unwrap()
}

pub(super) fn connection(store: &Store, id: &str) -> StoredConnection {
    let id: ConnectionId = id.parse().unwrap();
    let secret = Secret::new(CANARY.into()).unwrap();
    StoredConnection {
        secret: Some(store.seal(&id, &origin(), &secret).unwrap()),
        id,
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
    }
}

/// Something in every table; tells what `everything` must read.
pub(super) fn fill(store: &Store, records: &[UsageRecord]) -> Vec<StoredConnection> {
    let all: Vec<_> = (0..20).map(|n| connection(store, &format!("openai:c{n:02}"))).collect();
    all.iter().for_each(|one| store.connections().put(one).unwrap());
    store.provider_switches().put(&"openai".parse().unwrap(), &provider_switch()).unwrap();
    store.connection_switches().put(&"openai:toml".parse().unwrap(), &connection_switch()).unwrap();
    records.chunks(50).for_each(|chunk| store.usage().append(chunk).map(drop).unwrap());
    all
}

fn provider_switch() -> ProviderSwitch {
    ProviderSwitch {
        enabled: Some(false),
        default_connection: Some("c01".parse().unwrap()),
        ui_preferences: r#"{"colour":"blue"}"#.into(),
    }
}

fn connection_switch() -> ConnectionSwitch {
    ConnectionSwitch { enabled: Some(true), fingerprint: Some(Fingerprint([7; 16])), origin: None }
}

/// Everything that [`fill`] put in, by its own id.
pub(super) fn assert_full(store: &Store, connections: &[StoredConnection]) {
    assert_eq!(store.connections().list().unwrap(), connections);
    let switches = store.provider_switches().list().unwrap();
    assert_eq!(switches, [("openai".parse().unwrap(), provider_switch())]);
    let switches = store.connection_switches().list().unwrap();
    assert_eq!(switches, [("openai:toml".parse().unwrap(), connection_switch())]);
    for one in connections {
        let secret = store.open_secret(&one.id, &origin(), one.secret.as_ref().unwrap()).unwrap();
        assert_eq!(secret.expose(), CANARY.as_bytes());
    }
}

pub(super) fn all_usage(store: &Store) -> Vec<UsageRecord> {
    let mut all = Vec::new();
    let mut see = |record: &UsageRecord| {
        all.push(record.clone());
        std::ops::ControlFlow::Continue(())
    };
    store.usage().scan(0, i64::MAX, &mut see).unwrap();
    all.sort_by_key(|record| record.id);
    all
}

#[test]
fn what_was_stored_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let records = block::tests::sample_records(300);
    let connections = fill(&Store::open(dir.path(), &master()).unwrap(), &records);
    for _ in 0..3 {
        let store = Store::open(dir.path(), &master()).unwrap();
        assert_full(&store, &connections);
        assert_eq!(all_usage(&store), records);
        assert_eq!(store.notices(), Vec::<String>::new());
    }
    let store = Store::open(dir.path(), &master()).unwrap();
    let generation = store.generation();
    store.connections().remove(&connections[0].id).unwrap();
    assert_eq!(store.generation(), generation + 1);
    drop(store);
    let store = Store::open(dir.path(), &master()).unwrap();
    assert_eq!(store.connections().get(&connections[0].id).unwrap(), None);
    assert_eq!(store.connections().get(&connections[1].id).unwrap().as_ref(), Some(&connections[1]));
}

#[test]
fn a_list_of_models_is_there_after_reopening_also_at_its_largest() {
    let dir = tempfile::tempdir().unwrap();
    let each = bounds::MODEL_LIST_BYTES_MAX / bounds::MODEL_LIST_IDS_MAX;
    let list = |provider: &str, ids: Vec<String>| ModelList {
        provider: provider.parse().unwrap(),
        base_url: "https://api.openai.com/v1".into(),
        fetched_ms: 1_700_000_000_000,
        ids,
    };
    let largest = list("openai", (0..bounds::MODEL_LIST_IDS_MAX).map(|n| format!("{n:0each$}")).collect());
    let store = Store::open(dir.path(), &master()).unwrap();
    store.model_lists().put(&list("gone", vec!["a".into()])).unwrap();
    store.model_lists().put(&largest).unwrap();
    store.model_lists().remove(&"gone".parse().unwrap()).unwrap();
    drop(store);
    let store = Store::open(dir.path(), &master()).unwrap();
    assert_eq!(store.model_lists().list().unwrap(), std::slice::from_ref(&largest));
    assert_eq!(store.model_lists().get(&largest.provider).unwrap(), Some(largest));
}

#[test]
fn changes_that_belong_together_are_one_change_and_none_is_made_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let (old, new) = (connection(&store, "old:main"), connection(&store, "new:main"));
    store.connections().put(&old).unwrap();
    let generation = store.generation();
    let mut changes = store.changes();
    changes.remove_connection(&old.id);
    changes.put_connection(&new).unwrap();
    changes.put_provider_switch(&"new".parse().unwrap(), &provider_switch()).unwrap();
    changes.put_connection_switch(&"new:toml".parse().unwrap(), &connection_switch()).unwrap();
    let dropped = store.changes();
    drop(dropped);
    assert_eq!(store.connections().list().unwrap(), [old]);
    changes.commit().unwrap();
    assert_eq!(store.generation(), generation + 1);
    let mut changes = store.changes();
    changes.put_provider_switch(&"new".parse().unwrap(), &ProviderSwitch::default()).unwrap();
    changes.put_connection_switch(&"new:toml".parse().unwrap(), &ConnectionSwitch::default()).unwrap();
    changes.commit().unwrap();
    store.changes().commit().unwrap();
    assert_eq!(store.generation(), generation + 2, "nothing to change is no change");
    drop(store);
    let store = Store::open(dir.path(), &master()).unwrap();
    assert_eq!(store.connections().list().unwrap(), [new]);
    assert!(store.provider_switches().list().unwrap().is_empty(), "one that says nothing is none");
    assert!(store.connection_switches().list().unwrap().is_empty());
}

#[test]
fn a_second_opener_is_told_who_has_it_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let refused = Store::open(dir.path(), &master()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused}");
    assert_eq!(refused.exit_code(), 75);
    store.connections().put(&connection(&store, "openai:main")).unwrap();
}

#[test]
fn another_master_key_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let connections = fill(&Store::open(dir.path(), &master()).unwrap(), &[]);
    let other = MasterKey::generate().unwrap();
    let refused = Store::open(dir.path(), &other).unwrap_err();
    assert!(matches!(refused, OpenError::WrongMasterKey { .. }), "{refused}");
    assert_full(&Store::open(dir.path(), &master()).unwrap(), &connections);
}

#[test]
fn a_changed_master_key_opens_and_the_old_one_no_longer_does() {
    let dir = tempfile::tempdir().unwrap();
    let other = MasterKey::generate().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let connections = fill(&store, &[]);
    assert!(store.change_master_key(&other, &master()).is_err());
    store.change_master_key(&master(), &other).unwrap();
    assert_eq!(store.master_key_id().unwrap(), other.id());
    drop(store);
    assert!(matches!(Store::open(dir.path(), &master()), Err(OpenError::WrongMasterKey { .. })));
    assert_full(&Store::open(dir.path(), &other).unwrap(), &connections);
}

/// Two of them once began from the same keys: what one sealed, the other knew no key for.
#[test]
fn keys_that_are_changed_from_many_sides_at_once_still_open_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (mut now, mut next) = (master(), MasterKey::generate().unwrap());
    let connections = fill(&Store::open(dir.path(), &now).unwrap(), &[]);
    for _ in 0..3 {
        let store = Store::open(dir.path(), &now).unwrap();
        let begin = std::sync::Barrier::new(7);
        std::thread::scope(|scope| {
            let (store, begin, now, next) = (&store, &begin, &now, &next);
            for _ in 0..6 {
                scope.spawn(move || {
                    begin.wait();
                    for _ in 0..2 {
                        // Whichever is in force at that moment.
                        let renewed = store.renew_data_keys(now).or_else(|_| store.renew_data_keys(next));
                        renewed.unwrap();
                        store.reseal().unwrap();
                    }
                });
            }
            scope.spawn(move || {
                begin.wait();
                store.change_master_key(now, next).unwrap();
            });
        });
        assert_eq!(store.master_key_id().unwrap(), next.id());
        drop(store);
        std::mem::swap(&mut now, &mut next);
        let store = Store::open(dir.path(), &now).unwrap();
        assert!(!store.key_status().unwrap().resealing);
        let sealed = store.connections().list().unwrap();
        assert_full(&store, &sealed);
        assert_eq!(sealed.len(), connections.len());
        assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn concurrent_changes_are_all_durable() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let before = store.generation();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..20 {
                    store.connections().put(&connection(store, &format!("openai:t{thread}-{n}"))).unwrap();
                }
            });
        }
    });
    println!("160 changes by 8 threads in {} commits", store.generation() - before);
    drop(store);
    assert_eq!(Store::open(dir.path(), &master()).unwrap().connections().list().unwrap().len(), 160);
}

#[test]
fn no_plain_secret_is_on_the_disk_and_all_of_it_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    fill(&store, &block::tests::sample_records(10));
    let mut files = 0;
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{folder:?}");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(9).any(|window| window == &CANARY.as_bytes()[..9]), "{path:?}");
        }
    }
    assert!(files > 8, "{files}");
}

#[test]
fn a_full_disk_is_an_error_and_not_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let ask = free.clone();
    let store = Store::open_on(dir.path(), &[master()], Arc::new(move |_| Ok(ask.load(Ordering::Relaxed)))).unwrap();
    let connections = fill(&store, &[]);
    let records = block::tests::sample_records(5);

    free.store(1_000_000, Ordering::Relaxed);
    let more = connection(&store, "openai:more");
    let full = StoreError::Full { free: 1_000_000, needed: crate::bounds::DISK_FREE_BYTES_MIN };
    assert_eq!(store.connections().put(&more).unwrap_err(), full);
    assert_eq!(store.usage().append(&records).unwrap_err(), full);
    assert_full(&store, &connections);

    free.store(u64::MAX, Ordering::Relaxed);
    store.connections().put(&more).unwrap();
    store.usage().append(&records).unwrap();
    assert_eq!(all_usage(&store), records);
}

#[test]
fn a_record_that_is_too_large_is_refused_and_a_large_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &master()).unwrap();
    let sized = |bytes| StoredConnection { settings: "x".repeat(bytes), ..connection(&store, "openai:main") };
    assert!(matches!(store.connections().put(&sized(200_000)), Err(StoreError::TooLarge { .. })));
    store.connections().put(&sized(120_000)).unwrap();
    drop(store);
    let kept = Store::open(dir.path(), &master()).unwrap().connections().list().unwrap();
    assert_eq!(kept[0].settings.len(), 120_000);
}
