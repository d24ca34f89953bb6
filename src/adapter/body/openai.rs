//! What Bursar reads of a body of OpenAI's dialect.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields::{Fields, Part, is_of_type};
use super::{BodyError, Scan, Written, in_body, range_of, said_in_body, wrong};
use crate::api::{Capabilities, Capability, Operation};

/// OpenAI's own default.
const MODERATION_MODEL: &str = "omni-moderation-latest";

pub(super) fn name(key: &str) -> Option<&'static str> {
    Some(match key {
        "model" => "model",
        "stream" => "stream",
        "stream_options" => "stream_options",
        "max_tokens" => "max_tokens",
        "max_completion_tokens" => "max_completion_tokens",
        "metadata" => "metadata",
        "messages" => "messages",
        "input" => "input",
        "tools" => "tools",
        "response_format" => "response_format",
        "logprobs" => "logprobs",
        "max_output_tokens" => "max_output_tokens",
        "stream_format" => "stream_format",
        _ => return None,
    })
}

/// A chat.
pub(super) fn chat(fields: &Fields<'_>) -> Result<Scan, BodyError> {
    let scan = in_body(fields)?;
    let options: Option<Map<String, Value>> = fields.optional("stream_options", "an object")?;
    let limit = if fields.get("max_completion_tokens").is_some() { "max_completion_tokens" } else { "max_tokens" };
    Ok(Scan {
        include_usage: options.as_ref().and_then(|all| all.get("include_usage")).and_then(Value::as_bool) == Some(true),
        max_output_tokens: fields.optional(limit, "a whole number")?,
        needs: needs_of_chat(scan.stream, fields)?,
        ask_usage: Some(ask_usage(fields, options)),
        ..scan
    })
}

/// Any other call.
pub(super) fn other(operation: Operation, fields: &Fields<'_>) -> Result<Scan, BodyError> {
    let scan = match operation {
        // Who names none means the newest (API reference, "Create moderation").
        Operation::Moderation if fields.get("model").is_none() => {
            said_in_body(fields, MODERATION_MODEL, Written::Missing, fields.inside())?
        }
        _ => in_body(fields)?,
    };
    if matches!(operation, Operation::Embeddings | Operation::Moderation) && fields.get("input").is_none() {
        return Err(wrong("input", "input is missing: it must be a text or a list of texts"));
    }
    let stream = match operation {
        Operation::Responses | Operation::Images => scan.stream,
        Operation::Speech => fields.get("stream_format").is_some_and(|format| format.get() == "\"sse\""),
        _ => false,
    };
    Ok(Scan {
        stream,
        max_output_tokens: fields.optional("max_output_tokens", "a whole number")?,
        characters: fields.get("input").filter(|_| operation == Operation::Speech).and_then(characters),
        needs: operation.capability().map_or(Capabilities::NONE, |capability| Capabilities::NONE.with(capability)),
        ..scan
    })
}

/// The characters of a text; none where it is none.
fn characters(raw: &RawValue) -> Option<u64> {
    serde_json::from_str::<Cow<'_, str>>(raw.get()).ok().map(|text| text.chars().count() as u64)
}

/// Where and how `stream_options.include_usage` is set.
fn ask_usage(fields: &Fields<'_>, options: Option<Map<String, Value>>) -> (Range<usize>, Vec<u8>) {
    match fields.get("stream_options") {
        Some(raw) => {
            let mut options = options.unwrap_or_default();
            options.insert("include_usage".into(), true.into());
            (range_of(fields.body, raw.get()), Value::Object(options).to_string().into_bytes())
        }
        None => {
            // Behind the model's value, which is always there.
            let end = fields.range("model").end;
            (end..end, br#","stream_options":{"include_usage":true}"#.to_vec())
        }
    }
}

fn needs_of_chat(stream: bool, fields: &Fields<'_>) -> Result<Capabilities, BodyError> {
    let mut needs = fields.needs_of_messages(stream, part)?;
    if fields.get("logprobs").is_some_and(|logprobs| logprobs.get() == "true") {
        needs = needs.with(Capability::Logprobs);
    }
    if fields.get("response_format").is_some_and(|format| is_of_type(format, "json_schema")) {
        needs = needs.with(Capability::JsonSchema);
    }
    Ok(needs)
}

fn part(needs: Capabilities, part: &Part<'_>) -> Capabilities {
    match part.kind.as_ref().map(|kind| &*kind.0) {
        Some("image_url") => needs.with(Capability::Vision),
        Some("input_audio") => needs.with(Capability::AudioInput),
        Some("file") => needs.with(Capability::Pdf),
        _ => needs,
    }
}
