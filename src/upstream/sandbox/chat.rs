//! Chat replies, whole and streamed.

use std::iter;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Ask, Said};
use super::error::Problem;
use super::{CHAT_MODEL, FINGERPRINT, Playback, created_s};

/// Characters of one chunk of a stream: a word, or so much of a text that has no spaces.
const CHUNK_CHARS_MAX: usize = 16;
/// The last frame of every stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// The reply to a chat request.
pub(super) fn answer(body: &Value, id: &str, cut_after: Option<usize>) -> Result<Playback, Problem> {
    let ask = Ask::read(body)?;
    let envelope = Envelope { id: id.to_owned(), created_s: created_s() };
    if ask.stream {
        return Ok(Playback::stream(frames(ask, envelope, cut_after), cut_after.is_some()));
    }
    let usage = usage(&ask);
    let message = match ask.said {
        Said::Text(text) => json!({"role": "assistant", "content": text, "refusal": null}),
        Said::Call { name, arguments } => {
            let call = json!({
                "id": envelope.call_id(), "type": "function", "function": {"name": name, "arguments": arguments}
            });
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]})
        }
    };
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": ask.finish_reason});
    let mut reply = envelope.around("chat.completion", json!([choice]));
    put(&mut reply, "usage", usage);
    Ok(Playback::whole(&reply, cut_after))
}

/// What is the same in every chunk of a reply.
struct Envelope {
    id: String,
    created_s: i64,
}

impl Envelope {
    fn around(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id),
            "object": object,
            "created": self.created_s,
            "model": CHAT_MODEL,
            "choices": choices,
            "system_fingerprint": FINGERPRINT,
        })
    }

    fn chunk(&self, choices: Value) -> Value {
        self.around("chat.completion.chunk", choices)
    }

    fn call_id(&self) -> String {
        format!("call_{}", self.id)
    }
}

fn usage(ask: &Ask) -> Value {
    let (prompt, completion) = (ask.prompt_tokens, ask.said.tokens());
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

/// The frames of a stream: a role, the content in pieces and, unless it is to be cut before, how and with what usage it
/// ended.
fn frames(ask: Ask, envelope: Envelope, cut_after: Option<usize>) -> impl Iterator<Item = Bytes> + Send {
    let usage = ask.include_usage.then(|| usage(&ask));
    let opening = match ask.said {
        Said::Text(_) => json!({"role": "assistant", "content": "", "refusal": null}),
        Said::Call { .. } => json!({"role": "assistant", "content": null, "refusal": null}),
    };
    let choice = |delta: Value, finish_reason: Option<&str>| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
    let ending = match cut_after {
        Some(_) => Vec::new(),
        None => {
            let mut ending = vec![envelope.chunk(choice(json!({}), Some(ask.finish_reason)))];
            ending.extend(usage.as_ref().map(|usage| {
                let mut last = envelope.chunk(json!([]));
                put(&mut last, "usage", usage.clone());
                last
            }));
            ending
        }
    };
    let done = cut_after.is_none().then_some(Bytes::from_static(DONE));
    let content = deltas(ask.said, envelope.call_id()).take(cut_after.unwrap_or(usize::MAX));
    let chunks = iter::once(opening).chain(content).map(move |delta| envelope.chunk(choice(delta, None)));
    let frame = move |mut chunk: Value| {
        // Where usage was asked for, OpenAI puts a null into all chunks but the last.
        if usage.is_some() && chunk.get("usage").is_none() {
            put(&mut chunk, "usage", Value::Null);
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    chunks.chain(ending).map(frame).chain(done)
}

fn deltas(said: Said, call_id: String) -> Box<dyn Iterator<Item = Value> + Send> {
    match said {
        Said::Text(text) => Box::new(pieces(text).map(|piece| json!({"content": piece}))),
        Said::Call { name, arguments } => {
            let call = json!({
                "index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}
            });
            let arguments = pieces(arguments).map(|piece| json!({"index": 0, "function": {"arguments": piece}}));
            Box::new(iter::once(call).chain(arguments).map(|call| json!({"tool_calls": [call]})))
        }
    }
}

/// The text word by word, each with the space after it.
fn pieces(text: String) -> impl Iterator<Item = String> + Send {
    let mut at = 0;
    iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let mut end = 0;
        for c in rest.chars().take(CHUNK_CHARS_MAX) {
            end += c.len_utf8();
            if c.is_whitespace() {
                break;
            }
        }
        at += end;
        rest.get(..end).map(str::to_owned)
    })
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}
