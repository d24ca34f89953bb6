//! A stream of Google's chunks as OpenAI's.
//!
//! Google's stream has no end but the end of the bytes, and a chunk with a finish reason may be followed by more. So
//! finish reasons are held until the bytes end; then come the last chunk of every answer, the usage if the app asked
//! for it, and `[DONE]`. A stream without a finish reason in every answer gets none of these: it was cut.

use super::answer::{Added, Answer, Ids, all_failed, nothing};
use super::error::GoogleError;
use super::reply::{is_blocked, response};
use super::usage;
use super::wire::{Candidate, Response, UsageMetadata};
use crate::adapter::hub::{Chunk, ChunkChoice, Delta, FinishReason, Usage};
use crate::adapter::{Asked, Forward, ProviderError, Seen, Step, StreamReader, sse};
use crate::api::Tokens;
use crate::bounds;

/// Reads a stream of chunks, each of them a whole reply with what is new.
pub(super) struct Chunks {
    /// The same in every chunk; Google's own once it is known.
    id: Option<String>,
    model: String,
    made_up_id: String,
    created_s: i64,
    include_usage: bool,
    /// The app speaks Google's dialect: every frame goes out as it came.
    pass: bool,
    ids: Ids,
    answers: Vec<Answer>,
    /// Answers whose role has been said.
    begun: Vec<u32>,
    blocked: bool,
    /// An error has come: nothing after it counts.
    broken: bool,
    usage: Option<UsageMetadata>,
    tokens: Tokens,
}

impl Chunks {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            id: None,
            model: asked.model.clone(),
            made_up_id: asked.made_up_id(),
            created_s: asked.created_s,
            include_usage: asked.include_usage,
            pass: asked.pass,
            ids: Ids::new(asked),
            answers: Vec::new(),
            begun: Vec::new(),
            blocked: false,
            broken: false,
            usage: None,
            tokens: Tokens::default(),
        }
    }

    fn take(&mut self, response: Response) -> Step {
        if let Some(error) = &response.error {
            return self.fail(GoogleError::of(error).in_band());
        }
        self.blocked |= is_blocked(&response);
        self.id = self.id.take().or(response.response_id);
        if let Some(model) = &response.model_version {
            self.model.clone_from(model);
        }
        let mut out = Vec::new();
        let mut seen = Seen { model: response.model_version, ..Seen::default() };
        for (position, candidate) in response.candidates.unwrap_or_default().into_iter().enumerate() {
            match self.take_candidate(position, candidate) {
                Ok((index, added)) => {
                    seen.content |= added.delta.is_content();
                    seen.written += added.delta.written();
                    self.write_added(index, added, &mut out);
                }
                Err(error) => return self.fail(error),
            }
        }
        self.count(response.usage_metadata);
        seen.tokens = self.tokens;
        seen.terminal = self.is_terminal();
        seen.content |=
            self.blocked || self.answers.iter().any(|answer| answer.is_lawful() || (self.pass && answer.has_content));
        Step { forward: if out.is_empty() { Forward::Withhold } else { Forward::Replace(out) }, seen }
    }

    fn take_candidate(&mut self, position: usize, candidate: Candidate) -> Result<(u32, Added), ProviderError> {
        let index = candidate.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
        let answer = place(&mut self.answers, index, self.pass)
            .ok_or_else(|| ProviderError::broken("Gemini's stream holds more answers than can be asked for"))?;
        let added = answer.take(candidate, &mut self.ids);
        let added = added.map_err(|_| ProviderError::broken("Gemini's streamed arguments cannot be put together"))?;
        Ok((index, added))
    }

    fn count(&mut self, usage: Option<UsageMetadata>) {
        // What the answer will have come to is not known before its end.
        let Some(tokens) = usage.and_then(|usage| usage::tokens(&usage)) else { return };
        self.tokens = usage::over(self.tokens, tokens);
        self.usage = usage;
    }

    fn fail(&mut self, error: ProviderError) -> Step {
        self.broken = true;
        Step { forward: Forward::Withhold, seen: Seen { error: Some(error), tokens: self.tokens, ..Seen::default() } }
    }

    fn has_content(&self) -> bool {
        self.answers.iter().any(|answer| answer.has_content)
    }

    fn is_terminal(&self) -> bool {
        self.blocked || (!self.answers.is_empty() && self.answers.iter().all(Answer::is_finished))
    }

    /// The figures once it is known whether anything was said.
    fn final_tokens(&self) -> Tokens {
        let count = if self.has_content() { usage::tokens } else { usage::of_nothing };
        let last = self.usage.as_ref().and_then(count);
        last.map_or(self.tokens, |last| usage::over(self.tokens, last))
    }

    fn write_added(&mut self, index: u32, added: Added, out: &mut Vec<u8>) {
        let Added { mut delta, logprobs } = added;
        if self.pass || (delta == Delta::default() && logprobs.is_none()) {
            return;
        }
        delta.role = self.role(index);
        self.write(vec![ChunkChoice { index, delta, logprobs, finish_reason: None }], None, out);
    }

    /// The role, with the first that is said of an answer.
    fn role(&mut self, index: u32) -> Option<&'static str> {
        if self.begun.contains(&index) {
            return None;
        }
        self.begun.push(index);
        Some("assistant")
    }

    /// The last chunk of every answer, the usage if it was asked for, and the mark of the end.
    fn write_end(&mut self, tokens: Tokens) -> Vec<u8> {
        let mut out = Vec::new();
        let mut answers = std::mem::take(&mut self.answers);
        if self.blocked && !answers.iter().any(|answer| answer.has_content) {
            answers.clear();
            self.write_last(0, Delta::default(), FinishReason::ContentFilter, &mut out);
        }
        for answer in &mut answers {
            let mut delta = Delta::default();
            answer.end_call(&mut delta);
            if self.blocked {
                answer.withhold();
            }
            self.write_last(answer.index, delta, answer.finish_reason(), &mut out);
        }
        if let Some(usage) = Usage::of_chat(tokens).filter(|_| self.include_usage) {
            self.write(Vec::new(), Some(usage), &mut out);
        }
        sse::write_data(&mut out, b"[DONE]");
        out
    }

    fn write_last(&mut self, index: u32, mut delta: Delta, reason: FinishReason, out: &mut Vec<u8>) {
        delta.role = self.role(index);
        // An answer of which nothing was said is an empty one.
        delta.content = delta.role.map(|_| String::new());
        self.write(vec![ChunkChoice { index, delta, logprobs: None, finish_reason: Some(reason) }], None, out);
    }

    fn write(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: self.id.as_deref().unwrap_or(&self.made_up_id),
            object: "chat.completion.chunk",
            created: self.created_s,
            model: &self.model,
            choices,
            usage,
        };
        chunk.write(out);
    }
}

impl Chunks {
    fn read(&mut self, frame: &sse::Frame<'_>) -> Step {
        if self.broken {
            return Step { forward: Forward::Withhold, seen: Seen::default() };
        }
        if let Some(error) = frame.stray.then(|| stray_error(frame.raw)).flatten() {
            return self.fail(error);
        }
        let Some(data) = frame.data.as_deref() else {
            return Step { forward: Forward::Withhold, seen: Seen::default() };
        };
        match response(data) {
            Ok(response) => self.take(response),
            Err(_) => self.fail(ProviderError::broken("a chunk of Gemini's stream cannot be read")),
        }
    }

    fn close(&mut self) -> Step {
        let mut seen = Seen { tokens: self.final_tokens(), ..Seen::default() };
        if self.broken {
            return Step { forward: Forward::Withhold, seen };
        }
        if !self.blocked && all_failed(&self.answers) {
            seen.error = Some(nothing(&self.answers));
            return Step { forward: Forward::Withhold, seen };
        }
        if !self.is_terminal() {
            return Step { forward: Forward::Withhold, seen };
        }
        (seen.content, seen.terminal) = (true, true);
        let out = self.write_end(seen.tokens);
        Step { forward: Forward::Replace(out), seen }
    }
}

impl StreamReader for Chunks {
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step {
        let step = self.read(frame);
        if self.pass { Step { forward: Forward::AsIs, ..step } } else { step }
    }

    fn end(&mut self) -> Step {
        let step = self.close();
        if self.pass { Step { forward: Forward::Withhold, ..step } } else { step }
    }
}

/// The answer of that number, begun where it is new; none where there are too many.
fn place(answers: &mut Vec<Answer>, index: u32, pass: bool) -> Option<&mut Answer> {
    let at = match answers.iter().position(|answer| answer.index == index) {
        Some(at) => at,
        None if answers.len() < bounds::STREAM_ANSWERS_MAX => {
            answers.push(Answer::new(index, pass));
            answers.len() - 1
        }
        None => return None,
    };
    answers.get_mut(at)
}

/// An error object that stands in the stream without `data:`, which Google does when it fails in the middle.
fn stray_error(raw: &[u8]) -> Option<ProviderError> {
    let is_field =
        |line: &&[u8]| [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|name| line.starts_with(name));
    let lines: Vec<&[u8]> = raw.split(|&b| b == b'\n' || b == b'\r').filter(|line| !is_field(line)).collect();
    let error = response(&lines.concat()).ok()?.error?;
    Some(GoogleError::of(&error).in_band())
}
