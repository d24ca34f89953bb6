//! What a provider wants back with an answer, through apps that know of signatures only.
//!
//! An app hands `thoughtSignature` back as it came, without looking into it (ai.google.dev, "Thought signatures").
//! Google's own goes through as it is; what another provider said is packed into one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};

use crate::adapter::hub::ExtraContent;

/// How a packed one begins, under its base64. The figure is the format's version.
const MARK: &str = "bursar1.";

/// The signature that carries it; none where there is nothing to carry.
pub(super) fn write(extra: &ExtraContent) -> Option<String> {
    match extra.thought_signature() {
        Some(signature) if *extra == ExtraContent::google(signature.to_owned()) => Some(signature.to_owned()),
        _ => {
            let json = serde_json::to_string(extra).ok().filter(|json| json != "{}")?;
            Some(STANDARD.encode(format!("{MARK}{json}")))
        }
    }
}

/// What a signature carries.
pub(super) fn read(signature: &str) -> Value {
    packed(signature).unwrap_or_else(|| json!({"google": {"thought_signature": signature}}))
}

/// What two signatures of one message carry together: lists go on, and otherwise the later one counts.
pub(super) fn together(first: Option<Value>, second: Option<Value>) -> Option<Value> {
    match (first, second) {
        (Some(Value::Object(mut first)), Some(Value::Object(second))) => {
            for (name, value) in second {
                let value = together(first.shift_remove(&name), Some(value));
                first.extend(value.map(|value| (name, value)));
            }
            Some(first.into())
        }
        (Some(Value::Array(mut first)), Some(Value::Array(second))) => {
            first.extend(second);
            Some(first.into())
        }
        (first, second) => second.or(first),
    }
}

fn packed(signature: &str) -> Option<Value> {
    let bytes = STANDARD_NO_PAD.decode(standard(signature).trim_end_matches('=')).ok()?;
    serde_json::from_slice(bytes.strip_prefix(MARK.as_bytes())?).ok().filter(Value::is_object)
}

/// Base64 in its standard alphabet: Google's SDK for Python writes bytes in the one for URLs, and Google takes both.
pub(super) fn standard(base64: &str) -> std::borrow::Cow<'_, str> {
    if base64.contains(['-', '_']) { base64.replace('-', "+").replace('_', "/").into() } else { base64.into() }
}
