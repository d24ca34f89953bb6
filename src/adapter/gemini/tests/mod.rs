//! The adapter against golden files, recorded traffic and garbage.

mod facts;
mod garbage;
mod golden;
mod pass;
mod recorded;

use crate::adapter::sse::{Frame, Reader};
use crate::adapter::{Adapter, Asked, Forward, ProviderError, Seen};
use crate::api::{Operation, Tokens};

use super::GEMINI;

/// A call as the tests make it.
fn asked(operation: Operation, stream: bool) -> Asked {
    Asked {
        operation,
        model: "gemini-2.5-flash".into(),
        stream,
        pass: false,
        single: false,
        include_usage: true,
        usage_added: false,
        vectors_base64: false,
        seed: "7".into(),
        created_s: 1_700_000_000,
    }
}

/// What a stream came to.
#[derive(Debug, Default, PartialEq)]
struct Streamed {
    /// What went to the app.
    out: Vec<u8>,
    /// Frames that went to it as they came.
    passed: usize,
    tokens: Tokens,
    content: bool,
    terminal: bool,
    error: Option<ProviderError>,
}

impl Streamed {
    fn add(&mut self, forward: Forward, seen: Seen) {
        match forward {
            Forward::Replace(bytes) => self.out.extend(bytes),
            Forward::Withhold => {}
            Forward::AsIs => self.passed += 1,
        }
        self.tokens = self.tokens.updated_by(seen.tokens);
        self.terminal |= seen.terminal;
        // What comes after an error is no content of the reply.
        if self.error.is_none() {
            self.content |= seen.content && seen.error.is_none();
            self.error = seen.error;
        }
    }
}

/// Reads a stream whose bytes came in these pieces.
fn stream(asked: &Asked, pieces: &[&[u8]]) -> Streamed {
    let mut reader = Reader::new(1 << 24);
    let mut chunks = GEMINI.stream(asked);
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
    streamed.terminal = false;
    streamed.add(step.forward, step.seen);
    streamed
}
