//! A whole reply, or one chunk of a stream: only what Bursar reads, and of that nothing copied that need not be.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::in_band;
use crate::adapter::ProviderError;
use crate::adapter::hub::{RawMessage, is_text_or_null, written};

/// A whole reply, or one chunk of a stream: only what Bursar reads, and of that nothing copied that need not be.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    pub(super) data: Option<&'a RawValue>,
    /// Of the Responses API.
    #[serde(default, borrow)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) model: Option<&'a RawValue>,
    /// Of a transcription: its length in seconds, as a number or a text.
    #[serde(default, borrow)]
    pub(super) duration: Option<&'a RawValue>,
    /// Groq puts a stream's usage here.
    #[serde(default, borrow)]
    pub(super) x_groq: Option<Groq<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Groq<'a> {
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(default, borrow)]
    pub(super) delta: Option<Delta<'a>>,
    /// In a whole reply.
    #[serde(default, borrow)]
    pub(super) message: Option<RawMessage<'a>>,
    #[serde(default, borrow)]
    pub(super) finish_reason: Option<&'a RawValue>,
    /// OpenRouter's, of an answer that failed at the provider behind it.
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Whether a whole reply's choice can be said in other words.
    pub(super) fn is_readable(&self) -> bool {
        self.message.as_ref().is_none_or(RawMessage::is_readable) && self.finish_reason.is_none_or(is_text_or_null)
    }
}

#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default, borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(default, borrow)]
    audio: Option<&'a RawValue>,
}

impl Delta<'_> {
    pub(super) fn has_content(&self) -> bool {
        [
            self.content,
            self.refusal,
            self.reasoning,
            self.reasoning_content,
            self.tool_calls,
            self.function_call,
            self.audio,
        ]
        .into_iter()
        .any(is_something)
    }

    /// Bytes of text, thoughts and arguments in it.
    pub(super) fn written(&self) -> u64 {
        let texts = [self.content, self.refusal, self.reasoning, self.reasoning_content].into_iter().map(written);
        texts.sum::<u64>() + [self.tool_calls, self.function_call].into_iter().map(arguments).sum::<u64>()
    }
}

/// What went wrong where every answer ended in an error (openrouter.ai, "Errors": the finish reason `error`, with or
/// without an object that says more). One that came through is an answer.
pub(super) fn failed(choices: &[Choice<'_>]) -> Option<ProviderError> {
    let says_error = |choice: &Choice<'_>| {
        choice.finish_reason.is_some_and(|reason| reason.get() == "\"error\"") || is_something(choice.error)
    };
    if choices.is_empty() || !choices.iter().all(says_error) {
        return None;
    }
    let error = choices.iter().find_map(|choice| choice.error.filter(|raw| is_something(Some(raw))));
    Some(error.map_or_else(|| ProviderError::broken("the provider could not finish its answer"), in_band))
}

/// Bytes of a piece of a call behind the names that stand in each.
fn arguments(raw: Option<&RawValue>) -> u64 {
    let Some(raw) = raw.map(RawValue::get) else { return 0 };
    let begin = memchr::memmem::find(raw.as_bytes(), ARGUMENTS);
    begin.map_or(0, |at| raw.len().saturating_sub(at + ARGUMENTS.len() + ENVELOPE_BYTES)) as u64
}

/// What stands before a call's arguments.
const ARGUMENTS: &[u8] = b"\"arguments\":";

/// What stands around them: two quotes and three brackets.
const ENVELOPE_BYTES: usize = 5;

/// Neither missing, null, nor empty.
pub(super) fn is_something(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "[]" | "{}"))
}

pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
