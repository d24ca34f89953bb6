//! Google's Gemini API, spoken natively.
//!
//! Google also has a surface that is compatible with OpenAI's. Bursar speaks the native one because that one alone
//! tells thoughts from answers in the usage, gives errors with machine-readable reasons, and names its quotas.
//!
//! One file a concern: `request` and its parts say an OpenAI body in Google's words, `reply` and `stream` say
//! Google's answer in OpenAI's, both through `answer`, which knows what a candidate's parts mean, so that a stream
//! and a whole reply cannot come to differ. `error` classes what went wrong. Where the app speaks Google's dialect too,
//! replies are read all the same, for what they say of the call, and their bytes pass. All of it is pure.
//!
//! Source: the Gemini API reference (ai.google.dev/api), and recorded traffic where that is silent.

mod answer;
mod arguments;
mod embed;
mod error;
mod modality;
mod parts;
mod reply;
mod request;
mod schema;
mod stream;
mod tools;
mod turns;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::segment::encoded;
use super::{
    Adapter, Asked, Auth, Dialect, Facts, Invalid, KindFacts, ProviderError, Refusal, Reply, StreamReader, headers,
};
use crate::api::Operation;
use crate::config::StreamUsage;

pub(super) use turns::FOREIGN_SIGNATURE;

/// The adapter of Gemini.
pub static GEMINI: Gemini = Gemini;

static FACTS: Facts = Facts {
    kind: KindFacts {
        name: "gemini",
        default_base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        needs_secret: true,
        settings: &[],
        stream_usage: StreamUsage::Always,
        bare_models: true,
    },
    dialect: Some(Dialect::Gemini),
    // Never `?key=`: an address ends up in logs.
    auth: Auth::Header("x-goog-api-key"),
    forward: &[],
    give_back: &[],
    request_id: &headers::GOOGLE_REQUEST_ID,
    operations: &[Operation::Chat, Operation::Embeddings, Operation::Models],
    headers: &[],
    setting_headers: &[],
    in_process: false,
};

/// Google's name of itself in refusals and errors.
const NAME: &str = "Gemini";

/// Google's Gemini API, spoken natively.
pub struct Gemini;

impl Adapter for Gemini {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn path(&self, asked: &Asked) -> String {
        let model = resource(&asked.model, encoded);
        match asked.operation {
            Operation::Chat if asked.stream => format!("/{model}:streamGenerateContent?alt=sse"),
            Operation::Chat => format!("/{model}:generateContent"),
            Operation::Embeddings if asked.pass && asked.single => format!("/{model}:embedContent"),
            Operation::Embeddings => format!("/{model}:batchEmbedContents"),
            // The largest page there is: more models than that are read by nobody.
            _ => "/models?pageSize=1000".into(),
        }
    }

    fn encode(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        match asked.operation {
            Operation::Chat => request::encode(body),
            Operation::Embeddings => embed::encode(&resource(&asked.model, str::to_owned), body),
            _ => Ok(Vec::new()),
        }
    }

    fn reply(&self, asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
        match asked.operation {
            Operation::Chat => reply::read(asked, body),
            Operation::Embeddings => embed::read(asked, body),
            _ => Ok(Reply { body: None, seen: super::Seen::default() }),
        }
    }

    fn stream(&self, asked: &Asked) -> Box<dyn StreamReader> {
        Box::new(stream::Chunks::new(asked))
    }

    fn error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        error::GoogleError::read(body).classed(status, headers)
    }

    fn models(&self, body: &[u8]) -> Result<Vec<String>, Invalid> {
        #[derive(Deserialize)]
        struct Model {
            name: String,
        }
        #[derive(Deserialize)]
        struct Page {
            models: Vec<Model>,
        }
        let page: Page = serde_json::from_slice(body).map_err(|_| Invalid("it is no list of models".into()))?;
        let id = |model: Model| model.name.strip_prefix("models/").map_or(model.name.clone(), str::to_owned);
        Ok(page.models.into_iter().map(id).collect())
    }
}

/// A model with its collection: `models/…` for a bare id, and the two collections of Google's as they are.
pub(super) fn resource(model: &str, written: impl Fn(&str) -> String) -> String {
    match model.strip_prefix("tunedModels/") {
        Some(id) => format!("tunedModels/{}", written(id)),
        None => format!("models/{}", written(model.strip_prefix("models/").unwrap_or(model))),
    }
}
