//! OpenAI's API, and every endpoint that is compatible with it: bytes pass through, and usage is read off them.
//!
//! Source: OpenAI's API reference. What compatible servers do differently is noted where it is read.

mod body;
mod chunks;
mod events;

use std::ops::ControlFlow;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use self::body::{Body, Choice, failed, text};
use self::chunks::Chunks;
use self::events::Events;
use super::classify::OpenAiError;
use super::hub::{self, RawMessage, Used};
use super::{
    Adapter, Asked, Auth, Dialect, Facts, Forward, Invalid, KindFacts, ProviderError, Refusal, Reply, Seen, Step,
    StreamReader, headers, sse,
};
use crate::api::{Code, Operation};
use crate::config::StreamUsage;

/// The adapter of OpenAI and all who are compatible.
pub static OPENAI: OpenAi = OpenAi(&Facts {
    kind: KindFacts {
        name: "openai",
        default_base_url: Some("https://api.openai.com/v1"),
        needs_secret: true,
        settings: &["organization", "project"],
        stream_usage: StreamUsage::Ask,
        bare_models: true,
    },
    dialect: Some(Dialect::OpenAi),
    auth: Auth::Bearer,
    forward: &[&headers::OPENAI_BETA, &headers::IDEMPOTENCY_KEY],
    give_back: &[&headers::OPENAI_PROCESSING_MS, &headers::OPENAI_VERSION],
    request_id: &headers::X_REQUEST_ID,
    operations: OPERATIONS,
    headers: &[],
    setting_headers: &[("organization", "openai-organization"), ("project", "openai-project")],
    in_process: false,
});

/// Everything that OpenAI has. Whether a server that is compatible has it too is for its models' capabilities to say.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::Chat,
    Operation::Embeddings,
    Operation::Models,
    Operation::Responses,
    Operation::Images,
    Operation::Speech,
    Operation::Transcription,
    Operation::Moderation,
];

/// The sandbox speaks OpenAI's format from inside the process ([`crate::upstream`]).
pub static SANDBOX: OpenAi = OpenAi(&Facts {
    kind: KindFacts {
        name: "sandbox",
        default_base_url: Some("https://sandbox.invalid/v1"),
        needs_secret: false,
        settings: &["fault"],
        stream_usage: StreamUsage::Ask,
        bare_models: false,
    },
    dialect: Some(Dialect::OpenAi),
    auth: Auth::None,
    forward: &[&headers::SANDBOX],
    give_back: &[&headers::SANDBOX],
    request_id: &headers::X_REQUEST_ID,
    operations: &[Operation::Chat, Operation::Embeddings, Operation::Models],
    headers: &[],
    setting_headers: &[],
    in_process: true,
});

/// An adapter of OpenAI's family; members differ in their facts alone.
pub struct OpenAi(pub(super) &'static Facts);

impl Adapter for OpenAi {
    fn facts(&self) -> &'static Facts {
        self.0
    }

    fn path(&self, asked: &Asked) -> String {
        let path = asked.endpoint.unwrap_or(match asked.operation {
            Operation::Chat => "/chat/completions",
            Operation::Embeddings => "/embeddings",
            Operation::Models => "/models",
            Operation::Responses => "/responses",
            Operation::Images => "/images/generations",
            Operation::Speech => "/audio/speech",
            Operation::Transcription => "/audio/transcriptions",
            Operation::Moderation => "/moderations",
        });
        path.into()
    }

    fn encode(&self, _: &Asked, _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal { code: Code::Internal, message: "bytes of the same dialect pass as they are".into(), param: None })
    }

    fn reply(&self, asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
        let read: Body<'_> = read(body)?;
        let answered = read.choices.as_ref().is_some_and(|choices| !choices.is_empty()) || read.data.is_some();
        let mut seen = Seen { content: true, terminal: true, ..Seen::default() };
        match read.error {
            Some(error) if !answered => seen.error = Some(in_band(error)),
            _ => match read.choices.as_deref().and_then(failed) {
                None => complete(asked.operation, &read)?,
                failed => seen.error = failed,
            },
        }
        seen.model = read.model.and_then(text);
        let messages = read.choices.iter().flatten().filter_map(|choice| choice.message.as_ref());
        seen.written = messages.map(RawMessage::written).sum();
        count(&mut seen, read.usage.or_else(|| read.x_groq.and_then(|groq| groq.usage)));
        match asked.operation {
            Operation::Images => seen.tokens.images = read.data.and_then(length),
            Operation::Transcription => {
                seen.tokens.audio_ms = seen.tokens.audio_ms.or_else(|| hub::seconds(read.duration?));
            }
            _ => {}
        }
        Ok(Reply { body: None, seen })
    }

    fn stream(&self, asked: &Asked) -> Box<dyn StreamReader> {
        match asked.operation {
            Operation::Chat => Box::new(Chunks::new(asked)),
            operation => Box::new(Events::new(operation)),
        }
    }

    fn error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        OpenAiError::read(body).classed(status, headers)
    }

    fn models(&self, body: &[u8]) -> Result<Vec<String>, Invalid> {
        model_ids(body)
    }
}

/// Reads JSON out of bytes. That they are UTF-8 is seen once and for all of them, and not again at every text in it.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        // It fails too, and says where.
        Err(_) => serde_json::from_slice(body),
    }
}

/// Whether a reply has what its kind of call asked for.
fn complete(operation: Operation, read: &Body<'_>) -> Result<(), Invalid> {
    let lacking = match operation {
        Operation::Chat if read.choices.is_none() => "it has no choices",
        Operation::Chat if !read.choices.iter().flatten().all(Choice::is_readable) => {
            "a message in it is of another shape than a message's"
        }
        Operation::Embeddings | Operation::Images if read.data.is_none() => "it has no data",
        Operation::Responses if read.output.is_none() => "it has no output",
        _ => return Ok(()),
    };
    Err(Invalid(lacking.into()))
}

/// How many a list holds.
fn length(raw: &RawValue) -> Option<u64> {
    serde_json::from_str::<Vec<IgnoredAny>>(raw.get()).ok().map(|list| list.len() as u64)
}

/// The ids of `{"data": [{"id": …}]}`, or of the bare list that some servers give.
pub(super) fn model_ids(body: &[u8]) -> Result<Vec<String>, Invalid> {
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Page { data: Vec<Model> },
        Bare(Vec<Model>),
    }
    let list = serde_json::from_slice(body).map_err(|_| Invalid("it is no list of models".into()))?;
    let (List::Page { data } | List::Bare(data)) = list;
    Ok(data.into_iter().map(|model| model.id).collect())
}

/// The error of a 200. A bare text is an error too.
fn in_band(error: &RawValue) -> ProviderError {
    OpenAiError::read(format!("{{\"error\":{}}}", error.get()).as_bytes()).in_band()
}

/// Takes usage in; the last that is given wins, explicit zeros too.
fn count(seen: &mut Seen, raw: Option<&RawValue>) {
    let Some(used) = raw.and_then(Used::read) else { return };
    (seen.tokens, seen.cost) = (used.tokens, used.cost);
}

/// A part of a stream that is no JSON object.
fn unreadable() -> ProviderError {
    ProviderError::broken("a part of the provider's stream cannot be read")
}

/// The data of a stream's frame; else what becomes of the frame. Behind `[DONE]` nothing is read.
fn begun<'f, T: Deserialize<'f>>(frame: &'f sse::Frame<'_>, done: &mut bool) -> ControlFlow<Step, T> {
    let over = |forward, seen| ControlFlow::Break(Step { forward, seen });
    if *done {
        return over(Forward::Withhold, Seen::default());
    }
    let Some(data) = frame.data.as_deref() else { return over(Forward::AsIs, Seen::default()) };
    if data.trim_ascii() == b"[DONE]" {
        *done = true;
        return over(Forward::AsIs, Seen { terminal: true, ..Seen::default() });
    }
    match serde_json::from_slice(data) {
        Ok(data) => ControlFlow::Continue(data),
        Err(_) => over(Forward::Withhold, Seen { error: Some(unreadable()), ..Seen::default() }),
    }
}
