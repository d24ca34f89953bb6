//! The sandbox: an upstream inside the process, for development and for apps' own tests.
//!
//! It speaks OpenAI's format and is deterministic but for ids and times: whoever builds on Bursar can call a model, see
//! every way in which calling one fails, and needs neither key nor network. It must never be mistaken for a real
//! provider, so every reply is labelled, in its head and in its body.

mod ask;
mod chat;
mod embed;
mod error;
mod fault;
mod schema;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, iter};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use fault::Fault;

use self::error::Problem;
use super::{Body, Reply, Request, TransportError};
use crate::clock::Clock;

/// On a request, the fault that is asked for; on a reply, what in the sandbox answered.
const HEADER: HeaderName = HeaderName::from_static("x-bursar-sandbox");
/// Where OpenAI puts its own id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The model that answers chats.
const CHAT_MODEL: &str = "echo";
/// The model that embeds.
const EMBEDDING_MODEL: &str = "embed";
/// The `system_fingerprint` of every chat reply.
const FINGERPRINT: &str = "bursar-sandbox";
/// Characters that make up a token, roughly, in English text and OpenAI's tokenisers.
const CHARS_PER_TOKEN: usize = 4;

/// Answers a request as its headers, else the connection's fault, say. What the header asks for replaces the
/// connection's fault wholly, so that a test can rely on it: an empty one asks for none.
pub(super) async fn send(request: &Request, fault: &Fault) -> Result<Reply, TransportError> {
    let body = request.body.concat();
    let id = next_id(&body);
    let answer = match Fault::asked(&request.headers) {
        Ok(asked) => act(request, &body, &id, asked.as_ref().unwrap_or(fault)).await,
        Err(problem) => Err(problem),
    };
    let mut reply = answer.unwrap_or_else(|problem| problem.reply());
    reply.headers.extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
    Ok(reply)
}

/// Misbehaves as told, or does the work.
async fn act(request: &Request, body: &[u8], id: &str, fault: &Fault) -> Result<Reply, Problem> {
    tokio::time::sleep(Duration::from_millis(fault.latency_ms)).await;
    if fault.hang {
        std::future::pending::<()>().await;
    }
    match fault.status {
        Some(status) => Err(Problem::asked_for(status, fault.retry_after_s)),
        None => route(request, body, id, fault.cut_after),
    }
}

fn route(request: &Request, body: &[u8], id: &str, cut_after: Option<usize>) -> Result<Reply, Problem> {
    let path = request.url.path();
    let parsed =
        || serde_json::from_slice(body).map_err(|error| Problem::invalid(format!("the body is no JSON: {error}")));
    let (label, playback) = match request.method {
        Method::GET if path.ends_with("/models") => ("models", Playback::whole(&models(), cut_after)),
        Method::POST if path.ends_with("/chat/completions") => (CHAT_MODEL, chat::answer(&parsed()?, id, cut_after)?),
        Method::POST if path.ends_with("/embeddings") => {
            (EMBEDDING_MODEL, Playback::whole(&embed::answer(&parsed()?)?, cut_after))
        }
        _ => return Err(Problem::unknown_url(&request.method, path)),
    };
    let headers = head(label, playback.media_type);
    Ok(Reply { status: StatusCode::OK, headers, body: Body::Sandbox(playback) })
}

fn models() -> Value {
    let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": FINGERPRINT});
    json!({"object": "list", "data": [model(CHAT_MODEL), model(EMBEDDING_MODEL)]})
}

/// The headers that every reply has.
fn head(label: &'static str, media_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(HEADER, HeaderValue::from_static(label));
    headers
}

/// An id that tells requests apart by their content, and by their number where the content is the same.
fn next_id(body: &[u8]) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    format!("sandbox-{:016x}-{}", hash(body), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The same on every host and in every release.
fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).fold(0, |hash, &byte| hash << 8 | u64::from(byte))
}

fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN)
}

fn created_s() -> i64 {
    Clock::system().wall_ms() / 1000
}

/// A reply's body being played. Streams are rendered as they are read, so that a long one takes no more room than its
/// text.
pub struct Playback {
    media_type: &'static str,
    pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    /// Whether the connection breaks where the pieces end.
    cut: bool,
}

impl Playback {
    /// A JSON body; where it is to be cut, half of it.
    fn whole(body: &Value, cut_after: Option<usize>) -> Self {
        let mut bytes = Bytes::from(body.to_string());
        if cut_after.is_some() {
            bytes.truncate(bytes.len() / 2);
        }
        Self { media_type: "application/json", pieces: Box::new(iter::once(bytes)), cut: cut_after.is_some() }
    }

    /// Server-sent events, already framed.
    fn stream(frames: impl Iterator<Item = Bytes> + Send + 'static, cut: bool) -> Self {
        Self { media_type: "text/event-stream; charset=utf-8", pieces: Box::new(frames), cut }
    }

    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        // Every piece is ready at once: without this, one long stream would keep its worker from all others.
        tokio::task::consume_budget().await;
        match self.pieces.next() {
            None if self.cut => Err(TransportError::Reset),
            piece => Ok(piece),
        }
    }
}

impl fmt::Debug for Playback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playback").field("media_type", &self.media_type).field("cut", &self.cut).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
