//! One object inside a request, read member by member, so that what is wrong is named with its place.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::OTHERS;
use crate::adapter::Refusal;
use crate::adapter::hub::{Fields, cannot_at, wrong_at};

/// An object, and where in the request it stands.
pub(super) struct Object<'a> {
    fields: Fields<'a>,
    place: String,
}

impl<'a> Object<'a> {
    /// Reads what stands at a place.
    ///
    /// # Errors
    /// When it is no object.
    pub(super) fn read(raw: &'a RawValue, place: impl Into<String>) -> Result<Self, Refusal> {
        let place = place.into();
        match Fields::read(raw.get().as_bytes()) {
            Ok(fields) => Ok(Self { fields, place }),
            Err(_) => Err(wrong_at(place, "must be an object")),
        }
    }

    /// Takes a member out, as [`Fields::take`].
    pub(super) fn take<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        self.fields.take(name, what).map_err(|refusal| self.within(refusal))
    }

    /// Takes out a member that must be there, as [`Fields::require`].
    pub(super) fn require<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Result<T, Refusal> {
        self.fields.require(name, what).map_err(|refusal| self.within(refusal))
    }

    /// Takes out a member that is an object itself.
    pub(super) fn inner(&mut self, name: &str) -> Result<Option<Object<'a>>, Refusal> {
        let raw: Option<&RawValue> = self.take(name, "an object")?;
        raw.map(|raw| Object::read(raw, self.at(name))).transpose()
    }

    /// Refuses what nobody took. Cache marks go unsaid: the answer is the same without them.
    ///
    /// # Errors
    /// When a member is left that changes the answer; it is named.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        self.take::<&RawValue>("cache_control", "an object")?;
        self.fields.refuse_rest(OTHERS).map_err(|refusal| self.within(refusal))
    }

    /// The place of a member.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    /// The refusal of a member that is wrong; `message` goes on from its place.
    pub(super) fn wrong(&self, name: &str, message: &str) -> Refusal {
        wrong_at(self.at(name), message)
    }

    /// The refusal of a member that only Anthropic understands; `message` goes on from its place.
    pub(super) fn cannot(&self, name: &str, message: &str) -> Refusal {
        cannot_at(self.at(name), message)
    }

    fn within(&self, refusal: Refusal) -> Refusal {
        Refusal {
            message: format!("{}.{}", self.place, refusal.message),
            param: refusal.param.map(|param| self.at(&param)),
            ..refusal
        }
    }
}

/// What a speaker says: a text, or blocks.
pub(super) enum Content<'a> {
    /// A text.
    Text(String),
    /// Blocks, each with its type.
    Blocks(Vec<(String, Object<'a>)>),
}

impl<'a> Content<'a> {
    /// Reads what stands at a place.
    ///
    /// # Errors
    /// When it is neither a text nor a list of objects with a type.
    pub(super) fn read(raw: &'a RawValue, place: &str) -> Result<Self, Refusal> {
        let unreadable = || wrong_at(place.to_owned(), "must be a text or a list of blocks");
        if raw.get().starts_with('"') {
            return serde_json::from_str(raw.get()).map(Self::Text).map_err(|_| unreadable());
        }
        let blocks: Vec<&'a RawValue> = serde_json::from_str(raw.get()).map_err(|_| unreadable())?;
        let read = |(position, raw): (usize, &'a RawValue)| {
            let mut block = Object::read(raw, format!("{place}[{position}]"))?;
            Ok((block.require("type", "a text")?, block))
        };
        blocks.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Self::Blocks)
    }
}
