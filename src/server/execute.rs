//! `POST /v1/execute`: Bursar's own call, one shape for every provider.
//!
//! It is a chat in other words. [`ask`] says it in OpenAI's dialect, the one control flow carries it out, and what comes
//! back is gathered ([`gather`]) into one reply, or passed on piece by piece ([`events`]).

mod ask;
mod events;
mod gather;

use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use self::events::Events;
use self::gather::{Gathered, Who};
use super::admitted::Admitted;
use super::answer::{Described, at_once, event_stream, refused};
use super::call::Received;
use super::dialect::Surface;
use super::reply::{self, Reply};
use crate::adapter::Dialect;
use crate::adapter::hub::Said;
use crate::api::{Code, Failure};
use crate::execute::{self, Answer, AnswerBody, Call, Refused};

/// `POST /v1/execute`.
pub(super) async fn execute(admitted: Admitted) -> Reply {
    let Admitted { context, identity, request, .. } = admitted;
    let (head, body) = request.into_parts();
    let mut received = Received::now(&context, head.headers);
    let id = received.id;
    let body = received.body(body).await;
    let asked = body.and_then(|body| ask::read(&body)).and_then(|request| {
        let by_route = request.route.is_some();
        ask::call(request, received, identity).map(|call| (call, by_route))
    });
    let mut reply = match asked {
        Ok((call, by_route)) => carry_out(&context.worker, call, by_route).await,
        Err(failure) => Surface::App(Dialect::OpenAi).failure(&failure),
    };
    reply::with_id(reply.headers_mut(), id);
    reply
}

async fn carry_out(worker: &execute::Worker, call: Box<Call>, by_route: bool) -> Reply {
    let id = call.id;
    match execute::execute(worker, call).await {
        Ok(mut answer) => {
            let described = Described::of(&mut answer);
            described.put_on(answered(answer, Gathered::new(id)))
        }
        Err(mut unanswered) => {
            if let (Refused::Bursar(failure), true) = (&mut unanswered.refused, by_route) {
                // The caller knows no field `model`.
                failure.param = failure.param.take().map(|param| if param == "model" { "route".into() } else { param });
            }
            refused(Dialect::OpenAi, unanswered, id)
        }
    }
}

/// An answer, whole or as it comes.
fn answered(answer: Answer, gathered: Gathered) -> Reply {
    let who = Who::of(&answer);
    let told = match answer.body {
        AnswerBody::Stream(relay) => return running(Events::new(who, relay, gathered)),
        AnswerBody::Frames(frames, ledger) => {
            events::all_at_once(&who, gathered, &frames, &ledger).map(|events| event_stream(at_once(events.into())))
        }
        AnswerBody::Whole(body, ledger) => Said::read(&body)
            .map_err(|invalid| Failure::new(Code::UpstreamInvalid, invalid.to_string()))
            .and_then(|said| gathered.whole(said))
            .map(|mut gathered| reply::json(StatusCode::OK, &gathered.reply(&who, &ledger))),
    };
    told.unwrap_or_else(|failure| Surface::App(Dialect::OpenAi).failure(&failure))
}

fn running(events: Events) -> Reply {
    let patience = events.patience();
    let pieces = stream::unfold(events, |mut events| async move {
        let bytes = events.next().await?;
        Some((Ok(Frame::data(bytes)), events))
    });
    let mut reply = event_stream(StreamBody::new(pieces).boxed_unsync());
    reply.extensions_mut().insert(patience);
    reply
}
