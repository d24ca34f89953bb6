//! What Bursar reads of a body of Google's Gemini API. The model, and whether the reply is streamed, stand in the path.
//!
//! Google's reader of JSON takes every key in camelCase and in snake_case, and a single object where a list is asked for
//! (protobuf, "ProtoJSON format"; Google's own examples write `"contents": {…}`).

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Fields, chat};
use super::members::{Members, Text};
use super::{BodyError, InPath, Scan, Written, check_model, range_of, wrong};
use crate::api::{Capabilities, Capability, Operation};

pub(super) fn name(key: &str) -> Option<&'static str> {
    Some(match key {
        "model" => "model",
        "contents" => "contents",
        "tools" => "tools",
        "generationConfig" | "generation_config" => "generationConfig",
        "content" => "content",
        "requests" => "requests",
        _ => return None,
    })
}

pub(super) fn scan(operation: Operation, path: Option<&InPath>, fields: &Fields<'_>) -> Result<Scan, BodyError> {
    let path = path.ok_or_else(|| wrong("model", "the path names no model"))?;
    check_model(&path.model)?;
    let scan = Scan::of(Written::Resource, path.model.clone());
    if operation == Operation::Embeddings {
        let needs = Capabilities::NONE.with(Capability::Embeddings);
        return Ok(Scan { needs, models_at: models(path.single, fields)?, ..scan });
    }
    let config: Option<Config<'_>> = fields.optional("generationConfig", "an object")?;
    let config = config.unwrap_or_default();
    let max_output_tokens = config.max_output_tokens.filter(|raw| raw.get() != "null").map(whole).transpose()?;
    Ok(Scan { stream: path.stream, max_output_tokens, needs: needs(path.stream, &config, fields)?, ..scan })
}

/// Every place where an embeddings body names the model once more.
fn models(single: bool, fields: &Fields<'_>) -> Result<Vec<Range<usize>>, BodyError> {
    let mut all: Vec<&RawValue> = fields.get("model").into_iter().collect();
    if single {
        fields.get("content").ok_or_else(|| wrong("content", "content is missing: it must be an object with parts"))?;
    } else {
        let what = "a list of objects, each with a content";
        let requests = fields.get("requests");
        let requests = requests.ok_or_else(|| wrong("requests", format!("requests is missing: it must be {what}")))?;
        let requests: Vec<Members<'_>> =
            each(requests).map_err(|_| wrong("requests", format!("requests must be {what}")))?;
        let members = requests.into_iter().flat_map(|request| request.0);
        all.extend(members.filter(|(key, _)| key == "model").map(|(_, value)| value));
    }
    Ok(all.into_iter().map(|value| range_of(fields.body, value.get())).collect())
}

fn needs(stream: bool, config: &Config<'_>, fields: &Fields<'_>) -> Result<Capabilities, BodyError> {
    let contents =
        fields.get("contents").ok_or_else(|| wrong("contents", "contents is missing: it must be an array"))?;
    let contents: Vec<Content<'_>> =
        each(contents).map_err(|_| wrong("contents", "contents must be an array of objects, each with parts"))?;
    if contents.is_empty() {
        return Err(wrong("contents", "contents is empty: it must hold at least one turn"));
    }
    let mut needs = chat(stream);
    if fields.says_something("tools") {
        needs = needs.with(Capability::Tools);
    }
    if config.response_logprobs.is_some_and(|raw| raw.get() == "true") {
        needs = needs.with(Capability::Logprobs);
    }
    let schemas = [config.response_schema, config.response_json_schema];
    if schemas.into_iter().flatten().any(|raw| raw.get() != "null") {
        needs = needs.with(Capability::JsonSchema);
    }
    let parts = contents.iter().filter_map(|content| content.parts);
    Ok(parts.flat_map(|parts| each(parts).unwrap_or_default()).fold(needs, with_part))
}

fn with_part(needs: Capabilities, part: Part<'_>) -> Capabilities {
    let Some(Data { mime_type: Some(Text(kind)) }) = part.inline_data.or(part.file_data) else { return needs };
    match kind.split('/').next() {
        Some("image" | "video") => needs.with(Capability::Vision),
        Some("audio") => needs.with(Capability::AudioInput),
        _ if kind == "application/pdf" => needs.with(Capability::Pdf),
        _ => needs,
    }
}

/// The items of a list, or the one that stands in its place.
fn each<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<Vec<T>, serde_json::Error> {
    if raw.get().starts_with('[') {
        serde_json::from_str(raw.get())
    } else {
        Ok(vec![serde_json::from_str(raw.get())?])
    }
}

/// A whole number, which protobuf's JSON also takes as a text.
fn whole(raw: &RawValue) -> Result<u64, BodyError> {
    let text: Cow<'_, str> = serde_json::from_str::<Text<'_>>(raw.get()).map_or(raw.get().into(), |text| text.0);
    text.parse().map_err(|_| wrong("generationConfig.maxOutputTokens", "maxOutputTokens must be a whole number"))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(default, borrow, alias = "max_output_tokens")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(default, borrow, alias = "response_schema")]
    response_schema: Option<&'a RawValue>,
    #[serde(default, borrow, alias = "response_json_schema")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(default, borrow, alias = "response_logprobs")]
    response_logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, borrow)]
    parts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(default, borrow, alias = "inline_data")]
    inline_data: Option<Data<'a>>,
    #[serde(default, borrow, alias = "file_data")]
    file_data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(default, borrow, alias = "mime_type")]
    mime_type: Option<Text<'a>>,
}
