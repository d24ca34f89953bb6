//! What requests meet when they ask for a connection: order, stickiness, routes of features, and what choosing costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::*;
use super::BEGIN_MS;
use crate::adapter::{self, Hints};
use crate::api::{Capabilities, Capability, Feature, Outcome};
use crate::clock::{Instant, Now};
use crate::config::{Catalogue, Source};
use crate::connection::{Connection, Ended, Generation, ManagedBy};
use crate::provider::Provider;

/// Providers, routes and features; connections are given apart.
const CATALOGUE: &str = r#"
[providers.one]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
allow_private = true
models.m = { capabilities = ["chat", "stream"], price = { input = 2, output = 8 } }
models.dear = { price = { input = 3, output = 9 } }
[providers.two]
kind = "openai"
base_url = "http://127.0.0.1:2/v1"
allow_private = true
models.m = { capabilities = ["chat"], price = { input = 1, output = 4 } }
models.free = { price = { input = 0, output = 0 } }
models.unknown = {}
[providers.off]
kind = "openai"
base_url = "http://127.0.0.1:3/v1"
allow_private = true
enabled = false
models.m = {}
[routes.idle]
targets = ["one/m"]
order = "least_in_flight"
[routes.quick]
targets = ["one/m"]
order = "lowest_latency"
[routes.cheap]
targets = ["two/unknown", "one/m", "one/dear", "two/m", "two/free"]
order = "cheapest"
[routes.warm]
targets = ["one/m"]
sticky = "conversation"
[routes.streams]
targets = ["off/m", "two/m", "one/m"]
require = ["stream"]
[features.chatting]
route = "streams"
"#;

struct House {
    memory: Memory,
    catalogue: Catalogue,
    connections: Vec<Arc<Connection>>,
    selection: Selection,
}

impl House {
    fn of(connections: impl IntoIterator<Item = (String, u32)>) -> Self {
        Self::with("", connections)
    }

    fn with(more: &str, connections: impl IntoIterator<Item = (String, u32)>) -> Self {
        let source = Source::from_text(Path::new("providers.toml"), format!("{CATALOGUE}{more}"));
        let catalogue = crate::config::check_catalogue(&source, &adapter::kinds()).unwrap().value;
        let memory = Memory::default();
        let connections: Vec<_> =
            connections.into_iter().map(|(id, weight)| Arc::new(connection(&memory, &id, weight))).collect();
        let selection = select(&catalogue, &connections, &memory);
        Self { memory, catalogue, connections, selection }
    }

    fn reload(&mut self) {
        self.selection = select(&self.catalogue, &self.connections, &self.memory);
        self.memory.sweep();
    }

    fn connection(&self, id: &str) -> &Connection {
        self.connections.iter().find(|one| one.id.to_string() == id).unwrap()
    }

    fn candidates(&self, model: &str) -> Candidates {
        let feature = model.strip_prefix("auto:").map(|feature| feature.parse::<Feature>().unwrap());
        let model = if feature.is_some() { "auto" } else { model };
        self.selection.candidates(Wanted { model: model.into(), feature, ..Wanted::default() }).unwrap()
    }

    /// Whom a request comes to first.
    fn first(&self, model: &str) -> String {
        self.candidates(model).next(Instant::now()).unwrap().connection.id.name.to_string()
    }

    fn firsts(&self, model: &str, requests: usize) -> String {
        (0..requests).map(|_| self.first(model)).collect()
    }
}

fn select(catalogue: &Catalogue, connections: &[Arc<Connection>], memory: &Memory) -> Selection {
    let provider = |declared| Provider::new(declared, catalogue.default_timeouts, None, None).unwrap();
    let providers = catalogue.providers.values().map(|one| (one.slug.clone(), Arc::new(provider(one))));
    Selection::new(providers.collect(), connections, catalogue, memory)
}

fn connection(memory: &Memory, id: &str, weight: u32) -> Connection {
    let id = id.parse().unwrap();
    Connection {
        pace: memory.paces.of(&id),
        id,
        secret: None,
        secret_problem: None,
        enabled: true,
        priority: 1,
        weight,
        limits: Default::default(),
        limit_group: None,
        account: None,
        day_resets: jiff::tz::TimeZone::UTC,
        quotas: Default::default(),
        headers: Default::default(),
        timeouts: Default::default(),
        fault: Default::default(),
        words: BTreeMap::new(),
        settings: String::new(),
        ui_metadata: String::new(),
        expires_ms: None,
        managed_by: ManagedBy::Toml,
        health: Default::default(),
        generation: Generation::default(),
    }
}

fn abc() -> Vec<(String, u32)> {
    ["one:a", "one:b", "one:c"].map(|id| (id.to_owned(), 1)).into()
}

fn reject(connection: &Connection) {
    let now = Now { at: Instant::now(), wall_ms: BEGIN_MS };
    let hints = Hints::default();
    let (outcome, message) = (Outcome::Credential, Some("why"));
    let ended =
        Ended { model: Some("m"), sent_at: now.at, outcome, message, reached: true, cut_short: false, hints: &hints };
    connection.observe(&ended, now);
}

/// All candidates in order, by name.
fn walk(mut candidates: Candidates) -> String {
    std::iter::from_fn(|| candidates.next(Instant::now())).map(|one| one.connection.id.name.to_string()).collect()
}

#[test]
fn turns_go_on_after_a_reload_and_pass_over_whom_they_must() {
    let mut house = House::of(abc());
    assert_eq!(house.firsts("one/m", 4), "abca");
    house.reload();
    assert_eq!(house.firsts("one/m", 3), "bca", "the round does not begin anew");
    reject(house.connection("one:b"));
    assert_eq!(house.firsts("one/m", 6), "cacaca", "nobody gets the share of one that is gone whole");
    assert_eq!(walk(house.candidates("one/m")), "ca");
}

#[test]
fn a_weight_of_zero_comes_when_the_others_are_gone() {
    let house = House::of([("one:a".into(), 0), ("one:b".into(), 2), ("one:c".into(), 1)]);
    assert_eq!(house.firsts("one/m", 6), "bcbbcb");
    assert_eq!(walk(house.candidates("one/m")), "bca");
    reject(house.connection("one:b"));
    reject(house.connection("one:c"));
    assert_eq!(house.first("one/m"), "a");
}

#[test]
fn the_least_busy_comes_first_by_its_weight() {
    let house = House::of([("one:a".into(), 1), ("one:b".into(), 1), ("one:c".into(), 4)]);
    let runs =
        |id: &str, attempts: usize| -> Vec<_> { (0..attempts).map(|_| house.connection(id).health.begin(1)).collect() };
    let _running = (runs("one:a", 1), runs("one:b", 2), runs("one:c", 3));
    assert_eq!(walk(house.candidates("idle")), "cab", "three of four are less than one of one");
    let _more = runs("one:c", 2);
    assert_eq!(walk(house.candidates("idle")), "acb");
}

#[test]
fn idle_equals_take_turns() {
    let house = House::of(abc());
    assert_eq!(house.firsts("idle", 6), "abcabc");
}

#[test]
fn of_two_the_faster_is_chosen_and_nobody_is_forgotten() {
    let house = House::of(abc());
    let now = Instant::now();
    for (id, ms) in [("one:a", 900), ("one:b", 100), ("one:c", 500)] {
        house.connection(id).pace.observe(Duration::from_millis(ms), false, now);
    }
    let firsts = house.firsts("quick", 300);
    let share = |name| firsts.matches(name).count();
    assert_eq!(share("a"), 0, "the slowest loses against each");
    assert!(share("b") >= 150 && share("c") >= 50, "{} and {}", share("b"), share("c"));
    for _ in 0..20 {
        let mut all: Vec<char> = walk(house.candidates("quick")).chars().collect();
        all.sort_unstable();
        assert_eq!(all, ['a', 'b', 'c'], "each comes once");
    }
}

#[test]
fn the_cheapest_target_goes_first_and_an_unknown_price_last() {
    let house = House::of([("one:a".into(), 1), ("two:z".into(), 1)]);
    let mut candidates = house.candidates("cheap");
    let order: Vec<String> = std::iter::from_fn(|| candidates.next(Instant::now()))
        .map(|one| format!("{}/{}", one.provider.slug, one.model))
        .collect();
    assert_eq!(order, ["two/free", "two/m", "one/m", "one/dear", "two/unknown"]);
}

#[test]
fn a_conversation_stays_until_its_connection_is_gone() {
    let house = House::of((0..20).map(|n| (format!("one:c{n}"), 1)));
    let at = |key: u64| walk(house.candidates("warm").of_conversation(Some(key.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
    let orders: Vec<String> = (1..50).map(at).collect();
    assert_eq!(orders, (1..50).map(at).collect::<Vec<_>>(), "the same order each time");
    assert!(orders.iter().collect::<std::collections::BTreeSet<_>>().len() > 20, "conversations are spread");
    let one = at(1);
    let home = one.split_inclusive(char::is_numeric).next().unwrap().to_owned();
    let mut candidates = house.candidates("warm").of_conversation(Some(0x9e37_79b9_7f4a_7c15));
    let (first, second) = (candidates.next(Instant::now()).unwrap(), candidates.next(Instant::now()).unwrap());
    assert!(first.connection.id.name.as_str().starts_with(&home));
    reject(&first.connection);
    let moved = house.candidates("warm").of_conversation(Some(0x9e37_79b9_7f4a_7c15)).next(Instant::now()).unwrap();
    assert_eq!(moved.connection.id, second.connection.id, "the one that was next takes over");
    assert!(!house.candidates("one/m").is_sticky() && house.candidates("warm").is_sticky());
}

#[test]
fn a_feature_has_its_route_and_the_route_what_it_requires() {
    let house = House::of([("one:a".into(), 1), ("two:z".into(), 1), ("off:x".into(), 1)]);
    let mut candidates = house.candidates("auto:chatting");
    assert_eq!(candidates.next(Instant::now()).unwrap().connection.id.to_string(), "one:a");
    let why: Vec<_> = candidates.skipped().iter().map(|one| (one.connection.to_string(), one.why)).collect();
    let lacks = Skip::Lacks(Capability::Stream);
    assert_eq!(why, [("off:x".to_owned(), Skip::ProviderDisabled), ("two:z".to_owned(), lacks)]);

    let nowhere = Wanted { model: "auto".into(), feature: Some("other".parse().unwrap()), ..Wanted::default() };
    let error = house.selection.candidates(nowhere).err().unwrap();
    assert!(error.to_string().starts_with("no model is named, and the feature other has no route"), "{error}");
}

#[test]
fn available_providers_are_those_of_the_features_route_that_can_be_used() {
    let house = House::of([("one:a".into(), 1), ("two:z".into(), 1), ("off:x".into(), 1)]);
    let slugs = |feature: Option<&str>, needs: Capabilities| -> Vec<String> {
        let feature = feature.map(|feature| feature.parse().unwrap());
        house.selection.available_providers(feature.as_ref(), needs).map(|one| one.slug.to_string()).collect()
    };
    let stream = Capabilities::NONE.with(Capability::Stream);
    assert_eq!(slugs(None, stream), ["one", "two"]);
    assert_eq!(slugs(Some("chatting"), Capabilities::NONE), ["one", "two"]);
    assert_eq!(slugs(Some("chatting"), stream), ["one"]);
    reject(house.connection("one:a"));
    assert_eq!(slugs(Some("chatting"), stream), [""; 0]);
}

#[test]
fn a_pin_is_found_without_a_walk_and_one_stands_for_the_others() {
    let house = House::of((0..1_000).map(|n| (format!("one:c{n}"), 1)));
    let pinned = |id: &str| {
        let pin = Some(id.parse().unwrap());
        house.selection.candidates(Wanted { model: "one/m".into(), pin, ..Wanted::default() }).unwrap()
    };
    let mut candidates = pinned("one:c777");
    assert_eq!(candidates.next(Instant::now()).unwrap().connection.id.to_string(), "one:c777");
    assert!(candidates.next(Instant::now()).is_none() && candidates.skipped().is_empty());
    let mut candidates = pinned("two:c1");
    assert!(candidates.next(Instant::now()).is_none());
    assert_eq!(candidates.skipped().iter().map(|one| one.why).collect::<Vec<_>>(), [Skip::NotPinned]);
}

/// Nanoseconds a choice, the best of several runs: on a busy machine the others measure the neighbours.
fn cost(house: &House, model: &str, key: Option<u64>) -> f64 {
    let (choices, now) = (2_000, Instant::now());
    let run = |turn: u64| {
        let wanted = || Wanted { model: model.into(), ..Wanted::default() };
        let all: Vec<Candidates> = (0..choices)
            .map(|n| {
                let key = key.map(|key| key.wrapping_mul(n + turn * choices).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                house.selection.candidates(wanted()).unwrap().of_conversation(key)
            })
            .collect();
        let began = std::time::Instant::now();
        for mut candidates in all {
            assert!(std::hint::black_box(candidates.next(now)).is_some());
        }
        began.elapsed().as_nanos() as f64 / choices as f64
    };
    (0..15).map(run).fold(f64::MAX, f64::min)
}

/// Every second connection is unusable, or all of the first half.
fn half(house: &House, which: fn(usize, usize) -> bool) {
    let all = house.connections.len();
    house.connections.iter().enumerate().filter(|(place, _)| which(*place, all)).for_each(|(_, one)| reject(one));
}

#[test]
fn choosing_costs_the_same_however_many_connections_there_are() {
    let house = |n: usize| House::of((0..n).map(|n| (format!("one:c{n:05}"), 1 + n as u32 % 3)));
    let (few, some, many) = (house(10), house(1_000), house(10_000));
    let mut lines = Vec::new();
    for (order, model, key) in [
        ("round_robin", "one/m", None),
        ("least_in_flight", "idle", None),
        ("lowest_latency", "quick", None),
        ("sticky", "warm", Some(7)),
    ] {
        let (least, most) = (cost(&few, model, key), cost(&many, model, key));
        let between = cost(&some, model, key);
        lines.push(format!("{order}: {least:.0} ns of 10, {between:.0} of 1,000, {most:.0} of 10,000"));
        // Ten thousand do not fit into a processor's cache, and the machine may be busy: a walk would cost 500 times as much.
        assert!(most < least * 20.0 + 2_000.0, "{lines:?}");
    }
    type Which = fn(usize, usize) -> bool;
    let ways: [(&str, Which); 2] = [("every second", |n, _| n % 2 == 0), ("the first half", |n, all| n < all / 2)];
    for (name, which) in ways {
        let (few, many) = (house(10), house(10_000));
        half(&few, which);
        half(&many, which);
        let (least, most) = (cost(&few, "one/m", None), cost(&many, "one/m", None));
        lines.push(format!("{name} unusable: {least:.0} ns of 10, {most:.0} of 10,000"));
        assert!(most < least * 20.0 + 4_000.0, "{lines:?}");
    }
    // Shown with --nocapture.
    println!("{}", lines.join("\n"));
}
