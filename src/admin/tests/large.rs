//! A large house: what a host of hundreds of providers and thousands of keys costs its operators.
//!
//! `BURSAR_LARGE_CONNECTIONS` says how many connections, and with it the figures must be kept to (`tests/long large`,
//! optimised); without it there are few, and the figures are only printed.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::*;
use crate::api::ProviderSlug;
use crate::credential::{Origin, Secret};
use crate::store::StoredConnection;

fn catalogue(providers: usize, changed: usize) -> String {
    let one = |n: usize| {
        let priority = if n < changed { 2 } else { 1 };
        format!(
            "[providers.p{n:03}]\nkind = \"openai\"\nbase_url = \"https://p{n:03}.example/v1\"\n\
             [providers.p{n:03}.models.m]\nprice = {{ input = {priority}, output = 2 }}\n"
        )
    };
    (0..providers).map(one).collect()
}

fn fill(house: &House, providers: usize, connections: usize) {
    let store = &house.admin.store;
    let mut changes = store.changes();
    for n in 0..connections {
        let id = id(&format!("p{:03}:c{n:05}", n % providers));
        let origin: Origin = format!("https://p{:03}.example", n % providers).parse().unwrap();
        let secret = Secret::new(format!("sk-production-like-{n:010}").into()).unwrap();
        let connection = StoredConnection {
            secret: Some(store.seal(&id, &origin, &secret).unwrap()),
            id,
            enabled: true,
            priority: 1,
            weight: 1,
            limits: Limits { requests_per_minute: Some(500), tokens_per_minute: Some(200_000), ..Limits::default() },
            limit_group: None,
            settings: "{}".into(),
            ui_metadata: r#"{"owner":"team a"}"#.into(),
            created_ms: 1_700_000_000_000,
            updated_ms: 1_700_000_000_000,
            expires_ms: None,
        };
        changes.put_connection(&connection).unwrap();
    }
    changes.commit().unwrap();
}

#[test]
fn what_a_large_house_costs() {
    let asked: Option<usize> = std::env::var("BURSAR_LARGE_CONNECTIONS").ok().map(|count| count.parse().unwrap());
    let connections = asked.unwrap_or(300);
    let providers = (connections / 50).max(1);
    let house = House::new();
    house.write(&catalogue(providers, 0));
    fill(&house, providers, connections);
    let (days, per_day) = if asked.is_some() { (365, 5_000) } else { (3, 200) };
    let called = |n: u64| {
        let n = usize::try_from(n).unwrap() % connections;
        id(&format!("p{:03}:c{n:05}", n % providers))
    };
    crate::usage::testing::fill(&house.admin.store, 1_700_000_000_000, (days, per_day), called);
    let missed = RefCell::new(Vec::new());
    let timed = |most: Duration, what: &str, work: &mut dyn FnMut()| {
        let began = Instant::now();
        work();
        let took = began.elapsed();
        if took >= most {
            missed.borrow_mut().push(format!("{what} took {took:?}, and may take {most:?}"));
        }
        format!("{what} {} ms", took.as_millis())
    };
    let (mut house, mut figures) = (Some(house), Vec::new());
    figures.push(timed(Duration::from_millis(500), "start", &mut || {
        house = house.take().map(House::reopened);
    }));
    let house = house.unwrap();
    let admin = &house.admin;
    admin.reload();
    figures.push(timed(Duration::from_millis(50), "list", &mut || {
        let list = admin.connections(&ConnectionFilter::default());
        assert_eq!(list.connections.len(), connections);
    }));
    let one: ProviderSlug = "p000".parse().unwrap();
    figures.push(timed(Duration::from_millis(50), "list of one provider", &mut || {
        let filter = ConnectionFilter { provider: Some(one.clone()), ..ConnectionFilter::default() };
        assert_eq!(admin.connections(&filter).connections.len(), connections.div_ceil(providers));
    }));
    figures.push(timed(Duration::from_millis(50), "providers", &mut || {
        assert!(admin.providers().unwrap().providers.len() >= providers);
    }));
    figures.push(timed(Duration::from_secs(1), "a provider with all that was used of it", &mut || {
        assert!(admin.provider(&one).unwrap().usage_count.unwrap() > 0);
    }));
    let each = looked_up(&house, providers, connections);
    figures.push(format!("lookup {} ns", each.as_nanos()));
    if each >= Duration::from_micros(2) {
        missed.borrow_mut().push(format!("a lookup took {each:?}, and may take 2 µs"));
    }
    house.write(&catalogue(providers, providers / 2));
    figures.push(timed(Duration::from_secs(1), "plan", &mut || {
        assert_eq!(admin.plan(&Sync::default()).unwrap().changes.len(), providers / 2);
    }));
    figures.push(timed(Duration::from_secs(1), "sync", &mut || {
        assert!(admin.sync_now(&Sync::default()).unwrap().changed);
    }));
    figures.push(timed(Duration::from_secs(1), "sync of nothing", &mut || {
        assert!(!admin.sync_now(&Sync::default()).unwrap().changed);
    }));
    house.write(&catalogue(providers, providers / 2).replace("p000", "q000"));
    let map: std::collections::BTreeMap<ProviderSlug, ProviderSlug> = [(one.clone(), "q000".parse().unwrap())].into();
    figures.push(timed(Duration::from_secs(1), "sync that moves a provider", &mut || {
        let moved = admin.sync_now(&Sync { prune: false, map: map.clone() }).unwrap();
        assert!(moved.changes.len() > connections / providers);
    }));
    let usage = format!("{days} days of {per_day} calls");
    println!("{providers} providers, {connections} connections, {usage}: {}", figures.join(", "));
    let missed = missed.into_inner();
    assert!(asked.is_none() || missed.is_empty(), "{missed:?}");
}

/// What it costs a request to find a connection and its provider by their names.
fn looked_up(house: &House, providers: usize, connections: usize) -> Duration {
    let ids: Vec<_> = (0..connections).map(|n| id(&format!("p{:03}:c{n:05}", n % providers))).collect();
    let began = Instant::now();
    let mut found = 0;
    for id in ids.iter().cycle().take(1_000_000) {
        let snapshot = house.admin.engine.snapshot.load();
        let provider = snapshot.selection.provider(id.provider.as_str());
        found += usize::from(provider.is_some() && snapshot.connections.contains_key(id));
    }
    let took = began.elapsed();
    assert_eq!(found, 1_000_000);
    took / 1_000_000
}
