//! What a provider's error means: status, code and type to a class of [`Outcome`].
//!
//! Signals are the providers' documented codes, never the wording of a message, with one exception that is named below.

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::ProviderError;
use super::hints::retry_after;
use super::text::sanitise;
use crate::api::Outcome;

/// The class of a status, where the body tells nothing more.
pub fn by_status(status: u16) -> Outcome {
    match status {
        401 => Outcome::Credential,
        402 => Outcome::Quota,
        403 | 404 | 410 => Outcome::NotForKey,
        408 | 504 | 524 => Outcome::Timeout,
        413 => Outcome::TooLarge,
        429 => Outcome::RateShort,
        400..=499 => Outcome::Caller,
        _ => Outcome::Transient,
    }
}

/// Codes and types of OpenAI for an account that is out of money or quota (platform.openai.com, "Error codes").
const QUOTA_WORDS: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
];
/// Codes for a request that is larger than the model's context window.
const TOO_LARGE_WORDS: &[&str] = &["context_length_exceeded", "request_too_large", "string_above_max_length"];

/// Codes and types that stand for a status where an error comes without one, inside a 200 (platform.openai.com, "Error
/// codes"; docs.anthropic.com, "Errors", whose words some compatible servers use).
const STATUS_WORDS: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_exceeded", 429),
    ("rate_limit_error", 429),
    ("slow_down", 429),
    ("server_error", 500),
    ("api_error", 500),
    ("internal_server_error", 500),
    ("service_unavailable", 503),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];
/// The status that an error counts as having where nothing names one.
const NO_STATUS: u16 = 500;

/// The error object of OpenAI's family. OpenAI gives text codes, OpenRouter and llama.cpp give numbers.
#[derive(Debug, Default, Deserialize)]
pub struct OpenAiError {
    #[serde(default)]
    message: Option<Value>,
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    param: Option<Value>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    availability: Option<Value>,
}

/// A body of OpenAI's family: the usual object, or the bare forms that compatible servers use.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    detail: Option<Value>,
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

impl OpenAiError {
    /// Reads an error body of OpenAI's family, whatever its shape.
    pub fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Self::default();
        };
        match body.error {
            Some(object @ Value::Object(_)) => serde_json::from_value(object).unwrap_or_default(),
            Some(Value::String(message)) => Self { message: Some(Value::String(message)), ..Self::default() },
            _ => Self { message: body.message.or(body.detail), ..Self::default() },
        }
    }

    /// The error with its class, from the status that it came with.
    pub fn classed(self, status: u16, headers: &HeaderMap) -> ProviderError {
        let (kind, code) = (text(self.kind.as_ref()), text(self.code.as_ref()));
        let says = |words: &[&str]| [&kind, &code].into_iter().flatten().any(|word| words.contains(&word.as_str()));
        let outcome = if says(QUOTA_WORDS) || self.is_of_limit() {
            Outcome::Quota
        } else if says(&["invalid_api_key"]) {
            Outcome::Credential
        } else if says(&["model_not_found"]) {
            Outcome::NotForKey
        } else if says(TOO_LARGE_WORDS) {
            Outcome::TooLarge
        } else if status == 403 && self.is_moderation() {
            Outcome::Caller
        } else {
            by_status(status)
        };
        let message = text(self.message.as_ref()).filter(|message| !message.is_empty());
        ProviderError {
            outcome,
            status,
            message: sanitise(&message.unwrap_or_else(|| format!("the provider answered with status {status}"))),
            kind: kind.as_deref().map(sanitise),
            code: code.as_deref().map(sanitise),
            param: text(self.param.as_ref()).as_deref().map(sanitise),
            retry_after: retry_after(headers).or_else(|| self.available_in()),
        }
    }

    /// In how long the model is there again (openrouter.ai, "Errors"): seconds.
    fn available_in(&self) -> Option<Duration> {
        let seconds = self.availability.as_ref()?.get("retry_after")?.as_f64()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// An error inside a 200: the status is what its code or its type says, where one does.
    pub fn in_band(self) -> ProviderError {
        let named = self.named_status();
        let error = self.classed(named.unwrap_or(NO_STATUS), &HeaderMap::new());
        match named {
            None if error.outcome == by_status(NO_STATUS) => ProviderError { outcome: Outcome::InBand, ..error },
            _ => error,
        }
    }

    fn named_status(&self) -> Option<u16> {
        let number = |word: &String| word.parse().ok().filter(|status| (400..600).contains(status));
        let word = |word: &String| STATUS_WORDS.iter().find(|(known, _)| known == word).map(|(_, status)| *status);
        let words = || [&self.code, &self.kind].into_iter().filter_map(|word| text(word.as_ref()));
        words().find_map(|one| number(&one)).or_else(|| words().find_map(|one| word(&one)))
    }

    /// OpenRouter's word for whose money or limit is used up (openrouter.ai, "Errors").
    fn is_of_limit(&self) -> bool {
        let source = self.metadata.as_ref().and_then(|metadata| metadata.get("limit_source"));
        matches!(source.and_then(Value::as_str), Some("openrouter_credits" | "openrouter_key_limit"))
    }

    /// OpenRouter's 403 for a flagged prompt (openrouter.ai, "Errors"): its metadata speaks of moderation.
    fn is_moderation(&self) -> bool {
        let metadata = self.metadata.as_ref().and_then(Value::as_object);
        metadata.is_some_and(|metadata| metadata.contains_key("reasons") || metadata.contains_key("flagged_input"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> Outcome {
        OpenAiError::read(body.as_bytes()).classed(status, &HeaderMap::new()).outcome
    }

    #[test]
    fn codes_come_before_statuses() {
        assert_eq!(class(429, r#"{"error":{"code":"insufficient_quota","message":"x"}}"#), Outcome::Quota);
        assert_eq!(class(429, r#"{"error":{"code":"rate_limit_exceeded","message":"x"}}"#), Outcome::RateShort);
        assert_eq!(class(400, r#"{"error":{"code":"context_length_exceeded"}}"#), Outcome::TooLarge);
        assert_eq!(class(403, r#"{"error":{"code":403,"metadata":{"reasons":["x"]}}}"#), Outcome::Caller);
        assert_eq!(class(403, r#"{"error":{"code":403}}"#), Outcome::NotForKey);
        assert_eq!(class(500, "<html>"), Outcome::Transient);
        assert_eq!(class(404, ""), Outcome::NotForKey);
    }

    #[test]
    fn a_429_that_names_the_request_too_large_is_no_rate_limit() {
        for code in ["context_length_exceeded", "request_too_large"] {
            assert_eq!(class(429, &format!(r#"{{"error":{{"code":"{code}"}}}}"#)), Outcome::TooLarge, "{code}");
        }
        assert_eq!(class(429, r#"{"error":{"type":"tokens","code":"rate_limit_exceeded"}}"#), Outcome::RateShort);
    }

    #[test]
    fn an_error_inside_a_200_is_of_the_class_that_it_names() {
        let in_band = |body: &str| OpenAiError::read(body.as_bytes()).in_band().outcome;
        assert_eq!(in_band(r#"{"error":{"code":429,"message":"x"}}"#), Outcome::RateShort);
        assert_eq!(in_band(r#"{"error":{"code":"502","message":"x"}}"#), Outcome::Transient);
        assert_eq!(in_band(r#"{"error":{"type":"overloaded_error","message":"x"}}"#), Outcome::Transient);
        assert_eq!(
            in_band(r#"{"error":{"type":"invalid_request_error","code":"insufficient_quota"}}"#),
            Outcome::Quota
        );
        assert_eq!(in_band(r#"{"error":{"type":"odd","message":"x"}}"#), Outcome::InBand);
        assert_eq!(in_band(r#"{"error":"plain"}"#), Outcome::InBand);
    }

    #[test]
    fn a_body_of_any_shape_gives_a_text() {
        let message = |body: &str| OpenAiError::read(body.as_bytes()).classed(400, &HeaderMap::new()).message;
        assert_eq!(message(r#"{"error":"plain"}"#), "plain");
        assert_eq!(message(r#"{"detail":"from a framework"}"#), "from a framework");
        assert_eq!(message(r#"{"error":{"message":{"deep":1}}}"#), r#"{"deep":1}"#);
        assert_eq!(message("garbage"), "the provider answered with status 400");
    }
}
