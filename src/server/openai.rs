//! OpenAI's surface: chat completions and embeddings.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, StreamBody};

use super::call::Received;
use super::dialect::Surface;
use super::reply::{self, Reply};
use super::routes::Admitted;
use super::unread::Patience;
use crate::adapter::hub;
use crate::api::{Code, Failure, Operation, RequestId};
use crate::execute::{self, Answer, AnswerBody, ProviderAnswer, Refused, Relay, Unanswered};

/// `POST /v1/chat/completions`.
pub(super) async fn chat(admitted: Admitted) -> Reply {
    serve(admitted, Operation::Chat).await
}

/// `POST /v1/embeddings`.
pub(super) async fn embeddings(admitted: Admitted) -> Reply {
    serve(admitted, Operation::Embeddings).await
}

async fn serve(admitted: Admitted, operation: Operation) -> Reply {
    let Admitted { context, identity, request, .. } = admitted;
    let (head, body) = request.into_parts();
    let mut received = Received::now(&context, head.headers);
    let id = received.id;
    let body = received.body(body).await;
    let call = match body.and_then(|body| received.call(identity, operation, body)) {
        Ok(call) => call,
        Err(failure) => return with_request_id(Surface::OpenAi.failure(&failure), id),
    };
    let streamed = Streamed { wanted: call.scan.stream, with_usage: call.scan.include_usage };
    let reply = match execute::execute(&context.worker, call).await {
        Ok(answer) => answered(answer, streamed),
        Err(unanswered) => refused(unanswered),
    };
    with_request_id(reply, id)
}

fn with_request_id(mut reply: Reply, id: RequestId) -> Reply {
    reply::with_id(reply.headers_mut(), id);
    reply
}

/// Whether an app wants its answer as a stream, and in it the usage.
#[derive(Clone, Copy)]
struct Streamed {
    wanted: bool,
    with_usage: bool,
}

/// An answer, whole or as it comes.
fn answered(answer: Answer, streamed: Streamed) -> Reply {
    let described = Described::of(&answer);
    let reply = match answer.body {
        // A provider that was asked for a stream may answer at once.
        AnswerBody::Whole(body, _) if streamed.wanted => match hub::at_once(&body, streamed.with_usage) {
            Ok(frames) => {
                let body = Full::new(Bytes::from(frames)).map_err(|never| match never {});
                event_stream(body.boxed_unsync())
            }
            Err(invalid) => Surface::OpenAi.failure(&Failure::new(Code::UpstreamInvalid, invalid.to_string())),
        },
        AnswerBody::Whole(body, _) => reply::json_bytes(StatusCode::OK, body),
        AnswerBody::Stream(relay) => stream_reply(relay),
    };
    described.put_on(reply)
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
    let frames =
        stream::unfold(relay, |mut relay| async move { relay.next().await.map(|bytes| (frame(bytes), relay)) });
    let mut reply = event_stream(StreamBody::new(frames).boxed_unsync());
    reply.extensions_mut().insert(patience);
    reply
}

fn frame(bytes: Bytes) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(bytes))
}

/// A reply of server-sent events.
pub(super) fn event_stream(body: reply::Pieces) -> Reply {
    let mut reply = Response::new(Either::Right(body));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

/// What the app is told of a call that nobody answered.
pub(super) fn refused(unanswered: Unanswered) -> Reply {
    let mut reply = match unanswered.refused {
        Refused::Bursar(failure) => Surface::OpenAi.failure(&failure),
        Refused::Provider(answer) => {
            let mut reply = passed_on(answer);
            // The same request would be refused again; SDKs come again by themselves after a 408, 409 or 429.
            reply::with_no_retry(&mut reply);
            reply
        }
    };
    reply.headers_mut().insert("x-bursar-attempts", HeaderValue::from(unanswered.attempts.len()));
    reply
}

/// A provider's answer to the app's own fault: unchanged in the same dialect, if it is JSON and shows no key; else its
/// text in OpenAI's.
fn passed_on(answer: ProviderAnswer) -> Reply {
    let status = match answer.status {
        // With these an app is told that Bursar refuses it; a provider that flags a prompt uses them too.
        401..=403 => StatusCode::BAD_REQUEST,
        // Of these only one that is too large is passed on: to come again later would not help.
        429 => StatusCode::PAYLOAD_TOO_LARGE,
        other => reply::status(other),
    };
    if let Some(body) = answer.unchanged() {
        return reply::json_bytes(status, body);
    }
    let mut body = crate::api::ErrorBody::of(&Failure::new(Code::InvalidRequest, answer.error.message));
    body.error.code = answer.error.code.or(answer.error.kind);
    body.error.param = answer.error.param;
    reply::json(status, &body)
}
