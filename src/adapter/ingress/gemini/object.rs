//! One object of a request of Google's, read member by member, so that whatever nobody took can be refused by its place.
//!
//! Google's reader takes every key in camelCase and in snake_case, a single object where a list is asked for, and whole
//! numbers as texts (protobuf, "ProtoJSON format"; Google's own examples do so); so does this one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::adapter::Refusal;
use crate::adapter::hub::{cannot_at, wrong_at};
use crate::api::Code;

/// The members that nobody has taken yet, under their names in camelCase, and where the object stands.
pub(super) struct Object<'a> {
    members: BTreeMap<String, &'a RawValue>,
    place: String,
}

/// A string, borrowed where it holds no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> Object<'a> {
    /// The members of a body.
    pub(super) fn body(body: &'a [u8]) -> Result<Self, Refusal> {
        let raw = serde_json::from_slice(body).map_err(|error| Refusal {
            code: Code::InvalidRequest,
            message: format!("the body must be one JSON object: {error}"),
            param: None,
        })?;
        Self::read(raw, String::new())
    }

    fn read(raw: &'a RawValue, place: String) -> Result<Self, Refusal> {
        let all: BTreeMap<String, &'a RawValue> =
            serde_json::from_str(raw.get()).map_err(|_| wrong_at(place.clone(), "must be an object"))?;
        let mut members = BTreeMap::new();
        for (key, value) in all {
            let name = camel(&key);
            if members.insert(name, value).is_some() {
                let at = at(&place, &key);
                return Err(wrong_at(at, "stands twice, in two spellings"));
            }
        }
        Ok(Self { members, place })
    }

    /// The place of a member.
    pub(super) fn at(&self, name: &str) -> String {
        at(&self.place, name)
    }

    /// Takes a member out as it stands. `null` counts as missing, as it does at Google.
    pub(super) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        self.members.remove(name).filter(|raw| raw.get() != "null")
    }

    /// Takes a member out; `what` says what it must be.
    pub(super) fn take<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| self.wrong(name, &format!("must be {what}")))
    }

    /// Takes out a text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.take::<Text<'a>>(name, "a text").map(|text| text.map(|text| text.0))
    }

    /// Takes out a text that must be there.
    pub(super) fn need(&mut self, name: &str) -> Result<Cow<'a, str>, Refusal> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "is missing: it must be a text"))
    }

    /// Takes out a whole number, which may stand as a text or with a point.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a figure with nothing behind its point, in the range of an f64's own"
    )]
    pub(super) fn whole(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.take::<Value>(name, "a whole number")? else { return Ok(None) };
        let whole = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => {
                let float = || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
                number.as_i64().or_else(|| float().map(|float| float as i64))
            }
            _ => None,
        };
        whole.map(Some).ok_or_else(|| self.wrong(name, "must be a whole number"))
    }

    /// Takes out an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Object<'a>>, Refusal> {
        let raw = self.raw(name);
        raw.map(|raw| Self::read(raw, self.at(name))).transpose()
    }

    /// Takes out a list of objects, or the one object that stands in its place.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Object<'a>>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(Vec::new()) };
        let place = self.at(name);
        if !raw.get().starts_with('[') {
            return Ok(vec![Self::read(raw, place)?]);
        }
        let all: Vec<&'a RawValue> =
            serde_json::from_str(raw.get()).map_err(|_| self.wrong(name, "must be a list of objects"))?;
        let one = |(position, raw)| Self::read(raw, format!("{place}[{position}]"));
        all.into_iter().enumerate().map(one).collect()
    }

    /// Takes out members that may go: the answer is the same without them.
    pub(super) fn forget(&mut self, names: &[&str]) {
        for name in names {
            self.members.remove(*name);
        }
    }

    /// Refuses the first member that nobody took.
    pub(super) fn refuse_rest(&self) -> Result<(), Refusal> {
        let says = |raw: &RawValue| !matches!(raw.get(), "null" | "[]");
        match self.members.iter().find(|(_, raw)| says(raw)) {
            Some((name, _)) => {
                Err(self.cannot(name, "is something that only Gemini can be asked for: leave it out, or ask Gemini"))
            }
            None => Ok(()),
        }
    }

    /// The refusal of a member that is malformed; `message` goes on from its place.
    pub(super) fn wrong(&self, name: &str, message: &str) -> Refusal {
        wrong_at(self.at(name), message)
    }

    /// The refusal of a member that is fine, but that other providers have no words for.
    pub(super) fn cannot(&self, name: &str, message: &str) -> Refusal {
        cannot_at(self.at(name), message)
    }
}

fn at(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// A key in camelCase.
pub(super) fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut raise = false;
    for c in key.chars() {
        match c {
            '_' => raise = true,
            c if std::mem::take(&mut raise) => out.push(c.to_ascii_uppercase()),
            c => out.push(c),
        }
    }
    out
}
