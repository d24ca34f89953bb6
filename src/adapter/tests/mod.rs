//! What the tests of translating adapters share: golden files, recorded traffic, and streams read as apps see them.

pub(super) mod facts;
pub(super) mod garbage;
pub(super) mod golden;
pub(super) mod recorded;

use super::sse::{Frame, Reader};
use super::{Adapter, Asked, Forward, ProviderError, Seen};
use crate::api::{Operation, Tokens};

/// An adapter under test.
#[derive(Clone, Copy)]
pub(super) struct Tested {
    /// It.
    pub adapter: &'static dyn Adapter,
    /// The word for its format in golden files and recordings.
    pub format: &'static str,
    /// The model that is asked.
    pub model: &'static str,
    /// Whether only the end of the bytes tells that a stream is over, whatever was said before.
    pub ends_with_bytes: bool,
}

/// What a stream came to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Streamed {
    /// What went to the app.
    pub out: Vec<u8>,
    /// Frames that went to it as they came.
    pub passed: usize,
    /// What was used.
    pub tokens: Tokens,
    /// The model that was said to answer.
    pub model: Option<String>,
    /// Whether anything was said.
    pub content: bool,
    /// Whether it came to its end.
    pub terminal: bool,
    /// The error that it ended in.
    pub error: Option<ProviderError>,
}

impl Streamed {
    fn add(&mut self, forward: Forward, seen: Seen) {
        match forward {
            Forward::Replace(bytes) => self.out.extend(bytes),
            Forward::Withhold => {}
            Forward::AsIs => self.passed += 1,
        }
        self.tokens = self.tokens.updated_by(seen.tokens);
        self.model = seen.model.or(self.model.take());
        self.terminal |= seen.terminal;
        // What comes after an error is no content of the reply.
        if self.error.is_none() {
            self.content |= seen.content && seen.error.is_none();
            self.error = seen.error;
        }
    }
}

impl Tested {
    /// A call as the tests make it.
    pub(super) fn asked(&self, operation: Operation, stream: bool) -> Asked {
        Asked {
            operation,
            stream,
            include_usage: true,
            seed: "7".into(),
            created_s: 1_700_000_000,
            ..Asked::for_model(self.model)
        }
    }

    /// Reads a stream whose bytes came in these pieces.
    pub(super) fn stream(&self, asked: &Asked, pieces: &[&[u8]]) -> Streamed {
        let mut reader = Reader::new(1 << 24);
        let mut chunks = self.adapter.stream(asked);
        let mut streamed = Streamed::default();
        let mut take = |frame: Frame<'_>, streamed: &mut Streamed| {
            let step = chunks.frame(&frame);
            streamed.add(step.forward, step.seen);
        };
        for piece in pieces {
            reader.push(piece);
            while let Some(frame) = reader.next_frame().unwrap() {
                take(frame, &mut streamed);
            }
        }
        if let Some(frame) = reader.last_frame() {
            take(frame, &mut streamed);
        }
        let step = chunks.end();
        streamed.terminal &= !self.ends_with_bytes;
        streamed.add(step.forward, step.seen);
        streamed
    }

    /// All that an adapter reads from outside.
    pub(super) fn read_all(&self, bytes: &[u8]) {
        let body = bytes::Bytes::copy_from_slice(bytes);
        for operation in self.adapter.facts().operations.iter().copied() {
            let _ = self.adapter.encode(&self.asked(operation, false), bytes);
            let _ = self.adapter.reply(&self.asked(operation, false), &body);
        }
        let _ = self.adapter.models(bytes);
        let _ = self.adapter.error(429, &http::HeaderMap::new(), bytes);
        let _ = self.stream(&self.asked(Operation::Chat, true), &[bytes]);
        let _ = self.stream(&self.asked(Operation::Chat, true), &[b"data: ", bytes, b"\n\n", bytes]);
    }
}
