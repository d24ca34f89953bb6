//! What blocks mean in OpenAI's words.
//!
//! A stream begins a block, adds to it and ends it; a whole reply holds blocks that are all there. So a whole block is
//! one that begins and ends at once, and both go through [`Answer`].

use serde_json::Value;

use super::NAME;
use super::wire::{Object, Piece};
use crate::adapter::ProviderError;
use crate::adapter::hub::{Delta, FinishReason, FunctionDelta, ToolCallDelta};
use crate::bounds;

/// The answer, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Why the model stopped, once it has.
    pub stop_reason: Option<String>,
    has_content: bool,
    calls: u32,
    open: Option<Open>,
}

/// A block that more may be added to. Blocks come one after another.
#[derive(Debug)]
enum Open {
    /// A call; its input as it stood in the beginning, and whether pieces have come in its place.
    Call { input: Object, in_pieces: bool },
    /// A thought, which is wanted back whole.
    Thought(Object),
}

impl Answer {
    /// Takes a whole block.
    pub(super) fn take(&mut self, block: Object, delta: &mut Delta) {
        self.begin(block, delta);
        self.end(delta);
    }

    /// Begins a block. Blocks of tools that run at Anthropic, and of kinds that nobody knows yet, say nothing to an app of
    /// OpenAI's dialect.
    pub(super) fn begin(&mut self, mut block: Object, delta: &mut Delta) {
        self.end(delta);
        match text_of(&block, "type") {
            "text" => self.say(text_of(&block, "text"), delta),
            "thinking" => {
                self.think(text_of(&block, "thinking"), delta);
                self.open = Some(Open::Thought(block));
            }
            "redacted_thinking" => self.open = Some(Open::Thought(block)),
            "tool_use" => {
                delta.tool_calls.push(ToolCallDelta {
                    index: Some(self.calls),
                    id: Some(text_of(&block, "id").to_owned()),
                    kind: Some("function"),
                    function: FunctionDelta {
                        name: Some(text_of(&block, "name").to_owned()),
                        arguments: String::new(),
                    },
                    extra_content: None,
                });
                self.calls += 1;
                self.has_content = true;
                let input = match block.remove("input") {
                    Some(Value::Object(input)) => input,
                    _ => Object::new(),
                };
                self.open = Some(Open::Call { input, in_pieces: false });
            }
            _ => {}
        }
    }

    /// Adds to the block that is open.
    ///
    /// # Errors
    /// When a thought grows beyond what one may be.
    pub(super) fn add(&mut self, piece: Piece, delta: &mut Delta) -> Result<(), ProviderError> {
        match (&*piece.kind, &mut self.open) {
            ("text_delta", _) => self.say(&piece.text.unwrap_or_default(), delta),
            ("thinking_delta", open) => {
                let more = piece.thinking.unwrap_or_default();
                if let Some(Open::Thought(thought)) = open {
                    grow(thought, &more)?;
                }
                self.think(&more, delta);
            }
            ("signature_delta", Some(Open::Thought(thought))) => {
                thought.insert("signature".into(), piece.signature.unwrap_or_default().into());
            }
            ("input_json_delta", Some(Open::Call { in_pieces, .. })) => {
                let more = piece.partial_json.unwrap_or_default();
                if !more.is_empty() {
                    *in_pieces = true;
                    delta.tool_calls.push(arguments(self.calls, more));
                }
            }
            // Citations, and pieces of blocks that say nothing to the app.
            _ => {}
        }
        Ok(())
    }

    /// Ends the block that is open, if one is. A call without arguments has an empty object of them.
    pub(super) fn end(&mut self, delta: &mut Delta) {
        match self.open.take() {
            Some(Open::Call { input, in_pieces: false }) => {
                let piece = arguments(self.calls, Value::Object(input).to_string());
                match delta.tool_calls.last_mut().filter(|last| last.index == piece.index) {
                    Some(begun) => begun.function.arguments = piece.function.arguments,
                    None => delta.tool_calls.push(piece),
                }
            }
            // One without a seal is no thought of Anthropic's own, and would be refused if it came back.
            Some(Open::Thought(thought))
                if ["signature", "data"].iter().any(|seal| !text_of(&thought, seal).is_empty()) =>
            {
                delta.extra_content.get_or_insert_default().add_thinking_block(thought);
            }
            _ => {}
        }
    }

    fn say(&mut self, text: &str, delta: &mut Delta) {
        if !text.is_empty() {
            self.has_content = true;
            delta.content.get_or_insert_default().push_str(text);
        }
    }

    fn think(&mut self, text: &str, delta: &mut Delta) {
        if !text.is_empty() {
            delta.reasoning_content.get_or_insert_default().push_str(text);
        }
    }

    /// The error for an answer that is none: no text, no call, and no reason for that.
    pub(super) fn nothing(&self) -> Option<ProviderError> {
        let nothing = !self.has_content && self.stop_reason.is_none();
        nothing.then(|| ProviderError::broken(&format!("{NAME} ended without an answer and without a reason")))
    }

    /// The finish reason in OpenAI's words (API reference, "Handling stop reasons"). `pause_turn` has no counterpart: the
    /// model would go on if its answer were sent back. What nobody knows is an ordinary end.
    pub(super) fn finish_reason(&self) -> FinishReason {
        match self.stop_reason.as_deref() {
            Some("end_turn" | "stop_sequence" | "pause_turn") => FinishReason::Stop,
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
            Some("refusal") => FinishReason::ContentFilter,
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        }
    }
}

/// A piece of the last call's arguments.
fn arguments(calls: u32, arguments: String) -> ToolCallDelta {
    ToolCallDelta {
        index: Some(calls.saturating_sub(1)),
        id: None,
        kind: None,
        function: FunctionDelta { name: None, arguments },
        extra_content: None,
    }
}

fn grow(thought: &mut Object, more: &str) -> Result<(), ProviderError> {
    let Some(Value::String(text)) = thought.get_mut("thinking") else {
        thought.insert("thinking".into(), more.into());
        return Ok(());
    };
    if text.len() + more.len() > bounds::THOUGHT_BYTES_MAX {
        return Err(ProviderError::broken("a thought in Anthropic's stream is longer than any can be"));
    }
    text.push_str(more);
    Ok(())
}

fn text_of<'a>(block: &'a Object, member: &str) -> &'a str {
    block.get(member).and_then(Value::as_str).unwrap_or_default()
}
