//! What was said so far, in OpenAI's dialect.
//!
//! A part is permissive: an adapter has to look at its `type` anyway, and can refuse with the place and the reason. Long
//! texts are borrowed from the body: a picture is not copied to be read. A speaker's `name` and an image's `detail` are
//! hints that other providers have no place for, and are passed over.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields::{Fields, cannot, wrong};
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
    /// Anthropic's mark that the prompt up to here is worth keeping, as gateways take it.
    #[serde(default)]
    pub cache_control: Option<Value>,
}

impl Message<'_> {
    /// Refuses what only OpenAI knows in an answer that is handed back: its older form of calls, and what it spoke.
    ///
    /// # Errors
    /// When the message holds such a thing; `param` is where the message stands.
    pub fn refuse_openais_own(&self, param: &str) -> Result<(), Refusal> {
        if self.function_call.is_some() {
            return Err(old_form(param, "function_call"));
        }
        if self.audio.is_some() {
            return Err(cannot(param, format!("{param}.audio is an answer that only OpenAI has: send its text")));
        }
        Ok(())
    }
}

/// The refusal of a call, or of a call's result, in OpenAI's older form.
pub fn old_form(param: &str, member: &str) -> Refusal {
    let message =
        format!("{param}.{member} is OpenAI's older form of calls: use tool_calls, and messages of role tool");
    cannot(param, message)
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
    /// Anthropic's mark that the prompt up to here is worth keeping, as gateways take it.
    #[serde(default)]
    pub cache_control: Option<Value>,
}

/// The refusal of a part whose member is not there, or whose type the provider cannot be given.
pub fn unsaid_part(kind: &str, param: &str, provider: &str) -> Refusal {
    match kind {
        "text" | "refusal" | "image_url" | "input_audio" | "file" => {
            wrong(param, format!("{param} has the type {kind:?}, but no member of that name"))
        }
        _ => cannot(param, format!("{param} has the type {kind:?}, which {provider} cannot be given")),
    }
}

/// The type and the bytes of a `data:` URL (RFC 2397), which must be base64: so they go on untouched.
///
/// # Errors
/// When it is another URL, or not base64.
pub fn data_url<'a>(url: Cow<'a, str>, param: &str) -> Result<(String, Cow<'a, str>), Refusal> {
    let bad = || wrong(param, format!("{param} must hold a data: URL of the form data:TYPE;base64,DATA"));
    let comma = url.find(',').ok_or_else(bad)?;
    let head = url.get(..comma).and_then(|head| head.strip_prefix("data:")).ok_or_else(bad)?;
    let mut words = head.split(';');
    let media_type = words.next().filter(|kind| kind.contains('/')).ok_or_else(bad)?.to_owned();
    if words.next_back() != Some("base64") {
        return Err(bad());
    }
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(url.get(comma + 1..).unwrap_or_default()),
        Cow::Owned(url) => Cow::Owned(url.get(comma + 1..).unwrap_or_default().to_owned()),
    };
    Ok((media_type, data))
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
    /// What it is called.
    #[serde(default)]
    pub filename: Option<String>,
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

impl CalledFunction {
    /// The arguments as the object that they are the text of; no text is no arguments.
    ///
    /// # Errors
    /// When they are anything else; `param` is where the call stands.
    pub fn object(&self, param: &str) -> Result<Map<String, Value>, Refusal> {
        if self.arguments.trim().is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_str(&self.arguments).map_err(|_| {
            let param = format!("{param}.function.arguments");
            wrong(&param, format!("{param} must be the text of one JSON object"))
        })
    }
}

/// What a provider adds to OpenAI's format under a name of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ExtraContent {
    /// Google's (ai.google.dev, "Thought signatures", "OpenAI compatibility").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleExtra>,
    /// Anthropic's, in Google's manner: OpenAI's format has no place for it, and Anthropic's own surface of that format
    /// leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anthropic: Option<AnthropicExtra>,
}

/// What Google adds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct GoogleExtra {
    /// The model's sealed thoughts, which it wants back with the call or text that they led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

/// What Anthropic adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct AnthropicExtra {
    /// Blocks of types `thinking` and `redacted_thinking`, as they came: Anthropic wants them back unchanged, before
    /// what they led to (docs.anthropic.com, "Extended thinking"). In a stream each comes whole, in one chunk, and those
    /// of several chunks make one list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thinking_blocks: Vec<Map<String, Value>>,
}

impl ExtraContent {
    /// Google's signature.
    pub fn google(thought_signature: String) -> Self {
        Self { google: Some(GoogleExtra { thought_signature: Some(thought_signature) }), ..Self::default() }
    }

    /// Adds one of Anthropic's blocks.
    pub fn add_thinking_block(&mut self, block: Map<String, Value>) {
        self.anthropic.get_or_insert_default().thinking_blocks.push(block);
    }

    /// This and what came after it: lists go on, and otherwise the later one counts.
    pub fn and(mut self, later: Self) -> Self {
        let google = later.google.clone().or(self.google.take());
        later.into_thinking_blocks().into_iter().for_each(|block| self.add_thinking_block(block));
        Self { google, ..self }
    }

    /// Anthropic's blocks; none where there are none.
    pub fn into_thinking_blocks(self) -> Vec<Map<String, Value>> {
        self.anthropic.unwrap_or_default().thinking_blocks
    }

    /// Google's signature, where there is one.
    pub fn thought_signature(&self) -> Option<&str> {
        self.google.as_ref()?.thought_signature.as_deref()
    }
}
