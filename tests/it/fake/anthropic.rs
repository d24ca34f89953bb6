//! What Anthropic answers. Source: Anthropic's API reference, "Messages", "Streaming messages" and "Errors".

use serde_json::{Value, json};

use super::events::Events;
use super::reply::Reply;

/// The usage that replies report: input and output tokens.
pub const USAGE: (u64, u64) = (9, 2);

/// A message that says this.
pub fn message(text: &str) -> Reply {
    message_of(&json!({"type": "text", "text": text}), "end_turn")
}

/// A message of this block.
pub fn message_of(block: &Value, stop_reason: &str) -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "fake-model", "content": [block],
            "stop_reason": stop_reason, "stop_sequence": null,
            "usage": {"input_tokens": USAGE.0, "output_tokens": USAGE.1},
        }),
    )
}

/// A stream as it should be.
pub fn stream(texts: &[&str]) -> Events {
    ended(opening(texts), "end_turn")
}

/// Only its beginning: the message, a block, and these texts.
pub fn opening(texts: &[&str]) -> Events {
    let begun = begun(&json!({"type": "text", "text": ""}));
    texts.iter().fold(begun, |events, text| delta(events, &json!({"type": "text_delta", "text": text})))
}

/// A stream with one call, whose arguments come in two pieces.
pub fn stream_of_call(id: &str, name: &str, input: [&str; 2]) -> Events {
    let begun = begun(&json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
    let pieces = input.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
    ended(pieces.fold(begun, |events, piece| delta(events, &piece)), "tool_use")
}

fn begun(block: &Value) -> Events {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "fake-model", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": USAGE.0, "output_tokens": 1},
    });
    event(event(Events::new(), "message_start", json!({"message": message})), "ping", json!({}))
        .event("content_block_start", &json!({"type": "content_block_start", "index": 0, "content_block": block}))
}

fn delta(events: Events, delta: &Value) -> Events {
    event(events, "content_block_delta", json!({"index": 0, "delta": delta}))
}

fn ended(events: Events, stop_reason: &str) -> Events {
    let events = event(events, "content_block_stop", json!({"index": 0}));
    let stop =
        json!({"delta": {"stop_reason": stop_reason, "stop_sequence": null}, "usage": {"output_tokens": USAGE.1}});
    event(event(events, "message_delta", stop), "message_stop", json!({}))
}

/// Adds an event whose data repeats its name.
pub fn event(events: Events, name: &str, mut data: Value) -> Events {
    data["type"] = json!(name);
    events.event(name, &data)
}

/// An error of this type.
pub fn error(status: u16, kind: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}))
}
