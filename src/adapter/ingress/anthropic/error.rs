//! Errors in Anthropic's words (docs.claude.com, "Errors").

use serde_json::{Value, json};

use crate::adapter::ingress::ErrorSaid;
use crate::adapter::sse;
use crate::api::error::ErrorObject;

/// Anthropic's kind of error for a status.
fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The body of an error. `code` and `param` are Bursar's own, beside Anthropic's members.
pub(super) fn body(error: &ErrorSaid<'_>) -> Value {
    let mut object = json!({"type": kind(error.status), "message": error.message, "code": error.code});
    if let (Some(param), Some(members)) = (error.param, object.as_object_mut()) {
        members.insert("param".into(), param.into());
    }
    json!({"type": "error", "error": object, "request_id": error.request_id})
}

/// The event that ends a stream in an error.
pub(super) fn frames(error: &ErrorSaid<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    sse::write_event(&mut out, "error", body(error).to_string().as_bytes());
    out
}

/// The same for an error inside a stream of OpenAI's, which has no status: only its kind tells.
pub(super) fn frames_of(error: &ErrorObject) -> Vec<u8> {
    let status = match error.kind.as_str() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "rate_limit_error" => 429,
        _ => 500,
    };
    let code = error.code.as_deref().unwrap_or(&error.kind);
    let (message, param) = (error.message.as_str(), error.param.as_deref());
    frames(&ErrorSaid { status, code, message, param, request_id: None, retry_after_s: None })
}
