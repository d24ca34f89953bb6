//! The few fields of a body that Bursar reads.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{Members, Text};
use super::{BodyError, range_of, wrong};
use crate::api::{Capabilities, Capability};

/// The name under which Bursar reads a key, where it does: some dialects spell a key in two ways.
pub(super) type Names = fn(&str) -> Option<&'static str>;

/// The fields that Bursar reads, as they stand in the body.
pub(super) struct Fields<'a> {
    pub(super) body: &'a [u8],
    found: Vec<Found<'a>>,
}

struct Found<'a> {
    name: &'static str,
    value: &'a RawValue,
    /// From the end of the member before it to the value's end.
    at: Range<usize>,
    first: bool,
}

pub(super) struct Label {
    pub(super) feature: String,
    pub(super) at: Range<usize>,
    pub(super) rest: Vec<u8>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(members: &Members<'a>, body: &'a [u8], names: Names) -> Result<Self, BodyError> {
        let mut fields = Fields { body, found: Vec::new() };
        let mut before = inside(body);
        for (position, (key, value)) in members.0.iter().enumerate() {
            let end = range_of(body, value.get()).end;
            if let Some(name) = names(key) {
                if fields.get(name).is_some() {
                    return Err(wrong(key, format!("the key {key:?} stands twice: send it once")));
                }
                fields.found.push(Found { name, value, at: before..end, first: position == 0 });
            }
            before = end;
        }
        Ok(fields)
    }

    fn found(&self, name: &str) -> Option<&Found<'a>> {
        self.found.iter().find(|found| found.name == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.found(name).map(|found| found.value)
    }

    /// Whether it is there, and more than null or an empty list.
    pub(super) fn says_something(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| !matches!(raw.get(), "null" | "[]"))
    }

    pub(super) fn optional<T: Deserialize<'a>>(&self, name: &str, what: &str) -> Result<Option<T>, BodyError> {
        let Some(raw) = self.get(name).filter(|raw| raw.get() != "null") else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(name, format!("{name} must be {what}")))
    }

    pub(super) fn required(&self, name: &str, what: &str) -> Result<Cow<'a, str>, BodyError> {
        let text: Option<Text<'a>> = self.optional(name, what)?;
        text.map(|text| text.0).ok_or_else(|| wrong(name, format!("{name} is missing: it must be {what}")))
    }

    /// Where a value stands; at the very beginning where there is none.
    pub(super) fn range(&self, name: &str) -> Range<usize> {
        self.get(name).map_or(0..0, |raw| range_of(self.body, raw.get()))
    }

    /// The place behind the opening brace.
    pub(super) fn inside(&self) -> Range<usize> {
        let at = inside(self.body);
        at..at
    }

    /// `metadata.bursar_feature`, and the metadata without it.
    pub(super) fn label(&self) -> Result<Option<Label>, BodyError> {
        let Some(found) = self.found("metadata") else { return Ok(None) };
        let Ok(serde_json::Value::Object(mut rest)) = serde_json::from_str(found.value.get()) else { return Ok(None) };
        let Some(label) = rest.shift_remove("bursar_feature") else { return Ok(None) };
        let serde_json::Value::String(feature) = label else {
            return Err(wrong("metadata.bursar_feature", "metadata.bursar_feature must be a string"));
        };
        if !rest.is_empty() {
            let at = range_of(self.body, found.value.get());
            return Ok(Some(Label { feature, at, rest: serde_json::Value::Object(rest).to_string().into_bytes() }));
        }
        let mut at = found.at.clone();
        if found.first {
            at.end = after_comma(self.body, at.end);
        }
        Ok(Some(Label { feature, at, rest: Vec::new() }))
    }

    /// What a list of messages needs, `part` saying it of one part of a content.
    pub(super) fn needs_of_messages(
        &self,
        stream: bool,
        part: fn(Capabilities, &Part<'a>) -> Capabilities,
    ) -> Result<Capabilities, BodyError> {
        let messages =
            self.get("messages").ok_or_else(|| wrong("messages", "messages is missing: it must be an array"))?;
        let messages: Vec<Message<'a>> = serde_json::from_str(messages.get())
            .map_err(|_| wrong("messages", "messages must be an array of objects, each with a role and a content"))?;
        if messages.is_empty() {
            return Err(wrong("messages", "messages is empty: it must hold at least one message"));
        }
        let mut needs = chat(stream);
        if self.says_something("tools") {
            needs = needs.with(Capability::Tools);
        }
        let contents = messages.iter().filter_map(|message| message.content);
        Ok(contents.flat_map(parts).fold(needs, |needs, one| part(needs, &one)))
    }
}

/// What every chat needs.
pub(super) fn chat(stream: bool) -> Capabilities {
    let needs = Capabilities::NONE.with(Capability::Chat);
    if stream { needs.with(Capability::Stream) } else { needs }
}

/// The parts of a content, where it is an array of them.
pub(super) fn parts(content: &RawValue) -> Vec<Part<'_>> {
    if content.get().starts_with('[') { serde_json::from_str(content.get()).unwrap_or_default() } else { Vec::new() }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

/// One part of a content, as OpenAI and Anthropic write them.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    /// Of a tool's result: parts again, or a text.
    #[serde(default, borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// Whether an object's `type` is this one.
pub(super) fn is_of_type(raw: &RawValue, kind: &str) -> bool {
    let read: Option<Part<'_>> = serde_json::from_str(raw.get()).ok();
    read.and_then(|read| read.kind).is_some_and(|Text(found)| found == kind)
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
