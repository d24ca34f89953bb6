//! How a route chooses among its connections, and a feature its route.

use bursar::api::Outcome;
use http::StatusCode;
use serde_json::json;

use crate::fake::{FakeProvider, openai};
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
