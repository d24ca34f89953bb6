//! What Anthropic's errors come to.

use http::HeaderMap;
use serde_json::json;

use super::super::ANTHROPIC;
use super::stream;
use crate::adapter::{Adapter, ProviderError};
use crate::api::Outcome;

fn error(status: u16, kind: &str, message: &str) -> ProviderError {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"});
    ANTHROPIC.error(status, &HeaderMap::new(), body.to_string().as_bytes())
}

#[test]
fn every_type_of_the_reference_has_its_class() {
    for (status, kind, outcome) in [
        (400, "invalid_request_error", Outcome::Caller),
        (401, "authentication_error", Outcome::Credential),
        (402, "billing_error", Outcome::Quota),
        (403, "billing_error", Outcome::Quota),
        (403, "permission_error", Outcome::NotForKey),
        (404, "not_found_error", Outcome::NotForKey),
        (413, "request_too_large", Outcome::TooLarge),
        (429, "rate_limit_error", Outcome::RateShort),
        (500, "api_error", Outcome::Transient),
        (504, "timeout_error", Outcome::Timeout),
        (529, "overloaded_error", Outcome::Transient),
    ] {
        let found = error(status, kind, "m");
        assert_eq!((found.outcome, found.status, found.kind.as_deref()), (outcome, status, Some(kind)), "{kind}");
        if !(status == 403 && kind == "billing_error") {
            let event = json!({"type": "error", "error": {"type": kind, "message": "m"}});
            let in_band = stream(format!("event: error\ndata: {event}\n\n").as_bytes()).error.unwrap();
            assert_eq!((in_band.outcome, in_band.status), (outcome, status), "{kind} inside a stream");
        }
    }
}

#[test]
fn what_only_its_text_tells_apart_from_a_callers_mistake() {
    let class = |message: &str| error(400, "invalid_request_error", message).outcome;
    for text in [
        "Your credit balance is too low to access the Anthropic API.",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.",
    ] {
        assert_eq!(class(text), Outcome::Quota, "{text}");
    }
    for text in [
        "prompt is too long: 209353 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease one of them",
    ] {
        assert_eq!(class(text), Outcome::TooLarge, "{text}");
    }
    assert_eq!(class("messages.0.content: a tool said that Your credit balance is too low"), Outcome::Caller);
    assert_eq!(error(500, "api_error", "prompt is too long").outcome, Outcome::Transient);
}

#[test]
fn a_months_spend_is_no_rate_limit() {
    let body = json!({"type": "error", "error": {
        "type": "rate_limit_error", "message": "m", "details": {"error_code": "enforced_spend_limit_reached"},
    }});
    let class = |status| ANTHROPIC.error(status, &HeaderMap::new(), body.to_string().as_bytes()).outcome;
    assert_eq!(class(429), Outcome::Quota);
}

#[test]
fn hints_are_read_and_keys_are_cut_out() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "7".parse().unwrap());
    let body = json!({"error": {"type": "rate_limit_error", "message": "key sk-ant-api03-abcdefgh is over"}});
    let error = ANTHROPIC.error(429, &headers, body.to_string().as_bytes());
    assert_eq!(
        (error.retry_after, error.message.as_str()),
        (Some(std::time::Duration::from_secs(7)), "key [redacted] is over")
    );
}
