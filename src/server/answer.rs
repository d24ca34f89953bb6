//! What apps are answered: whole, as it comes, or why not.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, StreamBody};

use super::dialect::{self, Surface};
use super::reply::{self, Reply};
use super::unread::Patience;
use crate::adapter::ingress::ErrorSaid;
use crate::adapter::{Dialect, ProviderError};
use crate::api::{Code, RequestId};
use crate::execute::{Answer, AnswerBody, ProviderAnswer, Refused, Relay, Unanswered};

/// An answer, whole or as it comes.
pub(super) fn answered(answer: Answer) -> Reply {
    let described = Described::of(&answer);
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
    headers: http::HeaderMap,
}

impl Described {
    /// What an answer's headers say.
    pub(super) fn of(answer: &Answer) -> Self {
        let mut headers = answer.headers.clone();
        reply::with_text(&mut headers, "x-bursar-provider", answer.provider.as_str());
        reply::with_text(&mut headers, "x-bursar-connection", &format!("{}:{}", answer.provider, answer.connection));
        reply::with_text(&mut headers, "x-bursar-model", &answer.model);
        headers.insert("x-bursar-attempts", HeaderValue::from(answer.attempts));
        let overhead = u64::try_from(answer.overhead.as_micros()).unwrap_or(u64::MAX);
        headers.insert("x-bursar-overhead-us", HeaderValue::from(overhead));
        Self { headers }
    }

    /// Puts them on a reply.
    pub(super) fn put_on(self, mut reply: Reply) -> Reply {
        reply.headers_mut().extend(self.headers);
        reply
    }
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
pub(super) fn refused(dialect: Dialect, id: RequestId, unanswered: Unanswered) -> Reply {
    let mut reply = match unanswered.refused {
        Refused::Bursar(failure) => Surface::App(dialect).failure_of(&failure, Some(id)),
        Refused::Provider(answer) => {
            let mut reply = passed_on(dialect, id, &answer);
            // The same request would be refused again; SDKs come again by themselves after a 408, 409 or 429.
            reply::with_no_retry(&mut reply);
            reply
        }
    };
    reply.headers_mut().insert("x-bursar-attempts", HeaderValue::from(unanswered.attempts.len()));
    reply
}

/// A provider's answer to the app's own fault: unchanged in the same dialect, if it is JSON and shows no key; else its
/// text in the app's.
fn passed_on(dialect: Dialect, id: RequestId, answer: &ProviderAnswer) -> Reply {
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
