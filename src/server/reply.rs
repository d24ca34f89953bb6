//! Replies: JSON, errors, and the body that keeps something alive until it has been sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use serde::Serialize;

use crate::api::error::Problem;
use crate::api::{Failure, RequestId};
use crate::bounds;

/// A reply of the server.
pub(super) type Reply = Response<Body>;

/// The body of a reply: all of it, or pieces as they come.
pub(super) type Body = Either<Full<Bytes>, Pieces>;

/// Pieces as they come, and the end of the connection where they do not come whole.
pub(super) type Pieces = UnsyncBoxBody<Bytes, io::Error>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-bursar-request-id");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A reply with a body that is JSON already.
pub(super) fn json_bytes(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.into())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

/// The body of a reply that has none.
pub(super) fn nothing() -> Body {
    Either::Left(Full::new(Bytes::new()))
}

/// A reply with an object as JSON.
pub(super) fn json(status: StatusCode, object: &impl Serialize) -> Reply {
    match serde_json::to_vec(object) {
        Ok(body) => json_bytes(status, body),
        Err(_) => json_bytes(StatusCode::INTERNAL_SERVER_ERROR, &b"{}"[..]),
    }
}

/// The status of a code.
pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An error of the admin plane.
pub(super) fn problem(failure: &Failure) -> Reply {
    let mut reply = json(status(failure.code.status()), &Problem::of(failure));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    with_retry(&mut reply, failure);
    reply
}

/// `Retry-After`, and what SDKs shall make of it: come again soon, or do not triple what rotation has done already.
pub(super) fn with_retry(reply: &mut Reply, failure: &Failure) {
    let waits = failure.retry_after_s;
    if let Some(seconds) = waits {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let transient = matches!(failure.code.status(), 429 | 503);
    let soon = transient && waits.is_some_and(|seconds| seconds <= bounds::RETRY_AFTER_SOON_S);
    if transient || failure.code.status() >= 500 {
        let word = if soon { "true" } else { "false" };
        reply.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static(word));
    }
}

/// What SDKs shall make of an answer to the app's own fault: it is not worth another try.
pub(super) fn with_no_retry(reply: &mut Reply) {
    reply.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
}

/// The id of the request.
pub(super) fn with_id(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.shown().as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}

/// A header whose text comes from a checked name.
pub(super) fn with_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// The methods that a path takes.
pub(super) fn with_allow(reply: &mut Reply, methods: &str) {
    if let Ok(value) = HeaderValue::from_str(methods) {
        reply.headers_mut().insert(ALLOW, value);
    }
}

/// A body that keeps something until it was sent whole, or given up.
pub(super) struct Held<T> {
    body: Body,
    _held: T,
}

impl<T> Held<T> {
    pub(super) fn new(body: Body, held: T) -> Self {
        Self { body, _held: held }
    }
}

impl<T: Unpin> http_body::Body for Held<T> {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
