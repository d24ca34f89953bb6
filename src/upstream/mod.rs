//! The way to providers, and the only folder that names reqwest: client, TLS, caps, address guard, transport errors.
//!
//! Each worker has an [`Upstream`] of its own, with pools of its own, because its connections live on its runtime. The
//! credential is put on the request here, marked as sensitive, and nowhere else.

mod address;
mod client;
mod error;
pub mod sandbox;
mod tls;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use address::AddressError;
pub use client::Transport;
pub use error::TransportError;
pub use tls::check as check_roots;

use crate::bounds;

/// A request as it will stand on the wire, the credential's header included.
#[derive(Debug)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// The whole URL. It comes from a declared provider, never from an app.
    pub url: url::Url,
    /// All headers. What holds a credential is marked sensitive.
    pub headers: HeaderMap,
    /// The body's pieces; none for GET.
    pub body: Vec<Bytes>,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub enum Via<'a> {
    /// Over the network.
    Network(&'a Transport),
    /// To the sandbox inside this process.
    Sandbox(&'a sandbox::Fault),
}

/// One worker's way to all providers.
#[derive(Debug)]
pub struct Upstream {
    /// Few: providers that connect alike share one.
    clients: Mutex<Vec<(Transport, reqwest::Client)>>,
    /// Room for lookups of hosts' names, all clients together.
    lookups: Arc<Semaphore>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self { clients: Mutex::default(), lookups: Arc::new(Semaphore::new(bounds::DNS_LOOKUPS_MAX)) }
    }
}

impl Upstream {
    /// A way with empty pools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a request and waits for the reply's head. There is no time limit here but that of connecting: the caller's
    /// deadline drops the future, and with it the connection.
    ///
    /// # Errors
    /// When no head comes.
    pub async fn send(&self, via: Via<'_>, request: Request) -> Result<Reply, TransportError> {
        match via {
            Via::Sandbox(fault) => sandbox::send(&request, fault).await,
            Via::Network(transport) => self.dial(transport, request).await,
        }
    }

    async fn dial(&self, transport: &Transport, request: Request) -> Result<Reply, TransportError> {
        // The resolver never sees a literal address.
        match request.url.host() {
            Some(url::Host::Ipv4(literal)) => address::check(literal.into(), transport.allow_private)?,
            Some(url::Host::Ipv6(literal)) => address::check(literal.into(), transport.allow_private)?,
            _ => {}
        }
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        let mut pieces = request.body;
        *outgoing.body_mut() = match (pieces.pop(), pieces.is_empty()) {
            (None, _) => None,
            (Some(only), true) => Some(only.into()),
            (Some(last), false) => {
                pieces.push(last);
                Some(reqwest::Body::wrap(Pieces::new(pieces)))
            }
        };
        let mut response = self.client(transport)?.execute(outgoing).await.map_err(TransportError::of)?;
        let headers = std::mem::take(response.headers_mut());
        Ok(Reply { status: response.status(), headers, body: Body::Network(response) })
    }

    fn client(&self, transport: &Transport) -> Result<reqwest::Client, TransportError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| known == transport) {
            return Ok(client.clone());
        }
        let client = client::build(transport, &self.lookups)?;
        if clients.len() >= bounds::UPSTREAM_CLIENTS_MAX {
            clients.clear();
        }
        clients.push((transport.clone(), client.clone()));
        Ok(client)
    }
}

/// A reply's head, and its body to be read.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Network(reqwest::Response),
    Sandbox(sandbox::Playback),
}

impl Reply {
    /// The next bytes as they came; none at the end.
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        match &mut self.body {
            Body::Network(response) => response.chunk().await.map_err(TransportError::of),
            Body::Sandbox(playback) => playback.chunk().await,
        }
    }

    /// The whole body, however long it takes: for callers that have a deadline of their own.
    ///
    /// # Errors
    /// When it is larger than `max` bytes, or ends early.
    pub async fn whole(&mut self, max: usize) -> Result<Bytes, TransportError> {
        self.whole_within(max, Duration::MAX).await.map(Option::unwrap_or_default)
    }

    /// The whole body; none where the provider paused for longer than `idle`.
    ///
    /// # Errors
    /// When it is larger than `max` bytes, or ends early.
    pub async fn whole_within(&mut self, max: usize, idle: Duration) -> Result<Option<Bytes>, TransportError> {
        let mut first: Option<Bytes> = None;
        let mut all = Vec::new();
        loop {
            let Ok(next) = tokio::time::timeout(idle, self.chunk()).await else { return Ok(None) };
            let Some(next) = next? else { break };
            // A body that comes in one piece is not copied.
            match first.take() {
                None if all.is_empty() => first = Some(next),
                before => {
                    all.extend_from_slice(&before.unwrap_or_default());
                    all.extend_from_slice(&next);
                }
            }
            if all.len().max(first.as_ref().map_or(0, Bytes::len)) > max {
                return Err(TransportError::TooLarge { max });
            }
        }
        Ok(Some(first.unwrap_or_else(|| all.into())))
    }

    /// As much of the body as fits and comes in time: for errors, of which the beginning tells enough.
    pub async fn beginning(&mut self, max: usize, by: Instant) -> Bytes {
        let mut all = Vec::new();
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(by, self.chunk()).await {
            let room = max - all.len();
            all.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if all.len() >= max {
                break;
            }
        }
        all.into()
    }
}

/// A body of known length in pieces: what an app sent, with the changed bytes between.
struct Pieces {
    pieces: std::vec::IntoIter<Bytes>,
    left: u64,
}

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: pieces.into_iter(), left }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.pieces.next();
        self.left -= next.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
