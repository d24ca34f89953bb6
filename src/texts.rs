//! Texts as small numbers: the table that a block of usage, a day's rollups and the metrics have, each its own.

use foldhash::fast::RandomState;
use indexmap::IndexSet;

use crate::api::ConnectionId;

/// A table of texts, each of which has a place in it, from 0 and in the order in which they came.
#[derive(Debug)]
pub struct Texts {
    all: IndexSet<Box<str>, RandomState>,
    max: usize,
    scratch: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self { all: IndexSet::default(), max: usize::MAX, scratch: String::new() }
    }
}

impl Texts {
    /// A table of at most so many. Its first stands for all that find no room.
    pub fn bounded(first: &str, max: usize) -> Self {
        Self { all: IndexSet::from_iter([first.into()]), max, ..Self::default() }
    }

    /// The place of a text, which gets the next one if it is new.
    pub fn place(&mut self, text: &str) -> u32 {
        let place = match self.all.get_index_of(text) {
            Some(place) => place,
            None if self.all.len() >= self.max => 0,
            None => self.all.insert_full(text.into()).0,
        };
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// The same for a column of texts, of which many are like the one before: to see that it is `last` again costs less
    /// than to look it up.
    pub fn place_in(&mut self, last: &mut u32, text: &str) -> u32 {
        if self.text(*last) != Some(text) {
            *last = self.place(text);
        }
        *last
    }

    /// The same for a column of connections, whose ids are put together from two names.
    pub fn place_id_in(&mut self, last: &mut u32, id: &ConnectionId) -> u32 {
        let mut text = std::mem::take(&mut self.scratch);
        id.write_to(&mut text);
        let place = self.place_in(last, &text);
        self.scratch = text;
        place
    }

    /// The text of a place.
    pub fn text(&self, place: u32) -> Option<&str> {
        self.all.get_index(usize::try_from(place).ok()?).map(|text| &**text)
    }

    /// All of them, by their places.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &str> {
        self.all.iter().map(|text| &**text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_place() {
        let mut texts = Texts::default();
        let mut last = 0;
        let places = ["a", "b", "b", "a"].map(|text| texts.place_in(&mut last, text));
        assert_eq!((places, last), ([0, 1, 1, 0], 0));
        let id: ConnectionId = "openai:main".parse().unwrap();
        assert_eq!((texts.place_id_in(&mut last, &id), texts.place_id_in(&mut last, &id), last), (2, 2, 2));
        assert_eq!((texts.text(2), texts.text(3)), (Some("openai:main"), None));
        assert!(texts.all().eq(["a", "b", "openai:main"]));
    }

    #[test]
    fn what_finds_no_room_has_the_place_of_the_first() {
        let mut texts = Texts::bounded("other", 3);
        assert_eq!(["a", "b", "c", "b"].map(|text| texts.place(text)), [1, 2, 0, 2]);
        assert_eq!((texts.text(0), texts.all().len()), (Some("other"), 3));
    }
}
