//! OpenAI's API, and every endpoint that is compatible with it: bytes pass through, and usage is read off them.
//!
//! Source: OpenAI's API reference, "Chat completions" and "Embeddings". What compatible servers do differently is
//! noted where it is read.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::classify::OpenAiError;
use super::hub::{RawMessage, Used, is_text_or_null};
use super::{
    Adapter, Asked, Auth, Dialect, Facts, Forward, Invalid, KindFacts, ProviderError, Refusal, Reply, Seen, Step,
    StreamReader, sse,
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
    dialect: Dialect::OpenAi,
    auth: Auth::Bearer,
    forward: &["openai-beta", "idempotency-key"],
    give_back: &["openai-processing-ms", "openai-version"],
    request_id: "x-request-id",
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
    dialect: Dialect::OpenAi,
    auth: Auth::None,
    forward: &["x-bursar-sandbox"],
    give_back: &["x-bursar-sandbox"],
    request_id: "x-request-id",
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
        match asked.operation {
            Operation::Chat => "/chat/completions",
            Operation::Embeddings => "/embeddings",
            Operation::Models => "/models",
            Operation::Responses => "/responses",
            Operation::Images => "/images/generations",
            Operation::Speech => "/audio/speech",
            Operation::Transcription => "/audio/transcriptions",
            Operation::Moderation => "/moderations",
        }
        .into()
    }

    fn encode(&self, _: &Asked, _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal { code: Code::Internal, message: "bytes of the same dialect pass as they are".into(), param: None })
    }

    fn reply(&self, asked: &Asked, body: &Bytes) -> Result<Reply, Invalid> {
        let read: Body<'_> = serde_json::from_slice(body)?;
        let choices = read.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        let mut seen = Seen { content: true, terminal: true, ..Seen::default() };
        let failed = read.choices.as_deref().and_then(failed);
        if let (Some(error), false) = (read.error, choices || read.data.is_some()) {
            seen.error = Some(in_band(error));
        } else if failed.is_some() {
            seen.error = failed;
        } else if asked.operation == Operation::Chat && !choices && read.choices.is_none() {
            return Err(Invalid("it has no choices".into()));
        } else if asked.operation == Operation::Chat && !read.choices.iter().flatten().all(Choice::is_readable) {
            return Err(Invalid("a message in it is of another shape than a message's".into()));
        } else if asked.operation == Operation::Embeddings && read.data.is_none() {
            return Err(Invalid("it has no data".into()));
        }
        seen.model = read.model.and_then(text);
        count(&mut seen, read.usage.or_else(|| read.x_groq.and_then(|groq| groq.usage)));
        Ok(Reply { body: None, seen })
    }

    fn stream(&self, asked: &Asked) -> Box<dyn StreamReader> {
        Box::new(Chunks { usage_added: asked.usage_added, ..Chunks::default() })
    }

    fn error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        OpenAiError::read(body).classed(status, headers)
    }

    fn models(&self, body: &[u8]) -> Result<Vec<String>, Invalid> {
        model_ids(body)
    }
}

/// The ids of `{"data": [{"id": …}]}`, or of the bare list that some servers give.
fn model_ids(body: &[u8]) -> Result<Vec<String>, Invalid> {
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

/// A whole reply, or one chunk of a stream: only what Bursar reads, and of that nothing copied that need not be.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    /// Groq puts a stream's usage here.
    #[serde(default, borrow)]
    x_groq: Option<Groq<'a>>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default, borrow)]
    delta: Option<Delta<'a>>,
    /// In a whole reply.
    #[serde(default, borrow)]
    message: Option<RawMessage<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<&'a RawValue>,
    /// OpenRouter's, of an answer that failed at the provider behind it.
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Whether a whole reply's choice can be said in other words.
    fn is_readable(&self) -> bool {
        self.message.as_ref().is_none_or(RawMessage::is_readable) && self.finish_reason.is_none_or(is_text_or_null)
    }
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default, borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(default, borrow)]
    audio: Option<&'a RawValue>,
}

impl Delta<'_> {
    fn has_content(&self) -> bool {
        [
            self.content,
            self.refusal,
            self.reasoning,
            self.reasoning_content,
            self.tool_calls,
            self.function_call,
            self.audio,
        ]
        .into_iter()
        .any(is_something)
    }
}

/// What went wrong where every answer ended in an error (openrouter.ai, "Errors": the finish reason `error`, with or
/// without an object that says more). One that came through is an answer.
fn failed(choices: &[Choice<'_>]) -> Option<ProviderError> {
    let says_error = |choice: &Choice<'_>| {
        choice.finish_reason.is_some_and(|reason| reason.get() == "\"error\"") || is_something(choice.error)
    };
    if choices.is_empty() || !choices.iter().all(says_error) {
        return None;
    }
    let error = choices.iter().find_map(|choice| choice.error.filter(|raw| is_something(Some(raw))));
    Some(error.map_or_else(unfinished, in_band))
}

/// An answer that the provider itself says it could not finish.
fn unfinished() -> ProviderError {
    ProviderError { message: "the provider could not finish its answer".into(), ..unreadable() }
}

/// Neither missing, null, nor empty.
fn is_something(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "[]" | "{}"))
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
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

/// Reads a stream of chunks.
#[derive(Default)]
struct Chunks {
    usage_added: bool,
    /// Choices that have begun, and of them those that have a finish reason.
    begun: Vec<u32>,
    finished: Vec<u32>,
    done: bool,
}

impl Chunks {
    fn note(&mut self, choices: &[Choice<'_>]) -> bool {
        let mut content = false;
        for (position, choice) in choices.iter().enumerate() {
            let index = choice.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
            put(&mut self.begun, index);
            if is_something(choice.finish_reason) {
                put(&mut self.finished, index);
                content = true;
            }
            content |= choice.delta.as_ref().is_some_and(Delta::has_content);
        }
        content
    }

    fn terminal(&self) -> bool {
        self.done || (!self.begun.is_empty() && self.begun.len() == self.finished.len())
    }
}

fn put(all: &mut Vec<u32>, index: u32) {
    if !all.contains(&index) {
        all.push(index);
    }
}

impl StreamReader for Chunks {
    fn frame(&mut self, frame: &sse::Frame<'_>) -> Step {
        if self.done {
            return Step { forward: Forward::Withhold, seen: Seen::default() };
        }
        let Some(data) = frame.data.as_deref() else {
            return Step { forward: Forward::AsIs, seen: Seen::default() };
        };
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Step { forward: Forward::AsIs, seen: Seen { terminal: true, ..Seen::default() } };
        }
        let Ok(chunk) = serde_json::from_slice::<Body<'_>>(data) else {
            return Step { forward: Forward::Withhold, seen: Seen { error: Some(unreadable()), ..Seen::default() } };
        };
        let choices = chunk.choices.unwrap_or_default();
        let before = self.terminal();
        let mut seen = Seen { content: self.note(&choices), ..Seen::default() };
        seen.terminal = self.terminal();
        // Some servers give the answers (`n`) one after the other.
        seen.reopened = before && !seen.terminal;
        seen.model = chunk.model.and_then(text);
        count(&mut seen, chunk.usage.or_else(|| chunk.x_groq.and_then(|groq| groq.usage)));
        seen.error = chunk.error.filter(|raw| raw.get() != "null").map(in_band).or_else(|| failed(&choices));
        let ours = self.usage_added && choices.is_empty() && chunk.usage.is_some();
        Step { forward: if ours { Forward::Withhold } else { Forward::AsIs }, seen }
    }

    fn end(&mut self) -> Step {
        let terminal = self.terminal();
        let forward =
            if terminal && !self.done { Forward::Replace(b"data: [DONE]\n\n".to_vec()) } else { Forward::Withhold };
        Step { forward, seen: Seen { terminal, ..Seen::default() } }
    }
}

/// A chunk that is no JSON object.
fn unreadable() -> ProviderError {
    ProviderError {
        outcome: crate::api::Outcome::Transient,
        status: 502,
        message: "a chunk of the provider's stream cannot be read".into(),
        kind: None,
        code: None,
        param: None,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of these chunks says of the stream's end: (terminal, reopened).
    fn ends(chunks: &[&str]) -> Vec<(bool, bool)> {
        let mut reader = OPENAI.stream(&Asked::for_model("m"));
        let mut frames = sse::Reader::new(1 << 20);
        let mut ends = Vec::new();
        for chunk in chunks {
            frames.push(format!("data: {chunk}\n\n").as_bytes());
            let seen = reader.frame(&frames.next_frame().unwrap().unwrap()).seen;
            ends.push((seen.terminal, seen.reopened));
        }
        ends
    }

    #[test]
    fn a_stream_of_answers_one_after_the_other_is_over_after_the_last() {
        let piece = |index| format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}}}}]}}"#);
        let end = |index| format!(r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#);
        let ends = ends(&[&piece(0), &end(0), &piece(1), &piece(1), &end(1), "[DONE]"]);
        let (open, over) = ((false, false), (true, false));
        assert_eq!(ends, [open, over, (false, true), open, over, over]);
    }
}
