//! What apps ask, in each dialect's own paths.

use http::HeaderMap;
use hyper::body::Incoming;

use super::Context;
use super::admitted::Admitted;
use super::answer::{answered, refused};
use super::call::{Asks, Received};
use super::dialect::Surface;
use super::reply::{self, Reply};
use crate::access::Identity;
use crate::adapter::Dialect;
use crate::adapter::body::InPath;
use crate::adapter::text::sanitise;
use crate::api::{Code, Failure, Operation};
use crate::execute::{self, Framing, Manner};

/// `POST /v1/chat/completions`.
pub(super) async fn chat(admitted: Admitted) -> Reply {
    serve(admitted, Asks::in_body(Dialect::OpenAi, Operation::Chat)).await
}

/// `POST /v1/embeddings`.
pub(super) async fn embeddings(admitted: Admitted) -> Reply {
    serve(admitted, Asks::in_body(Dialect::OpenAi, Operation::Embeddings)).await
}

/// `POST /v1/responses`.
pub(super) async fn responses(admitted: Admitted) -> Reply {
    serve(admitted, Asks::in_body(Dialect::OpenAi, Operation::Responses)).await
}

/// `POST /v1/moderations`.
pub(super) async fn moderations(admitted: Admitted) -> Reply {
    serve(admitted, Asks::in_body(Dialect::OpenAi, Operation::Moderation)).await
}

/// `POST /v1/images/generations` and its siblings, which take a form.
pub(super) async fn images(admitted: Admitted) -> Reply {
    one_of(admitted, Operation::Images, &["/images/generations", "/images/edits", "/images/variations"]).await
}

/// `POST /v1/audio/speech`.
pub(super) async fn speech(admitted: Admitted) -> Reply {
    serve(admitted, Asks::in_body(Dialect::OpenAi, Operation::Speech)).await
}

/// `POST /v1/audio/transcriptions` and its sibling, in forms.
pub(super) async fn transcriptions(admitted: Admitted) -> Reply {
    one_of(admitted, Operation::Transcription, &["/audio/transcriptions", "/audio/translations"]).await
}

/// A call whose provider's path is the app's own.
async fn one_of(admitted: Admitted, operation: Operation, endpoints: &'static [&'static str]) -> Reply {
    let asked = admitted.request.uri().path();
    let endpoint = endpoints.iter().copied().find(|endpoint| asked.strip_prefix("/v1") == Some(endpoint));
    let manner = Manner { endpoint, ..Manner::default() };
    serve(admitted, Asks { dialect: Dialect::OpenAi, operation, manner }).await
}

/// `POST /v1/messages`.
pub(super) async fn messages(admitted: Admitted) -> Reply {
    serve(admitted, Asks::in_body(Dialect::Anthropic, Operation::Chat)).await
}

/// `POST /v1beta/models/{model}:generateContent` and its siblings.
pub(super) async fn google(admitted: Admitted) -> Reply {
    match googles(&admitted.rest, admitted.request.uri().query().unwrap_or_default()) {
        Ok(asks) => serve(admitted, asks).await,
        Err(failure) => Surface::App(Dialect::Gemini).failure(&failure),
    }
}

/// A model's id may hold slashes and colons; the method is behind the last one.
fn googles(rest: &str, query: &str) -> Result<Asks, Failure> {
    let (model, method) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let (operation, stream, single) = match method {
        "generateContent" => (Operation::Chat, false, false),
        "streamGenerateContent" => (Operation::Chat, true, false),
        "embedContent" => (Operation::Embeddings, false, true),
        "batchEmbedContents" => (Operation::Embeddings, false, false),
        _ => {
            let message = format!(
                "there is no method {:?} here: a model has generateContent, streamGenerateContent, embedContent and \
                 batchEmbedContents",
                sanitise(method)
            );
            return Err(Failure::new(Code::NotFound, message));
        }
    };
    let events = query.split('&').any(|pair| pair == "alt=sse");
    let framing = if stream && !events { Framing::Array } else { Framing::Events };
    let path = Some(InPath { model: model.to_owned(), stream, single });
    Ok(Asks { dialect: Dialect::Gemini, operation, manner: Manner { path, endpoint: None, framing } })
}

async fn serve(admitted: Admitted, asks: Asks) -> Reply {
    let Admitted { context, identity, request, .. } = admitted;
    let (head, body) = request.into_parts();
    carry_out(context, identity, head.headers, body, asks).await
}

/// What comes of a request once its head has been taken apart: nothing of that is held while the provider is waited for.
async fn carry_out(context: Context, identity: Identity, headers: HeaderMap, body: Incoming, asks: Asks) -> Reply {
    let mut received = Received::now(&context, headers);
    let (id, dialect) = (received.id, asks.dialect);
    let body = received.body(body).await;
    let mut reply = match body.and_then(|body| received.call(identity, asks, body)) {
        Err(failure) => Surface::App(dialect).failure_of(&failure, Some(id)),
        Ok(call) => match execute::execute(&context.worker, call).await {
            Ok(answer) => answered(answer),
            Err(unanswered) => refused(dialect, unanswered, id),
        },
    };
    reply::with_id(reply.headers_mut(), id);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_paths_are_split_at_the_last_colon() {
        let asks = googles("openrouter/meta/llama:free:streamGenerateContent", "key=x&alt=sse").unwrap();
        let path = asks.manner.path.unwrap();
        assert_eq!((path.model.as_str(), path.stream, path.single), ("openrouter/meta/llama:free", true, false));
        assert_eq!((asks.operation, asks.manner.framing), (Operation::Chat, Framing::Events));
        assert_eq!(googles("m:streamGenerateContent", "").unwrap().manner.framing, Framing::Array);
        assert!(googles("m:embedContent", "").unwrap().manner.path.unwrap().single);
        for rest in ["m", "m:countTokens", ":"] {
            assert_eq!(googles(rest, "").err().map(|failure| failure.code), Some(Code::NotFound), "{rest}");
        }
    }
}
