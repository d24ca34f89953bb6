//! What apps are answered: whole, as it comes, or why not.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, StreamBody};

use super::dialect::{self, Surface};
use super::reply::{self, Reply};
use super::unread::Patience;
use crate::adapter::ingress::ErrorSaid;
use crate::adapter::{Dialect, ProviderError};
use crate::api::{Code, ConnectionId, RequestId};
use crate::execute::{Answer, AnswerBody, ProviderAnswer, Refused, Relay, Unanswered};

const PROVIDER: HeaderName = HeaderName::from_static("x-bursar-provider");
const CONNECTION: HeaderName = HeaderName::from_static("x-bursar-connection");
const MODEL: HeaderName = HeaderName::from_static("x-bursar-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-bursar-attempts");
const OVERHEAD: HeaderName = HeaderName::from_static("x-bursar-overhead-us");

/// An answer, whole or as it comes.
pub(super) fn answered(mut answer: Answer) -> Reply {
    let described = Described::of(&mut answer);
    let reply = match answer.body {
        AnswerBody::Whole(body, _) => reply::json_bytes(StatusCode::OK, body),
        AnswerBody::Frames(frames, _) => event_stream(at_once(frames)),
        AnswerBody::Stream(relay) => stream_reply(relay),
    };
    described.put_on(reply)
}

/// Bytes that are there as a body of pieces.
pub(super) fn at_once(bytes: Bytes) -> reply::Pieces {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The headers that say how an answer came about.
pub(super) struct Described {
    headers: HeaderMap,
}

impl Described {
    /// What an answer's headers say; those that the provider gave are taken out of it.
    pub(super) fn of(answer: &mut Answer) -> Self {
        let mut headers = std::mem::take(&mut answer.headers);
        with_target(&mut headers, &answer.connection, &answer.model);
        headers.insert(ATTEMPTS, HeaderValue::from(answer.attempts));
        let overhead = u64::try_from(answer.overhead.as_micros()).unwrap_or(u64::MAX);
        headers.insert(OVERHEAD, HeaderValue::from(overhead));
        Self { headers }
    }

    /// Puts them on a reply, beside what it says of its body.
    pub(super) fn put_on(mut self, mut reply: Reply) -> Reply {
        let own = std::mem::take(reply.headers_mut());
        for (name, value) in &own {
            // The provider's word on its media type is the one that holds.
            self.headers.entry(name).or_insert_with(|| value.clone());
        }
        *reply.headers_mut() = self.headers;
        reply
    }
}

/// Who was asked, and for which model.
fn with_target(headers: &mut HeaderMap, connection: &ConnectionId, model: &str) {
    reply::with_text(headers, PROVIDER, connection.provider.as_str());
    reply::with_text(headers, CONNECTION, &[connection.provider.as_str(), connection.name.as_str()].join(":"));
    reply::with_text(headers, MODEL, model);
}

fn stream_reply(relay: Box<Relay>) -> Reply {
    let patience = Patience { until: relay.deadline(), unread: relay.unread() };
    let frames = stream::unfold(Some(relay), |relay| async move {
        let mut relay = relay?;
        match relay.next().await {
            Some(bytes) => Some((Ok(Frame::data(bytes)), Some(relay))),
            None if relay.is_broken() => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
            None => None,
        }
    });
    let mut reply = event_stream(StreamBody::new(frames).boxed_unsync());
    reply.extensions_mut().insert(patience);
    reply
}

/// A reply of server-sent events.
pub(super) fn event_stream(body: reply::Pieces) -> Reply {
    let mut reply = Response::new(Either::Right(body));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

/// What the app is told, in its dialect, of a call that nobody answered.
pub(super) fn refused(dialect: Dialect, unanswered: Unanswered, id: RequestId) -> Reply {
    let mut reply = match unanswered.refused {
        Refused::Bursar(failure) => Surface::App(dialect).failure_of(&failure, Some(id)),
        Refused::Provider(answer) => {
            let mut reply = passed_on(dialect, &answer, id);
            // The same request would be refused again; SDKs come again by themselves after a 408, 409 or 429.
            reply::with_no_retry(&mut reply);
            reply
        }
    };
    let headers = reply.headers_mut();
    headers.insert(ATTEMPTS, HeaderValue::from(unanswered.attempts.len()));
    if let Some(last) = unanswered.attempts.last() {
        with_target(headers, &last.connection, &last.model);
    }
    headers.extend(unanswered.headers);
    reply
}

/// A provider's answer to the app's own fault: unchanged in the same dialect, if it is JSON and shows no key; else its
/// text in the app's.
fn passed_on(dialect: Dialect, answer: &ProviderAnswer, id: RequestId) -> Reply {
    let status = match answer.status {
        // With these an app is told that Bursar refuses it; a provider that flags a prompt uses them too.
        401..=403 => StatusCode::BAD_REQUEST,
        // Of these only one that is too large is passed on: to come again later would not help.
        429 => StatusCode::PAYLOAD_TOO_LARGE,
        other => reply::status(other),
    };
    if let Some(body) = answer.unchanged(dialect) {
        return reply::json_bytes(status, body);
    }
    let ProviderError { message, kind, code, param, .. } = &answer.error;
    let code = code.as_deref().or(kind.as_deref()).unwrap_or(Code::InvalidRequest.name());
    let id = id.to_string();
    let said = ErrorSaid {
        status: status.as_u16(),
        code,
        message,
        param: param.as_deref(),
        request_id: Some(&id),
        retry_after_s: None,
    };
    dialect::error(dialect, status, &said)
}
