//! Apps that speak Anthropic's Messages API, served by providers of any dialect.
//!
//! `request` and its parts (`turns`, `parts`, `tools`) say a Messages body in OpenAI's words; `reply` and `stream` say
//! OpenAI's answer as a message, both through `answer`, which knows what ends it and what it used. `extra` carries what
//! a provider wants back through an app that knows nothing of it. All of it is pure.
//!
//! Source: the Messages API reference (docs.claude.com/en/api/messages), and recorded traffic where that is silent.

mod answer;
mod blocks;
mod error;
mod extra;
mod object;
mod parts;
mod reply;
mod request;
mod stream;
mod tools;
mod turns;

#[cfg(test)]
mod tests;

use super::{ErrorSaid, Ingress, StreamWriter};
use crate::adapter::{Asked, Dialect, Invalid, Refusal};

/// The ingress of Anthropic's dialect.
pub static ANTHROPIC: Anthropic = Anthropic;

/// Who is told of a request, in refusals.
const OTHERS: &str = "a provider that does not speak Anthropic's API";

/// Anthropic's Messages API, as apps speak it.
pub struct Anthropic;

impl Ingress for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn request(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        request::encode(&asked.model, body)
    }

    fn without_hidden(&self, body: &[u8]) -> Option<Vec<u8>> {
        extra::without(body)
    }

    fn reply(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Invalid> {
        reply::write(asked, body)
    }

    fn stream(&self, asked: &Asked) -> Box<dyn StreamWriter> {
        Box::new(stream::Events::new(asked))
    }

    fn error(&self, error: &ErrorSaid<'_>) -> Vec<u8> {
        error::body(error).to_string().into_bytes()
    }

    fn error_frames(&self, error: &ErrorSaid<'_>) -> Vec<u8> {
        error::frames(error)
    }
}
