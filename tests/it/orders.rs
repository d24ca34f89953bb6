//! How a route chooses among its connections, and a feature its route.

use std::time::Duration;

use bursar::api::Outcome;
use http::StatusCode;
use serde_json::json;

use crate::fake::{FakeProvider, Gate, Step, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Setup, key_of};

const TARGETS: &str = "targets = [\"one/m\"]";

async fn house(fake: &FakeProvider, providers: &str, connections: &[&str]) -> Bursar {
    fake.always(openai::chat("ok"));
    let setup = Setup::new().provider("one", &fake.url()).providers(providers);
    connections.iter().fold(setup, |setup, id| setup.connection(id, "")).start().await
}

async fn by(bursar: &Bursar, call: Call) -> String {
    let reply = bursar.call(call).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-bursar-connection").unwrap().strip_prefix("one:").unwrap().to_owned()
}

#[tokio::test]
async fn a_conversation_stays_with_its_connection_and_moves_on_when_that_is_gone() {
    let fake = FakeProvider::start().await;
    let ids = ["one:a", "one:b", "one:c", "one:d"];
    let bursar = house(&fake, &format!("[routes.warm]\n{TARGETS}\nsticky = \"conversation\"\n"), &ids).await;
    let say = |session: &str| Call::chat("warm").header("x-bursar-session", session);
    let home = by(&bursar, say("s1")).await;
    for _ in 0..5 {
        assert_eq!(by(&bursar, say("s1")).await, home);
    }
    let mut homes = std::collections::BTreeSet::new();
    for n in 0..40 {
        homes.insert(by(&bursar, say(&format!("t{n}"))).await);
    }
    assert!(homes.len() > 2, "conversations are spread: {homes:?}");
    fake.for_key(&key_of(&format!("one:{home}"))).always(openai::error(401));
    let next = by(&bursar, say("s1")).await;
    assert_ne!(next, home);
    for _ in 0..3 {
        assert_eq!(by(&bursar, say("s1")).await, next, "the one that took over keeps it");
    }
    // Elsewhere connections take turns as ever.
    let mut turns = std::collections::BTreeSet::new();
    for _ in 0..3 {
        turns.insert(by(&bursar, Call::chat("one/m").header("x-bursar-session", "s1")).await);
    }
    assert_eq!(turns.len(), 3);
    bursar.stop().await;
}

#[tokio::test]
async fn without_a_header_the_first_message_makes_the_conversation() {
    let fake = FakeProvider::start().await;
    let ids = ["one:a", "one:b", "one:c", "one:d"];
    let bursar = house(&fake, &format!("[routes.warm]\n{TARGETS}\nsticky = \"conversation\"\n"), &ids).await;
    let say = |first: usize, more: &[&str]| {
        let said = more.iter().map(|text| json!({"role": "user", "content": text}));
        let messages: Vec<_> =
            std::iter::once(json!({"role": "user", "content": format!("topic {first}")})).chain(said).collect();
        Call::post("/v1/chat/completions", &json!({"model": "warm", "messages": messages}))
    };
    let mut homes = std::collections::BTreeSet::new();
    for topic in 0..12 {
        let home = by(&bursar, say(topic, &[])).await;
        assert_eq!(by(&bursar, say(topic, &["go on", "and then?"])).await, home, "topic {topic}");
        homes.insert(home);
    }
    assert!(homes.len() > 1, "{homes:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_feature_that_names_no_model_goes_by_its_route() {
    let fake = FakeProvider::start().await;
    let more = format!("[routes.fast]\n{TARGETS}\n[features.auto-translation]\nroute = \"fast\"\n");
    let bursar = house(&fake, &more, &["one:a"]).await;
    let ask = |body: serde_json::Value| Call::post("/v1/execute", &body);
    let reply = bursar.call(ask(json!({"feature": "auto-translation", "input": "x"}))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(fake.seen().last().unwrap().json()["model"], "m");
    let auto = Call::chat("auto").header("x-bursar-feature", "auto-translation");
    assert_eq!(by(&bursar, auto).await, "a", "in every dialect a model must be named: auto says the same");

    let refused = bursar.call(ask(json!({"feature": "something-else", "input": "x"}))).await;
    assert_refused(&refused, StatusCode::BAD_REQUEST, "invalid_request");
    assert!(refused.text().contains("something-else"), "{}", refused.text());
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.model == "auto"), "the record says what was asked");
}

#[tokio::test]
async fn a_reload_begins_no_round_anew() {
    let fake = FakeProvider::start().await;
    let bursar = house(&fake, "", &["one:a", "one:b", "one:c"]).await;
    let (first, second) = (by(&bursar, Call::chat("one/m")).await, by(&bursar, Call::chat("one/m")).await);
    let file = bursar.place().providers_file();
    let text = std::fs::read_to_string(&file).unwrap();
    bursar.place().save(&file, &format!("{text}[routes.more]\n{TARGETS}\n"));
    let reply = bursar.call(Call::post("/admin/v1/reload", &json!({})).header("x-bursar-request", "1")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let third = by(&bursar, Call::chat("more")).await;
    assert_eq!(format!("{first}{second}{third}"), "abc");
    bursar.stop().await;
}

#[tokio::test]
async fn an_outage_is_not_amplified() {
    let fake = FakeProvider::start().await;
    let ids = ["one:a", "one:b", "one:c", "one:d", "one:e"];
    let bursar = house(&fake, "", &ids).await;
    fake.always(openai::error(500));
    let calls = (0..100).map(|_| bursar.call(Call::chat("one/m")));
    let replies = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::BAD_GATEWAY));
    let sent = fake.seen().len();
    // Each request has a second connection; beyond that, a fifth of the requests and the few that are free.
    assert!(sent <= 100 * 2 + 20 + 10, "{sent} calls for 100 requests");
    let records = bursar.stop().await.records();
    assert_eq!(records.iter().filter(|record| record.is_final).count(), 100);
    assert!(records.iter().all(|record| record.outcome == Outcome::Transient));
}

/// The connections that answered so many calls made one after the other.
async fn answered(bursar: &Bursar, model: &str, calls: usize) -> String {
    let mut all = String::new();
    for _ in 0..calls {
        all += &by(bursar, Call::chat(model)).await;
    }
    all
}

#[tokio::test]
async fn the_least_busy_comes_next() {
    let fake = FakeProvider::start().await;
    let route = format!("[routes.idle]\n{TARGETS}\norder = \"least_in_flight\"\n");
    let bursar = house(&fake, &route, &["one:a", "one:b", "one:c"]).await;
    // Two calls hang, at two connections, because the first of them is busy when the second comes.
    let gate = Gate::new();
    fake.script((0..2).map(|_| openai::chat("late").whole().held_by(&gate)));
    let busy = [bursar.call(Call::chat("idle")), bursar.call(Call::chat("idle"))];
    let rest = async {
        fake.until_seen(2).await;
        answered(&bursar, "idle", 6).await
    };
    let (busy, rest) = futures_util::future::join(futures_util::future::join_all(busy), async {
        let rest = rest.await;
        gate.open(2);
        rest
    })
    .await;
    let mut held: Vec<_> = busy.iter().map(|reply| reply.header("x-bursar-connection").unwrap().to_owned()).collect();
    held.sort();
    assert!(held[0] != held[1], "{held:?}");
    let free = ["a", "b", "c"].into_iter().find(|name| !held.contains(&format!("one:{name}"))).unwrap();
    assert_eq!(rest, free.repeat(6), "while two are busy the third has all calls");
    // In an idle house all have their turns.
    let mut all: Vec<char> = answered(&bursar, "idle", 6).await.chars().collect();
    all.sort_unstable();
    assert_eq!(all, ['a', 'a', 'b', 'b', 'c', 'c']);
    bursar.stop().await;
}

#[tokio::test]
async fn the_faster_comes_next_and_nobody_shines_by_failing() {
    let fake = FakeProvider::start().await;
    let route = format!("[routes.quick]\n{TARGETS}\norder = \"lowest_latency\"\n");
    let bursar = house(&fake, &route, &["one:a", "one:b"]).await;
    let mut slow = openai::chat("slow").whole();
    slow.steps.insert(0, Step::Pause(Duration::from_millis(300)));
    fake.for_key(&key_of("one:b")).always(slow);
    // Each is as good as fast until it was measured.
    let first = answered(&bursar, "quick", 4).await;
    assert!(first.contains('a') && first.contains('b'), "{first}");
    assert_eq!(answered(&bursar, "quick", 20).await, "a".repeat(20), "of two the faster one");
    // A failure counts as slow, so that nobody shines by refusing fast.
    fake.for_key(&key_of("one:a")).script([openai::error(503), openai::error(503)]);
    assert_eq!(by(&bursar, Call::chat("quick")).await, "b", "it falls over");
    assert_eq!(by(&bursar, Call::chat("quick")).await, "b", "and stays away");
    bursar.stop().await;
}

#[tokio::test]
async fn the_cheapest_target_comes_first_and_the_next_when_it_is_gone() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let priced = |setup: Setup, name: &str, price: &str| {
        let text = format!("[providers.{name}.models.p]\n{price}\n");
        setup.provider(name, &fake.url()).providers(&text).connection(&format!("{name}:a"), "")
    };
    let setup = [
        ("dear", "price = { input = 2.0, output = 8.0 }"),
        ("unknown", ""),
        ("cheap", "price = { input = 0.1, output = 0.2 }"),
        ("middle", "price = { input = 1.0, output = 1.0 }"),
    ];
    let setup = setup.into_iter().fold(Setup::new(), |setup, (name, price)| priced(setup, name, price));
    let targets = "targets = [\"dear/p\", \"unknown/p\", \"cheap/p\", \"middle/p\"]";
    let route = format!("[routes.thrifty]\n{targets}\norder = \"cheapest\"\n[routes.listed]\n{targets}\n");
    let bursar = setup.providers(&route).start().await;
    let provider = |model: &'static str| {
        let bursar = &bursar;
        async move { bursar.call(Call::chat(model)).await.header("x-bursar-provider").unwrap().to_owned() }
    };
    assert_eq!((provider("thrifty").await.as_str(), provider("listed").await.as_str()), ("cheap", "dear"));
    for (gone, next) in [("cheap", "middle"), ("middle", "dear"), ("dear", "unknown")] {
        fake.for_key(&key_of(&format!("{gone}:a"))).always(openai::error(401));
        assert_eq!(provider("thrifty").await, next, "when {gone} is gone");
    }
    bursar.stop().await;
}
