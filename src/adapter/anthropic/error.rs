//! Anthropic's errors: OpenAI's shape and classing, and what is Anthropic's own.
//!
//! Source: Anthropic's API reference, "Errors" and "Rate limits".

use serde_json::{Value, json};

use crate::adapter::ProviderError;
use crate::adapter::classify::OpenAiError;
use crate::api::Outcome;

/// How messages begin that come as a bare `invalid_request_error` with 400, and are no fault of the request. The text is
/// the only signal there is: these bodies have no code and no details. The first two are documented ("Rate limits",
/// "Spend limits"); the others are what the API has answered, word for word, for years.
const TEXTS: &[(&str, Outcome)] = &[
    ("You have reached your specified API usage limits", Outcome::Quota),
    ("You have reached your specified workspace API usage limits", Outcome::Quota),
    ("Your credit balance is too low", Outcome::Quota),
    ("prompt is too long", Outcome::TooLarge),
    ("input length and `max_tokens` exceed context limit", Outcome::TooLarge),
];

/// An error of OpenAI's shape with what Anthropic alone says in it.
pub(super) fn refined(error: ProviderError, body: &[u8]) -> ProviderError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    // The month's spend is used up: a rate limit by its type, but one that no short wait ends.
    let spent = text("/error/details/error_code") == "enforced_spend_limit_reached";
    let begins = |(beginning, _): &&(&str, Outcome)| text("/error/message").starts_with(beginning);
    let outcome = match error.outcome {
        Outcome::RateShort if spent => Outcome::Quota,
        Outcome::Caller => TEXTS.iter().find(begins).map_or(Outcome::Caller, |&(_, outcome)| outcome),
        // "There's an issue with billing", with whatever status.
        _ if text("/error/type") == "billing_error" => Outcome::Quota,
        outcome => outcome,
    };
    ProviderError { outcome, ..error }
}

/// An error object inside a 200.
pub(super) fn in_band(error: &Value) -> ProviderError {
    let body = json!({ "error": error }).to_string();
    refined(OpenAiError::read(body.as_bytes()).in_band(), body.as_bytes())
}
