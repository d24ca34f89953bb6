//! What a provider of either dialect says, in its own words.

use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, Reply, anthropic, openai};
use crate::spoken::Dialect;

/// The text of the part that an app has seen when a fault comes after content.
pub const PART: [&str; 2] = ["Hel", "lo"];

/// A provider's words.
#[derive(Debug, Clone, Copy)]
pub struct Words(pub Dialect);

impl Words {
    fn is_openai(self) -> bool {
        self.0 == Dialect::OpenAi
    }

    /// The error that goes with a status.
    pub fn error(self, status: u16) -> Reply {
        if self.is_openai() {
            return openai::error(status);
        }
        anthropic::error_of(status, kind(status), "the fake was told to fail")
    }

    /// A 429 for an account that is out of money.
    pub fn quota(self) -> Reply {
        if self.is_openai() {
            return openai::error_with(429, "insufficient_quota", &json!("insufficient_quota"));
        }
        anthropic::error_of(402, "billing_error", "the fake was told to fail")
    }

    /// An error's body, as it may stand in a 200 or in a stream.
    pub fn error_body(self, status: u16) -> Value {
        if self.is_openai() {
            return openai::error_object("whatever", &json!(status));
        }
        json!({"type": "error", "error": {"type": kind(status), "message": "the fake was told to fail"}})
    }

    /// The same as a frame.
    pub fn framed(self, events: Events, status: u16) -> Events {
        if self.is_openai() {
            events.json(&self.error_body(status))
        } else {
            events.event("error", &self.error_body(status))
        }
    }

    /// A whole reply.
    pub fn whole(self, text: &str) -> Reply {
        if self.is_openai() { openai::chat(text) } else { anthropic::chat(text) }
    }

    /// A whole stream.
    pub fn stream(self, texts: &[&str]) -> Events {
        if self.is_openai() { openai::stream(texts) } else { anthropic::stream(texts) }
    }

    /// A stream's beginning, without content.
    pub fn opening(self) -> Events {
        if self.is_openai() { openai::opening(&[]) } else { anthropic::opening() }
    }

    /// A stream's beginning, with [`PART`].
    pub fn part(self) -> Events {
        self.0.opening(&PART)
    }

    /// How many frames [`Words::part`] has.
    pub fn part_frames(self) -> usize {
        if self.is_openai() { 3 } else { 5 }
    }

    /// What a healthy connection answers.
    pub fn fine(self, stream: bool) -> Behaviour {
        if stream { self.stream(&["fine"]).into() } else { self.whole("fine").into() }
    }
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}
