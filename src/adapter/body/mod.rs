//! A request body, scanned once, and sent on with only the bytes changed that must be. One file a dialect.
//!
//! The scan is a full JSON validation of one UTF-8 object. It looks at keys of the first level only, compared
//! unescaped; a key that Bursar reads may stand there once. What it yields are byte ranges, so that everything that
//! Bursar does not know passes through as the app wrote it.

mod anthropic;
mod conversation;
pub mod edit;
mod fields;
mod form;
mod gemini;
mod members;
mod openai;
mod splice;

use std::ops::Range;

use thiserror::Error;

pub use conversation::conversation;
use fields::Fields;
pub use form::{boundary, scan_form};
use members::Members;
pub use splice::{Spliced, rewrite};

use crate::adapter::Dialect;
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
    /// The characters that are to be read aloud, where that is asked.
    pub characters: Option<u64>,
    /// What the request needs of a model.
    pub needs: Capabilities,
    /// How the body names a model.
    written: Written,
    /// The values that name the model, quotes included.
    models_at: Vec<Range<usize>>,
    /// Where the label goes out, and what stays in its place.
    label: Option<(Range<usize>, Vec<u8>)>,
    /// Where usage is asked for, and the text that asks, in a dialect that has words for it.
    ask_usage: Option<(Range<usize>, Vec<u8>)>,
}

/// How a body names a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// As a JSON string.
    Quoted,
    /// As a JSON string with the collection before it, as Google does.
    Resource,
    /// Not at all: the member is put in, with a comma behind it.
    Missing,
    /// As plain text, in a form.
    Plain,
}

impl Scan {
    /// Whether usage has to be asked for in the stream that the app wants, where its provider tells it on request only.
    pub fn may_ask_usage(&self) -> bool {
        self.stream && !self.include_usage && self.ask_usage.is_some()
    }

    /// Of a body that says nothing but a model.
    fn of(written: Written, model: String) -> Self {
        Self {
            model,
            stream: false,
            include_usage: false,
            feature: None,
            max_output_tokens: None,
            characters: None,
            needs: Capabilities::NONE,
            written,
            models_at: Vec::new(),
            label: None,
            ask_usage: None,
        }
    }
}

/// Scans a body of a dialect; `path` is what the request's path said, where the dialect says anything there.
///
/// # Errors
/// When it is not one JSON object, repeats a key that Bursar reads, or has a wrong type where Bursar reads.
pub fn scan(dialect: Dialect, operation: Operation, path: Option<&InPath>, body: &[u8]) -> Result<Scan, BodyError> {
    // That it is UTF-8 is seen once, and not again at every text in it.
    let members: Result<Members<'_>, _> = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    let members = members.map_err(|error| BodyError {
        message: if error.is_data() {
            "the body must be one JSON object".into()
        } else {
            format!("the body is not valid JSON: {error}")
        },
        param: None,
    })?;
    match dialect {
        Dialect::OpenAi => {
            let fields = Fields::of(&members, body, openai::name)?;
            if operation == Operation::Chat { openai::chat(&fields) } else { openai::other(operation, &fields) }
        }
        Dialect::Anthropic => anthropic::scan(&Fields::of(&members, body, anthropic::name)?),
        Dialect::Gemini => gemini::scan(operation, path, &Fields::of(&members, body, gemini::name)?),
    }
}

/// The scan of a body that itself says which model, whether streamed, and under which label.
fn in_body(fields: &Fields<'_>) -> Result<Scan, BodyError> {
    let model = fields.required("model", "a string that names a model or a route")?;
    said_in_body(fields, &model, Written::Quoted, fields.range("model"))
}

fn said_in_body(fields: &Fields<'_>, model: &str, written: Written, at: Range<usize>) -> Result<Scan, BodyError> {
    check_model(model)?;
    let stream = fields.optional("stream", "true or false")?.unwrap_or(false);
    let label = fields.label()?;
    Ok(Scan {
        stream,
        feature: label.as_ref().map(|label| label.feature.clone()),
        models_at: vec![at],
        label: label.map(|label| (label.at, label.rest)),
        ..Scan::of(written, model.to_owned())
    })
}

fn check_model(model: &str) -> Result<(), BodyError> {
    if model.is_empty() || model.len() > bounds::MODEL_BYTES_MAX {
        return Err(wrong("model", format!("model must have 1 to {} bytes", bounds::MODEL_BYTES_MAX)));
    }
    Ok(())
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
