//! What else than chats passes to the providers that have it: answers of the newer kind, pictures, speech, judgements.

use std::collections::BTreeMap;

use bursar::api::{Operation, UsageRecord};
use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Reply, openai};
use crate::harness::{Setup, key_of};
use crate::upstreams::{TEXTS, Upstreams};
use crate::{no_client_key, tells, tool};

/// What the speech is.
const SOUND: &[u8] = &[0, 255, 10, 13];

#[tokio::test]
async fn openais_sdk_for_python_beyond_chats() {
    if let Some(python) = tool("BURSAR_TEST_PYTHON", "the openai SDK for Python, beyond chats") {
        check(&[&python, "operations.py"]).await;
    }
}

#[tokio::test]
async fn openais_sdk_for_node_beyond_chats() {
    if tool("BURSAR_TEST_NODE_MODULES", "the openai SDK for Node, beyond chats").is_some() {
        check(&["node", "operations.mjs"]).await;
    }
}

/// As the Vercel AI SDK speaks to OpenAI unless it is told otherwise.
#[tokio::test]
async fn vercels_sdk_as_it_comes() {
    if tool("BURSAR_TEST_NODE_MODULES", "the Vercel AI SDK as it comes").is_none() {
        return;
    }
    let fake = FakeProvider::start().await;
    let mut facts = BTreeMap::new();
    let answer = |text: &str| json!({"text": text, "finish": "stop", "input": 9, "output": 2});
    facts.insert("chat openai".into(), answer("Hello there"));
    facts.insert("stream openai".into(), answer("one two three"));
    let mut fails = |check: &str, status: u16, kind: &str| {
        facts.insert(check.into(), json!({"class": "APICallError", "status": status, "kind": kind}));
    };
    fails("unknown model", 404, "unknown_model");
    fails("caller openai", 400, "bad_value");
    fails("rate openai", 429, "rate_limited");
    fails("credential openai", 502, "upstream_auth");
    let bursar = tells(&["node", "vercel.mjs", "responses"], &script(&fake), facts).await;
    no_client_key(&fake.seen());
    for record in bursar.stop().await.records() {
        assert_eq!(record.operation, Operation::Responses);
    }
}

async fn check(command: &[&str]) {
    let fake = FakeProvider::start().await;
    let bursar = tells(command, &script(&fake), facts()).await;
    let seen = fake.seen();
    no_client_key(&seen);
    let asked = |check: &str| {
        let key = key_of(&format!("openai-{check}:main"));
        seen.iter().find(|one| one.key() == Some(&key)).unwrap_or_else(|| panic!("nobody asked for {check}"))
    };
    for (check, path) in [
        ("responses", "/v1/responses"),
        ("images", "/v1/images/generations"),
        ("speech", "/v1/audio/speech"),
        ("moderation", "/v1/moderations"),
    ] {
        let request = asked(check);
        assert_eq!((request.bare_path(), &request.json()["model"]), (path, &json!("m")));
    }
    let request = asked("transcription");
    assert_eq!(request.bare_path(), "/v1/audio/transcriptions");
    let form = String::from_utf8_lossy(&request.body);
    let fields: String = form.split_whitespace().collect();
    assert!(fields.contains("name=\"model\"m--"), "the provider's own name of the model is in the form");
    let sound: Vec<u8> = (0..=255).cycle().take(256 * 64).collect();
    assert!(request.body.windows(sound.len()).any(|bytes| bytes == sound), "the sound passes as it is");
    recorded(&bursar.stop().await.records());
}

fn recorded(records: &[UsageRecord]) {
    for (check, operation, stream, tokens) in [
        ("responses", Operation::Responses, false, Some((9, 2))),
        ("responses-stream", Operation::Responses, true, Some((9, 2))),
        ("images", Operation::Images, false, Some((9, 2))),
        ("speech", Operation::Speech, false, None),
        ("transcription", Operation::Transcription, false, Some((9, 2))),
        ("moderation", Operation::Moderation, false, None),
    ] {
        let slug = format!("openai-{check}");
        let of = |one: &&UsageRecord| one.provider.as_ref().is_some_and(|provider| provider.as_str() == slug);
        let all: Vec<_> = records.iter().filter(of).collect();
        let [record] = all[..] else { panic!("{slug}: {} records", all.len()) };
        assert_eq!((record.operation, record.stream), (operation, stream), "{slug}");
        if let Some((input, output)) = tokens {
            assert_eq!((record.tokens.input, record.tokens.output), (Some(input), Some(output)), "{slug}");
        }
    }
}

fn facts() -> BTreeMap<String, Value> {
    let fails = |class: &str, status: u16, kind: &str| json!({"class": class, "status": status, "kind": kind});
    let facts = json!({
        "responses": {"text": "Hello there", "status": "completed", "input": 9, "output": 2},
        "responses stream": {"text": "one two three", "end": "response.completed", "input": 9, "output": 2},
        "images": {"data": "AAAA", "input": 9, "output": 2},
        "speech": {"bytes": SOUND, "type": "audio/mpeg"},
        "transcription": "Hello there",
        "moderation": {"flagged": false},
        "unknown model": fails("NotFoundError", 404, "unknown_model"),
        "no such operation": fails("BadRequestError", 400, "capability_missing"),
        "caller": fails("BadRequestError", 400, "bad_value"),
    });
    facts.as_object().unwrap().clone().into_iter().collect()
}

fn script(fake: &FakeProvider) -> Setup {
    let mut all = Upstreams::new(fake, Setup::new());
    let mut add = |check: &str, does: Behaviour| all.of_kind("openai", &format!("openai-{check}"), [does]);
    let tokens = json!({"input_tokens": 9, "output_tokens": 2, "total_tokens": 11});
    for check in ["responses", "chat"] {
        add(check, Reply::json(200, &response("completed", "Hello there")).into());
    }
    for check in ["responses-stream", "stream"] {
        add(check, response_stream().into());
    }
    add("images", Reply::json(200, &json!({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": tokens})).into());
    add("speech", Reply::new(200, "audio/mpeg", SOUND).into());
    let mut counted = tokens.clone();
    counted["type"] = json!("tokens");
    add("transcription", Reply::json(200, &json!({"text": "Hello there", "usage": counted})).into());
    let judged = json!({"flagged": false, "categories": {}, "category_scores": {}, "category_applied_input_types": {}});
    add("moderation", Reply::json(200, &json!({"id": "modr", "model": openai::MODEL, "results": [judged]})).into());
    add("caller", openai::error_with(400, "invalid_request_error", &json!("bad_value")).into());
    add("rate", openai::error(429).retry_after(3).into());
    add("credential", openai::error(401).into());
    all.of_kind("gemini", "gemini-chat", Vec::<Behaviour>::new());
    all.setup
}

/// Source: OpenAI's API reference, "The response object".
fn response(status: &str, text: &str) -> Value {
    let mut usage = Value::Null;
    let mut output = json!([]);
    if status == "completed" {
        usage = json!({
            "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 11,
        });
        output = json!([item(status, text)]);
    }
    json!({
        "id": "resp_fake", "object": "response", "created_at": 1, "status": status, "model": openai::MODEL,
        "error": null, "incomplete_details": null, "instructions": null, "metadata": {}, "output": output,
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": usage,
    })
}

fn item(status: &str, text: &str) -> Value {
    let content = if text.is_empty() { json!([]) } else { json!([part(text)]) };
    json!({"id": "msg_fake", "type": "message", "role": "assistant", "status": status, "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

/// Source: OpenAI's API reference, "Streaming events".
fn response_stream() -> Events {
    let mut number = 0;
    let mut events = Events::new();
    let mut add = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        data["sequence_number"] = json!(number);
        number += 1;
        events = std::mem::take(&mut events).event(name, &data);
    };
    let whole = TEXTS.concat();
    let place = |data: Value| {
        let mut placed = json!({"item_id": "msg_fake", "output_index": 0, "content_index": 0});
        placed.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        placed
    };
    add("response.created", json!({"response": response("in_progress", "")}));
    add("response.in_progress", json!({"response": response("in_progress", "")}));
    add("response.output_item.added", json!({"output_index": 0, "item": item("in_progress", "")}));
    add("response.content_part.added", place(json!({"part": part("")})));
    for text in TEXTS {
        add("response.output_text.delta", place(json!({"delta": text, "logprobs": []})));
    }
    add("response.output_text.done", place(json!({"text": whole, "logprobs": []})));
    add("response.content_part.done", place(json!({"part": part(&whole)})));
    add("response.output_item.done", json!({"output_index": 0, "item": item("completed", &whole)}));
    add("response.completed", json!({"response": response("completed", &whole)}));
    events
}
