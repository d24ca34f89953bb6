//! The members of a request, taken out by name, so that a wrong one and a forgotten one can both be named.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::adapter::Refusal;
use crate::api::Code;

/// Fields that say nothing about the answer: who asks, what is kept at OpenAI, how it is cached, queued or delivered.
const HARMLESS: &[&str] = &[
    "metadata",
    "model",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "user",
];

/// A request that is malformed at a field.
pub fn wrong(param: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { code: Code::InvalidRequest, message: message.into(), param: Some(param.into()) }
}

/// A request that is fine, but that this provider's format has no words for.
pub fn cannot(param: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { code: Code::CapabilityMissing, message: message.into(), param: Some(param.into()) }
}

/// A request that is malformed at a place; `message` goes on from its name.
pub fn wrong_at(place: String, message: &str) -> Refusal {
    let message = format!("{place} {message}");
    wrong(place, message)
}

/// A request that is fine, but not at a place for want of words; `message` goes on from its name.
pub fn cannot_at(place: String, message: &str) -> Refusal {
    let message = format!("{place} {message}");
    cannot(place, message)
}

/// The members of one JSON object that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The members of a body.
    ///
    /// # Errors
    /// When the body is not one JSON object.
    pub fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let members = serde_json::from_slice(body).map_err(|error| Refusal {
            code: Code::InvalidRequest,
            message: format!("the body must be one JSON object: {error}"),
            param: None,
        })?;
        Ok(Self(members))
    }

    /// Takes a member out. `null` counts as missing, as it does at OpenAI.
    ///
    /// # Errors
    /// When its value is of another type; `what` says which it must be.
    pub fn take<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        let Some(raw) = self.0.remove(name).filter(|raw| raw.get() != "null") else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|error| wrong(name, format!("{name} must be {what}: {error}")))
    }

    /// Takes out a member that must be there.
    ///
    /// # Errors
    /// When it is missing or of another type.
    pub fn require<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<T, Refusal> {
        self.take(name, what)?.ok_or_else(|| wrong(name, format!("{name} is missing: it must be {what}")))
    }

    /// Refuses the first of the members that are left, unless all of them can go without changing the answer.
    ///
    /// # Errors
    /// When one cannot; it is named.
    pub fn refuse_rest(&self, provider: &str) -> Result<(), Refusal> {
        let Some(name) = self.0.iter().find_map(|(name, raw)| (!is_harmless(name, raw)).then_some(name)) else {
            return Ok(());
        };
        Err(unsayable(name, provider))
    }
}

/// The refusal of a field that a provider's format has no word for at all.
pub fn unsayable(name: &str, provider: &str) -> Refusal {
    cannot(name, format!("{name} cannot be said to {provider}: leave it out, or ask another provider"))
}

/// Whether the answer is the same without the field: by its nature, or because its value asks for what is done anyway.
fn is_harmless(name: &str, raw: &RawValue) -> bool {
    if HARMLESS.contains(&name) {
        return true;
    }
    // What is nested too deep to be read says something.
    let Ok(value) = serde_json::from_str::<Value>(raw.get()) else { return false };
    match name {
        "modalities" => value == serde_json::json!(["text"]),
        "verbosity" => value == "medium",
        _ => match value {
            Value::Null => true,
            Value::Object(members) => members.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(body: &str) -> Option<String> {
        Fields::read(body.as_bytes()).unwrap().refuse_rest("Gemini").err().and_then(|refusal| refusal.param)
    }

    #[test]
    fn what_changes_nothing_goes_and_what_changes_something_is_named() {
        assert_eq!(
            rest(r#"{"user":"u","store":true,"logit_bias":{},"modalities":["text"],"verbosity":"medium"}"#),
            None
        );
        assert_eq!(rest(r#"{"user":"u","prediction":{"type":"content"}}"#).as_deref(), Some("prediction"));
        assert_eq!(rest(r#"{"modalities":["text","audio"]}"#).as_deref(), Some("modalities"));
        assert_eq!(rest(r#"{"min_p":0.1}"#).as_deref(), Some("min_p"));
    }

    #[test]
    fn what_cannot_be_read_is_not_dropped_in_silence() {
        let deep = format!(r#"{{"min_p":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(rest(&deep).as_deref(), Some("min_p"));
        assert_eq!(rest(r#"{"min_p":"\ud800"}"#).as_deref(), Some("min_p"));
    }

    #[test]
    fn a_wrong_type_names_its_field() {
        let mut fields = Fields::read(br#"{"n":"two","seed":null}"#).unwrap();
        assert_eq!(fields.take::<u32>("seed", "a number"), Ok(None));
        let refusal = fields.take::<u32>("n", "a whole number").unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("n"));
        assert!(refusal.message.starts_with("n must be a whole number"));
    }
}
