//! Errors in Google's words (googleapis, google.rpc.Status, google.rpc.ErrorInfo, google.rpc.RetryInfo).

use serde_json::{Value, json};

use super::object;
use crate::adapter::ingress::ErrorSaid;
use crate::adapter::sse;

/// The body of an error. The stable code is the reason: apps look for those there.
pub(super) fn body(error: &ErrorSaid<'_>) -> Value {
    let info = object([
        ("@type", Some("type.googleapis.com/google.rpc.ErrorInfo".into())),
        ("reason", Some(error.code.into())),
        ("domain", Some("bursar".into())),
        ("metadata", error.request_id.map(|id| json!({"requestId": id}))),
    ]);
    let mut details = vec![info];
    if let Some(field) = error.param {
        let violation = json!({"field": field, "description": error.message});
        details.push(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}));
    }
    if let Some(seconds) = error.retry_after_s {
        let delay = format!("{seconds}s");
        details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}));
    }
    let (code, status) = (error.status, word(error.status));
    json!({"error": {"code": code, "message": error.message, "status": status, "details": details}})
}

/// The frame that ends a stream in an error.
pub(super) fn frames(error: &ErrorSaid<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    sse::write_data(&mut out, body(error).to_string().as_bytes());
    out
}

/// The name of the google.rpc.Code that goes with an HTTP status (googleapis, google/rpc/code.proto).
fn word(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 412 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 | 524 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 | 507 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
