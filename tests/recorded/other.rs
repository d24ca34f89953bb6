//! The same replies for apps that speak Anthropic's dialect or Google's: the provider's own, whose bytes pass, or another
//! one, into which they are translated.

use std::collections::BTreeMap;

use bursar::adapter::{self, Dialect};
use bursar::api::Operation;
use serde_json::{Map, Value, json};

use crate::case::{Case, MODEL};
use crate::compare::{accepted, alternatives};
use crate::facts::events;
use crate::harness::{Call, Reply};

/// The dialects that apps speak beside OpenAI's.
pub const DIALECTS: [Dialect; 2] = [Dialect::Anthropic, Dialect::Gemini];

/// The call that shows what becomes of the reply in this dialect; none where it has no place for it.
pub fn call(case: &Case, dialect: Dialect) -> Option<Call> {
    // The older form of calls is OpenAI's alone.
    if case.operation() != Operation::Chat || case.expected.get("function_call").is_some() {
        return None;
    }
    let model = format!("{}/{MODEL}", case.slug());
    Some(match dialect {
        Dialect::Anthropic => {
            let said = json!([{"role": "user", "content": "Hello"}]);
            let stream = case.is_stream();
            Call::post("/v1/messages", &json!({"model": model, "max_tokens": 99, "messages": said, "stream": stream}))
        }
        _ => {
            let method = if case.is_stream() { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let said = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
            Call::post(&format!("/v1beta/models/{model}:{method}"), &said)
        }
    })
}

/// How what the app was given differs from the facts.
pub fn differences(case: &Case, dialect: Dialect, reply: &Reply) -> Vec<String> {
    let wrong = std::iter::once(case.expected.clone()).chain(alternatives(&case.expected));
    let wrong = wrong.map(|expected| differ(case, &expected, dialect, reply));
    wrong.min_by_key(Vec::len).expect("there is one alternative at least")
}

fn differ(case: &Case, expected: &Value, dialect: Dialect, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, found: &Value, wanted: &[&Value]| {
        if !wanted.contains(&found) {
            wrong.push(format!("{what} is {found}, not {}", wanted[0]));
        }
    };
    same("status", &json!(reply.status), &accepted(expected, "status").collect::<Vec<_>>());
    let own = &expected["messages"];
    if reply.status >= 400 {
        let body = reply.json();
        let kind = body["error"]["type"].as_str().or(body["error"]["status"].as_str());
        same("whether an error has a type", &json!(kind.is_some()), &[&json!(true)]);
        if dialect == Dialect::Anthropic && own["status"] == reply.status {
            same("error_type", &body["error"]["type"], &[&own["error_type"]]);
        }
        return wrong;
    }
    let passes = adapter::for_kind(case.kind()).is_some_and(|adapter| adapter.facts().dialect == Some(dialect));
    if passes && expected["error_class"] == "none" {
        let sent = std::str::from_utf8(&case.body).unwrap();
        same("whether the bytes passed", &json!(reply.text().trim_end() == sent.trim_end()), &[&json!(true)]);
    }
    // Google's streamed arguments are put together by whoever gets them.
    if passes && case.body.windows(13).any(|bytes| bytes == b"\"partialArgs\"") {
        return wrong;
    }
    let found = match (dialect, case.is_stream()) {
        (Dialect::Anthropic, false) => of_message(&reply.json()),
        (Dialect::Anthropic, true) => of_message(&gathered(reply.text())),
        (_, false) => of_chunks(&[reply.json()]),
        (_, true) => of_chunks(&data(reply.text())),
    };
    // Only OpenAI tells a refusal from what else is said.
    let refused =
        json!([&expected["text"], &expected["refusal"]].map(|text| text.as_str().unwrap_or_default()).concat());
    same("text", &found["text"], &[&expected["text"], &refused]);
    same("tool_calls", &found["tool_calls"], &accepted(expected, "tool_calls").collect::<Vec<_>>());
    if dialect == Dialect::Anthropic && passes && expected["error_class"] == "none" {
        same("stop_reason", &found["stop_reason"], &[&own["stop_reason"]]);
        for (name, figure) in own["usage"].as_object().into_iter().flatten() {
            same(name, &found["usage"][name], &[figure]);
        }
    }
    wrong
}

/// The data of a stream's events; what is no JSON is nobody's.
fn data(text: &str) -> Vec<Value> {
    events(text)
        .iter()
        .map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}")))
        .collect()
}

/// The facts of a message of Anthropic's.
fn of_message(message: &Value) -> Value {
    let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |kind: &'static str| blocks.iter().filter(move |block| block["type"] == kind);
    let text: String = of("text").filter_map(|block| block["text"].as_str()).collect();
    let calls: Vec<_> = of("tool_use").map(|call| json!({"name": call["name"], "arguments": call["input"]})).collect();
    json!({"text": text, "tool_calls": calls, "stop_reason": message["stop_reason"], "usage": message["usage"]})
}

/// The message of a stream of Anthropic's, put together as clients do.
fn gathered(stream: &str) -> Value {
    let (mut message, mut blocks, mut inputs) = (Map::new(), BTreeMap::new(), BTreeMap::<u64, String>::new());
    for event in data(stream) {
        let index = event["index"].as_u64().unwrap_or_default();
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].as_object().unwrap().clone(),
            "content_block_start" => drop(blocks.insert(index, event["content_block"].clone())),
            "content_block_delta" => {
                let (delta, block): (_, &mut Value) = (&event["delta"], blocks.get_mut(&index).expect("a block"));
                if let Some(text) = delta["text"].as_str() {
                    block["text"] = json!(block["text"].as_str().unwrap_or_default().to_owned() + text);
                }
                *inputs.entry(index).or_default() += delta["partial_json"].as_str().unwrap_or_default();
            }
            "message_delta" => {
                message.insert("stop_reason".into(), event["delta"]["stop_reason"].clone());
                let usage = message["usage"].as_object_mut().expect("a message has usage");
                usage.extend(event["usage"].as_object().cloned().unwrap_or_default());
            }
            _ => {}
        }
    }
    for (index, input) in inputs.into_iter().filter(|(_, input)| !input.is_empty()) {
        // Where a stream was cut, so is the input.
        let block: &mut Value = blocks.get_mut(&index).expect("a block");
        block["input"] = serde_json::from_str(&input).unwrap_or_default();
    }
    message.insert("content".into(), blocks.into_values().collect());
    message.into()
}

/// The facts of an answer of Google's, whole or in chunks.
fn of_chunks(chunks: &[Value]) -> Value {
    let mut text = String::new();
    let mut calls = Vec::new();
    for chunk in chunks {
        let candidates = chunk["candidates"].as_array().into_iter().flatten();
        let first = candidates.filter(|candidate| candidate["index"].as_u64().is_none_or(|index| index == 0));
        for part in first.flat_map(|candidate| candidate["content"]["parts"].as_array().into_iter().flatten()) {
            if part["thought"] != true {
                text += part["text"].as_str().unwrap_or_default();
            }
            if let Some(call) = part["functionCall"].as_object() {
                let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
                calls.push(json!({"name": call["name"], "arguments": arguments}));
            }
        }
    }
    json!({"text": text, "tool_calls": calls})
}
