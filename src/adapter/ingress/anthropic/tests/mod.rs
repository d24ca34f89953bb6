//! The ingress against golden files, recorded requests and garbage.

mod garbage;
mod golden;
mod recorded;
mod streams;

use super::ANTHROPIC;
use crate::adapter::Asked;
use crate::adapter::ingress::Ingress;
use crate::api::Operation;

/// A call as the tests make it.
fn asked() -> Asked {
    Asked { operation: Operation::Chat, seed: "7".into(), ..Asked::for_model("gpt-test") }
}

/// What a stream comes to whose bytes came in these pieces.
fn stream(pieces: &[&[u8]]) -> Vec<u8> {
    let mut writer = ANTHROPIC.stream(&asked());
    let mut out = Vec::new();
    for piece in pieces {
        writer.frames(piece, &mut out);
    }
    writer.end(&mut out);
    out
}
