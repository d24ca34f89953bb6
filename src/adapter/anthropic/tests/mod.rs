//! The adapter against golden files, recorded traffic and garbage.

mod errors;
mod garbage;
mod golden;

use super::ANTHROPIC;
use crate::adapter::Asked;
use crate::adapter::tests::{Streamed, Tested};
use crate::api::Operation;

const TESTED: Tested =
    Tested { adapter: &ANTHROPIC, format: "anthropic", model: "claude-opus-5", ends_with_bytes: false };

fn asked(stream: bool) -> Asked {
    TESTED.asked(Operation::Chat, stream)
}

fn stream(bytes: &[u8]) -> Streamed {
    TESTED.stream(&asked(true), &[bytes])
}
