//! The ingress against golden files, recorded requests and garbage.

mod garbage;
mod golden;
mod said;

use super::GEMINI;
use crate::adapter::Asked;
use crate::adapter::ingress::{Ingress, StreamWriter};
use crate::api::Operation;

/// A call as the tests make it; names that begin with `embed` are embeddings, `embed-one` of one text.
fn asked(name: &str) -> Asked {
    let operation = if name.starts_with("embed") { Operation::Embeddings } else { Operation::Chat };
    Asked { operation, single: name == "embed-one", seed: "7".into(), ..Asked::for_model("fast") }
}

/// What a writer makes of a stream that comes in these pieces.
fn written(mut writer: Box<dyn StreamWriter>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        writer.frames(piece, &mut out);
    }
    writer.end(&mut out);
    out
}

/// What a translated stream comes to.
fn streamed(pieces: &[&[u8]]) -> Vec<u8> {
    written(GEMINI.stream(&asked("stream")), pieces)
}
