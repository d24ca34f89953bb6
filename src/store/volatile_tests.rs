use super::*;
use crate::api::Outcome;
use crate::credential::{Fingerprint, MasterKey};
use crate::store::{Check, CoolingFact, Facts, Lease, ModelFact, ParkedFact, RejectedFact, Scope, Store};

fn open(dir: &Path) -> Store {
    Store::open(dir, &MasterKey::parse(b"0123456789abcdef0123456789abcdef").unwrap()).unwrap()
}

fn scope() -> Scope {
    Scope::Connection("one:a".parse().unwrap())
}

fn facts() -> Facts {
    let cooling = CoolingFact { began_ms: 1, until_ms: 2, strikes: 3, said: true };
    Facts {
        parked: Some(ParkedFact { since_ms: 4, reason: "402".into() }),
        rejected: Some(RejectedFact { since_ms: 5, print: Fingerprint([6; 16]), reason: "401".into() }),
        models: vec![ModelFact { model: "m/n".into(), cooling: Some(cooling), barred_until_ms: Some(7) }],
    }
}

#[test]
fn facts_are_there_after_a_restart_and_empty_ones_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let group = Scope::Group("acme".parse().unwrap());
    let store = open(dir.path());
    store.facts().put(&[(scope(), facts()), (group.clone(), facts())]).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.facts().list().unwrap(), [(scope(), facts()), (group.clone(), facts())]);
    store.facts().put(&[(group, Facts::default())]).unwrap();
    assert_eq!(store.facts().list().unwrap(), [(scope(), facts())]);
}

fn lease() -> Lease {
    Lease {
        scope: "c/one:a".into(),
        starts_ms: 1,
        ends_ms: 2,
        requests: 3,
        tokens: 4,
        requests_ahead: 5,
        tokens_ahead: 6,
        nano_usd: 0,
        nano_usd_ahead: 0,
    }
}

/// A verification once called a store damaged because a provider had been checked.
#[test]
fn a_verification_knows_every_kind_of_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.facts().put(&[(scope(), facts())]).unwrap();
    store.counters().put(&[Lease { nano_usd: 7, nano_usd_ahead: 8, ..lease() }]).unwrap();
    let check = Check {
        at_ms: 1,
        connection: "a".parse().unwrap(),
        outcome: Outcome::Ok,
        status: Some(200),
        ms: 2,
        error: None,
    };
    store.checks().put(&[("one".parse().unwrap(), Some(check))]).unwrap();
    let found = store.verify().unwrap();
    assert_eq!((found.volatile, found.problems), (Table::ALL.len() as u64, Vec::<String>::new()));

    let mut batch = Batch::default();
    batch.insert(b"checks/two", vec![1, 2, 3]);
    batch.insert(b"elsewhere/x", vec![1, 2, 3]);
    store.volatile.database.commit(batch).unwrap();
    let problems = store.verify().unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("checks/two") && problems[1].contains("elsewhere/x"), "{problems:?}");
}

#[test]
fn damaged_facts_are_set_aside_and_serving_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.facts().put(&[(scope(), facts())]).unwrap();
    drop(store);
    std::fs::remove_file(dir.path().join("volatile/conf")).unwrap();
    let store = open(dir.path());
    assert!(store.facts().list().unwrap().is_empty());
    assert!(store.notices().iter().any(|notice| notice.contains("cooldowns")), "{:?}", store.notices());
    assert!(dir.path().join("volatile.damaged").is_dir());
    store.facts().put(&[(scope(), facts())]).unwrap();
}

#[test]
fn a_record_that_cannot_be_read_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.facts().put(&[(scope(), facts())]).unwrap();
    let mut batch = Batch::default();
    batch.insert(b"facts/c/one:b", vec![1, 2, 3]);
    batch.insert(b"elsewhere", vec![1, 2, 3]);
    store.volatile.database.commit(batch).unwrap();
    assert_eq!(store.facts().list().unwrap(), [(scope(), facts())]);
}

#[test]
fn each_kind_has_a_table_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lease = lease();
    store.counters().put(std::slice::from_ref(&lease)).unwrap();
    store.facts().put(&[(scope(), facts())]).unwrap();
    assert_eq!(store.counters().list().unwrap(), [lease]);
    assert_eq!(store.facts().list().unwrap(), [(scope(), facts())]);
}

#[test]
fn an_old_database_that_is_damaged_or_half_gone_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::create_dir_all(dir.path().join("counters.old/blobs")).unwrap();
    std::fs::create_dir_all(dir.path().join("facts")).unwrap();
    let store = open(dir.path());
    assert!(store.facts().list().unwrap().is_empty());
    assert!(store.notices().iter().any(|notice| notice.contains("cooldowns")), "{:?}", store.notices());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    let is_left = |name: &str| left.iter().any(|one| one == name);
    assert!(is_left("facts.damaged") && !is_left("facts") && !is_left("counters.old"), "{left:?}");
}
