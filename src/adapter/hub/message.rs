//! What was said so far, in OpenAI's dialect.
//!
//! A part is permissive: an adapter has to look at its `type` anyway, and can refuse with the place and the reason. Long
//! texts are borrowed from the body: a picture is not copied to be read. A speaker's `name` and an image's `detail` are
//! hints that other providers have no place for, and are passed over.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{Fields, wrong};
use crate::adapter::Refusal;

/// Reads messages one by one, so that a wrong one can be named.
pub(super) fn messages<'a>(fields: &mut Fields<'a>) -> Result<Vec<Message<'a>>, Refusal> {
    let raw: Vec<&RawValue> = fields.require("messages", "a list of messages")?;
    let read = |(position, raw): (usize, &'a RawValue)| {
        let param = format!("messages[{position}]");
        serde_json::from_str(raw.get()).map_err(|error| wrong(&param, format!("{param} cannot be read: {error}")))
    };
    raw.into_iter().enumerate().map(read).collect()
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instructions above the conversation; OpenAI's newer word is `developer`.
    #[serde(alias = "developer")]
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A result in OpenAI's older form.
    Function,
}

/// One message. Which fields make sense depends on the role.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    #[serde(default, borrow)]
    pub content: Option<Content<'a>>,
    /// The model's refusal, in place of content.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Calls that the model made.
    #[serde(default)]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call that a tool's message answers.
    #[serde(default)]
    pub tool_call_id: Option<String>,
    /// A call in OpenAI's older form.
    #[serde(default)]
    pub function_call: Option<Value>,
    /// An earlier spoken answer, kept at OpenAI.
    #[serde(default)]
    pub audio: Option<Value>,
    /// What a provider added to its answer and wants back.
    #[serde(default)]
    pub extra_content: Option<ExtraContent>,
}

/// What is said: one text, or parts.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a content must be a text or a list of parts, each an object with a type")]
pub enum Content<'a> {
    /// A text.
    Text(#[serde(borrow)] Cow<'a, str>),
    /// Parts.
    Parts(#[serde(borrow)] Vec<Part<'a>>),
}

/// One part of a content. Which field is there depends on the type.
#[derive(Debug, Deserialize)]
pub struct Part<'a> {
    /// `text`, `refusal`, `image_url`, `input_audio` or `file`.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// Of a text.
    #[serde(default)]
    pub text: Option<String>,
    /// Of a refusal.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Of an image.
    #[serde(default, borrow)]
    pub image_url: Option<ImageUrl<'a>>,
    /// Of a sound.
    #[serde(default, borrow)]
    pub input_audio: Option<Audio<'a>>,
    /// Of a file.
    #[serde(default, borrow)]
    pub file: Option<File<'a>>,
}

/// An image, by address or inside a `data:` URL.
#[derive(Debug, Deserialize)]
pub struct ImageUrl<'a> {
    /// The address. `detail` beside it is a wish about cost, and read by nobody here.
    #[serde(borrow)]
    pub url: Cow<'a, str>,
}

/// A sound.
#[derive(Debug, Deserialize)]
pub struct Audio<'a> {
    /// Base64.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    /// `wav`, `mp3` …
    #[serde(borrow)]
    pub format: Cow<'a, str>,
}

/// A file, inside or by OpenAI's id of it.
#[derive(Debug, Deserialize)]
pub struct File<'a> {
    /// A `data:` URL.
    #[serde(default, borrow)]
    pub file_data: Cow<'a, str>,
    /// An id at the provider that it was uploaded to.
    #[serde(default)]
    pub file_id: Option<String>,
}

/// A call that the model made, as the app hands it back.
#[derive(Debug, Deserialize)]
pub struct ToolCall {
    /// What its result will name.
    pub id: String,
    /// What was called; a call of another kind has none.
    #[serde(default)]
    pub function: Option<CalledFunction>,
    /// What a provider added to the call and wants back.
    #[serde(default)]
    pub extra_content: Option<ExtraContent>,
}

/// A function with its arguments.
#[derive(Debug, Deserialize)]
pub struct CalledFunction {
    /// Its name.
    pub name: String,
    /// JSON, as text.
    #[serde(default)]
    pub arguments: String,
}

/// What a provider adds to OpenAI's format under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct ExtraContent {
    /// Google's (ai.google.dev, "Thought signatures", "OpenAI compatibility").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleExtra>,
}

/// What Google adds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct GoogleExtra {
    /// The model's sealed thoughts, which it wants back with the call or text that they led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

impl ExtraContent {
    /// Google's signature.
    pub fn google(thought_signature: String) -> Self {
        Self { google: Some(GoogleExtra { thought_signature: Some(thought_signature) }) }
    }

    /// Google's signature, where there is one.
    pub fn thought_signature(&self) -> Option<&str> {
        self.google.as_ref()?.thought_signature.as_deref()
    }
}
