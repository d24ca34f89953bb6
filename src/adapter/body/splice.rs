//! A body on its way out: as it came, but for what must change.

use std::ops::Range;

use bytes::Bytes;

use super::members::{Members, object};
use super::{BodyError, Scan, Written};
use crate::adapter::gemini::resource;
use crate::bounds;

/// A body on its way out: pieces of what came in, with the changed bytes between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spliced {
    /// The pieces, in order.
    pub parts: Vec<Bytes>,
}

impl Spliced {
    /// The exact length of all pieces together.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces in one.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts.concat()
    }
}

impl Scan {
    /// The body with another model wherever it names one, without Bursar's own label, and asking for usage if it must.
    pub fn splice(&self, body: &Bytes, model: &str, ask_usage: bool) -> Spliced {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let written = match self.written {
            Written::Quoted => quoted(model),
            Written::Resource => quoted(&resource(model, str::to_owned)),
            Written::Missing => format!("\"model\":{},", quoted(model)),
            Written::Plain => model.to_owned(),
        };
        let mut edits: Vec<_> = self.models_at.iter().map(|at| (at.clone(), written.clone().into_bytes())).collect();
        edits.extend(self.label.clone());
        edits.extend(self.ask_usage.clone().filter(|_| ask_usage));
        // What is put in at a place stands before what is cut out behind it.
        edits.sort_by_key(|(at, _)| (at.start, at.end));
        if body.len() <= bounds::SPLICE_COPIED_BYTES_MAX {
            return Spliced { parts: vec![copied(body, &edits)] };
        }
        let mut parts = Vec::with_capacity(edits.len() * 2 + 1);
        let mut done = 0;
        for (at, text) in edits {
            parts.push(body.slice(done.min(at.start)..at.start));
            parts.push(Bytes::from(text));
            done = at.end;
        }
        parts.push(body.slice(done..));
        parts.retain(|part| !part.is_empty());
        Spliced { parts }
    }
}

/// A small body in one piece: one write costs less than the copy saves.
fn copied(body: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Bytes {
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut done = 0;
    for (at, text) in edits {
        out.extend_from_slice(body.get(done..at.start).unwrap_or_default());
        out.extend_from_slice(text);
        done = at.end;
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    out.into()
}

/// The body with parameters of the first level left out, or under another name. What a provider is sent that knows
/// some parameters by other names, or not at all.
///
/// # Errors
/// When it is not one JSON object.
pub fn rewrite(body: &[u8], drop: &[String], rename: &[(String, String)]) -> Result<Vec<u8>, BodyError> {
    let members: Members<'_> = serde_json::from_slice(body)
        .map_err(|error| BodyError { message: format!("the body is not valid JSON: {error}"), param: None })?;
    let has = |name: &str| members.0.iter().any(|(key, _)| key == name);
    // Where the app says both names, the one that takes the other's place is meant.
    let replaced = |name: &str| rename.iter().any(|(from, to)| to == name && has(from));
    let kept = members.0.iter().filter(|(key, _)| !drop.iter().any(|name| name == key) && !replaced(key));
    let renamed = |key| rename.iter().find(|(from, _)| from == key).map_or(key, |(_, to)| to.as_str());
    Ok(object(kept.map(|(key, value)| (renamed(key), value.get()))).into_bytes())
}
