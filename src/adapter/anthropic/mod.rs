//! Anthropic's Messages API, spoken natively.
//!
//! One file a concern: `request` and its parts say an OpenAI body in Anthropic's words, `reply` and `stream` say
//! Anthropic's answer in OpenAI's, both through `answer`, which knows what blocks mean, so that a stream and a whole
//! reply cannot come to differ. `error` classes what went wrong. Where the app speaks Anthropic's dialect too, replies
//! are read all the same, for what they say of the call, and their bytes pass. All of it is pure.
//!
//! Source: Anthropic's API reference, "Messages" (docs.anthropic.com), and recorded traffic where that is silent.

mod answer;
mod error;
mod parts;
mod reply;
mod request;
mod stream;
mod tools;
mod turns;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::HeaderMap;

use super::classify::OpenAiError;
use super::openai::model_ids;
use super::passing::Passing;
use super::{
    Adapter, Asked, Auth, Dialect, Facts, Invalid, KindFacts, ProviderError, Refusal, Reply, StreamReader, headers,
};
use crate::api::Operation;
use crate::config::StreamUsage;

/// The adapter of Anthropic.
pub static ANTHROPIC: Anthropic = Anthropic;

static FACTS: Facts = Facts {
    kind: KindFacts {
        name: "anthropic",
        default_base_url: Some("https://api.anthropic.com/v1"),
        needs_secret: true,
        settings: &[],
        stream_usage: StreamUsage::Always,
        bare_models: true,
    },
    dialect: Some(Dialect::Anthropic),
    auth: Auth::Header("x-api-key"),
    forward: &[&headers::ANTHROPIC_BETA, &headers::ANTHROPIC_VERSION],
    // What it tells of limits is about the operator's account, and no app's business.
    give_back: &[],
    request_id: &headers::REQUEST_ID,
    operations: &[Operation::Chat, Operation::Models],
    // The version that all of this is written for; newer ones refuse what this one takes.
    headers: &[("anthropic-version", "2023-06-01")],
    setting_headers: &[],
    in_process: false,
};

/// Anthropic's name in refusals and errors.
const NAME: &str = "Anthropic";

/// Anthropic's Messages API, spoken natively.
pub struct Anthropic;

impl Adapter for Anthropic {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn path(&self, asked: &Asked) -> String {
        match asked.operation {
            Operation::Chat => "/messages",
            // The largest page there is: more models than that are read by nobody.
            _ => "/models?limit=1000",
        }
        .into()
    }

    fn encode(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        match asked.operation {
            Operation::Chat => request::encode(asked, body),
            _ => Ok(Vec::new()),
        }
    }

    fn reply(&self, asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
        match asked.operation {
            Operation::Chat => reply::read(asked, body),
            _ => Ok(Reply { body: None, seen: super::Seen::default() }),
        }
    }

    fn stream(&self, asked: &Asked) -> Box<dyn StreamReader> {
        let events = stream::Events::new(asked);
        if asked.pass { Box::new(Passing(events)) } else { Box::new(events) }
    }

    fn error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        error::refined(OpenAiError::read(body).classed(status, headers), body)
    }

    fn models(&self, body: &[u8]) -> Result<Vec<String>, Invalid> {
        model_ids(body)
    }
}
