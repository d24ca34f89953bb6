//! What is counted of streams, and of calls that are no chats: figures that other gateways lose, here to the token.

use bursar::api::{CostSource, NanoUsd, Operation, Outcome, Tokens, UsageRecord};
use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Reply as Answer, anthropic, gemini, openai};
use crate::harness::{Bursar, Call, Setup};

async fn one(fake: &FakeProvider) -> Bursar {
    Setup::new().ranked("one", &fake.url(), &["a"]).start().await
}

/// The only record that a streamed chat leaves where the provider behaves so.
async fn streamed(provider: impl Into<Behaviour>) -> UsageRecord {
    let fake = FakeProvider::start().await;
    fake.always(provider);
    let bursar = one(&fake).await;
    bursar.call(Call::stream("one/m")).await;
    only(bursar.stop().await.records())
}

fn only(mut records: Vec<UsageRecord>) -> UsageRecord {
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

/// A chunk with a usage, and with choices beside it or not.
fn chunk(choices: &Value, usage: &Value) -> Value {
    json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage})
}

fn usage(input: u64, output: u64) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

#[tokio::test]
async fn usage_beside_the_last_choice_counts_as_well_as_usage_alone() {
    let last = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let record = streamed(openai::opening(&["a"]).json(&chunk(&last, &usage(100, 7))).data(openai::DONE)).await;
    assert_eq!((record.tokens.input, record.tokens.output, record.estimated), (Some(100), Some(7), false));
    assert_eq!(record.cost, Some(NanoUsd(320_000)));
}

#[tokio::test]
async fn of_several_usages_the_last_that_says_anything_counts() {
    let text = json!([{"index": 0, "delta": {"content": "a"}}]);
    let events = openai::opening(&["a"])
        .json(&chunk(&text, &usage(100, 1)))
        .json(&chunk(&text, &usage(100, 2)))
        .json(&chunk(&text, &Value::Null))
        .json(&openai::finish())
        .data(openai::DONE);
    let record = streamed(events).await;
    assert_eq!((record.tokens.input, record.tokens.output), (Some(100), Some(2)));
}

/// One slip of a provider's must not use up a budget, shut a connection, or drown the sums.
#[tokio::test]
async fn a_figure_that_cannot_be_is_taken_for_not_told() {
    for figure in [u64::MAX / 2, bursar::bounds::USAGE_FIGURE_MAX + 1] {
        let fake = FakeProvider::start().await;
        fake.always(openai::chat_with("three words here", Some((figure, figure))));
        let bursar = one(&fake).await;
        assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
        bursar.until_logged("counts more than can be").await;
        let record = only(bursar.stop().await.records());
        assert!(record.estimated && record.tokens.total() < 100, "{record:?}");
    }
}

#[tokio::test]
async fn an_explicit_zero_is_a_figure() {
    let zeros = json!({"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0}, "cost": 0});
    let record =
        streamed(openai::opening(&[]).json(&openai::finish()).json(&chunk(&json!([]), &zeros)).data(openai::DONE))
            .await;
    let tokens = Tokens {
        input: Some(9),
        output: Some(0),
        cached: Some(0),
        reasoning: Some(0),
        audio_input: Some(0),
        ..Tokens::default()
    };
    assert_eq!((record.tokens, record.estimated), (tokens, false));
    assert_eq!(
        (record.cost, record.cost_source),
        (Some(NanoUsd(0)), Some(CostSource::Provider)),
        "free is a price too"
    );
}

/// Cut before the first token, in the middle, and after the usage: what is known is kept, what is not is estimated, and
/// all of it is marked.
#[tokio::test]
async fn a_stream_that_is_cut_keeps_what_it_told() {
    let middle = streamed(openai::opening(&["Hello, ", "world"]).reply().cut_after(3)).await;
    assert_eq!((middle.outcome, middle.partial, middle.estimated), (Outcome::Cut, true, true));
    assert_eq!(middle.tokens.output, Some(3), "twelve bytes");
    assert!(middle.tokens.input.is_some() && middle.cost_source == Some(CostSource::Prices));
    let told = openai::opening(&["Hello"]).json(&chunk(&json!([]), &usage(40, 9)));
    let told = streamed(told.reply().cut_after(4)).await;
    assert_eq!((told.tokens.input, told.tokens.output), (Some(40), Some(9)));
    assert_eq!((told.partial, told.estimated), (true, true));
    let error = openai::opening(&["Hello"]).json(&json!({"error": {"message": "overloaded", "type": "server_error"}}));
    let error = streamed(error).await;
    assert_eq!((error.outcome, error.partial, error.tokens.output), (Outcome::Cut, true, Some(2)));
    let fake = FakeProvider::start().await;
    fake.always(openai::opening(&[]).reply().cut_after(1));
    let bursar = one(&fake).await;
    assert_eq!(bursar.call(Call::stream("one/m")).await.status, 502);
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|one| one.tokens.is_unknown() && !one.partial && one.cost.is_none()), "{records:?}");
}

#[tokio::test]
async fn an_incomplete_response_is_counted_in_full() {
    let used = json!({"input_tokens": 30, "input_tokens_details": {"cached_tokens": 10}, "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 15}, "total_tokens": 50});
    let events = Events::new()
        .json(&json!({"type": "response.created", "response": {"model": "m", "usage": null}}))
        .json(&json!({"type": "response.output_text.delta", "delta": "hi"}))
        .json(&json!({"type": "response.incomplete", "response": {"model": "m", "usage": used}}));
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/responses").always(events);
    let bursar = one(&fake).await;
    let body = json!({"model": "one/m", "input": "hi", "stream": true});
    assert_eq!(bursar.call(Call::post("/v1/responses", &body)).await.status, 200);
    let record = only(bursar.stop().await.records());
    assert_eq!((record.operation, record.outcome), (Operation::Responses, Outcome::Ok));
    let tokens =
        Tokens { input: Some(30), output: Some(20), cached: Some(10), reasoning: Some(15), ..Tokens::default() };
    assert_eq!((record.tokens, record.estimated), (tokens, false));
}

#[tokio::test]
async fn calls_that_are_no_chats_are_counted_in_what_they_are_billed_by() {
    let fake = FakeProvider::start().await;
    let lines = "[providers.one.models.picture]\nprice = { image = 0.04 }\n\
        [providers.one.models.voice]\nprice = { characters = 15.00 }\n\
        [providers.one.models.ear]\nprice = { audio_minute = 0.006 }\n\
        [providers.one.models.judge]\nprice = { input = 0, output = 0 }\n";
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).providers(lines).start().await;
    fake.for_path("/v1/images/generations").always(Answer::json(200, &json!({"data": [{"url": "a"}, {"url": "b"}]})));
    fake.for_path("/v1/audio/speech").always(Answer::new(200, "audio/mpeg", "ID3"));
    let heard = json!({"text": "hi", "usage": {"type": "duration", "seconds": 90}});
    fake.for_path("/v1/audio/transcriptions").always(Answer::json(200, &heard));
    fake.for_path("/v1/moderations").always(Answer::json(200, &json!({"id": "x", "model": "judge", "results": []})));
    let calls = [
        Call::post("/v1/images/generations", &json!({"model": "one/picture", "prompt": "a cat"})),
        Call::post("/v1/audio/speech", &json!({"model": "one/voice", "input": "Grüße", "voice": "alloy"})),
        Call::post("/v1/moderations", &json!({"model": "one/judge", "input": "hi"})),
    ];
    for call in calls {
        assert_eq!(bursar.call(call.clone()).await.status, 200, "{call:?}");
    }
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\none/ear\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nID3\r\n--b--\r\n";
    let form = Call::new(http::Method::POST, "/v1/audio/transcriptions").body(form);
    assert_eq!(bursar.call(form.header("content-type", "multipart/form-data; boundary=b")).await.status, 200);
    let records = bursar.stop().await.records();
    let of = |operation| records.iter().find(|record| record.operation == operation).unwrap();
    let pictures = of(Operation::Images);
    assert_eq!((pictures.tokens.images, pictures.cost), (Some(2), Some(NanoUsd(80_000_000))));
    let voice = of(Operation::Speech);
    assert_eq!((voice.tokens.characters, voice.cost), (Some(5), Some(NanoUsd(75_000))));
    let ear = of(Operation::Transcription);
    assert_eq!((ear.tokens.audio_ms, ear.cost), (Some(90_000), Some(NanoUsd(9_000_000))));
    let judge = of(Operation::Moderation);
    assert_eq!((judge.tokens.is_unknown(), judge.cost), (true, Some(NanoUsd(0))));
    assert!(records.iter().all(|record| !record.estimated && !record.partial));
}

/// The same words of OpenAI's app, served by each kind of provider.
#[tokio::test]
async fn what_each_kind_of_provider_writes_to_its_cache_is_told_apart() {
    let fake = FakeProvider::start().await;
    let written = json!({"input_tokens": 10, "cache_creation_input_tokens": 50, "cache_read_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 5, "server_tool_use": {"web_search_requests": 2}});
    let mut message: Value =
        json!({"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"});
    message["content"] = json!([{"type": "text", "text": "ok"}]);
    message["usage"] = written;
    fake.for_path("/v1/messages").always(Answer::json(200, &message));
    let price = "price = { input = 1.00, cached_input = 0.10, cache_write = 1.25, cache_write_1h = 2.00, output = 5.00, \
        search = 0.01 }";
    let setup = Setup::new()
        .provider_of("anthropic", "claude", &format!("{}/v1", fake.url()), "")
        .connection("claude:a", "")
        .providers(&format!("[providers.claude.models.c]\n{price}\n"));
    let bursar = setup.start().await;
    assert_eq!(bursar.call(Call::chat("claude/c")).await.status, 200);
    let record = only(bursar.stop().await.records());
    let tokens = Tokens {
        input: Some(100),
        output: Some(5),
        cached: Some(40),
        cache_write: Some(50),
        cache_write_1h: Some(30),
        searches: Some(2),
        ..Tokens::default()
    };
    assert_eq!(record.tokens, tokens);
    // 10 × 1 + 40 × 0.10 + 20 × 1.25 + 30 × 2 + 5 × 5 millionths, and two searches.
    assert_eq!(record.cost, Some(NanoUsd(124_000 + 20_000_000)));
}

#[tokio::test]
async fn streams_of_other_formats_that_break_off_are_estimated_too() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/messages").always(anthropic::beginning(&["Hello, ", "world"]));
    let generate = "/v1beta/models/m:streamGenerateContent";
    fake.for_path(generate).always(Events::new().json(&gemini::piece("Hello, world", None)));
    let setup = Setup::new()
        .provider_of("anthropic", "claude", &format!("{}/v1", fake.url()), "")
        .connection("claude:a", "")
        .provider_of("gemini", "google", &format!("{}/v1beta", fake.url()), "")
        .connection("google:a", "");
    let bursar = setup.start().await;
    for model in ["claude/m", "google/m"] {
        bursar.call(Call::stream(model)).await;
    }
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), 2, "{records:?}");
    for record in records {
        assert_eq!((record.outcome, record.partial, record.estimated), (Outcome::Cut, true, true), "{record:?}");
        assert!(record.tokens.input.is_some() && record.tokens.output.is_some_and(|output| output > 0), "{record:?}");
    }
}
