//! The sandbox's errors, in OpenAI's shape: those that a request asked for, and those that it earns.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::{Body, CHAT_MODEL, EMBEDDING_MODEL, Playback, Reply, head};

/// An error reply.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// What in the sandbox answers: a fault that was asked for is not to be taken for a mistake in the request.
    label: &'static str,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A request that OpenAI would refuse, or that the sandbox cannot serve.
    pub(super) fn invalid(message: String) -> Self {
        let (kind, code) = words(StatusCode::BAD_REQUEST);
        Self {
            status: StatusCode::BAD_REQUEST,
            label: "refused",
            kind,
            code,
            param: None,
            message,
            retry_after_s: None,
        }
    }

    /// The same, for one field.
    pub(super) fn field(param: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param), ..Self::invalid(message.into()) }
    }

    /// A model that does not exist, or does not do this.
    pub(super) fn unknown_model(model: &str) -> Self {
        let (kind, code) = words(StatusCode::NOT_FOUND);
        let message = format!(
            "the sandbox has no model `{model}` for this call: `{CHAT_MODEL}` chats, `{EMBEDDING_MODEL}` embeds"
        );
        Self { status: StatusCode::NOT_FOUND, kind, code, ..Self::field("model", message) }
    }

    /// A path that the sandbox does not have.
    pub(super) fn unknown_url(method: &Method, path: &str) -> Self {
        let message = format!("unknown request URL: {method} {path}");
        Self { status: StatusCode::NOT_FOUND, code: Some("unknown_url"), ..Self::invalid(message) }
    }

    /// The error of a status, because a fault says so.
    pub(super) fn asked_for(status: u16, retry_after_s: Option<u64>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (kind, code) = words(status);
        let message = format!("the sandbox was asked for a status of {}", status.as_u16());
        Self { status, label: "fault", kind, code, retry_after_s, ..Self::invalid(message) }
    }

    pub(super) fn reply(self) -> Reply {
        let body = json!({
            "error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        });
        let playback = Playback::whole(&body, None);
        let mut headers = head(self.label, playback.media_type);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Reply { status: self.status, headers, body: Body::Sandbox(playback) }
    }
}

/// The `type` and `code` that come with a status (platform.openai.com, "Error codes").
fn words(status: StatusCode) -> (&'static str, Option<&'static str>) {
    match status.as_u16() {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        402 => ("insufficient_quota", Some("insufficient_quota")),
        403 => ("request_forbidden", Some("unsupported_country_region_territory")),
        404 => ("invalid_request_error", Some("model_not_found")),
        408 => ("timeout", Some("request_timeout")),
        413 => ("invalid_request_error", Some("request_too_large")),
        429 => ("requests", Some("rate_limit_exceeded")),
        503 => ("server_error", Some("service_unavailable")),
        529 => ("server_error", Some("overloaded")),
        400..500 => ("invalid_request_error", None),
        _ => ("server_error", None),
    }
}
