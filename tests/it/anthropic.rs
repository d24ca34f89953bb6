//! Anthropic's API, asked by apps of OpenAI's dialect through a real daemon.

use serde_json::{Value, json};

use crate::fake::{Events, FakeProvider, Reply as Answer, openai};
use crate::harness::{Bursar, Call, Setup, key_of};

/// A provider that speaks Anthropic's format, with a model whose answers are known to be limited.
async fn daemon(fake: &FakeProvider) -> Bursar {
    let known = "[providers.a.models.known]\nmax_output_tokens = 4_096\n";
    let setup = Setup::new().provider_of("anthropic", "a", &format!("{}/v1", fake.url()), known);
    setup.connection("a:main", "").start().await
}

fn message(text: &str) -> Answer {
    Answer::json(
        200,
        &json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 9, "output_tokens": 2},
        }),
    )
}

#[tokio::test]
async fn a_call_goes_out_as_the_reference_wants_it_and_asks_for_no_more_than_the_model_can() {
    let fake = FakeProvider::start().await;
    fake.always(message("hello"));
    let bursar = daemon(&fake).await;
    for model in ["a/known", "a/m"] {
        assert_eq!(bursar.call(Call::chat(model)).await.content(), "hello");
    }
    let seen = fake.seen();
    assert_eq!((seen[0].path.as_str(), seen[0].key()), ("/v1/messages", Some(key_of("a:main").as_str())));
    assert_eq!(seen[0].header("anthropic-version"), Some("2023-06-01"));
    let asked: Vec<Value> = seen.iter().map(|request| request.json()["max_tokens"].clone()).collect();
    assert_eq!(asked, [json!(4_096), json!(32_000)], "what the catalogue says, else what every model can");
}

#[tokio::test]
async fn a_stream_that_ends_without_message_stop_is_cut() {
    let fake = FakeProvider::start().await;
    let event = |data: Value| (data["type"].as_str().unwrap_or_default().to_owned(), data);
    let events = [
        event(json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 9}}})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "half"}})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})),
    ];
    fake.always(events.iter().fold(Events::new(), |all, (name, data)| all.event(name, data)));
    let bursar = daemon(&fake).await;
    let text = bursar.call(Call::stream("a/m")).await.text().to_owned();
    assert!(text.contains("half") && text.contains("\"error\"") && !text.contains("\"stop\""), "{text}");
    let records = bursar.stop().await.records();
    assert_eq!(records.iter().map(|record| record.outcome.name()).collect::<Vec<_>>(), ["cut"]);
}

/// Anthropic's SDKs show the id that stands in the body.
#[tokio::test]
async fn an_error_names_its_request_in_the_body_as_in_the_head() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(400));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let body = |model: &str| json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    for asked in [body("nobody"), body("one/m"), json!({"model": 5})] {
        let reply = bursar.call(Call::post("/v1/messages", &asked)).await;
        let id = reply.header("x-bursar-request-id").unwrap().to_owned();
        assert_eq!(reply.json()["request_id"].as_str(), Some(id.as_str()), "{}", reply.text());
    }
    bursar.stop().await;
}
