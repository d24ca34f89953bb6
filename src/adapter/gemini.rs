//! Google's Gemini API.

use bytes::Bytes;
use http::HeaderMap;

use super::{Adapter, Asked, Auth, Dialect, Facts, Invalid, KindFacts, ProviderError, Refusal, Reply, StreamReader};
use crate::config::StreamUsage;

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
    dialect: Dialect::Gemini,
    auth: Auth::Header("x-goog-api-key"),
    forward: &[],
    give_back: &[],
    request_id: "x-goog-request-id",
    setting_headers: &[],
    in_process: false,
};

/// Google's Gemini API, spoken natively.
pub struct Gemini;

impl Adapter for Gemini {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }
    fn path(&self, _: &Asked) -> String {
        String::new()
    }
    fn encode(&self, _: &Asked, _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(Vec::new())
    }
    fn reply(&self, _: &Asked, _: &Bytes) -> Result<Reply, Invalid> {
        Err(Invalid(String::new()))
    }
    fn stream(&self, asked: &Asked) -> Box<dyn StreamReader> {
        super::openai::OPENAI.stream(asked)
    }
    fn error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        super::classify::OpenAiError::read(body).classed(status, headers)
    }
    fn models(&self, _: &[u8]) -> Result<Vec<String>, Invalid> {
        Ok(Vec::new())
    }
}
