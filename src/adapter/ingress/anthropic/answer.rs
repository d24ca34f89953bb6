//! What an answer comes to, whole or streamed: its id, its end, its usage, its blocks.

use serde_json::{Map, Value, json};

use crate::adapter::hub::CallPiece;
use crate::adapter::{Asked, Invalid};
use crate::api::Tokens;

/// A message's id: the provider's where it looks like one of Anthropic's.
pub(super) fn id(asked: &Asked, given: Option<String>) -> String {
    given.filter(|id| id.starts_with("msg_")).unwrap_or_else(|| format!("msg_{}", asked.seed))
}

/// The id of a call that a provider gave none.
pub(super) fn call_id(seed: &str, position: usize) -> String {
    format!("toolu_{seed}_{position}")
}

/// Why an answer ended, in Anthropic's words. Some servers say `stop` for calls too, and apps wait for `tool_use`.
pub(super) fn stop_reason(finish_reason: Option<&str>, refused: bool, calls: bool) -> &'static str {
    match finish_reason {
        Some("length") => "max_tokens",
        Some("content_filter") => "refusal",
        _ if refused => "refusal",
        _ if calls => "tool_use",
        _ => "end_turn",
    }
}

/// What was used, at the end of a stream. Anthropic counts what came from the cache apart. Its apps read a whole number
/// of output tokens, where unknown has to be 0.
pub(super) fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.input.map(|input| input.saturating_sub(tokens.cached.unwrap_or(0))),
        "cache_creation_input_tokens": null,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output.unwrap_or(0),
    })
}

/// A message. Its input tokens have to be a whole number too.
pub(super) fn message(id: &str, model: &str, content: Vec<Value>, stop_reason: Option<&str>, tokens: Tokens) -> Value {
    let tokens = Tokens { input: tokens.input.or(Some(0)), ..tokens };
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage(tokens),
    })
}

/// A call's block.
pub(super) fn tool_use(id: &str, name: &str, input: Map<String, Value>) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": input})
}

/// A thought. Nobody but Anthropic signs any.
pub(super) fn thinking(text: &str) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": ""})
}

/// A text.
pub(super) fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A call's arguments; nothing at all is what functions without any are called with.
pub(super) fn input(arguments: &str) -> Result<Map<String, Value>, Invalid> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(arguments).map_err(|_| Invalid("the arguments of a call in it are no JSON object".into()))
}

/// A call's name.
pub(super) fn name(call: &CallPiece) -> Result<&str, Invalid> {
    call.name.as_deref().ok_or_else(|| Invalid("a call in it has no name".into()))
}
