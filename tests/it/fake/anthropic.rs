//! What Anthropic answers. Source: Anthropic's API reference, "Messages", "Streaming messages" and "Errors".

use serde_json::{Value, json};

use super::events::Events;
use super::openai::{MODEL, USAGE};
use super::reply::Reply;

/// The provider's own id of every request.
pub const REQUEST_ID: &str = "req_fake";

/// A reply with one text.
pub fn chat(text: &str) -> Reply {
    message(&json!([{"type": "text", "text": text}]), "end_turn")
}

/// A reply with these blocks.
pub fn message(content: &Value, stop_reason: &str) -> Reply {
    let mut message = begun();
    message["content"] = content.clone();
    message["stop_reason"] = json!(stop_reason);
    message["usage"]["output_tokens"] = json!(USAGE.1);
    Reply::json(200, &message).header("request-id", REQUEST_ID)
}

/// A stream as it should be: named events, a ping, one block of text, usage at both ends.
pub fn stream(texts: &[&str]) -> Events {
    let deltas: Vec<Value> = texts.iter().map(|text| json!({"type": "text_delta", "text": text})).collect();
    let block = json!({"type": "text", "text": ""});
    end(block_of(opening(), 0, &block, &deltas), "end_turn")
}

/// The beginning of such a stream: the message, a block, and these texts.
pub fn beginning(texts: &[&str]) -> Events {
    let start = json!({"index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = |text: &&str| json!({"index": 0, "delta": {"type": "text_delta", "text": text}});
    let begun = event(opening(), "content_block_start", start);
    texts.iter().fold(begun, |events, text| event(events, "content_block_delta", delta(text)))
}

/// A stream with one call, whose arguments come in two pieces.
pub fn stream_of_call(id: &str, name: &str, input: [&str; 2]) -> Events {
    let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let pieces = input.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
    end(block_of(opening(), 0, &block, &pieces), "tool_use")
}

/// Adds an event whose data repeats its name.
pub fn event(events: Events, name: &str, mut data: Value) -> Events {
    data["type"] = json!(name);
    events.event(name, &data)
}

/// A stream's beginning: the message without content.
pub fn opening() -> Events {
    Events::new()
        .event("message_start", &json!({"type": "message_start", "message": begun()}))
        .event("ping", &json!({"type": "ping"}))
}

/// One more block, with what is added to it.
pub fn block_of(events: Events, index: usize, block: &Value, deltas: &[Value]) -> Events {
    let start = json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |delta: &Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let begun = events.event("content_block_start", &start);
    let said = deltas.iter().fold(begun, |events, one| events.event("content_block_delta", &delta(one)));
    said.event("content_block_stop", &json!({"type": "content_block_stop", "index": index}))
}

/// A stream's end.
pub fn end(events: Events, stop_reason: &str) -> Events {
    let delta = json!({"stop_reason": stop_reason, "stop_sequence": null});
    let over = json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": USAGE.1}});
    events.event("message_delta", &over).event("message_stop", &json!({"type": "message_stop"}))
}

fn begun() -> Value {
    json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": USAGE.0, "output_tokens": 1},
    })
}

/// The error that goes with a status.
pub fn error(status: u16) -> Reply {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    error_of(status, kind, "the fake was told to fail")
}

/// An error of a type, with a text.
pub fn error_of(status: u16, kind: &str, message: &str) -> Reply {
    let error = json!({"type": kind, "message": message});
    Reply::json(status, &json!({"type": "error", "error": error, "request_id": REQUEST_ID}))
        .header("request-id", REQUEST_ID)
}
