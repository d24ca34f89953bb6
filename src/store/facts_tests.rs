use super::*;
use crate::credential::MasterKey;
use crate::store::Store;

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

#[test]
fn damaged_facts_are_set_aside_and_serving_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.facts().put(&[(scope(), facts())]).unwrap();
    drop(store);
    std::fs::remove_file(dir.path().join("facts").join("conf")).unwrap();
    let store = open(dir.path());
    assert!(store.facts().list().unwrap().is_empty());
    assert!(store.notices().iter().any(|notice| notice.contains("cooldowns")), "{:?}", store.notices());
    assert!(dir.path().join("facts.damaged").is_dir());
    store.facts().put(&[(scope(), facts())]).unwrap();
}

#[test]
fn a_record_that_cannot_be_read_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.facts().put(&[(scope(), facts())]).unwrap();
    let mut batch = Batch::default();
    batch.insert(b"c/one:b", vec![1, 2, 3]);
    store.facts().database.commit(batch).unwrap();
    assert_eq!(store.facts().list().unwrap(), [(scope(), facts())]);
}
