//! The few fields of a body that Bursar reads.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{Members, Text};
use super::{BodyError, range_of, wrong};
use crate::api::{Capabilities, Capability, Operation};

/// The fields that Bursar reads, as they stand in the body.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) model: Option<&'a RawValue>,
    pub(super) stream: Option<&'a RawValue>,
    pub(super) stream_options: Option<&'a RawValue>,
    pub(super) max_tokens: Option<&'a RawValue>,
    pub(super) max_completion_tokens: Option<&'a RawValue>,
    pub(super) metadata: Option<&'a RawValue>,
    /// From the end of the member before `metadata` to the value's end.
    metadata_at: Range<usize>,
    metadata_first: bool,
    pub(super) messages: Option<&'a RawValue>,
    pub(super) input: Option<&'a RawValue>,
    pub(super) tools: Option<&'a RawValue>,
    pub(super) response_format: Option<&'a RawValue>,
    pub(super) logprobs: Option<&'a RawValue>,
    body: &'a [u8],
}

pub(super) struct Label {
    pub(super) feature: String,
    pub(super) at: Range<usize>,
    pub(super) rest: Vec<u8>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(members: &Members<'a>, body: &'a [u8]) -> Result<Self, BodyError> {
        let mut fields = Fields { body, ..Fields::default() };
        let mut before = inside(body);
        for (position, (key, value)) in members.0.iter().enumerate() {
            let at = range_of(body, value.get());
            let slot = match &**key {
                "model" => &mut fields.model,
                "stream" => &mut fields.stream,
                "stream_options" => &mut fields.stream_options,
                "max_tokens" => &mut fields.max_tokens,
                "max_completion_tokens" => &mut fields.max_completion_tokens,
                "messages" => &mut fields.messages,
                "input" => &mut fields.input,
                "tools" => &mut fields.tools,
                "response_format" => &mut fields.response_format,
                "logprobs" => &mut fields.logprobs,
                "metadata" => {
                    fields.metadata_at = before..at.end;
                    fields.metadata_first = position == 0;
                    &mut fields.metadata
                }
                _ => {
                    before = at.end;
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(wrong(key, format!("the key {key:?} stands twice: send it once")));
            }
            before = at.end;
        }
        Ok(fields)
    }

    pub(super) fn optional<T: Deserialize<'a>>(
        &self,
        key: &str,
        raw: Option<&'a RawValue>,
        what: &str,
    ) -> Result<Option<T>, BodyError> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(key, format!("{key} must be {what}")))
    }

    pub(super) fn required(&self, key: &str, raw: Option<&'a RawValue>, what: &str) -> Result<Cow<'a, str>, BodyError> {
        let text: Option<Text<'a>> = self.optional(key, raw, what)?;
        text.map(|text| text.0).ok_or_else(|| wrong(key, format!("{key} is missing: it must be {what}")))
    }

    /// `metadata.bursar_feature`, and the metadata without it.
    pub(super) fn label(&self) -> Result<Option<Label>, BodyError> {
        let Some(raw) = self.metadata else { return Ok(None) };
        let Ok(serde_json::Value::Object(mut rest)) = serde_json::from_str(raw.get()) else { return Ok(None) };
        let Some(label) = rest.shift_remove("bursar_feature") else { return Ok(None) };
        let serde_json::Value::String(feature) = label else {
            return Err(wrong("metadata.bursar_feature", "metadata.bursar_feature must be a string"));
        };
        if !rest.is_empty() {
            let at = range_of(self.body, raw.get());
            return Ok(Some(Label { feature, at, rest: serde_json::Value::Object(rest).to_string().into_bytes() }));
        }
        let mut at = self.metadata_at.clone();
        if self.metadata_first {
            at.end = after_comma(self.body, at.end);
        }
        Ok(Some(Label { feature, at, rest: Vec::new() }))
    }

    /// Where and how `stream_options.include_usage` is set.
    pub(super) fn ask_usage(
        &self,
        body: &[u8],
        options: Option<serde_json::Map<String, serde_json::Value>>,
    ) -> (Range<usize>, Vec<u8>) {
        match self.stream_options {
            Some(raw) => {
                let mut options = options.unwrap_or_default();
                options.insert("include_usage".into(), true.into());
                (range_of(body, raw.get()), serde_json::Value::Object(options).to_string().into_bytes())
            }
            None => {
                // Behind the model's value, which is always there.
                let end = range_of(body, self.model.map_or("", RawValue::get)).end;
                (end..end, br#","stream_options":{"include_usage":true}"#.to_vec())
            }
        }
    }

    pub(super) fn needs(&self, operation: Operation, stream: bool) -> Result<Capabilities, BodyError> {
        if operation == Operation::Embeddings {
            if self.input.is_none() {
                return Err(wrong("input", "input is missing: it must be a text or a list of texts"));
            }
            return Ok(Capabilities::NONE.with(Capability::Embeddings));
        }
        let messages = self.messages.ok_or_else(|| wrong("messages", "messages is missing: it must be an array"))?;
        let messages: Vec<Message<'_>> = serde_json::from_str(messages.get())
            .map_err(|_| wrong("messages", "messages must be an array of objects, each with a role and a content"))?;
        if messages.is_empty() {
            return Err(wrong("messages", "messages is empty: it must hold at least one message"));
        }
        let mut needs = Capabilities::NONE.with(Capability::Chat);
        if stream {
            needs = needs.with(Capability::Stream);
        }
        if self.tools.is_some_and(|tools| !matches!(tools.get(), "null" | "[]")) {
            needs = needs.with(Capability::Tools);
        }
        if self.logprobs.is_some_and(|logprobs| logprobs.get() == "true") {
            needs = needs.with(Capability::Logprobs);
        }
        if let Some(Kind { kind: Some(Text(kind)) }) =
            self.response_format.and_then(|raw| serde_json::from_str(raw.get()).ok())
            && kind == "json_schema"
        {
            needs = needs.with(Capability::JsonSchema);
        }
        Ok(messages.iter().filter_map(|message| message.content).fold(needs, with_parts))
    }
}

/// The needs of a message's parts, where its content is an array of them.
fn with_parts(needs: Capabilities, content: &RawValue) -> Capabilities {
    if !content.get().starts_with('[') {
        return needs;
    }
    let parts: Vec<Kind<'_>> = serde_json::from_str(content.get()).unwrap_or_default();
    parts.iter().filter_map(|part| part.kind.as_ref()).fold(needs, |needs, Text(kind)| match &**kind {
        "image_url" => needs.with(Capability::Vision),
        "input_audio" => needs.with(Capability::AudioInput),
        "file" => needs.with(Capability::Pdf),
        _ => needs,
    })
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

/// The place behind the opening brace.
fn inside(body: &[u8]) -> usize {
    body.iter().position(|&b| b == b'{').map_or(0, |at| at + 1)
}

/// The place behind the comma that follows, or the same place where none does.
fn after_comma(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    let spaces = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
    if rest.get(spaces) == Some(&b',') { at + spaces + 1 } else { at }
}
