//! `POST /v1/execute` through the socket of a real daemon, answered by the sandbox.

use bursar::adapter::sse;
use bursar::api::Outcome;
use bursar::api::execute::{ExecuteEvent, ExecuteReply, ToolCallDelta};
use serde_json::{Value, json};

use crate::fake::{FakeProvider, gemini, openai};
use crate::harness::{Bursar, Call, Reply, Setup};

const PROVIDERS: &str = r#"
[providers.sandbox]
enabled = true
models.echo = { capabilities = ["chat", "stream", "tools", "json_schema"], price = { input = 1.00, output = 2.00 } }

[[connections]]
provider = "sandbox"
name = "broken"
priority = 1
settings = { fault = { status = 503 } }

[[connections]]
provider = "sandbox"
name = "good"
priority = 2

[[connections]]
provider = "sandbox"
name = "cut"
priority = 3
settings = { fault = { cut_after = 1 } }

[routes.fast]
targets = ["sandbox/echo"]
"#;

async fn bursar() -> Bursar {
    Setup::new().providers(PROVIDERS).start().await
}

async fn ask(bursar: &Bursar, body: &Value) -> Reply {
    bursar.call(Call::post("/v1/execute", body)).await
}

async fn replied(bursar: &Bursar, body: &Value) -> ExecuteReply {
    let reply = ask(bursar, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

async fn streamed(bursar: &Bursar, body: &Value) -> Vec<ExecuteEvent> {
    let reply = ask(bursar, body).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let (mut frames, mut events) = (sse::Reader::new(1 << 20), Vec::new());
    frames.push(&reply.body);
    while let Some(frame) = frames.next_frame().unwrap() {
        let name = std::str::from_utf8(frame.event).unwrap();
        events.push(ExecuteEvent::parse(name, frame.data.as_deref().unwrap()).unwrap().unwrap());
    }
    assert_eq!(frames.pending(), 0);
    events
}

/// A request to the connection that works.
fn asks(input: Value, options: Value) -> Value {
    json!({"model": "sandbox/echo", "connection": "sandbox:good", "input": input, "options": options})
}

fn tool() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": "weather", "parameters": parameters}})
}

#[tokio::test]
async fn a_text_is_answered_with_all_that_is_known_of_the_call() {
    let bursar = bursar().await;
    let body = asks(json!("twelve chars"), json!({"max_output_tokens": 100, "temperature": 0.5, "timeout_ms": 5000}));
    let answer = ask(&bursar, &body).await;
    let mut reply = answer.json();
    assert_eq!((answer.status, answer.header("x-bursar-request-id")), (200, reply["id"].as_str()));
    assert_eq!(answer.header("x-bursar-connection"), Some("sandbox:good"));
    assert_eq!(answer.header("x-bursar-attempts"), Some("1"));
    for (pointer, varying) in [("/id", json!("req")), ("/duration_ms", json!(0)), ("/attempts/0/ms", json!(0))] {
        *reply.pointer_mut(pointer).unwrap() = varying;
    }
    let expected = json!({
        "id": "req",
        "provider": "sandbox",
        "connection": "sandbox:good",
        "model": "echo",
        "output": {"text": "twelve chars", "tool_calls": [], "finish_reason": "stop"},
        "usage": {
            "input_tokens": 7, "output_tokens": 3, "cached_tokens": null, "reasoning_tokens": null, "cost_usd": 0.000_013,
            "estimated": false,
        },
        "attempts": [{"connection": "sandbox:good", "outcome": "ok", "status": 200, "ms": 0}],
        "duration_ms": 0,
    });
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn messages_and_a_limit_are_passed_on() {
    let bursar = bursar().await;
    let messages =
        json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three four"}]);
    let reply = replied(&bursar, &asks(messages, json!({"max_output_tokens": 2}))).await;
    assert_eq!(reply.output.text.as_deref(), Some("one two "));
    assert_eq!(reply.output.finish_reason.as_deref(), Some("length"));
}

#[tokio::test]
async fn a_stream_comes_in_pieces_and_ends_with_the_whole_reply() {
    let bursar = bursar().await;
    let mut events = streamed(&bursar, &asks(json!("one two three"), json!({"stream": true}))).await;
    let Some(ExecuteEvent::Done(reply)) = events.pop() else { panic!("the last event is done") };
    let pieces: Vec<String> = events
        .into_iter()
        .map(|event| match event {
            ExecuteEvent::Text(text) => text.delta,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(pieces, ["one ", "two ", "three"]);
    assert_eq!(reply.output.text.as_deref(), Some("one two three"));
    assert_eq!((reply.usage.tokens.input, reply.usage.tokens.output), (Some(8), Some(4)));
    assert!(reply.usage.cost_usd.is_some() && reply.attempts.len() == 1);
}

#[tokio::test]
async fn a_tool_is_called_at_once_and_in_pieces() {
    let bursar = bursar().await;
    let mut options = json!({"tools": [tool()], "tool_choice": "required"});
    let reply = replied(&bursar, &asks(json!("x"), options.clone())).await;
    let [call] = &reply.output.tool_calls[..] else { panic!("{reply:?}") };
    assert_eq!((reply.output.text, reply.output.finish_reason.as_deref()), (None, Some("tool_calls")));
    assert_eq!(call.name, "weather");
    assert!(serde_json::from_str::<Value>(&call.arguments).unwrap()["city"].is_string());

    options["stream"] = json!(true);
    let mut events = streamed(&bursar, &asks(json!("x"), options)).await;
    let Some(ExecuteEvent::Done(done)) = events.pop() else { panic!("the last event is done") };
    let pieces: Vec<ToolCallDelta> = events
        .into_iter()
        .map(|event| match event {
            ExecuteEvent::ToolCall(piece) => piece,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((pieces[0].index, pieces[0].name.as_deref()), (0, Some("weather")));
    assert!(pieces[1..].iter().all(|piece| piece.id.is_none() && piece.name.is_none()));
    let arguments: String = pieces.iter().map(|piece| piece.arguments_delta.as_str()).collect();
    assert_eq!((&done.output.tool_calls[0].arguments, &arguments), (&call.arguments, &call.arguments));
    assert_eq!(pieces[0].id.as_deref(), Some(done.output.tool_calls[0].id.as_str()));
}

#[tokio::test]
async fn a_reply_keeps_to_the_schema() {
    let bursar = bursar().await;
    let schema =
        json!({"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"], "additionalProperties": false});
    let reply = replied(&bursar, &asks(json!("x"), json!({"response_schema": schema}))).await;
    assert_eq!(serde_json::from_str::<Value>(&reply.output.text.unwrap()).unwrap(), json!({"n": 7}));
}

#[tokio::test]
async fn every_attempt_is_listed_where_the_second_connection_answered() {
    let bursar = bursar().await;
    let reply = replied(&bursar, &json!({"route": "fast", "feature": "test", "input": "hi"})).await;
    let attempts: Vec<_> =
        reply.attempts.iter().map(|one| (one.connection.to_string(), one.outcome.name(), one.status)).collect();
    let broken = || ("sandbox:broken".to_owned(), "transient", Some(503));
    assert_eq!(attempts, [broken(), broken(), ("sandbox:good".to_owned(), "ok", Some(200))]);
    assert_eq!(reply.connection.to_string(), "sandbox:good");
    let records = bursar.stop().await.of_request(reply.id);
    assert!(records.iter().all(|record| record.feature.as_str() == "test"));
    assert_eq!(records.last().map(|last| (last.is_final, last.cost)), Some((true, reply.usage.cost_usd)));
}

#[tokio::test]
async fn a_provider_that_does_not_stream_answers_in_one_piece() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("all at once"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let events = streamed(&bursar, &json!({"model": "one/m", "input": "x", "options": {"stream": true}})).await;
    let [ExecuteEvent::Text(text), ExecuteEvent::Done(reply)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((text.delta.as_str(), reply.output.text.as_deref()), ("all at once", Some("all at once")));
}

#[tokio::test]
async fn a_provider_of_another_dialect_answers_in_the_same_shape() {
    let fake = FakeProvider::start().await;
    fake.script([gemini::chat("hello").into(), gemini::stream(&["hel", "lo"]).reply().whole()]);
    let base = format!("{}/v1beta", fake.url());
    let bursar = Setup::new().provider_of("gemini", "g", &base, "").connection("g:a", "").start().await;
    let reply = replied(&bursar, &json!({"model": "g/m", "input": "x"})).await;
    let mut events = streamed(&bursar, &json!({"model": "g/m", "input": "x", "options": {"stream": true}})).await;
    let Some(ExecuteEvent::Done(done)) = events.pop() else { panic!("the last event is done") };
    assert_eq!(events.len(), 2);
    for reply in [&reply, &done] {
        assert_eq!((reply.model.as_str(), reply.output.text.as_deref()), ("fake-model", Some("hello")));
        let tokens = (reply.usage.tokens.input, reply.usage.tokens.output);
        assert_eq!(tokens, (Some(gemini::USAGE.0), Some(gemini::USAGE.1)));
        assert_eq!((reply.output.finish_reason.as_deref(), reply.attempts.len()), (Some("stop"), 1));
    }
}

#[tokio::test]
async fn an_app_that_hangs_up_leaves_the_provider_too() {
    let fake = FakeProvider::start().await;
    fake.always(openai::opening(&["a", "b"]).reply().hang_after(2));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let body = json!({"model": "one/m", "input": "x", "options": {"stream": true}});
    let mut reply = bursar.open(Call::post("/v1/execute", &body)).await;
    reply.until("\"a\"").await;
    reply.hang_up();
    fake.until_aborted(1).await;
    let outcomes: Vec<_> = bursar.stop().await.records().iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::ClientGone]);
}

#[tokio::test]
async fn a_limit_goes_out_by_openais_name_or_the_providers() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let old = "rename = { max_completion_tokens = \"max_tokens\" }";
    let (new, old) = (Setup::new().provider("new", &fake.url()), Setup::new().provider_with("old", &fake.url(), old));
    for (setup, provider, name) in [(new, "new", "max_completion_tokens"), (old, "old", "max_tokens")] {
        let bursar = setup.connection(&format!("{provider}:a"), "").start().await;
        let body = json!({"model": format!("{provider}/m"), "input": "x", "options": {"max_output_tokens": 9}});
        assert_eq!(ask(&bursar, &body).await.status, 200);
        let sent = fake.seen().pop().unwrap();
        assert_eq!(sent.json()[name], 9, "{:?}", sent.json());
    }
}

#[tokio::test]
async fn without_fallback_the_first_connections_error_is_the_answer() {
    let bursar = bursar().await;
    let alone = json!({"model": "sandbox/echo", "input": "hi", "fallback": false, "options": {"stream": true}});
    let refused = ask(&bursar, &alone).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_error"));
    let call = Call::post("/v1/execute", &json!({"model": "sandbox/echo", "input": "hi"}));
    assert_eq!(bursar.call(call.header("x-bursar-fallback", "off")).await.status, 502);
}

#[tokio::test]
async fn headers_count_where_the_body_says_nothing() {
    let bursar = bursar().await;
    for (body, connection) in
        [(json!({"model": "sandbox/echo", "input": "x"}), "sandbox:cut"), (asks(json!("x"), json!({})), "sandbox:good")]
    {
        // An empty word for the sandbox switches its connection's fault off.
        let call = Call::post("/v1/execute", &body).header("x-bursar-connection", "sandbox:cut");
        let answer = bursar.call(call.header("x-bursar-sandbox", "")).await;
        assert_eq!((answer.status, answer.header("x-bursar-connection")), (200, Some(connection)));
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_with_an_error() {
    let bursar = bursar().await;
    let mut body = asks(json!("one two three"), json!({"stream": true}));
    body["connection"] = json!("sandbox:cut");
    let events = streamed(&bursar, &body).await;
    let [ExecuteEvent::Text(text), ExecuteEvent::Error(error)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((text.delta.as_str(), error.error.code.as_deref()), ("one ", Some("upstream_cut")));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let bursar = bursar().await;
    for (body, status, code, param) in [
        (json!({"model": "sandbox/echo", "inputs": "x"}), 400, "invalid_request", json!("inputs")),
        (json!({"model": "sandbox/echo"}), 400, "invalid_request", json!(null)),
        (json!({"input": "x"}), 400, "invalid_request", json!("model")),
        (json!({"model": "", "input": "x"}), 400, "invalid_request", json!("model")),
        (json!({"model": "sandbox/echo", "input": "x", "feature": "Ü"}), 400, "invalid_label", json!("feature")),
        (json!({"model": "nobody-has-it", "input": "x"}), 404, "unknown_model", json!("model")),
        (json!({"route": "nobody-has-it", "input": "x"}), 404, "unknown_model", json!("route")),
        (json!({"model": "sandbox/echo", "input": "x", "require": ["vision"]}), 400, "capability_missing", json!(null)),
    ] {
        let refused = ask(&bursar, &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{body}: {}", refused.text());
        assert_eq!(refused.json()["error"]["param"], param, "{body}: {}", refused.text());
        assert!(refused.header("x-bursar-request-id").is_some());
    }
}

/// What cannot be read is the provider's failure: another connection is asked, and no record says that all was well.
#[tokio::test]
async fn a_message_of_another_shape_is_a_failure_and_not_recorded_as_ok() {
    let fake = FakeProvider::start().await;
    let odd = [
        json!({"message": {"content": {"text": "x"}}}),
        json!({"message": {"content": 7}}),
        json!({"message": {"content": ["x"]}}),
        json!({"message": {"content": null, "tool_calls": {}}}),
        json!({"message": {"content": null, "tool_calls": [{"function": 7}]}}),
        json!({"message": {"content": "x", "refusal": 7}}),
        json!({"message": {"content": "x"}, "finish_reason": {}}),
    ];
    // One provider for each, so that no connection fails so often that it is left alone.
    let setup = Setup::new().ranked("one", &fake.url(), &["a"]);
    let named = |n: usize| format!("p{n}");
    let setup = (0..odd.len()).fold(setup, |setup, n| setup.ranked(&named(n), &fake.url(), &["a", "b"]));
    let bursar = setup.start().await;
    for (n, choice) in odd.iter().enumerate() {
        let answer = crate::fake::Reply::json(200, &json!({"choices": [choice]}));
        fake.script([answer.clone(), answer, openai::chat("fine")]);
        let reply = replied(&bursar, &json!({"model": format!("{}/m", named(n)), "input": "x"})).await;
        assert_eq!((reply.output.text.as_deref(), reply.attempts.len()), (Some("fine"), 3), "{choice}");
    }
    // These are read.
    for message in [json!({"content": [{"type": "text", "text": "fine"}]}), json!({"content": null, "refusal": "fine"})]
    {
        let body = json!({"model": 7, "choices": [{"message": message, "finish_reason": null}], "error": null});
        fake.script([crate::fake::Reply::json(200, &body)]);
        let reply = replied(&bursar, &json!({"model": "one/m", "input": "x"})).await;
        assert_eq!((reply.output.text.as_deref(), reply.attempts.len()), (Some("fine"), 1), "{message}");
    }
    let records = bursar.stop().await.records();
    let ok = records.iter().filter(|record| record.outcome == Outcome::Ok).count();
    assert_eq!((ok, records.len()), (odd.len() + 2, 3 * odd.len() + 2));
}
