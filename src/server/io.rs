//! A client's stream with a watch on it: a request's head must come within its time once it has begun, and what is
//! written must be read. hyper's own head timer is its keep-alive timer as well, so it cannot tell the two apart.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, Sleep};

use crate::bounds;

/// Whether a request is being served: then what comes is a body, and takes its own time.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    serving: AtomicBool,
    /// Heads that have been read. A reply may be over before anybody looks whether one is being served.
    heads: AtomicU64,
}

impl Busy {
    /// A request's head has been read.
    pub(super) fn begin(&self) -> Serving {
        self.0.heads.fetch_add(1, Ordering::Relaxed);
        self.0.serving.store(true, Ordering::Relaxed);
        Serving(self.clone())
    }
}

/// A request that is being served, to the end of its reply.
pub(super) struct Serving(Busy);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.serving.store(false, Ordering::Relaxed);
    }
}

/// A watched stream, with the bytes that were read to find out its protocol.
pub(super) struct Watched {
    stream: UnixStream,
    first: Bytes,
    busy: Busy,
    /// Heads that had been read when `head` was last looked at.
    heads: u64,
    /// Runs from a head's first byte to its last.
    head: Option<Pin<Box<Sleep>>>,
    /// Runs while what was written is not read.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(stream: UnixStream, first: Bytes, busy: Busy) -> Self {
        // Bytes that are here already are the beginning of a head.
        let head = Some(Box::pin(tokio::time::sleep(bounds::HEAD_TIMEOUT)));
        Self { stream, first, busy, heads: 0, head, stalled: None }
    }

    fn is_busy(&self) -> bool {
        self.busy.0.serving.load(Ordering::Relaxed)
    }
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let heads = self.busy.0.heads.load(Ordering::Relaxed);
        if heads != self.heads {
            self.heads = heads;
            self.head = None;
        }
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before && self.head.is_none() && !self.is_busy() {
                self.head = Some(Box::pin(tokio::time::sleep(bounds::HEAD_TIMEOUT)));
            }
            return Poll::Ready(result);
        }
        if let Some(head) = &mut self.head {
            ready!(head.as_mut().poll(cx));
            return Poll::Ready(Err(too_slow("the request's head took too long")));
        }
        Poll::Pending
    }
}

impl Watched {
    /// Passes a write's result on, and runs out of patience with a client that does not read.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + bounds::WRITE_IDLE_TIMEOUT)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(too_slow("the client does not read its reply")))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
