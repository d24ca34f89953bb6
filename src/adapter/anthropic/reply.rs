//! A whole message in OpenAI's words.

use bytes::Bytes;

use super::answer::Answer;
use super::error;
use super::wire::Message;
use crate::adapter::hub::{ChatReply, Choice, Delta, Usage};
use crate::adapter::{Asked, Invalid, Reply, Seen};

/// Reads the reply of `/messages`.
pub(super) fn read(asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
    let message: Message = serde_json::from_slice(body)?;
    let mut seen = Seen { content: true, terminal: true, ..Seen::default() };
    if let Some(error) = &message.error {
        seen.error = Some(error::in_band(error));
        return Ok(Reply { body: None, seen });
    }
    let blocks = message.content.ok_or_else(|| Invalid("it has no content".into()))?;
    let mut answer = Answer::default();
    answer.stop_reason = message.stop_reason;
    let mut delta = Delta::default();
    for block in blocks {
        answer.take(block, &mut delta);
    }
    seen.tokens = message.usage.unwrap_or_default().tokens();
    seen.model = message.model;
    seen.error = answer.nothing();
    if seen.error.is_some() || asked.pass {
        return Ok(Reply { body: None, seen });
    }
    let choice =
        Choice { index: 0, message: delta.into_message(), logprobs: None, finish_reason: answer.finish_reason() };
    let reply = ChatReply {
        id: message.id.unwrap_or_else(|| asked.made_up_id()),
        object: "chat.completion",
        created: asked.created_s,
        model: seen.model.clone().unwrap_or_else(|| asked.model.clone()),
        choices: vec![choice],
        usage: Usage::of_chat(seen.tokens),
        system_fingerprint: None,
    };
    let body = serde_json::to_vec(&reply)?;
    Ok(Reply { body: Some(body.into()), seen })
}
