//! The sandbox: an upstream inside the process, for development and for apps' own tests.

use bytes::Bytes;

use super::{Reply, Request, TransportError};

/// Misbehaviour that a connection's settings ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Fault {
    /// The status to answer with.
    pub status: Option<u16>,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u64>,
    /// Milliseconds before the head.
    pub latency_ms: u64,
    /// Never answer.
    pub hang: bool,
    /// End a stream after so many chunks.
    pub cut_after: Option<usize>,
}

/// A reply being played.
#[derive(Debug)]
pub struct Playback;

impl Playback {
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        Ok(None)
    }
}

pub(super) async fn send(_: &Request, _: &Fault) -> Result<Reply, TransportError> {
    Err(TransportError::Reset)
}
