//! What a provider wants back with an answer, through apps that know of signatures only.
//!
//! An app hands `thoughtSignature` back as it came, without looking into it (ai.google.dev, "Thought signatures").
//! Google's own goes through as it is; what another provider said is packed into one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use memchr::memmem;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::object::Text;
use crate::adapter::body::edit::{self, Becomes};
use crate::adapter::gemini::FOREIGN_SIGNATURE;
use crate::adapter::hub::ExtraContent;

/// How a packed one begins, under its base64. The figure is the format's version.
const MARK: &str = "bursar1.";

/// So much of the mark's base64 is the same whatever follows it.
const MARK_BASE64: &[u8] = b"YnVyc2FyMS";

/// Where a part has its signature.
const NAMES: &[&str] = &["thoughtSignature", "thought_signature"];

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

/// The body without packed signatures, for Google, which refuses what it did not sign itself. In their place stands the
/// signature of Google's own that one holds, or for a call what Google takes for calls that it did not make.
pub(super) fn without(body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, MARK_BASE64)?;
    let turn = |turn: &RawValue| edit::member(turn, &["parts"], |parts| edit::items(parts, unsigned));
    let body = serde_json::from_slice::<&RawValue>(body).ok()?;
    match edit::member(body, &["contents"], |contents| edit::items(contents, turn)) {
        Becomes::This(json) => Some(json.into_bytes()),
        Becomes::Same | Becomes::Gone => None,
    }
}

fn unsigned(part: &RawValue) -> Becomes {
    let has = |names: &[&str]| edit::member(part, names, |_| Becomes::Gone) == Becomes::Gone;
    let instead = |raw: &RawValue| {
        let text = serde_json::from_str::<Text<'_>>(raw.get()).ok();
        match text.and_then(|text| packed(&text.0)) {
            None => Becomes::Same,
            Some(packed) => match packed.pointer("/google/thought_signature").and_then(Value::as_str) {
                Some(googles) => Becomes::This(Value::from(googles).to_string()),
                None if has(&["functionCall", "function_call"]) => {
                    Becomes::This(Value::from(FOREIGN_SIGNATURE).to_string())
                }
                None => Becomes::Gone,
            },
        }
    };
    match edit::member(part, NAMES, instead) {
        Becomes::Gone => match edit::without(part, NAMES) {
            Becomes::This(json) if json == "{}" => Becomes::Gone,
            becomes => becomes,
        },
        becomes => becomes,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_signature_does_not_reach_google_and_all_else_stays_as_it_was() {
        let thoughts = json!({"thinking_blocks": [{"type": "thinking"}]});
        let packed = |extra: Value| write(&serde_json::from_value(extra).unwrap()).unwrap();
        let others = packed(json!({"anthropic": thoughts}));
        let both = packed(json!({"google": {"thought_signature": "c2ln"}, "anthropic": thoughts}));
        let body = format!(
            r#"{{"contents":{{"parts":[{{"text":"a","thought_signature":"{others}"}},{{"thoughtSignature":"{others}"}},{{"functionCall":{{"name":"f","args":{{"a":1.10}}}},"thoughtSignature":"{others}"}},{{"text":"","thoughtSignature":"{both}"}},{{"text":"b","thoughtSignature":"c2ln"}}]}}}}"#
        );
        let expected = format!(
            r#"{{"contents":{{"parts":[{{"text":"a"}},{{"functionCall":{{"name":"f","args":{{"a":1.10}}}},"thoughtSignature":"{FOREIGN_SIGNATURE}"}},{{"text":"","thoughtSignature":"c2ln"}},{{"text":"b","thoughtSignature":"c2ln"}}]}}}}"#
        );
        assert_eq!(String::from_utf8(without(body.as_bytes()).unwrap()).unwrap(), expected);
        assert_eq!(without(expected.as_bytes()), None);
        assert_eq!(without(br#"{"contents":[{"parts":[{"text":"YnVyc2FyMS4"}]}]}"#), None);
    }
}
