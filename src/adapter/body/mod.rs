//! A request body of the OpenAI dialect, scanned once, and sent on with only the bytes changed that must be.
//!
//! The scan is a full JSON validation of one UTF-8 object. It looks at keys of the first level only, compared
//! unescaped; a key that Bursar reads may stand there once. What it yields are byte ranges, so that everything that
//! Bursar does not know passes through as the app wrote it.

mod fields;
mod members;
mod splice;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;
use thiserror::Error;

use fields::Fields;
use members::Members;
pub use splice::{Spliced, rewrite};

use super::Dialect;
use crate::api::{Capabilities, Operation};
use crate::bounds;

/// A body that cannot be served, and the field that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct BodyError {
    /// What is wrong and what to do.
    pub message: String,
    /// The field.
    pub param: Option<String>,
}

/// What routing needs to know of a body, and where in it the fields stand that may have to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The model as asked for.
    pub model: String,
    /// Whether the reply is to be streamed.
    pub stream: bool,
    /// Whether the app wants usage in the stream.
    pub include_usage: bool,
    /// `metadata.bursar_feature`.
    pub feature: Option<String>,
    /// The most tokens that the reply may have.
    pub max_output_tokens: Option<u64>,
    /// What the request needs of a model.
    pub needs: Capabilities,
    /// The model's value, quotes included.
    model_at: Range<usize>,
    /// Where the label goes out, and what stays in its place.
    label: Option<(Range<usize>, Vec<u8>)>,
    /// Where usage is asked for, and the text that asks.
    ask_usage: (Range<usize>, Vec<u8>),
}

/// What a request's path says, where a dialect puts it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPath {
    /// The model as asked for.
    pub model: String,
    /// Whether the reply is to be streamed.
    pub stream: bool,
    /// Whether one vector is asked for, and not a list of them.
    pub single: bool,
}

/// Scans a body.
///
/// # Errors
/// When it is not one JSON object, repeats a key that Bursar reads, or has a wrong type where Bursar reads.
pub fn scan(_: Dialect, operation: Operation, _: Option<&InPath>, body: &[u8]) -> Result<Scan, BodyError> {
    let members: Members<'_> = serde_json::from_slice(body).map_err(|error| BodyError {
        message: if error.is_data() {
            "the body must be one JSON object".into()
        } else {
            format!("the body is not valid JSON: {error}")
        },
        param: None,
    })?;
    let fields = Fields::of(&members, body)?;
    let model: Cow<'_, str> = fields.required("model", fields.model, "a string that names a model or a route")?;
    if model.is_empty() || model.len() > bounds::MODEL_BYTES_MAX {
        return Err(wrong("model", format!("model must have 1 to {} bytes", bounds::MODEL_BYTES_MAX)));
    }
    let stream = fields.optional("stream", fields.stream, "true or false")?.unwrap_or(false);
    let options: Option<serde_json::Map<String, serde_json::Value>> =
        fields.optional("stream_options", fields.stream_options, "an object")?;
    let limit = fields.max_completion_tokens.or(fields.max_tokens);
    let label = fields.label()?;
    Ok(Scan {
        model: model.into_owned(),
        stream: stream && operation == Operation::Chat,
        include_usage: options.as_ref().and_then(|all| all.get("include_usage")).and_then(serde_json::Value::as_bool)
            == Some(true),
        feature: label.as_ref().map(|label| label.feature.clone()),
        max_output_tokens: fields.optional("max_tokens", limit, "a whole number")?,
        needs: fields.needs(operation, stream)?,
        model_at: range_of(body, fields.model.map_or("", RawValue::get)),
        label: label.map(|label| (label.at, label.rest)),
        ask_usage: fields.ask_usage(body, options),
    })
}

fn wrong(param: &str, message: impl Into<String>) -> BodyError {
    BodyError { message: message.into(), param: Some(param.into()) }
}

/// Where a slice of the body stands in it.
fn range_of(body: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests;
