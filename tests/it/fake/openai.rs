//! What OpenAI and its like answer. Source: OpenAI's API reference, "Chat completions", and its page "Error codes".

use serde_json::{Value, json};

use super::events::Events;
use super::reply::Reply;

/// The model that all replies name.
pub const MODEL: &str = "fake-model";
/// The data of a stream's last frame.
pub const DONE: &str = "[DONE]";
/// The usage that replies report unless a test says otherwise: prompt and completion tokens.
pub const USAGE: (u64, u64) = (9, 2);
/// The provider's own id of every request.
pub const REQUEST_ID: &str = "req_fake";

/// A chat reply.
pub fn chat(text: &str) -> Reply {
    chat_with(text, Some(USAGE))
}

/// A chat reply with this usage, or none.
pub fn chat_with(text: &str, usage: Option<(u64, u64)>) -> Reply {
    let message = json!({"role": "assistant", "content": text});
    let mut body = json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    });
    if let Some(usage) = usage {
        body["usage"] = counts(usage);
    }
    Reply::json(200, &body).header("x-request-id", REQUEST_ID)
}

/// A stream as it should be: a role, these texts, a finish reason, usage, `[DONE]`.
pub fn stream(texts: &[&str]) -> Events {
    opening(texts).json(&finish()).json(&usage(USAGE)).data(DONE)
}

/// Only its beginning: a role and these texts.
pub fn opening(texts: &[&str]) -> Events {
    let role = Events::new().json(&chunk(&json!({"role": "assistant", "content": ""}), None));
    texts.iter().fold(role, |events, content| events.json(&text(content)))
}

/// A chunk with text.
pub fn text(text: &str) -> Value {
    chunk(&json!({"content": text}), None)
}

/// The chunk that ends the choice.
pub fn finish() -> Value {
    chunk(&json!({}), Some("stop"))
}

/// The chunk with usage and no choice.
pub fn usage(usage: (u64, u64)) -> Value {
    let mut chunk = chunk(&json!({}), None);
    chunk["choices"] = json!([]);
    chunk["usage"] = counts(usage);
    chunk
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    })
}

fn counts((prompt, completion): (u64, u64)) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

/// Embeddings of so many inputs.
pub fn embeddings(inputs: usize) -> Reply {
    let item = |index| json!({"object": "embedding", "index": index, "embedding": [1.0, 0.0]});
    let data: Vec<Value> = (0..inputs).map(item).collect();
    let usage = json!({"prompt_tokens": USAGE.0, "total_tokens": USAGE.0});
    Reply::json(200, &json!({"object": "list", "data": data, "model": MODEL, "usage": usage}))
}

/// A list of models.
pub fn models(ids: &[&str]) -> Reply {
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id, "object": "model", "owned_by": "fake"})).collect();
    Reply::json(200, &json!({"object": "list", "data": data}))
}

/// The error that goes with a status.
pub fn error(status: u16) -> Reply {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        402 => ("insufficient_quota", json!("insufficient_quota")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        400..500 => ("invalid_request_error", Value::Null),
        _ => ("server_error", Value::Null),
    };
    error_with(status, kind, &code)
}

/// An error with this type and code.
pub fn error_with(status: u16, kind: &str, code: &Value) -> Reply {
    Reply::json(status, &error_object(kind, code)).header("x-request-id", REQUEST_ID)
}

/// An error's body, which may also stand in a 200 or in a stream.
pub fn error_object(kind: &str, code: &Value) -> Value {
    json!({"error": {"message": "the fake was told to fail", "type": kind, "param": null, "code": code}})
}
