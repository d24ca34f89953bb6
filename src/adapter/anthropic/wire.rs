//! Anthropic's format as types: what is sent, and what of a reply is read.
//!
//! What comes is read leniently: every field may be missing, and one that nobody knows is passed over. What is sent has
//! only fields that are set.
//!
//! Source: Anthropic's API reference, "Create a Message" and "Streaming Messages" (docs.anthropic.com).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// A JSON object that nobody here looks into.
pub(super) type Object = Map<String, Value>;

/// The body of `/messages`.
#[derive(Debug, Serialize)]
pub(super) struct CreateMessage<'a> {
    pub model: &'a str,
    pub max_tokens: u64,
    pub messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Object>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    pub output_config: OutputConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

/// One turn.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    pub role: Speaker,
    pub content: Vec<Block<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Speaker {
    User,
    Assistant,
}

/// One block of a turn, of the instructions or of a result.
#[derive(Debug, Serialize)]
pub(super) struct Block<'a> {
    #[serde(flatten)]
    pub payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
}

impl<'a> From<Payload<'a>> for Block<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self { payload, cache_control: None }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Payload<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
    /// A call that the model made earlier.
    ToolUse {
        id: String,
        name: String,
        input: Object,
    },
    /// What a call brought.
    ToolResult {
        tool_use_id: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
    },
    /// A block that Anthropic made, with its type in it.
    #[serde(untagged)]
    Own(Object),
}

/// Where the bytes of a picture or a document are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Source<'a> {
    Base64 { media_type: String, data: Cow<'a, str> },
    Url { url: Cow<'a, str> },
    Text { media_type: &'static str, data: String },
}

#[derive(Debug, Serialize)]
pub(super) struct Tool {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub input_schema: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
}

/// Which tools the model may or must use.
#[derive(Debug, Serialize)]
pub(super) struct ToolChoice {
    #[serde(rename = "type")]
    pub mode: ChoiceMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disable_parallel_tool_use: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChoiceMode {
    Auto,
    Any,
    Tool,
    None,
}

/// How the answer is to be made.
#[derive(Debug, Default, Serialize)]
pub(super) struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
}

impl OutputConfig {
    fn is_empty(&self) -> bool {
        self.format.is_none() && self.effort.is_none()
    }
}

/// The form of the answer; there is no other type than `json_schema`.
#[derive(Debug, Serialize)]
pub(super) struct Format {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub schema: Object,
}

/// Who asks, as the app knows them.
#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    pub user_id: String,
}

/// A whole reply, and what a stream begins with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Message {
    pub id: Option<String>,
    pub model: Option<String>,
    pub content: Option<Vec<Object>>,
    pub stop_reason: Option<String>,
    pub usage: Option<Usage>,
    pub error: Option<Value>,
}

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub message: Option<Message>,
    pub content_block: Option<Object>,
    pub delta: Option<Piece>,
    pub usage: Option<Usage>,
    pub error: Option<Value>,
}

/// What a delta adds to the block that is open, or to the message.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Piece {
    /// Of a block's delta.
    #[serde(rename = "type", default)]
    pub kind: String,
    pub text: Option<String>,
    pub thinking: Option<String>,
    pub signature: Option<String>,
    pub partial_json: Option<String>,
    /// Of a message's delta.
    pub stop_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cache_creation_input_tokens: Option<u64>,
    pub cache_read_input_tokens: Option<u64>,
    pub cache_creation: Option<CacheCreation>,
    pub output_tokens_details: Option<OutputDetails>,
    pub server_tool_use: Option<ServerToolUse>,
}

/// Of what was written to the cache, how long it is kept: the hour costs more.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct CacheCreation {
    pub ephemeral_1h_input_tokens: Option<u64>,
}

/// What tools at Anthropic were used for, billed by the piece.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct ServerToolUse {
    pub web_search_requests: Option<u64>,
}

/// Not in the reference, but in newer replies.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct OutputDetails {
    pub thinking_tokens: Option<u64>,
}
