//! One client's connection: which protocol it speaks, and how it ends.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Context;
use super::admitted::Caller;
use super::io::{Busy, Watched};
use super::listen::Plane;
use super::reply::Held;
use super::routes;
use super::unread::{Patience, Streams};
use crate::bounds;

/// How HTTP/2 with prior knowledge begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's payload before anything else was agreed on (RFC 9113, section 4.2).
const FIRST_FRAME_BYTES_MAX: usize = 16_384;
/// What follows the length in a frame's head: type, flags, stream.
const FRAME_HEAD_REST_BYTES: usize = 6;

/// Serves one connection to its end. When `stop` turns true, the request that runs is the last.
pub(super) async fn serve(
    context: Context,
    stream: UnixStream,
    caller: Caller,
    plane: Plane,
    stop: watch::Receiver<bool>,
) {
    let (mut stream, mut stop) = (stream, stop);
    let (first, http2) = tokio::select! {
        biased;
        said = timeout(bounds::PREFACE_TIMEOUT, preface(&mut stream)) => {
            let Ok(Some(said)) = said else { return };
            said
        }
        // Nobody waits at the end for a client that has said nothing yet.
        () = super::turned(&mut stop) => return,
    };
    let busy = Busy::default();
    let io = TokioIo::new(Watched::new(stream, first, busy.clone()));
    if http2 {
        serve_http2(context, io, caller, plane, busy, stop).await;
    } else {
        serve_http1(context, io, caller, plane, busy, stop).await;
    }
}

/// The first bytes, and whether they are HTTP/2's: then the client's first frame, which it sends at once, is among them.
/// None where the client hung up.
async fn preface(stream: &mut UnixStream) -> Option<(Bytes, bool)> {
    let mut first = BytesMut::with_capacity(8 * 1024);
    loop {
        if stream.read_buf(&mut first).await.ok()? == 0 {
            return None;
        }
        let common = first.iter().zip(PREFACE).take_while(|(a, b)| a == b).count();
        if common < PREFACE.len().min(first.len()) {
            return Some((first.freeze(), false));
        }
        if first.get(PREFACE.len()..).is_some_and(has_frame) {
            return Some((first.freeze(), true));
        }
    }
}

/// Whether a whole frame is there, or one that HTTP/2 does not allow as the first.
fn has_frame(bytes: &[u8]) -> bool {
    let &[high, middle, low, ref rest @ ..] = bytes else { return false };
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    length > FIRST_FRAME_BYTES_MAX || rest.len() >= FRAME_HEAD_REST_BYTES + length
}

async fn serve_http1(
    context: Context,
    io: TokioIo<Watched>,
    caller: Caller,
    plane: Plane,
    busy: Busy,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let serving = busy.begin();
        let reply = routes::dispatch(context.clone(), caller, plane, request);
        async move { Ok::<_, Infallible>(reply.await.map(|body| Held::new(body, serving))) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds::IDLE_TIMEOUT).max_buf_size(bounds::HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(io, service));
    tokio::select! {
        _ = connection.as_mut() => {}
        () = super::turned(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn serve_http2(
    context: Context,
    io: TokioIo<Watched>,
    caller: Caller,
    plane: Plane,
    busy: Busy,
    mut stop: watch::Receiver<bool>,
) {
    // Heads are HTTP/2's own business: frames come at any time.
    let _serving = busy.begin();
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let streams = Streams::new();
    let watching = streams.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let stream = Counted::new(&counted);
        let reply = routes::dispatch(context.clone(), caller, plane, request);
        let watch = watching.clone();
        async move {
            let mut reply = reply.await;
            let patience = reply.extensions_mut().remove::<Patience>();
            let reply = reply.map(|body| match (Held::new(body, stream), patience) {
                (body, Some(patience)) => Either::Right(watch.watch(body, patience)),
                (body, None) => Either::Left(body),
            });
            Ok::<_, Infallible>(reply)
        }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds::HTTP2_STREAMS_MAX)
        .max_header_list_size(bounds::HTTP2_HEADER_LIST_BYTES_MAX)
        .keep_alive_interval(bounds::HTTP2_PING_INTERVAL)
        .keep_alive_timeout(bounds::HTTP2_PING_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut idle = Duration::ZERO;
    loop {
        let pause = if streams.any() { bounds::UNREAD_CHECK_INTERVAL } else { bounds::HTTP2_PING_INTERVAL };
        tokio::select! {
            _ = connection.as_mut() => return,
            () = super::turned(&mut stop) => break,
            () = streams.begun() => {}
            () = tokio::time::sleep(pause) => {
                streams.look();
                let quiet = open.load(Ordering::Relaxed) == 0;
                idle = if quiet { idle + pause } else { Duration::ZERO };
                if idle >= bounds::IDLE_TIMEOUT {
                    break;
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    let mut draining = pin!(timeout(bounds::DRAIN_TIMEOUT, connection));
    loop {
        tokio::select! {
            _ = draining.as_mut() => return,
            () = tokio::time::sleep(bounds::UNREAD_CHECK_INTERVAL) => streams.look(),
        }
    }
}

/// One open stream of an HTTP/2 connection.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
