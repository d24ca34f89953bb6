//! The adapter against golden files, recorded traffic and garbage.

mod garbage;
mod golden;
mod pass;

use super::GEMINI;
use crate::adapter::Asked;
use crate::adapter::tests::{Streamed, Tested};
use crate::api::Operation;

const TESTED: Tested = Tested { adapter: &GEMINI, format: "gemini", model: "gemini-2.5-flash", ends_with_bytes: true };

fn asked(operation: Operation, stream: bool) -> Asked {
    TESTED.asked(operation, stream)
}

fn stream(asked: &Asked, pieces: &[&[u8]]) -> Streamed {
    TESTED.stream(asked, pieces)
}
