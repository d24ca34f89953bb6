//! One file or folder per wire format, and one table of them.
//!
//! An adapter translates between the OpenAI dialect, in which Bursar holds a call, and one provider's format, and says
//! what a provider's bytes mean. It does no I/O, sees no clock, no store and no secret, and never logs: bytes in, bytes
//! and facts out. Everything generic (retries, framing, deadlines, records) belongs to [`crate::execute`].
//!
//! A new format is one file here and one line in [`ADAPTERS`]; tests walk that table.

pub mod anthropic;
pub mod body;
pub mod classify;
pub mod gemini;
pub mod headers;
pub mod hints;
pub mod hub;
pub mod ingress;
pub mod openai;
pub mod openrouter;
mod passing;
pub mod segment;
pub mod sse;
#[cfg(test)]
mod tests;
pub mod text;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use thiserror::Error;

use crate::api::{Code, NanoUsd, Operation, Outcome, Tokens};

/// A family of wire formats. Where the caller's and the adapter's are the same, bytes pass through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's, and of all who copied it.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
}

/// How a provider wants to see the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own holds the bare key.
    Header(&'static str),
    /// It wants none.
    None,
}

/// What is constant about a wire format.
#[derive(Debug)]
pub struct Facts {
    /// The word in `kind = "…"`, and what configuration may say about it.
    pub kind: KindFacts,
    /// The dialect of the apps whose bytes pass through it; none where no app speaks its format.
    pub dialect: Option<Dialect>,
    /// Where the credential goes.
    pub auth: Auth,
    /// Headers of the app that are sent on.
    pub forward: &'static [&'static HeaderName],
    /// Headers of the provider that are given back.
    pub give_back: &'static [&'static HeaderName],
    /// The provider's own id of a request.
    pub request_id: &'static HeaderName,
    /// The kinds of calls that it has.
    pub operations: &'static [Operation],
    /// Headers that every request carries: (header in lower case, value).
    pub headers: &'static [(&'static str, &'static str)],
    /// Connection settings that become headers: (setting, header).
    pub setting_headers: &'static [(&'static str, &'static str)],
    /// Whether the provider is the sandbox inside this process.
    pub in_process: bool,
}

/// What the adapter needs to know of a call beside its body.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What kind of call.
    pub operation: Operation,
    /// The path, where an operation has several: those of OpenAI that make or change pictures, or write speech down.
    pub endpoint: Option<&'static str>,
    /// The model to ask the provider for.
    pub model: String,
    /// Whether the reply is to be streamed.
    pub stream: bool,
    /// Whether the app asked for usage in the stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether Bursar asked for it in the app's place, and so must keep it from the app.
    pub usage_added: bool,
    /// Whether the app speaks the provider's dialect: its bytes pass, and the provider's are read and passed on as they
    /// are. Never where both are of OpenAI's family, whose adapter does nothing else.
    pub pass: bool,
    /// Whether the app asked for one vector, where its dialect tells that from a list of one (Gemini's `embedContent`).
    pub single: bool,
    /// The most tokens that the model can answer with, where that is known: some formats must name a figure.
    pub max_output_tokens: Option<u64>,
    /// Whether the app asked for vectors as base64 (`encoding_format`), where the provider only gives lists.
    pub vectors_base64: bool,
    /// Unique text from which ids are made where the provider gives none.
    pub seed: String,
    /// Seconds since 1970, for `created` where the provider gives none.
    pub created_s: i64,
}

impl Asked {
    /// A call that asks for a model and for nothing in particular; for a model list, with no model.
    pub fn for_model(model: &str) -> Self {
        Self {
            operation: Operation::Models,
            endpoint: None,
            model: model.into(),
            stream: false,
            include_usage: false,
            usage_added: false,
            pass: false,
            single: false,
            max_output_tokens: None,
            vectors_base64: false,
            seed: String::new(),
            created_s: 0,
        }
    }

    /// An id for a chat's answer, where the provider gives none.
    pub fn made_up_id(&self) -> String {
        format!("chatcmpl-{}", self.seed)
    }
}

/// A request that cannot be said in the provider's format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// `invalid_request`, or `capability_missing` where another provider could do it.
    pub code: Code,
    /// What cannot be carried, by name, and what to do.
    pub message: String,
    /// The field that is at fault.
    pub param: Option<String>,
}

impl From<body::BodyError> for Refusal {
    fn from(error: body::BodyError) -> Self {
        Self { code: Code::InvalidRequest, message: error.message, param: error.param }
    }
}

/// A reply that does not read as what its status and type say it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the provider's reply cannot be read: {0}")]
pub struct Invalid(pub String);

impl From<serde_json::Error> for Invalid {
    /// Says where the reply is wrong. The parser's own text may quote it, and no log holds a word of a reply.
    fn from(error: serde_json::Error) -> Self {
        let what =
            if error.is_data() { "something else stands there than was expected" } else { "it is not valid JSON" };
        Self(format!("{what}, at line {} column {}", error.line(), error.column()))
    }
}

/// An error as a provider gave it, classed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderError {
    /// Its class.
    pub outcome: Outcome,
    /// The status that it names, or came with.
    pub status: u16,
    /// The provider's text, sanitised and bounded.
    pub message: String,
    /// The provider's own word for the kind of error (`type` of OpenAI, `status` of Gemini).
    pub kind: Option<String>,
    /// The provider's own code.
    pub code: Option<String>,
    /// The field that the provider names.
    pub param: Option<String>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl ProviderError {
    /// An error that a provider's answer is, rather than names: what was sent cannot be read, or is none.
    pub fn broken(message: &str) -> Self {
        Self {
            outcome: Outcome::Transient,
            status: 502,
            message: text::sanitise(message),
            kind: None,
            code: None,
            param: None,
            retry_after: None,
        }
    }
}

/// What a reply or a part of it says about the call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// Text, refusal, reasoning, a tool call or a finish reason was in it.
    pub content: bool,
    /// The stream has said that it is over.
    pub terminal: bool,
    /// Another answer has begun, so that it is not over, whatever was said before.
    pub reopened: bool,
    /// Usage, as far as it was given.
    pub tokens: Tokens,
    /// The provider's own figure of the cost.
    pub cost: Option<NanoUsd>,
    /// Bytes of text, thoughts and arguments that were in it: what the output is estimated from where nobody counts it.
    pub written: u64,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// An error inside a 200.
    pub error: Option<ProviderError>,
}

/// What goes to the app.
#[derive(Debug, Clone, PartialEq)]
pub enum Forward {
    /// The bytes as they came.
    AsIs,
    /// Nothing.
    Withhold,
    /// These instead, whole frames.
    Replace(Vec<u8>),
}

/// One frame's worth of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What goes to the app.
    pub forward: Forward,
    /// What it says.
    pub seen: Seen,
}

/// A reply that is not streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The body in the OpenAI dialect; none where it passes as it is.
    pub body: Option<Bytes>,
    /// What it says.
    pub seen: Seen,
}

/// Reads a stream, frame by frame.
pub trait StreamReader: Send {
    /// Takes one frame of server-sent events.
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step;

    /// Takes the end of the bytes. What it forwards closes the app's stream where the provider did not. A stream whose
    /// `terminal` was never seen, here neither, was cut.
    fn end(&mut self) -> Step;
}

/// One wire format.
pub trait Adapter: Send + Sync {
    /// What is constant about it.
    fn facts(&self) -> &'static Facts;

    /// The path below the base URL, with its query where there is one.
    fn path(&self, asked: &Asked) -> String;

    /// An OpenAI body in this format. Never asked of an adapter of the OpenAI family: there the bytes pass.
    ///
    /// # Errors
    /// When something in the body cannot be said in this format.
    fn encode(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal>;

    /// Reads a whole reply with a 2xx status.
    ///
    /// # Errors
    /// When it does not read as a reply of this format.
    fn reply(&self, asked: &Asked, body: &Bytes) -> Result<Reply, Invalid>;

    /// A reader for one stream with a 2xx status.
    fn stream(&self, asked: &Asked) -> Box<dyn StreamReader>;

    /// Classes a reply with another status. The body may be anything, cut or empty.
    fn error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError;

    /// The ids of a model list.
    ///
    /// # Errors
    /// When it does not read as one.
    fn models(&self, body: &[u8]) -> Result<Vec<String>, Invalid>;
}

/// Every wire format there is.
pub static ADAPTERS: &[&dyn Adapter] =
    &[&openai::OPENAI, &openai::SANDBOX, &openrouter::OPENROUTER, &gemini::GEMINI, &anthropic::ANTHROPIC];

/// The adapter of a kind.
#[doc(alias = "AiProviderInterface")]
#[doc(alias = "ProviderAdapterFactory")]
pub fn for_kind(kind: &str) -> Option<&'static dyn Adapter> {
    ADAPTERS.iter().copied().find(|adapter| adapter.facts().kind.name == kind)
}

/// What configuration may say about each kind.
pub fn kinds() -> Vec<&'static KindFacts> {
    ADAPTERS.iter().map(|adapter| &adapter.facts().kind).collect()
}

#[doc(inline)]
pub use crate::config::KindFacts;
pub use hints::{Hints, Remaining};
