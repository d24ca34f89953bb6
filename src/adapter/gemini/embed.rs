//! Embeddings, both ways. One text or many, Google is asked in a batch: a batch of one costs the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Number;

use super::error::GoogleError;
use super::wire::{BatchEmbed, EmbedContent, Embedded, Parts, Payload};
use super::{NAME, usage};
use crate::adapter::hub::{Embedding, EmbeddingReply, EmbeddingRequest, Usage, Vector, wrong};
use crate::adapter::{Asked, Invalid, Refusal, Reply, Seen};
use crate::api::Tokens;

/// An OpenAI embeddings body as a body of `batchEmbedContents`; `model` is with its collection.
pub(super) fn encode(model: &str, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let asked = EmbeddingRequest::read(body)?;
    asked.rest.refuse_rest(NAME)?;
    if asked.input.is_empty() {
        return Err(wrong("input", "input is empty: it must hold at least one text"));
    }
    let output_dimensionality = asked.dimensions;
    let request = |text: String| {
        let content = Parts { parts: vec![Payload::Text(text.into()).into()] };
        EmbedContent { model, content, output_dimensionality }
    };
    let sent = BatchEmbed { requests: asked.input.into_iter().map(request).collect() };
    serde_json::to_vec(&sent).map_err(|error| wrong("input", error.to_string()))
}

/// Reads the reply of `batchEmbedContents`, or of `embedContent`.
pub(super) fn read(asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
    let read: Embedded = serde_json::from_slice(body)?;
    let mut seen = Seen { content: true, terminal: true, ..Seen::default() };
    if let Some(error) = &read.error {
        seen.error = Some(GoogleError::of(error).in_band());
        return Ok(Reply { body: None, seen });
    }
    let vectors = read.embeddings.or(read.embedding.map(|one| vec![one]));
    let vectors = vectors.ok_or_else(|| Invalid("it has no embeddings".into()))?;
    // Newer models alone count, and there is no output to be counted.
    let input = read.usage_metadata.and_then(|usage| usage::tokens(&usage)).and_then(|tokens| tokens.input);
    seen.tokens = Tokens { input, ..Tokens::default() };
    if asked.pass {
        return Ok(Reply { body: None, seen });
    }
    let written = if asked.vectors_base64 { base64 } else { Vector::Floats };
    let embedding = |(index, one): (usize, super::wire::Values)| Embedding {
        object: "embedding",
        index,
        embedding: written(one.values),
    };
    let reply = EmbeddingReply {
        object: "list",
        data: vectors.into_iter().enumerate().map(embedding).collect(),
        model: asked.model.clone(),
        usage: Usage::of_embeddings(seen.tokens),
    };
    let body = serde_json::to_vec(&reply)?;
    Ok(Reply { body: Some(body.into()), seen })
}

/// A vector as OpenAI writes it where `encoding_format` is `base64`: f32, little-endian.
#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is what is asked for")]
fn base64(values: Vec<Number>) -> Vector {
    let bytes: Vec<u8> =
        values.iter().flat_map(|value| (value.as_f64().unwrap_or(f64::NAN) as f32).to_le_bytes()).collect();
    Vector::Base64(STANDARD.encode(bytes))
}
