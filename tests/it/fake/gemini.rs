//! What Gemini answers. Source: Google's Gemini API reference, `GenerateContentResponse`, and `google.rpc.Status`.

use serde_json::{Value, json};

use super::events::Events;
use super::reply::Reply;

/// The usage that replies report: prompt and candidates' tokens.
pub const USAGE: (u64, u64) = (9, 2);

/// A reply to `generateContent`.
pub fn chat(text: &str) -> Reply {
    Reply::json(200, &piece(text, Some("STOP")))
}

/// A stream as it should be: CRLF, usage in every piece, a finish reason in the last, no end mark.
pub fn stream(texts: &[&str]) -> Events {
    let last = texts.len().saturating_sub(1);
    let pieces = texts.iter().enumerate().map(|(index, text)| piece(text, (index == last).then_some("STOP")));
    pieces.fold(Events::new().crlf(), |events, piece| events.json(&piece))
}

/// One piece of a stream.
pub fn piece(text: &str, finish_reason: Option<&str>) -> Value {
    let (prompt, candidates) = USAGE;
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let Some(reason) = finish_reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": prompt + candidates,
        },
        "modelVersion": "fake-model",
        "responseId": "fake",
    })
}

/// The error that goes with a status.
pub fn error(status: u16) -> Reply {
    error_with(status, &json!([]))
}

/// The 400 for a key that is none.
pub fn invalid_key() -> Reply {
    let info = "type.googleapis.com/google.rpc.ErrorInfo";
    error_with(400, &json!([{"@type": info, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]))
}

/// A 429 that names the quota which is spent, and when to come back.
pub fn quota_spent(quota_id: &str, retry_s: u64) -> Reply {
    let violation = json!({"quotaMetric": "generate_content_requests", "quotaId": quota_id});
    error_with(
        429,
        &json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{retry_s}s")},
        ]),
    )
}

/// An error with these details.
pub fn error_with(status: u16, details: &Value) -> Reply {
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let error = json!({"code": status, "message": "the fake was told to fail", "status": word, "details": details});
    Reply::json(status, &json!({"error": error}))
}
