//! Apps that speak another dialect than OpenAI's, served by any provider: their request said in OpenAI's words, and
//! OpenAI's answer said in theirs. Where app and provider speak the same dialect, bytes pass and none of this is used.
//!
//! The other half of a wire format: an [`Adapter`](super::Adapter) is how Bursar speaks to a provider, an [`Ingress`] is
//! how it listens to apps. Like adapters, these do no I/O, see no clock, and never log.

pub mod anthropic;
pub mod gemini;

use super::{Asked, Dialect, Invalid, Refusal, sse};
use crate::api::{ErrorBody, Failure};

/// An error on its way to an app: what every dialect has a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorSaid<'a> {
    /// The HTTP status that it goes out with, or would.
    pub status: u16,
    /// The stable code, or the provider's own word where its answer is passed on.
    pub code: &'a str,
    /// One sentence that says what is wrong and what to do.
    pub message: &'a str,
    /// The field that is at fault.
    pub param: Option<&'a str>,
    /// The request's id as Bursar gives it.
    pub request_id: Option<&'a str>,
    /// Seconds after which another try may help.
    pub retry_after_s: Option<u64>,
}

impl<'a> ErrorSaid<'a> {
    /// A failure of Bursar's own.
    pub fn of(failure: &'a Failure, request_id: Option<&'a str>) -> Self {
        Self {
            status: failure.code.status(),
            code: failure.code.name(),
            message: &failure.message,
            param: failure.param.as_deref(),
            request_id,
            retry_after_s: failure.retry_after_s,
        }
    }
}

/// One dialect that apps speak.
pub trait Ingress: Send + Sync {
    /// Which.
    fn dialect(&self) -> Dialect;

    /// A request in OpenAI's dialect. Never says `stream_options`: whoever sends it on asks for usage where it is given.
    ///
    /// # Errors
    /// When something in it cannot be said there, by name; nothing is dropped in silence unless the answer is the same
    /// without it.
    fn request(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal>;

    /// The body without what Bursar itself hid in an earlier answer, for a provider of this very dialect: nobody else
    /// can read that, and some refuse it. None where nothing is hidden there.
    fn without_hidden(&self, body: &[u8]) -> Option<Vec<u8>>;

    /// A whole answer of OpenAI's dialect in this one.
    ///
    /// # Errors
    /// When it does not read as one.
    fn reply(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Invalid>;

    /// A writer for one stream.
    fn stream(&self, asked: &Asked) -> Box<dyn StreamWriter>;

    /// The body of an error.
    fn error(&self, error: &ErrorSaid<'_>) -> Vec<u8>;

    /// The frames that end a stream in an error.
    fn error_frames(&self, error: &ErrorSaid<'_>) -> Vec<u8>;
}

/// Says a stream of OpenAI's in another dialect, as it comes.
pub trait StreamWriter: Send {
    /// Takes whole frames of OpenAI's dialect, `[DONE]` and comments too, and writes what they come to: whole frames, or
    /// nothing yet. What cannot be read is passed over: readers have looked at it before.
    fn frames(&mut self, frames: &[u8], out: &mut Vec<u8>);

    /// Takes the end of the stream. `[DONE]` may have come before it, or not.
    fn end(&mut self, out: &mut Vec<u8>);

    /// Whether the end that apps wait for was written, or an error: nothing may follow.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether it had to end the stream in an error, because what came cannot be said in its dialect.
    fn has_failed(&self) -> bool {
        false
    }
}

/// Every dialect that apps may speak beside OpenAI's.
pub static INGRESSES: &[&dyn Ingress] = &[&anthropic::ANTHROPIC, &gemini::GEMINI];

/// The ingress of a dialect; none for OpenAI's, in which everything is said.
pub fn of(dialect: Dialect) -> Option<&'static dyn Ingress> {
    INGRESSES.iter().copied().find(|ingress| ingress.dialect() == dialect)
}

/// The body of an error in a dialect.
pub fn error(dialect: Dialect, error: &ErrorSaid<'_>) -> Vec<u8> {
    match of(dialect) {
        Some(ingress) => ingress.error(error),
        None => ErrorBody::new(error.status, error.message, error.param, Some(error.code)).to_json(),
    }
}

/// The frames that end a stream in an error.
pub fn error_frames(dialect: Dialect, error: &ErrorSaid<'_>) -> Vec<u8> {
    match of(dialect) {
        Some(ingress) => ingress.error_frames(error),
        None => {
            let mut frames = Vec::new();
            sse::write_data(&mut frames, &self::error(dialect, error));
            frames
        }
    }
}
