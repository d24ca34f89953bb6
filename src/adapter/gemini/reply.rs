//! A whole chat reply in OpenAI's words.

use bytes::Bytes;

use super::answer::{Added, Answer, Ids, all_failed, broken, nothing};
use super::error::GoogleError;
use super::usage;
use super::wire::{PromptFeedback, Response};
use crate::adapter::hub::{ChatReply, Choice, FinishReason, ReplyMessage, Usage};
use crate::adapter::{Asked, Invalid, Reply, Seen};

/// Reads the reply of `generateContent`.
pub(super) fn read(asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
    let response = response(body)?;
    let mut seen = Seen { content: true, terminal: true, ..Seen::default() };
    if let Some(error) = &response.error {
        seen.error = Some(GoogleError::of(error).in_band());
        return Ok(Reply { body: None, seen });
    }
    let blocked = is_blocked(&response);
    let mut answers = Vec::new();
    let mut choices = Vec::new();
    let mut ids = Ids::new(asked);
    for (position, candidate) in response.candidates.unwrap_or_default().into_iter().enumerate() {
        let mut answer = Answer::new(candidate.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX)));
        match answer.take(candidate, &mut ids) {
            Ok(mut added) => {
                answer.end_call(&mut added.delta);
                if blocked {
                    answer.withhold();
                }
                choices.push(choice(&answer, added));
            }
            Err(_) => seen.error = Some(broken("Gemini's streamed arguments cannot be put together")),
        }
        answers.push(answer);
    }
    let empty = !answers.iter().any(|answer| answer.has_content);
    let count = if empty { usage::of_nothing } else { usage::tokens };
    seen.tokens = response.usage_metadata.as_ref().and_then(count).unwrap_or_default();
    seen.model = response.model_version;
    if empty && blocked {
        choices = vec![withheld()];
    } else if all_failed(&answers) {
        seen.error = Some(nothing(&answers));
    }
    if seen.error.is_some() || asked.pass {
        return Ok(Reply { body: None, seen });
    }
    choices.sort_by_key(|choice| choice.index);
    let reply = ChatReply {
        id: response.response_id.unwrap_or_else(|| made_up_id(asked)),
        object: "chat.completion",
        created: asked.created_s,
        model: seen.model.clone().unwrap_or_else(|| asked.model.clone()),
        choices,
        usage: Usage::of_chat(seen.tokens),
        system_fingerprint: None,
    };
    let body = serde_json::to_vec(&reply)?;
    Ok(Reply { body: Some(body.into()), seen })
}

/// A reply, or the one element of a list, which is how errors may come.
pub(super) fn response(bytes: &[u8]) -> Result<Response, Invalid> {
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(serde_json::from_slice(bytes)?);
    }
    let [only] = serde_json::from_slice(bytes)?;
    Ok(only)
}

/// Whether the prompt was refused. Some replies give only a message, and no candidates.
pub(super) fn is_blocked(response: &Response) -> bool {
    let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let PromptFeedback { block_reason, block_reason_message } = match &response.prompt_feedback {
        Some(feedback) => feedback,
        None => return false,
    };
    let no_candidates = response.candidates.as_ref().is_none_or(Vec::is_empty);
    says(block_reason) || (says(block_reason_message) && no_candidates)
}

/// An id where Google gives none.
pub(super) fn made_up_id(asked: &Asked) -> String {
    format!("chatcmpl-{}", asked.seed)
}

fn choice(answer: &Answer, added: Added) -> Choice {
    let mut delta = added.delta;
    for call in &mut delta.tool_calls {
        // Only pieces of a stream are numbered.
        call.index = None;
    }
    // OpenAI says null where there are only calls, and an empty text where there is nothing.
    let content = delta.content.or_else(|| delta.tool_calls.is_empty().then(String::new));
    Choice {
        index: answer.index,
        message: ReplyMessage {
            role: "assistant",
            content,
            refusal: None,
            reasoning_content: delta.reasoning_content,
            tool_calls: delta.tool_calls,
            extra_content: delta.extra_content,
        },
        logprobs: added.logprobs,
        finish_reason: answer.finish_reason(),
    }
}

/// The answer to a prompt that Google refused.
fn withheld() -> Choice {
    Choice {
        index: 0,
        message: ReplyMessage {
            role: "assistant",
            content: Some(String::new()),
            refusal: None,
            reasoning_content: None,
            tool_calls: Vec::new(),
            extra_content: None,
        },
        logprobs: None,
        finish_reason: FinishReason::ContentFilter,
    }
}
