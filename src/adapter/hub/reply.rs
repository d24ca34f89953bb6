//! What an app is told, in OpenAI's dialect. Fields that OpenAI requires are always there, if only as `null`.

use serde::Serialize;

use super::message::ExtraContent;
use crate::adapter::sse;
use crate::api::Tokens;

/// A whole chat completion.
#[derive(Debug, Serialize)]
pub struct ChatReply {
    /// The answer's id.
    pub id: String,
    /// `chat.completion`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The answers.
    pub choices: Vec<Choice>,
    /// What was used; none is unknown.
    pub usage: Option<Usage>,
    /// Nobody but OpenAI has one; some SDKs want the key.
    pub system_fingerprint: Option<String>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// Its number.
    pub index: u32,
    /// What the model says.
    pub message: ReplyMessage,
    /// The tokens' probabilities, where they were asked for.
    pub logprobs: Option<Logprobs>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// What the model says.
#[derive(Debug, Serialize)]
pub struct ReplyMessage {
    /// `assistant`.
    pub role: &'static str,
    /// The text; none where there are calls instead.
    pub content: Option<String>,
    /// The model's refusal.
    pub refusal: Option<String>,
    /// Its thoughts, where they were asked for. Not OpenAI's, but what most compatible servers call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Its calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// What the provider wants back with this message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<ExtraContent>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It was as long as it may be.
    Length,
    /// It ended in calls.
    ToolCalls,
    /// It was withheld.
    ContentFilter,
}

/// One chunk of a stream.
#[derive(Debug, Serialize)]
pub struct Chunk<'a> {
    /// The answer's id, the same in every chunk.
    pub id: &'a str,
    /// `chat.completion.chunk`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that answers.
    pub model: &'a str,
    /// What is new; empty in the chunk that brings the usage.
    pub choices: Vec<ChunkChoice>,
    /// What was used, in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Chunk<'_> {
    /// Writes it as one frame. Nothing in a chunk can fail to be written: its keys are texts and its figures finite or
    /// null.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Ok(data) = serde_json::to_vec(self) {
            sse::write_data(out, &data);
        }
    }
}

/// What is new in one answer.
#[derive(Debug, Serialize)]
pub struct ChunkChoice {
    /// The answer's number.
    pub index: u32,
    /// What is new.
    pub delta: Delta,
    /// The new tokens' probabilities, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    /// Why the answer ended, once it has.
    pub finish_reason: Option<FinishReason>,
}

/// What is new in a message.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Delta {
    /// `assistant`, in the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// More calls, or more of a call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// What the provider wants back with this message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<ExtraContent>,
}

impl Delta {
    /// Whether anything of an answer is in it.
    pub fn is_content(&self) -> bool {
        self.content.is_some() || self.reasoning_content.is_some() || !self.tool_calls.is_empty()
    }

    /// Bytes of text, thoughts and arguments in it.
    pub fn written(&self) -> u64 {
        let texts = [&self.content, &self.reasoning_content].into_iter().flatten().map(String::len);
        let arguments = self.tool_calls.iter().map(|call| call.function.arguments.len());
        texts.chain(arguments).sum::<usize>() as u64
    }

    /// All of an answer as the message that it is.
    pub fn into_message(mut self) -> ReplyMessage {
        for call in &mut self.tool_calls {
            // Only pieces of a stream are numbered.
            call.index = None;
        }
        ReplyMessage {
            role: "assistant",
            // OpenAI says null where there are only calls, and an empty text where there is nothing.
            content: self.content.or_else(|| self.tool_calls.is_empty().then(String::new)),
            refusal: None,
            reasoning_content: self.reasoning_content,
            tool_calls: self.tool_calls,
            extra_content: self.extra_content,
        }
    }
}

/// A call, or in a stream a piece of one: the first piece has id, type and name.
#[derive(Debug, PartialEq, Serialize)]
pub struct ToolCallDelta {
    /// Which call, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What the result will name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// What is called.
    pub function: FunctionDelta,
    /// What the provider wants back with the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<ExtraContent>,
}

/// A called function, or a piece of it.
#[derive(Debug, PartialEq, Serialize)]
pub struct FunctionDelta {
    /// Its name, in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// JSON as text, or a piece of it.
    pub arguments: String,
}

/// What a chat used, in OpenAI's words. Unknown is `null`, and never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    prompt_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Completion::is_absent")]
    completion_tokens: Completion,
    total_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<Cached>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<Reasoning>,
}

/// Embeddings have no such figure at all; a chat has one that may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Completion {
    Absent,
    Known(Option<u64>),
}

impl Completion {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Cached {
    cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Reasoning {
    reasoning_tokens: u64,
}

impl Usage {
    /// The usage of a chat; none where nothing is known.
    pub fn of_chat(tokens: Tokens) -> Option<Self> {
        (tokens != Tokens::default()).then(|| Self {
            prompt_tokens: tokens.input,
            completion_tokens: Completion::Known(tokens.output),
            total_tokens: tokens.input.zip(tokens.output).map(|(input, output)| input.saturating_add(output)),
            prompt_tokens_details: tokens.cached.map(|cached_tokens| Cached { cached_tokens }),
            completion_tokens_details: tokens.reasoning.map(|reasoning_tokens| Reasoning { reasoning_tokens }),
        })
    }

    /// The usage of an embeddings call; none where nothing is known.
    pub fn of_embeddings(tokens: Tokens) -> Option<Self> {
        tokens.input.map(|input| Self {
            prompt_tokens: Some(input),
            completion_tokens: Completion::Absent,
            total_tokens: Some(input),
            prompt_tokens_details: None,
            completion_tokens_details: None,
        })
    }
}

/// The probabilities of an answer's tokens.
#[derive(Debug, PartialEq, Serialize)]
pub struct Logprobs {
    /// Of the content's.
    pub content: Vec<TokenLogprob>,
    /// Of a refusal's.
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// A token with its probability.
#[derive(Debug, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// The token and its own figure.
    #[serde(flatten)]
    pub token: TopLogprob,
    /// What could have stood in its place.
    pub top_logprobs: Vec<TopLogprob>,
}

/// A token that was, or could have been, chosen.
#[derive(Debug, PartialEq, Serialize)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// The logarithm of its probability.
    pub logprob: f64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Vectors for texts.
#[derive(Debug, Serialize)]
pub struct EmbeddingReply {
    /// `list`.
    pub object: &'static str,
    /// One a text, in their order.
    pub data: Vec<Embedding>,
    /// The model that made them.
    pub model: String,
    /// What was used; none is unknown.
    pub usage: Option<Usage>,
}

/// One vector.
#[derive(Debug, Serialize)]
pub struct Embedding {
    /// `embedding`.
    pub object: &'static str,
    /// Which text's.
    pub index: usize,
    /// The vector.
    pub embedding: Vector,
}

/// A vector, as it was asked for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Floats(Vec<serde_json::Number>),
    /// Base64 of little-endian f32 values.
    Base64(String),
}
