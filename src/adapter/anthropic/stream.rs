//! A stream of Anthropic's events as OpenAI's chunks.
//!
//! The finish reason is held until `message_stop`: only that says that the message is whole. With it come the last
//! chunk, the usage if the app asked for it, and `[DONE]`. A stream without it gets none of these: it was cut.

use super::answer::Answer;
use super::error;
use super::wire::{Event, Message, Usage};
use crate::adapter::hub::{self, Chunk, ChunkChoice, Delta, FinishReason};
use crate::adapter::{Asked, Forward, ProviderError, Seen, Step, StreamReader, sse};

/// Reads a stream of events.
pub(super) struct Events {
    id: String,
    model: String,
    created_s: i64,
    include_usage: bool,
    answer: Answer,
    /// Whether the role has been said.
    begun: bool,
    /// The message is whole, or an error has come: nothing after it counts.
    over: bool,
    usage: Usage,
}

impl Events {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            id: asked.made_up_id(),
            model: asked.model.clone(),
            created_s: asked.created_s,
            include_usage: asked.include_usage,
            answer: Answer::default(),
            begun: false,
            over: false,
            usage: Usage::default(),
        }
    }

    fn take(&mut self, event: Event) -> Step {
        if let Some(error) = &event.error {
            return self.fail(error::in_band(error));
        }
        let mut delta = Delta::default();
        let mut seen = Seen::default();
        match &*event.kind {
            "message_start" => seen.model = self.begin(event.message.unwrap_or_default()),
            "content_block_start" => self.answer.begin(event.content_block.unwrap_or_default(), &mut delta),
            "content_block_delta" => {
                if let Err(error) = self.answer.add(event.delta.unwrap_or_default(), &mut delta) {
                    return self.fail(error);
                }
            }
            "content_block_stop" => self.answer.end(&mut delta),
            "message_delta" => {
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                self.answer.stop_reason = reason.or(self.answer.stop_reason.take());
                self.usage = self.usage.updated_by(event.usage.unwrap_or_default());
                seen.content = self.answer.stop_reason.is_some();
            }
            "message_stop" => return self.finish(),
            // `ping`, and what may be added: "handle unknown event types gracefully" (API reference, "Streaming").
            _ => {}
        }
        seen.content |= delta.is_content();
        seen.written = delta.written();
        seen.tokens = self.usage.tokens();
        let mut out = Vec::new();
        if delta != Delta::default() {
            self.write_choice(delta, None, &mut out);
        }
        Step { forward: if out.is_empty() { Forward::Withhold } else { Forward::Replace(out) }, seen }
    }

    /// The model that the message is said to come from.
    fn begin(&mut self, message: Message) -> Option<String> {
        if let Some(id) = message.id {
            self.id = id;
        }
        if let Some(model) = &message.model {
            self.model.clone_from(model);
        }
        self.usage = self.usage.updated_by(message.usage.unwrap_or_default().of_input());
        message.model
    }

    fn fail(&mut self, error: ProviderError) -> Step {
        self.over = true;
        let seen = Seen { error: Some(error), tokens: self.usage.tokens(), ..Seen::default() };
        Step { forward: Forward::Withhold, seen }
    }

    /// The last chunk, the usage if it was asked for, and the mark of the end.
    fn finish(&mut self) -> Step {
        let mut delta = Delta::default();
        self.answer.end(&mut delta);
        if let Some(error) = self.answer.nothing() {
            return self.fail(error);
        }
        self.over = true;
        if !self.begun {
            // An answer of which nothing was said is an empty one.
            delta.content.get_or_insert_default();
        }
        let tokens = self.usage.tokens();
        let mut out = Vec::new();
        self.write_choice(delta, Some(self.answer.finish_reason()), &mut out);
        if let Some(usage) = hub::Usage::of_chat(tokens).filter(|_| self.include_usage) {
            self.write(Vec::new(), Some(usage), &mut out);
        }
        sse::write_data(&mut out, b"[DONE]");
        let seen = Seen { content: true, terminal: true, tokens, ..Seen::default() };
        Step { forward: Forward::Replace(out), seen }
    }

    fn write_choice(&mut self, mut delta: Delta, finish_reason: Option<FinishReason>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            delta.role = Some("assistant");
        }
        self.write(vec![ChunkChoice { index: 0, delta, logprobs: None, finish_reason }], None, out);
    }

    fn write(&self, choices: Vec<ChunkChoice>, usage: Option<hub::Usage>, out: &mut Vec<u8>) {
        let (id, model) = (&self.id, &self.model);
        Chunk { id, object: "chat.completion.chunk", created: self.created_s, model, choices, usage }.write(out);
    }
}

impl StreamReader for Events {
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step {
        let nothing = Step { forward: Forward::Withhold, seen: Seen::default() };
        match frame.data.as_deref().filter(|_| !self.over).map(serde_json::from_slice) {
            None => nothing,
            Some(Ok(event)) => self.take(event),
            Some(Err(_)) => self.fail(ProviderError::broken("an event of Anthropic's stream cannot be read")),
        }
    }

    fn end(&mut self) -> Step {
        Step { forward: Forward::Withhold, seen: Seen { tokens: self.usage.tokens(), ..Seen::default() } }
    }
}
