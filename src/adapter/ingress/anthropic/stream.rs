//! A stream of OpenAI's chunks as Anthropic's events.
//!
//! Anthropic's blocks come one after the other, while pieces of OpenAI's calls may come in any order, and text among
//! them. So the first call is said as it comes, and what belongs behind it is held until the answer ends. The end is
//! held too, for the usage, which comes after the finish reason. A stream with neither a finish reason nor `[DONE]` gets
//! no end: it was cut.

use serde_json::json;

use super::blocks::{Blocks, event};
use super::{answer, error, extra};
use crate::adapter::hub::{CallPiece, Calls, ExtraContent, Said};
use crate::adapter::ingress::{ErrorSaid, StreamWriter};
use crate::adapter::{Asked, Invalid, sse};
use crate::api::error::ErrorObject;
use crate::api::{Code, Tokens};
use crate::bounds;

/// Writes a stream.
pub(super) struct Events {
    asked: Asked,
    frames: sse::Reader,
    begun: bool,
    over: bool,
    /// Whether the end or an error was written.
    ended: bool,
    /// Whether it was an error.
    failed: bool,
    blocks: Blocks,
    saying: Option<Saying>,
    /// What the provider wants back with the message, until its place is known.
    extra: Option<ExtraContent>,
    calls: Calls,
    called: Vec<CallPiece>,
    /// What was said while the first call was.
    late: Vec<(Saying, String)>,
    /// Bytes that are kept.
    held: usize,
    refused: bool,
    finish_reason: Option<String>,
    tokens: Tokens,
}

/// What the open block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saying {
    Thoughts,
    Text,
    /// The first call.
    Call,
}

/// What a frame says.
enum Step {
    Nothing,
    Done,
    Said(Box<Said>),
}

impl Events {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            asked: asked.clone(),
            frames: sse::Reader::new(bounds::STREAM_FRAME_BYTES_MAX),
            begun: false,
            over: false,
            ended: false,
            failed: false,
            blocks: Blocks::default(),
            saying: None,
            extra: None,
            calls: Calls::default(),
            called: Vec::new(),
            late: Vec::new(),
            held: 0,
            refused: false,
            finish_reason: None,
            tokens: Tokens::default(),
        }
    }

    fn take(&mut self, step: Step, out: &mut Vec<u8>) {
        match step {
            _ if self.over => {}
            Step::Nothing => {}
            Step::Done => self.finish(out),
            Step::Said(said) => self.add(*said, out),
        }
    }

    fn add(&mut self, mut said: Said, out: &mut Vec<u8>) {
        if let Some(error) = said.error.take() {
            return self.pass_on(&error, out);
        }
        self.tokens = self.tokens.updated_by(said.used.map(|used| used.tokens).unwrap_or_default());
        self.begin(said.id.take(), said.model.take(), out);
        // By OpenAI's contract the usage comes alone, and last.
        if said.answers.is_empty() && said.used.is_some() && self.finish_reason.is_some() {
            return self.finish(out);
        }
        let new = said.first();
        self.extra = match (self.extra.take(), new.extra_content) {
            (Some(first), Some(later)) => Some(first.and(later)),
            (first, later) => later.or(first),
        };
        self.say(Saying::Thoughts, new.reasoning, out);
        self.say(Saying::Text, new.text, out);
        self.refused |= new.refusal.is_some();
        self.say(Saying::Text, new.refusal, out);
        for piece in new.calls {
            self.call(piece, out);
        }
        self.finish_reason = new.finish_reason.or(self.finish_reason.take());
        if self.held > bounds::REPLY_BODY_BYTES_MAX || self.called.len() > bounds::REPLY_CALLS_MAX {
            self.fail(Code::UpstreamTooLarge, "the provider's stream holds more calls than are kept", out);
        }
    }

    fn begin(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let id = answer::id(&self.asked, id);
        let model = model.unwrap_or_else(|| self.asked.model.clone());
        let message = answer::message(&id, &model, Vec::new(), None, self.tokens);
        event(out, "message_start", json!({"message": message}));
    }

    fn say(&mut self, what: Saying, text: Option<String>, out: &mut Vec<u8>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        if self.saying == Some(Saying::Call) {
            self.held += text.len();
            match self.late.last_mut().filter(|last| last.0 == what) {
                Some((_, held)) => held.push_str(&text),
                None => self.late.push((what, text)),
            }
            return;
        }
        self.write(what, &text, out);
    }

    /// Writes thoughts or text into a block of its kind.
    fn write(&mut self, what: Saying, text: &str, out: &mut Vec<u8>) {
        let thoughts = what == Saying::Thoughts;
        if self.saying != Some(what) {
            if !thoughts {
                self.write_extra(out);
            }
            let empty = if thoughts { answer::thinking("") } else { answer::text("") };
            self.blocks.begin(&empty, out);
            self.saying = Some(what);
        }
        let (kind, member) = if thoughts { ("thinking_delta", "thinking") } else { ("text_delta", "text") };
        self.blocks.add(&json!({"type": kind, member: text}), out);
    }

    /// Writes what belongs to the message: before its text, or at the end.
    fn write_extra(&mut self, out: &mut Vec<u8>) {
        if let Some(block) = self.extra.take().as_ref().and_then(extra::block) {
            self.blocks.whole(&block, out);
        }
    }

    fn call(&mut self, piece: CallPiece, out: &mut Vec<u8>) {
        let place = self.calls.place(&piece);
        if place.begins {
            self.called.push(CallPiece::default());
        }
        let Some(call) = self.called.get_mut(place.call) else { return };
        self.held += piece.arguments.len();
        call.arguments.push_str(&piece.arguments);
        call.id = call.id.take().or(piece.id);
        call.name = call.name.take().or(piece.name);
        // Providers give it with a call's first piece (ai.google.dev, "Thought signatures").
        call.extra_content = piece.extra_content.or(call.extra_content.take());
        if place.call > 0 {
            return;
        }
        if self.saying == Some(Saying::Call) {
            self.add_arguments(&piece.arguments, out);
        } else if call.name.is_some() {
            self.write_call(0, out);
            self.saying = Some(Saying::Call);
        }
    }

    fn add_arguments(&self, piece: &str, out: &mut Vec<u8>) {
        if !piece.is_empty() {
            self.blocks.add(&json!({"type": "input_json_delta", "partial_json": piece}), out);
        }
    }

    /// Begins a call's block, with as much of the arguments as there is.
    fn write_call(&mut self, position: usize, out: &mut Vec<u8>) {
        let Some(call) = self.called.get(position) else { return };
        if let Some(hidden) = call.extra_content.as_ref().and_then(extra::block) {
            self.blocks.whole(&hidden, out);
        }
        let made_up = || answer::call_id(&self.asked.seed, position);
        let id = call.id.clone().unwrap_or_else(made_up);
        let name = call.name.as_deref().unwrap_or_default();
        self.blocks.begin(&answer::tool_use(&id, name, serde_json::Map::new()), out);
        self.add_arguments(&call.arguments, out);
    }

    /// Whether every call can be said: it has a name, and its arguments are an object. Those of the last call of an
    /// answer that grew too long are not, and `max_tokens` says why.
    fn check(&self) -> Result<(), Invalid> {
        let cut = self.finish_reason.as_deref() == Some("length");
        for (position, call) in self.called.iter().enumerate() {
            answer::name(call)?;
            let last = position + 1 == self.called.len();
            answer::input(&call.arguments).map(|_| ()).or_else(|invalid| (cut && last).then_some(()).ok_or(invalid))?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Err(invalid) = self.check() {
            return self.fail(Code::UpstreamInvalid, &invalid.to_string(), out);
        }
        self.begin(None, None, out);
        let said = usize::from(self.saying == Some(Saying::Call));
        for position in said..self.called.len() {
            self.write_call(position, out);
        }
        for (what, text) in std::mem::take(&mut self.late) {
            self.write(what, &text, out);
        }
        self.write_extra(out);
        self.blocks.close(out);
        let calls = !self.called.is_empty();
        let reason = answer::stop_reason(self.finish_reason.as_deref(), self.refused, calls);
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        event(out, "message_delta", json!({"delta": delta, "usage": answer::usage(self.tokens)}));
        event(out, "message_stop", json!({}));
        (self.over, self.ended) = (true, true);
    }

    fn fail(&mut self, code: Code, message: &str, out: &mut Vec<u8>) {
        (self.over, self.ended, self.failed) = (true, true, true);
        let (status, code) = (code.status(), code.name());
        let error = ErrorSaid { status, code, message, param: None, request_id: None, retry_after_s: None };
        out.extend(error::frames(&error));
    }

    /// Passes on the error that ends the stream.
    fn pass_on(&mut self, error: &ErrorObject, out: &mut Vec<u8>) {
        (self.over, self.ended) = (true, true);
        out.extend(error::frames_of(error));
    }
}

/// What a frame says; what cannot be read says nothing.
fn step(frame: &sse::Frame<'_>) -> Step {
    match frame.data.as_deref() {
        Some(data) if data.trim_ascii() == b"[DONE]" => Step::Done,
        Some(data) => Said::read(data).map_or(Step::Nothing, |said| Step::Said(Box::new(said))),
        None => Step::Nothing,
    }
}

impl StreamWriter for Events {
    fn frames(&mut self, frames: &[u8], out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.frames.push(frames);
        loop {
            let step = match self.frames.next_frame() {
                Ok(Some(frame)) => step(&frame),
                Ok(None) => return,
                Err(error) => return self.fail(Code::UpstreamTooLarge, &error.to_string(), out),
            };
            self.take(step, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(step) = self.frames.last_frame().map(|frame| step(&frame)) {
            self.take(step, out);
        }
        if self.over {
            return;
        }
        if self.finish_reason.is_some() {
            self.finish(out);
        } else {
            self.blocks.close(out);
            self.over = true;
        }
    }

    fn is_over(&self) -> bool {
        self.ended
    }

    fn has_failed(&self) -> bool {
        self.failed
    }
}
