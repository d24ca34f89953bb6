//! What an app sees of a reply, read off the OpenAI bytes that it is given.

use serde_json::{Map, Value, json};

use crate::adapter::{ProviderError, Seen};
use crate::api::Tokens;

/// One answer, put together.
#[derive(Default)]
struct Answer {
    text: String,
    calls: Vec<(String, String)>,
    finish: Value,
}

impl Answer {
    fn add(&mut self, choice: &Value, said: &Value) {
        self.text.push_str(said["content"].as_str().unwrap_or_default());
        for call in said["tool_calls"].as_array().into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            match call["function"]["name"].as_str() {
                Some(name) => {
                    assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()) && call["type"] == "function");
                    self.calls.push((name.to_owned(), arguments.to_owned()));
                }
                None => self.calls[call["index"].as_u64().unwrap() as usize].1.push_str(arguments),
            }
        }
        if !choice["finish_reason"].is_null() {
            self.finish = choice["finish_reason"].clone();
        }
    }

    fn facts(self) -> Value {
        let call = |(name, arguments): (String, String)| {
            let arguments: Value = serde_json::from_str(&arguments).unwrap();
            json!({"name": name, "arguments": arguments})
        };
        let calls: Vec<Value> = self.calls.into_iter().map(call).collect();
        json!({"text": self.text, "tool_calls": calls, "finish_reason": self.finish})
    }
}

fn chat(answers: Vec<Answer>) -> Map<String, Value> {
    let mut answers = answers.into_iter().map(Answer::facts);
    let empty = || Answer::default().facts();
    let mut facts = answers.next().unwrap_or_else(empty).as_object().unwrap().clone();
    let more: Vec<Value> = answers.collect();
    if !more.is_empty() {
        facts.insert("more_choices".into(), more.into());
    }
    facts
}

fn add(facts: &mut Map<String, Value>, status: u16, class: &str, tokens: Tokens) {
    facts.insert("status".into(), status.into());
    facts.insert("error_class".into(), class.into());
    facts.insert("usage".into(), serde_json::to_value(tokens).unwrap());
}

/// The facts of a whole chat reply.
pub(in crate::adapter) fn of_reply(body: &[u8], seen: &Seen) -> Map<String, Value> {
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&body["object"], &body["created"]), (&json!("chat.completion"), &json!(1_700_000_000)));
    let answer = |choice: &Value| {
        let mut answer = Answer::default();
        answer.add(choice, &choice["message"]);
        answer
    };
    let mut facts = chat(body["choices"].as_array().unwrap().iter().map(answer).collect());
    add(&mut facts, 200, "none", seen.tokens);
    facts
}

/// The facts of a streamed chat reply. It must end as OpenAI's do, unless it was cut.
pub(in crate::adapter) fn of_stream(streamed: &super::Streamed) -> Map<String, Value> {
    let text = std::str::from_utf8(&streamed.out).unwrap();
    let mut answers: Vec<Answer> = Vec::new();
    for data in text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()) {
        if data == "[DONE]" {
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        for choice in chunk["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            answers.resize_with(answers.len().max(index + 1), Answer::default);
            answers[index].add(choice, &choice["delta"]);
        }
    }
    let mut facts = chat(answers);
    let class = match &streamed.error {
        Some(error) if !streamed.content => return of_error(error),
        Some(_) => "cut",
        None if !streamed.terminal => "cut",
        None => "none",
    };
    assert_eq!(text.ends_with("data: [DONE]\n\n"), class == "none");
    add(&mut facts, 200, class, streamed.tokens);
    if let Some(error) = &streamed.error {
        facts.insert("error_message".into(), error.message.clone().into());
    }
    facts
}

/// The facts of an embeddings reply.
pub(in crate::adapter) fn of_embeddings(body: &[u8], seen: &Seen) -> Map<String, Value> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let vectors = body["data"].as_array().unwrap();
    let first = vectors[0]["embedding"].as_array().unwrap();
    let mut facts = Map::new();
    facts.insert(
        "embeddings".into(),
        json!({"count": vectors.len(), "dimensions": first.len(), "first_values": first[..4]}),
    );
    add(&mut facts, 200, "none", seen.tokens);
    facts
}

/// The facts of a model list.
pub(in crate::adapter) fn of_models(ids: &[String]) -> Map<String, Value> {
    let mut facts = Map::from_iter([("models".into(), json!(ids))]);
    add(&mut facts, 200, "none", Tokens::default());
    facts
}

/// The facts of an error, alone and with nothing to fall back to.
pub(in crate::adapter) fn of_error(error: &ProviderError) -> Map<String, Value> {
    let mut facts = Map::new();
    add(&mut facts, error.status, error.outcome.name(), Tokens::default());
    facts.insert("error_message".into(), error.message.clone().into());
    facts
}
