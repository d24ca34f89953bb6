//! A whole chat reply in OpenAI's words.

use bytes::Bytes;

use super::answer::{Added, Answer, Ids, all_failed, nothing};
use super::error::GoogleError;
use super::usage;
use super::wire::{PromptFeedback, Response};
use crate::adapter::hub::{ChatReply, Choice, Delta, FinishReason, Usage};
use crate::adapter::{Asked, Invalid, ProviderError, Reply, Seen};

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
        let index = candidate.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
        let mut answer = Answer::new(index, asked.pass);
        match answer.take(candidate, &mut ids) {
            Ok(mut added) => {
                answer.end_call(&mut added.delta);
                if blocked {
                    answer.withhold();
                }
                choices.push(choice(&answer, added));
            }
            Err(_) => seen.error = Some(ProviderError::broken("Gemini's streamed arguments cannot be put together")),
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
        id: response.response_id.unwrap_or_else(|| asked.made_up_id()),
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

fn choice(answer: &Answer, added: Added) -> Choice {
    Choice {
        index: answer.index,
        message: added.delta.into_message(),
        logprobs: added.logprobs,
        finish_reason: answer.finish_reason(),
    }
}

/// The answer to a prompt that Google refused.
fn withheld() -> Choice {
    let message = Delta::default().into_message();
    Choice { index: 0, message, logprobs: None, finish_reason: FinishReason::ContentFilter }
}
