//! What is remembered of connections that go, and of those that stay.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::tests::{House, create};
use crate::api::admin::Limits;
use crate::connection::admission::{Permit, Used, reserve};
use crate::connection::{Ended, HealthState};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Declared connections with a daily limit, and a group that they share.
fn declare(house: &House, names: &[&str]) {
    let mut text = String::from("[providers.sandbox]\nenabled = true\n");
    for name in names {
        text += "[[connections]]\nprovider = \"sandbox\"\nlimits = { requests_per_day = 100 }\n";
        text += &format!("name = \"{name}\"\nlimit_group = \"{name}-group\"\n");
        text += &format!("[limit_groups.{name}-group]\nlimits = {{ concurrent = 9 }}\n");
    }
    std::fs::write(&house.admin.providers_file, text).unwrap();
    let errors = house.admin.reload().errors;
    assert!(errors.is_empty(), "{errors:?}");
}

/// Begins a call with a connection.
fn call(house: &House, id: &str) -> Permit {
    let snapshot = house.admin.engine.snapshot.load();
    let connection = &snapshot.connections[&id.parse().unwrap()];
    reserve(&connection.quotas.of("echo"), 10, house.admin.engine.clock.both(), None).unwrap()
}

/// Writes down what runs out, as the daemon does behind requests' backs.
fn write_leases(house: &House) {
    let low = house.admin.engine.admission.leases.low().now_or_never();
    house.admin.write_leases(&low.unwrap_or_default());
}

/// The scopes that there are, and what is used of their days.
fn scopes(house: &House) -> Vec<(String, u64)> {
    let used = |used: Used| used.requests_per_day;
    let now = house.admin.engine.clock.both();
    let mut all: Vec<_> =
        house.admin.engine.admission.scopes().iter().map(|one| (one.key().to_string(), used(one.used(now)))).collect();
    all.sort();
    all
}

fn stored(house: &House) -> Vec<String> {
    let all = house.admin.store.counters().list().unwrap();
    let mut names: Vec<_> = all.into_iter().map(|lease| lease.scope).collect();
    names.sort();
    names
}

fn named(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    names.iter().map(|(name, used)| ((*name).to_owned(), *used)).collect()
}

#[test]
fn a_reload_lets_go_what_it_removes_and_keeps_what_stays() {
    let house = House::new();
    declare(&house, &["a", "b"]);
    house.admin.begin_leases();
    drop((call(&house, "sandbox:a"), call(&house, "sandbox:a"), call(&house, "sandbox:b")));
    assert_eq!(
        scopes(&house),
        named(&[
            ("connection sandbox:a", 2),
            ("connection sandbox:b", 1),
            ("limit group a-group", 2),
            ("limit group b-group", 1)
        ])
    );
    write_leases(&house);
    declare(&house, &["a"]);
    assert_eq!(scopes(&house), named(&[("connection sandbox:a", 2), ("limit group a-group", 2)]));
    // Within the day it goes on where it was.
    declare(&house, &["a", "b"]);
    assert_eq!(scopes(&house)[1], ("connection sandbox:b".to_owned(), 1));
    declare(&house, &["a"]);
    assert_eq!(stored(&house), ["c/sandbox:a", "c/sandbox:b"]);
    house.admin.engine.clock.set(house.admin.engine.clock.wall_ms() + DAY_MS);
    declare(&house, &["a"]);
    assert_eq!(stored(&house), ["c/sandbox:a"], "of a day that is over nothing is kept");
    declare(&house, &["a", "b"]);
    assert_eq!(scopes(&house)[1], ("connection sandbox:b".to_owned(), 0));
}

#[test]
fn what_a_request_still_holds_goes_with_it() {
    let house = House::new();
    declare(&house, &["a", "b"]);
    let running = call(&house, "sandbox:b");
    declare(&house, &["a"]);
    assert_eq!(scopes(&house).len(), 4);
    // It comes back while the request still runs: its place is still taken.
    declare(&house, &["a", "b"]);
    let concurrent = |house: &House| {
        let (all, now) = (house.admin.engine.admission.scopes(), house.admin.engine.clock.both());
        all.iter().map(|one| one.used(now).concurrent).sum::<u64>()
    };
    assert_eq!(concurrent(&house), 2, "in its own scope, and in its group's");
    declare(&house, &["a"]);
    drop(running);
    assert!(house.admin.sweep().is_empty());
    assert_eq!(scopes(&house).len(), 2);
}

#[test]
fn health_goes_with_its_connection_and_stays_with_the_others() {
    let house = House::new();
    declare(&house, &["a", "b"]);
    for id in ["sandbox:a", "sandbox:b"] {
        let snapshot = house.admin.engine.snapshot.load();
        let now = house.admin.engine.clock.both();
        let ended = Ended {
            model: Some("echo"),
            sent_at: now.at,
            outcome: crate::api::Outcome::Credential,
            message: None,
            reached: true,
            cut_short: false,
            hints: &crate::adapter::Hints::default().after(Some(Duration::from_secs(5))),
        };
        snapshot.connections[&id.parse().unwrap()].observe(&ended, now);
    }
    let state = |id: &str| house.admin.engine.snapshot.load().connections[&id.parse().unwrap()].health.state();
    let before = Arc::clone(&house.admin.engine.snapshot.load().connections[&"sandbox:a".parse().unwrap()].health);
    declare(&house, &["a"]);
    declare(&house, &["a", "b"]);
    assert_eq!((state("sandbox:a"), state("sandbox:b")), (HealthState::Rejected, HealthState::Ok));
    let after = Arc::clone(&house.admin.engine.snapshot.load().connections[&"sandbox:a".parse().unwrap()].health);
    assert!(Arc::ptr_eq(&before, &after));
}

#[test]
fn a_connection_that_an_operator_removes_is_forgotten_at_once() {
    let house = House::new();
    let limited = || Limits { requests_per_day: Some(100), ..Limits::default() };
    let add = || {
        let added = crate::api::admin::CreateConnection { limits: Some(limited()), ..create("sandbox:x") };
        house.admin.add_connection(added).unwrap();
    };
    add();
    house.admin.begin_leases();
    drop(call(&house, "sandbox:x"));
    assert_eq!(scopes(&house), named(&[("connection sandbox:x", 1)]));
    house.admin.remove_connection(&"sandbox:x".parse().unwrap()).unwrap();
    assert!(scopes(&house).is_empty() && stored(&house).is_empty());
    add();
    assert_eq!(scopes(&house), named(&[("connection sandbox:x", 0)]), "it may be another account");
}
