//! Apps that speak Google's Gemini API, and are answered by somebody else.
//!
//! One file a concern: `request` and its parts say a request in OpenAI's words, `reply` and `stream` say OpenAI's answer
//! in Google's, both through `answer`, so that a stream and a whole reply cannot come to differ. What only Google does
//! (its searches, its caches, its files) is refused by name. All of it is pure.
//!
//! Source: the Gemini API reference (ai.google.dev/api), and recorded traffic where that is silent.

mod answer;
mod array;
mod config;
mod embed;
mod error;
mod framed;
mod object;
mod parts;
mod reply;
mod request;
mod schema;
mod signature;
mod stream;
mod tools;
mod turns;

#[cfg(test)]
mod tests;

pub use array::array;

use serde_json::{Map, Value};

use super::{ErrorSaid, Ingress, StreamWriter};
use crate::adapter::{Asked, Dialect, Invalid, Refusal};
use crate::api::Operation;

/// The ingress for Google's dialect.
pub static GEMINI: Gemini = Gemini;

/// Google's dialect, as apps speak it.
pub struct Gemini;

impl Ingress for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn request(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        match asked.operation {
            Operation::Embeddings => embed::request(asked, body),
            _ => request::read(asked, body),
        }
    }

    fn without_hidden(&self, body: &[u8]) -> Option<Vec<u8>> {
        signature::without(body)
    }

    fn reply(&self, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Invalid> {
        match asked.operation {
            Operation::Embeddings => embed::reply(asked, body),
            _ => reply::write(asked, body),
        }
    }

    fn stream(&self, asked: &Asked) -> Box<dyn StreamWriter> {
        stream::writer(asked)
    }

    fn error(&self, error: &ErrorSaid<'_>) -> Vec<u8> {
        error::body(error).to_string().into_bytes()
    }

    fn error_frames(&self, error: &ErrorSaid<'_>) -> Vec<u8> {
        error::frames(error)
    }
}

/// An object of the members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}
