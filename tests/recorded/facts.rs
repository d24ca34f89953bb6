//! The facts of what an app was given, read from OpenAI's dialect, and those of a usage record.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::api::{Operation, UsageRecord};
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::harness::Reply;

/// How many numbers of the first vector are facts.
const FIRST_VALUES: usize = 4;

type Facts = Map<String, Value>;

/// What a connection's test found.
pub fn of_test(reply: &Reply) -> Facts {
    let found = reply.json();
    facts(json!({"status": found["status"], "error_class": class(&found["outcome"]), "models": found["models"]}))
}

/// What an app was given.
pub fn of_reply(case: &Case, reply: &Reply) -> Facts {
    let mut found = if reply.status >= 400 {
        facts(json!({"error_message": reply.json()["error"]["message"]}))
    } else if case.is_stream() {
        of_stream(reply.text())
    } else {
        of_body(case.operation(), &reply.json())
    };
    if reply.status == 200 && case.passes() && case.expected["error_class"] == "none" {
        found.insert("same_bytes".into(), json!(reply.text().trim_end() == case.passing().trim_end()));
    }
    found.insert("status".into(), json!(reply.status));
    found
}

/// Adds what the usage record says.
pub fn add_record(found: &mut Facts, record: &UsageRecord) {
    let record = serde_json::to_value(record).unwrap();
    found.insert("error_class".into(), class(&record["outcome"]));
    found.insert("record_error".into(), record["error"].clone());
    let names = ["input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "estimated"];
    let usage: Map<_, _> = names.iter().map(|&name| (name.to_owned(), record[name].clone())).collect();
    found.insert("usage".into(), Value::Object(usage));
}

fn class(outcome: &Value) -> Value {
    if outcome == "ok" { json!("none") } else { outcome.clone() }
}

fn facts(object: Value) -> Facts {
    let Value::Object(facts) = object else { panic!("facts are an object") };
    facts
}

fn of_body(operation: Operation, body: &Value) -> Facts {
    let mut found = match operation {
        Operation::Embeddings => facts(json!({"embeddings": embeddings(body)})),
        _ => {
            let choices = body["choices"].as_array().unwrap().iter().enumerate();
            in_order(choices.map(|(place, choice)| (index(choice, place), of_message(choice))).collect())
        }
    };
    found.insert("shown_usage".into(), body["usage"].clone());
    found
}

fn of_message(choice: &Value) -> Facts {
    let message = &choice["message"];
    let text = match &message["content"] {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        content => content.as_str().unwrap_or_default().to_owned(),
    };
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let calls: Vec<_> = calls.iter().map(|call| called(&call["function"])).collect();
    let mut found = facts(json!({"text": text, "tool_calls": calls, "finish_reason": choice["finish_reason"]}));
    if message["refusal"].as_str().is_some_and(|text| !text.is_empty()) {
        found.insert("refusal".into(), message["refusal"].clone());
    }
    if message["function_call"].is_object() {
        found.insert("function_call".into(), called(&message["function_call"]));
    }
    found
}

/// A call with its arguments parsed; none at all are an empty object.
fn called(function: &Value) -> Value {
    let arguments = function["arguments"].as_str().unwrap_or_default();
    let parsed = if arguments.is_empty() { json!({}) } else { serde_json::from_str(arguments).unwrap() };
    json!({"name": function["name"], "arguments": parsed})
}

fn index(choice: &Value, place: usize) -> u64 {
    choice["index"].as_u64().unwrap_or(place as u64)
}

/// The first choice is the reply, the others stand beside it.
fn in_order(mut choices: BTreeMap<u64, Facts>) -> Facts {
    let (_, mut found) = choices.pop_first().unwrap_or_default();
    if !choices.is_empty() {
        found.insert("more_choices".into(), choices.into_values().map(Value::Object).collect());
    }
    found
}

/// One choice of a stream, as far as it has come.
#[derive(Default)]
struct Choice {
    text: String,
    refusal: String,
    calls: BTreeMap<u64, (Value, String)>,
    finish: Value,
}

impl Choice {
    fn take(&mut self, choice: &Value) {
        let delta = &choice["delta"];
        self.text += delta["content"].as_str().unwrap_or_default();
        self.refusal += delta["refusal"].as_str().unwrap_or_default();
        for (place, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let (name, arguments) = self.calls.entry(index(call, place)).or_default();
            if name.is_null() {
                *name = call["function"]["name"].clone();
            }
            *arguments += call["function"]["arguments"].as_str().unwrap_or_default();
        }
        if !choice["finish_reason"].is_null() {
            self.finish = choice["finish_reason"].clone();
        }
    }

    fn facts(self) -> Facts {
        let calls = self.calls.into_values().map(|(name, text)| called(&json!({"name": name, "arguments": text})));
        let calls: Vec<_> = calls.collect();
        let mut found = facts(json!({"text": self.text, "tool_calls": calls, "finish_reason": self.finish}));
        if !self.refusal.is_empty() {
            found.insert("refusal".into(), json!(self.refusal));
        }
        found
    }
}

fn of_stream(text: &str) -> Facts {
    let mut choices: BTreeMap<u64, Choice> = BTreeMap::new();
    let (mut error, mut usage) = (None, Value::Null);
    let mut events = events(text);
    // A stream ends in one of two ways, and an app can tell which.
    let done = events.pop_if(|data| data == "[DONE]").is_some();
    let late = events.iter().any(|data| data == "[DONE]");
    for data in events.iter().filter(|data| *data != "[DONE]") {
        let chunk: Value = serde_json::from_str(data).unwrap();
        if !chunk["error"].is_null() {
            error = Some(chunk["error"]["message"].clone());
        }
        if !chunk["usage"].is_null() {
            usage = chunk["usage"].clone();
        }
        for (place, choice) in chunk["choices"].as_array().into_iter().flatten().enumerate() {
            choices.entry(index(choice, place)).or_default().take(choice);
        }
    }
    let mut found = in_order(choices.into_iter().map(|(index, choice)| (index, choice.facts())).collect());
    if late || done == error.is_some() {
        found.insert("bad_end".into(), json!({"done": done, "error": error, "events_after_done": late}));
    }
    found.insert("error_message".into(), error.unwrap_or_default());
    found.insert("shown_usage".into(), usage);
    found
}

/// The data of a stream's events, as the HTML standard reads them.
pub fn events(text: &str) -> Vec<String> {
    let (mut events, mut data) = (Vec::new(), Vec::new());
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                events.push(std::mem::take(&mut data).join("\n"));
            }
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value).to_owned());
        }
    }
    assert!(data.is_empty(), "the last event is whole");
    events
}

fn embeddings(body: &Value) -> Value {
    let data = body["data"].as_array().unwrap();
    let first = match &data[0]["embedding"] {
        Value::String(text) => floats(text),
        list => list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect(),
    };
    json!({"count": data.len(), "dimensions": first.len(), "first_values": first[..FIRST_VALUES.min(first.len())]})
}

/// A vector in base64: single floats, lowest byte first.
fn floats(text: &str) -> Vec<f64> {
    let bytes = STANDARD.decode(text).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
}
