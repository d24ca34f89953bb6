//! Streams of an app that speaks the provider's dialect: read for what they say, and passed as they came.

use super::{Forward, Step, StreamReader, sse};

/// A reader whose frames all go to the app as they came, and whose end adds nothing.
pub(super) struct Passing<R>(pub R);

impl<R: StreamReader> StreamReader for Passing<R> {
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step {
        Step { forward: Forward::AsIs, seen: self.0.frame(frame).seen }
    }

    fn end(&mut self) -> Step {
        Step { forward: Forward::Withhold, seen: self.0.end().seen }
    }
}
