//! The names of one label, as small numbers: a bounded table, whose first is `other`.

use foldhash::HashMap;

use crate::api::ConnectionId;
use crate::bounds;

/// The name of what is beyond the bound.
pub(super) const OTHER: &str = "other";

/// A table of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: HashMap<Box<str>, u32>,
    all: Vec<Box<str>>,
    /// What was asked for last: to see that it is the same again costs less than to look it up.
    last: u32,
    scratch: String,
}

impl Names {
    /// The number of a name; 0 where the table is full.
    pub(super) fn place(&mut self, name: &str) -> u32 {
        if self.last != 0 && self.name(self.last) == name {
            return self.last;
        }
        if let Some(&place) = self.places.get(name) {
            self.last = place;
            return place;
        }
        if self.all.len() >= bounds::METRIC_NAMES_MAX {
            return 0;
        }
        let (name, place): (Box<str>, _) = (name.into(), u32::try_from(self.all.len() + 1).unwrap_or_default());
        self.all.push(name.clone());
        self.places.insert(name, place);
        place
    }

    /// The same for a connection, whose id is put together from two names.
    pub(super) fn place_of(&mut self, id: &ConnectionId) -> u32 {
        let mut name = std::mem::take(&mut self.scratch);
        id.write_to(&mut name);
        let place = self.place(&name);
        self.scratch = name;
        place
    }

    /// The name of a number.
    pub(super) fn name(&self, place: u32) -> &str {
        let place = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        place.and_then(|place| self.all.get(place)).map_or(OTHER, AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_number_each_until_the_table_is_full() {
        let mut names = Names::default();
        for n in 0..bounds::METRIC_NAMES_MAX {
            let place = names.place(&n.to_string());
            assert_eq!((names.name(place), place == 0), (n.to_string().as_str(), false));
        }
        assert_eq!((names.place("one more"), names.name(0)), (0, OTHER));
        assert_ne!(names.place("7"), 0, "those that are there keep theirs");
    }
}
