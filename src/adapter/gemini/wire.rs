//! Google's format as types: what is sent, and what of a reply is read.
//!
//! What comes is read leniently: every field may be missing, since Google leaves out what is empty or zero, and a
//! field that nobody knows is passed over. What is sent has only fields that are set.
//!
//! Source: the Gemini API reference, "Generating content" and "Embeddings" (ai.google.dev/api).

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::modality::Modalities;

/// The body of `generateContent` and `streamGenerateContent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerateContent<'a> {
    pub contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<Parts<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tools>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig>,
    #[serde(skip_serializing_if = "GenerationConfig::is_empty")]
    pub generation_config: GenerationConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_settings: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_content: Option<String>,
}

/// One turn.
#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    pub role: Speaker,
    pub parts: Vec<Part<'a>>,
}

/// Parts without a speaker: instructions, whose role Google ignores, and texts to embed.
#[derive(Debug, Serialize)]
pub(super) struct Parts<'a> {
    pub parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Speaker {
    User,
    Model,
}

/// One part of a turn: data, and what goes with any kind of data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(flatten)]
    pub payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<Cow<'a, str>>,
}

impl<'a> From<Payload<'a>> for Part<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self { payload, thought_signature: None }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Payload<'a> {
    Text(Cow<'a, str>),
    InlineData(Blob<'a>),
    FileData(FileData<'a>),
    FunctionCall(SentCall),
    FunctionResponse(FunctionResponse),
}

/// Bytes as base64.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    pub mime_type: Cow<'a, str>,
    pub data: Cow<'a, str>,
}

/// Bytes that Google fetches itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'static str>,
    pub file_uri: Cow<'a, str>,
}

/// A call that the model made earlier.
#[derive(Debug, Serialize)]
pub(super) struct SentCall {
    pub id: String,
    pub name: String,
    pub args: Map<String, Value>,
}

/// What a call brought.
#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse {
    pub id: String,
    pub name: String,
    pub response: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools {
    pub function_declarations: Vec<FunctionDeclaration>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionDeclaration {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_json_schema: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig {
    pub function_calling_config: FunctionCallingConfig,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCallingConfig {
    pub mode: CallingMode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_function_names: Vec<String>,
}

/// Gemini API reference, "FunctionCallingConfig".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum CallingMode {
    Auto,
    Any,
    None,
    /// As `AUTO`, but calls keep to their schemas, and to the allowed names.
    Validated,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_config: Option<ThinkingConfig>,
}

impl GenerationConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// As it is sent, and as an app may give it in Google's own extension of OpenAI's format.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ThinkingConfig {
    #[serde(default, alias = "thinking_budget", skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<i32>,
    #[serde(default, alias = "thinking_level", skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<String>,
    #[serde(default, alias = "include_thoughts", skip_serializing_if = "Option::is_none")]
    pub include_thoughts: Option<bool>,
}

/// The body of `batchEmbedContents`.
#[derive(Debug, Serialize)]
pub(super) struct BatchEmbed<'a> {
    pub requests: Vec<EmbedContent<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EmbedContent<'a> {
    /// With its collection: `models/…`.
    pub model: &'a str,
    pub content: Parts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_dimensionality: Option<u32>,
}

/// A whole reply, or one chunk of a stream: they are the same.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub candidates: Option<Vec<Candidate>>,
    pub prompt_feedback: Option<PromptFeedback>,
    pub usage_metadata: Option<UsageMetadata>,
    pub model_version: Option<String>,
    pub response_id: Option<String>,
    pub error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    pub index: Option<u32>,
    pub content: Option<ReceivedContent>,
    pub finish_reason: Option<String>,
    pub finish_message: Option<String>,
    pub logprobs_result: Option<LogprobsResult>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ReceivedContent {
    pub parts: Option<Vec<ReceivedPart>>,
}

/// Code and its results, pictures and whatever else a part may hold have no place in OpenAI's format: that they are there
/// is all that is read of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedPart {
    pub text: Option<String>,
    pub thought: Option<bool>,
    pub thought_signature: Option<String>,
    pub function_call: Option<ReceivedCall>,
    pub inline_data: Option<IgnoredAny>,
    pub file_data: Option<IgnoredAny>,
    pub executable_code: Option<IgnoredAny>,
    pub code_execution_result: Option<IgnoredAny>,
}

impl ReceivedPart {
    /// Whether it holds what has no place in OpenAI's format.
    pub(super) fn holds_more(&self) -> bool {
        [self.inline_data, self.file_data, self.executable_code, self.code_execution_result].iter().any(Option::is_some)
    }
}

/// A call, or with streamed arguments a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedCall {
    pub id: Option<String>,
    pub name: Option<String>,
    pub args: Option<Map<String, Value>>,
    pub partial_args: Option<Vec<PartialArg>>,
    pub will_continue: Option<bool>,
}

/// One streamed argument, or a piece of a text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialArg {
    pub json_path: Option<String>,
    pub string_value: Option<String>,
    pub number_value: Option<Number>,
    pub bool_value: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    pub block_reason: Option<String>,
    pub block_reason_message: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    pub prompt_token_count: Option<u64>,
    pub candidates_token_count: Option<u64>,
    pub thoughts_token_count: Option<u64>,
    pub tool_use_prompt_token_count: Option<u64>,
    pub cached_content_token_count: Option<u64>,
    pub total_token_count: Option<u64>,
    #[serde(default)]
    pub prompt_tokens_details: Modalities,
    #[serde(default)]
    pub candidates_tokens_details: Modalities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResult {
    pub chosen_candidates: Option<Vec<TokenCandidate>>,
    pub top_candidates: Option<Vec<TopCandidates>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct TopCandidates {
    pub candidates: Option<Vec<TokenCandidate>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenCandidate {
    pub token: Option<String>,
    pub log_probability: Option<f64>,
}

/// The reply of `batchEmbedContents`, and of `embedContent`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Embedded {
    pub embeddings: Option<Vec<Values>>,
    pub embedding: Option<Values>,
    pub usage_metadata: Option<UsageMetadata>,
    pub error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Values {
    #[serde(default)]
    pub values: Vec<Number>,
}
