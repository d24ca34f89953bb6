//! What is recorded: one final record a request, tokens and cost to the digit, and what an app's hang-up leaves.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bursar::api::{NanoUsd, Operation, Outcome, Tokens, UsageRecord};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::fake::{Behaviour, FakeProvider, Gate, Reply as Answer, Step, openai};
use crate::harness::client::{Event, assert_refused, chat, said};
use crate::harness::{Bursar, Call, Setup, key_of};

/// A hang-up must reach the provider within this time.
const CANCELLED_WITHIN: Duration = Duration::from_secs(1);

async fn one(fake: &FakeProvider) -> Bursar {
    Setup::new().ranked("one", &fake.url(), &["a"]).start().await
}

/// The only record of a daemon.
async fn only_record(bursar: Bursar) -> UsageRecord {
    let mut records = bursar.stop().await.records();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records.remove(0);
    assert!(record.is_final);
    record
}

#[tokio::test]
async fn tokens_and_cost_are_right_to_the_digit() {
    let fake = FakeProvider::start().await;
    let details = json!({
        "prompt_tokens": 1_234_567, "completion_tokens": 89, "total_tokens": 1_234_656,
        "prompt_tokens_details": {"cached_tokens": 567},
        "completion_tokens_details": {"reasoning_tokens": 80},
    });
    let mut reply = json!({"id": "x", "object": "chat.completion", "model": "m-2026-11-01", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]});
    reply["usage"] = details;
    fake.script([Answer::json(200, &reply), openai::chat_with("ok", Some((1, 0))), openai::chat_with("ok", None)]);
    let lines = "[providers.one.models.dear]\nprice = { input = 0.15, cached_input = 0.075, output = 0.60 }\n";
    let setup = Setup::new().ranked("one", &fake.url(), &["a"]).providers(lines);
    let bursar = setup.start().await;
    for model in ["one/dear", "one/dear", "one/dear"] {
        assert_eq!(bursar.call(Call::chat(model)).await.status, 200);
    }
    fake.script([openai::chat("ok")]);
    assert_eq!(bursar.call(Call::chat("one/not-listed")).await.status, 200);
    let records = bursar.stop().await.records();
    let expected = Tokens {
        input: Some(1_234_567),
        output: Some(89),
        cached: Some(567),
        reasoning: Some(80),
        ..Tokens::default()
    };
    assert_eq!(records[0].tokens, expected);
    // (1,234,567 − 567) · 150 + 567 · 75 + 89 · 600 nano-dollars per thousand.
    assert_eq!(records[0].cost, Some(NanoUsd(185_195_925)));
    assert_eq!(records[0].model_served.as_deref(), Some("m-2026-11-01"));
    assert_eq!((records[0].model.as_str(), records[0].operation), ("one/dear", Operation::Chat));
    assert_eq!((records[1].tokens.output, records[1].cost), (Some(0), Some(NanoUsd(150))));
    // What the provider did not tell is estimated from what was said, and marked.
    assert!(records[2].estimated && records[2].tokens.input.is_some_and(|input| input > 5), "{:?}", records[2]);
    assert_eq!((records[2].tokens.output, records[2].tokens.cached), (Some(1), None));
    assert!(records[2].cost.is_some());
    assert_eq!(records[3].tokens.input, Some(openai::USAGE.0));
    assert_eq!(records[3].cost, None, "an unlisted model has no price");
    assert!(records.iter().all(|record| record.is_final && !record.partial && !record.stream));
    assert_eq!(records.iter().filter(|record| record.estimated).count(), 1);
    assert!(records.iter().all(|record| record.model_sent.as_deref() == record.model.strip_prefix("one/")));
}

#[tokio::test]
async fn a_streams_usage_is_asked_for_and_kept_from_an_app_that_did_not_ask() {
    let fake = FakeProvider::start().await;
    fake.always(openai::stream(&["a", "b"]));
    let bursar = one(&fake).await;
    let mut asks = chat("one/m");
    asks["stream"] = json!(true);
    for (options, shown) in [
        (None, false),
        (Some(json!({"include_usage": true})), true),
        (Some(json!({"include_usage": false})), false),
        (Some(json!({"other": 1})), false),
    ] {
        if let Some(options) = options {
            asks["stream_options"] = options;
        }
        let events = bursar.call(Call::post("/v1/chat/completions", &asks)).await.events();
        let usage = |event: &&Event| matches!(event, Event::Json(chunk) if chunk.get("usage").is_some());
        assert_eq!(events.iter().filter(usage).count(), usize::from(shown), "{asks}");
        assert_eq!((said(&events).as_str(), events.last()), ("ab", Some(&Event::Done)));
        let sent = fake.seen().last().unwrap().json();
        assert_eq!(sent["stream_options"]["include_usage"], true, "{sent}");
    }
    assert_eq!(fake.seen().last().unwrap().json()["stream_options"]["other"], 1);
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), 4);
    for record in records {
        assert_eq!((record.tokens.input, record.tokens.output), (Some(openai::USAGE.0), Some(openai::USAGE.1)));
        assert_eq!(record.cost, Some(NanoUsd(42_500)));
        assert!(record.stream && record.is_final && record.ttft_ms.is_some());
    }
}

#[tokio::test]
async fn a_provider_that_must_not_be_asked_for_usage_is_not() {
    let fake = FakeProvider::start().await;
    fake.always(openai::opening(&["a"]).json(&openai::finish()).data(openai::DONE));
    let setup = Setup::new().provider_with("one", &fake.url(), "stream_usage = \"never\"");
    let bursar = setup.connection("one:a", "").start().await;
    assert_eq!(bursar.call(Call::stream("one/m")).await.status, 200);
    assert_eq!(fake.seen()[0].json().get("stream_options"), None);
    let record = only_record(bursar).await;
    assert!(record.estimated && !record.partial && record.tokens.input.is_some());
    assert_eq!(record.tokens.output, Some(1), "a text of one byte");
}

#[tokio::test]
async fn an_app_that_hangs_up_is_recorded_and_the_provider_is_left_at_once() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/chat/completions").script([openai::opening(&["a", "b"]).reply().hang_after(2)]);
    let bursar = one(&fake).await;
    let mut reply = bursar.open(Call::stream("one/m")).await;
    reply.until("\"a\"").await;
    let gone = Instant::now();
    reply.hang_up();
    fake.until_aborted(1).await;
    assert!(gone.elapsed() < CANCELLED_WITHIN, "{:?}", gone.elapsed());
    let record = only_record(bursar).await;
    assert_eq!((record.outcome, record.stream), (Outcome::ClientGone, true));
    assert!(record.partial && record.estimated && record.tokens.input.is_some() && record.cost.is_some());
    assert_eq!(record.tokens.output, Some(1), "two bytes had come");
}

#[tokio::test]
async fn an_app_that_hangs_up_before_there_is_a_head_is_recorded_too() {
    let fake = FakeProvider::start().await;
    fake.always(Behaviour::hang());
    for stream in [false, true] {
        let bursar = one(&fake).await;
        let seen = fake.seen().len();
        let mut link = bursar.link().await;
        let calling = tokio::spawn(async move { link.send(Call::chat_as("one/m", stream)).await.map(drop) });
        fake.until_seen(seen + 1).await;
        let (gone, aborted) = (Instant::now(), fake.aborted());
        calling.abort();
        fake.until_aborted(aborted + 1).await;
        assert!(gone.elapsed() < CANCELLED_WITHIN, "{:?}", gone.elapsed());
        let record = only_record(bursar).await;
        assert_eq!((record.outcome, record.status), (Outcome::ClientGone, None));
        assert!(record.partial && record.estimated && record.tokens.input.is_some());
        assert_eq!((record.tokens.output, record.cost), (None, None), "nobody knows what it wrote");
    }
}

#[tokio::test]
async fn one_stream_of_a_shared_connection_may_be_given_up() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    fake.script([openai::opening(&["a"]).reply().hang_after(2), openai::stream(&["b"]).reply().whole().gated(&gate)]);
    let bursar = one(&fake).await;
    let mut link = bursar.link_http2().await;
    let mut given_up = link.send(Call::stream("one/m")).await.unwrap();
    given_up.until("\"a\"").await;
    gate.open(2);
    let mut kept = link.send(Call::stream("one/m")).await.unwrap();
    let begun = kept.until("\"b\"").await;
    let gone = Instant::now();
    drop(given_up);
    fake.until_aborted(1).await;
    assert!(gone.elapsed() < CANCELLED_WITHIN, "{:?}", gone.elapsed());
    gate.open(9);
    let rest = kept.rest().await;
    assert!(begun.contains("\"b\"") && rest.events().last() == Some(&Event::Done) && rest.whole);
    let outcomes: HashMap<_, _> = by_outcome(&bursar.stop().await.records());
    assert_eq!(outcomes, HashMap::from([(Outcome::ClientGone, 1), (Outcome::Ok, 1)]));
}

/// Many apps read up to `[DONE]` and hang up: they were served in full.
#[tokio::test]
async fn an_app_that_leaves_after_the_last_event_was_served() {
    let fake = FakeProvider::start().await;
    // The provider's connection lingers after it has said that it is over.
    let mut steps = openai::stream(&["a"]).reply().whole().steps;
    steps.pop();
    steps.push(Step::Hang);
    fake.always(Behaviour { steps });
    let bursar = one(&fake).await;
    for count in 1..=5 {
        let mut reply = bursar.open(Call::stream("one/m")).await;
        reply.until("[DONE]").await;
        reply.hang_up();
        fake.until_aborted(count).await;
    }
    let records = bursar.stop().await.records();
    assert_eq!(by_outcome(&records), HashMap::from([(Outcome::Ok, 5)]));
    assert!(records.iter().all(|record| record.tokens.output == Some(openai::USAGE.1) && !record.estimated));
}

fn by_outcome(records: &[UsageRecord]) -> HashMap<Outcome, usize> {
    let mut counts = HashMap::new();
    for record in records {
        *counts.entry(record.outcome).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn requests_that_reach_nobody_have_a_record_and_broken_ones_have_none() {
    let fake = FakeProvider::start().await;
    let bursar = Setup::new()
        .ranked("one", &fake.url(), &["a"])
        .provider_with("off", &fake.url(), "enabled = false")
        .connection("off:a", "")
        .provider("bare", &fake.url())
        .provider_with("strict", &fake.url(), "unlisted_models = false")
        .connection("strict:a", "enabled = false")
        .providers("[providers.one.models.mute]\ncapabilities = [\"embeddings\"]\n")
        .start()
        .await;
    for (model, status, code) in [
        ("nobody", 404, "unknown_model"),
        ("strict/x", 404, "unknown_model"),
        ("off/m", 503, "unavailable"),
        ("bare/m", 503, "unavailable"),
        ("strict/m", 503, "unavailable"),
        ("one/mute", 400, "capability_missing"),
    ] {
        let reply = bursar.call(Call::chat(model).header("x-bursar-feature", "f")).await;
        assert_refused(&reply, http::StatusCode::from_u16(status).unwrap(), code);
    }
    // Refused before it was a call: no record.
    for body in ["{", "[]", "{}", r#"{"model":"one/m"}"#] {
        assert_eq!(bursar.call(Call::chat("x").body(body)).await.status, 400, "{body}");
    }
    assert!(fake.seen().is_empty());
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), 6, "{records:?}");
    assert!(records.iter().all(|record| record.is_final && record.connection.is_none() && record.cost.is_none()));
    assert!(records.iter().all(|record| record.error.is_some()));
    let outcomes: Vec<Outcome> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes[..5], [[Outcome::Caller; 2].as_slice(), &[Outcome::Unavailable; 3]].concat());
}

#[tokio::test]
async fn embeddings_are_calls_like_others() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/embeddings").always(openai::embeddings(1));
    let lines = "[providers.one.models.e]\nprice = { input = 0.02 }\n";
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).providers(lines).start().await;
    let reply = bursar.call(Call::embed("one/e")).await;
    assert_eq!(reply.json()["data"].as_array().unwrap().len(), 1);
    let record = only_record(bursar).await;
    assert_eq!((record.operation, record.tokens.input), (Operation::Embeddings, Some(openai::USAGE.0)));
    assert_eq!((record.tokens.output, record.cost), (None, Some(NanoUsd(180))));
}

/// The label: the header's, else the body's, else the app's, else `unlabelled`.
#[tokio::test]
async fn a_call_is_labelled_with_what_it_is_for() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let labelled = |label: serde_json::Value| {
        let mut body = chat("one/m");
        body["metadata"] = json!({"bursar_feature": label, "kept": "1"});
        Call::post("/v1/chat/completions", &body)
    };
    let uid = rustix::process::geteuid().as_raw();
    let named = format!("[apps.tests]\nmatch = {{ user = {uid} }}\nfeature = \"of-the-app\"\n");
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).daemon(&named).start().await;
    assert_eq!(bursar.call(labelled(json!("of-the-body")).header("x-bursar-feature", "of-the-head")).await.status, 200);
    assert_eq!(bursar.call(labelled(json!("of-the-body"))).await.status, 200);
    assert_eq!(fake.seen()[1].json()["metadata"], json!({"kept": "1"}), "Bursar's own label is cut out");
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    for bad in ["Of-The-Head", "two words", "-a", "", &"a".repeat(65)] {
        let refused = bursar.call(Call::chat("one/m").header("x-bursar-feature", bad)).await;
        assert_refused(&refused, http::StatusCode::BAD_REQUEST, "invalid_label");
        assert_refused(&bursar.call(labelled(json!(bad))).await, http::StatusCode::BAD_REQUEST, "invalid_label");
    }
    let refused = bursar.call(labelled(json!(5))).await;
    assert_eq!((refused.status, refused.json()["error"]["param"].as_str()), (400, Some("metadata.bursar_feature")));
    assert_eq!(fake.seen().len(), 3);
    let records = bursar.stop().await.records();
    let labels: Vec<_> = records.iter().map(|record| (record.app.as_str(), record.feature.as_str())).collect();
    assert_eq!(labels, [("tests", "of-the-head"), ("tests", "of-the-body"), ("tests", "of-the-app")]);
}

/// Every request of a crowd has its one final record, whatever became of it.
#[tokio::test]
async fn a_crowd_has_one_final_record_each() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).script((0..300).map(|n| match n % 5 {
        0 => Behaviour::from(openai::error(503)),
        1 => openai::error(429).into(),
        2 => Behaviour::reset(),
        3 => openai::error(400).into(),
        _ => openai::chat("ok").into(),
    }));
    fake.for_key(&key_of("one:b")).always(openai::chat("ok"));
    let setup = Setup::new().server("workers = 2").daemon("[usage]\ndurability = \"each\"\n");
    let bursar = setup.ranked("one", &fake.url(), &["a", "b"]).start().await;
    let ids: Vec<String> = stream::iter(0..150)
        .map(|_| async { bursar.call(Call::chat("one/m")).await })
        .buffer_unordered(16)
        .map(|reply| reply.header("x-bursar-request-id").unwrap().to_owned())
        .collect()
        .await;
    let calls = fake.seen().len();
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), calls, "a record for every upstream call");
    let mut finals: Vec<String> =
        records.iter().filter(|record| record.is_final).map(|record| record.request_id.to_string()).collect();
    let mut ids = ids;
    ids.sort();
    finals.sort();
    assert_eq!(finals, ids);
}
