//! OpenAI's chunks as Google's.
//!
//! Text and thoughts go on as they come. A call goes out when its arguments are complete, which is when its answer ends;
//! and the end is held until the usage has come or the stream is over, since Google says both in one chunk.

use std::mem;

use super::answer::{self, End};
use super::framed::{Framed, Frames};
use crate::adapter::Asked;
use crate::adapter::hub::{Answer, CallPiece, Calls, Said};
use crate::adapter::ingress::StreamWriter;
use crate::adapter::sse::{self, Frame};
use crate::api::Tokens;
use crate::bounds;

/// A writer for one stream.
pub(super) fn writer(asked: &Asked) -> Box<dyn StreamWriter> {
    Box::new(Framed::new(Chunks {
        id: None,
        made_up_id: asked.seed.clone(),
        model: asked.model.clone(),
        open: Vec::new(),
        used: None,
        told: None,
    }))
}

struct Chunks {
    /// The provider's id of the answer, once it is known.
    id: Option<String>,
    made_up_id: String,
    model: String,
    open: Vec<Open>,
    /// The last figures that came, and those that went out.
    used: Option<Tokens>,
    told: Option<Tokens>,
}

/// One answer, as far as it has come.
struct Open {
    index: u32,
    places: Calls,
    calls: Vec<CallPiece>,
    bytes: usize,
    /// Pieces came that are beyond every bound, and were not kept.
    lost: bool,
    finish: Option<String>,
    /// Its end has gone out.
    ended: bool,
}

impl Open {
    fn new(index: u32) -> Self {
        Self { index, places: Calls::default(), calls: Vec::new(), bytes: 0, lost: false, finish: None, ended: false }
    }

    /// Puts a piece of a call in its place.
    fn gather(&mut self, piece: CallPiece) {
        self.bytes = self.bytes.saturating_add(piece.arguments.len());
        self.lost |= self.bytes > bounds::CALL_ARGUMENTS_BYTES_MAX || self.places.len() > bounds::REPLY_CALLS_MAX;
        if self.lost {
            return;
        }
        let place = self.places.place(&piece);
        match self.calls.get_mut(place.call) {
            None => self.calls.push(piece),
            Some(call) => {
                call.arguments.push_str(&piece.arguments);
                call.name = call.name.take().or(piece.name);
                call.extra_content = call.extra_content.take().or(piece.extra_content);
            }
        }
    }
}

impl Chunks {
    fn read(&mut self, said: Said, out: &mut Vec<u8>) {
        self.id = self.id.take().or(said.id);
        self.model = said.model.unwrap_or(mem::take(&mut self.model));
        self.used = said.used.map(|used| used.tokens).or(self.used);
        let mut candidates = Vec::new();
        for answer in said.answers {
            let parts = answer::said(&answer);
            let (index, logprobs) = (answer.index, answer.logprobs.clone());
            self.note(answer);
            if !parts.is_empty() || logprobs.is_some() {
                candidates.push(answer::candidate(index, answer::or_empty(parts), logprobs.as_ref(), None));
            }
        }
        if !candidates.is_empty() {
            self.write(candidates, None, out);
        }
        let all_finished = !self.open.is_empty() && self.open.iter().all(|open| open.finish.is_some());
        if all_finished && self.used != self.told {
            self.close(out);
        }
    }

    fn note(&mut self, answer: Answer) {
        let at = self.open.iter().position(|open| open.index == answer.index).unwrap_or_else(|| {
            self.open.push(Open::new(answer.index));
            self.open.len() - 1
        });
        let Some(open) = self.open.get_mut(at) else { return };
        answer.calls.into_iter().for_each(|piece| open.gather(piece));
        open.finish = answer.finish_reason.or(open.finish.take());
        // More answers than anybody can ask for are not kept.
        self.open.truncate(bounds::STREAM_ANSWERS_MAX);
    }

    /// Writes the calls and the end of every answer that has one, and the usage where there is any that was not told.
    fn close(&mut self, out: &mut Vec<u8>) {
        let mut candidates = Vec::new();
        for open in self.open.iter_mut().filter(|open| open.finish.is_some() && !open.ended) {
            open.ended = true;
            let (parts, unreadable) = answer::calls(mem::take(&mut open.calls));
            let lost = open.lost.then(|| "the calls are larger than Bursar takes".to_owned());
            let end = End::of(open.finish.as_deref(), unreadable.or(lost));
            candidates.push(answer::candidate(open.index, answer::or_empty(parts), None, Some(end)));
        }
        if !candidates.is_empty() || self.used != self.told {
            self.told = self.used;
            self.write(candidates, self.used, out);
        }
    }

    fn write(&self, candidates: Vec<serde_json::Value>, used: Option<Tokens>, out: &mut Vec<u8>) {
        let id = self.id.as_deref().unwrap_or(&self.made_up_id);
        let chunk = answer::response(id, &self.model, candidates, used.and_then(answer::usage));
        sse::write_data(out, chunk.to_string().as_bytes());
    }
}

impl Frames for Chunks {
    fn take(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let Some(data) = frame.data.as_deref() else { return };
        if data.trim_ascii() == b"[DONE]" {
            // An answer has an end, whatever the provider left out.
            for open in &mut self.open {
                open.finish.get_or_insert_with(|| "stop".to_owned());
            }
            self.close(out);
        } else if let Ok(said) = Said::read(data) {
            self.read(said, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
    }
}
