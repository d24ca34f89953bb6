//! What records are told apart by, as small numbers; and the bounds on what an app may make up.

use foldhash::{HashMap, HashSet};

use crate::api::usage::Dimension;
use crate::api::{ConnectionId, UsageRecord};
use crate::bounds;
use crate::texts::Texts;

/// How many dimensions there are.
pub(in crate::usage) const DIMENSIONS: usize = Dimension::ALL.len();

/// The place of no text: records have no value there, or nobody asks for it.
pub(in crate::usage) const NONE: u32 = u32::MAX;

/// A combination of labels: for each dimension, in the order of [`Dimension::ALL`], the place of its text.
pub(in crate::usage) type Set = [u32; DIMENSIONS];

/// What features and models are called beyond the bounds.
const OTHER: &str = "other";

/// Dimensions, as bits in the order of [`Dimension::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usage) struct Mask(pub(in crate::usage) u8);

impl Mask {
    pub(in crate::usage) const ALL: Self = Self((1 << DIMENSIONS) - 1);

    pub(in crate::usage) const fn of(mut dimensions: &[Dimension]) -> Self {
        let mut bits = 0;
        while let Some((&one, rest)) = dimensions.split_first() {
            bits |= 1 << (one as u8);
            dimensions = rest;
        }
        Self(bits)
    }

    /// The dimensions of both.
    pub(in crate::usage) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all dimensions of another are in it.
    pub(in crate::usage) fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// A combination with only these dimensions.
    pub(in crate::usage) fn cut(self, set: &Set) -> Set {
        let mut cut = *set;
        cut.iter_mut().enumerate().filter(|(n, _)| self.0 & 1 << n == 0).for_each(|(_, place)| *place = NONE);
        cut
    }

    /// The places of its dimensions in a combination.
    pub(in crate::usage) fn places(self) -> impl Iterator<Item = usize> {
        (0..DIMENSIONS).filter(move |n| self.0 & 1 << n != 0)
    }
}

/// A record's value in a dimension; none where no attempt was made.
pub(in crate::usage) enum Label<'r> {
    Text(&'r str),
    Connection(&'r ConnectionId),
}

/// A record's values, in the order of [`Dimension::ALL`].
pub(in crate::usage) fn labels(record: &UsageRecord) -> [Option<Label<'_>>; DIMENSIONS] {
    [
        record.connection.as_ref().map(Label::Connection),
        record.provider.as_ref().map(|slug| Label::Text(slug.as_str())),
        Some(Label::Text(record.model_served.as_deref().unwrap_or(&record.model))),
        Some(Label::Text(record.feature.as_str())),
        Some(Label::Text(record.app.as_str())),
        Some(Label::Text(record.outcome.name())),
    ]
}

/// The combinations that are known of a day, within the bounds.
///
/// What is beyond them stays so all day: a combination that is known is always itself, and one that was not taken in will
/// not be later. So a record's place does not depend on when it is asked for.
#[derive(Debug, Default)]
pub(in crate::usage) struct Labels {
    pub(in crate::usage) texts: Texts,
    /// The record that was asked for last, which many are like.
    last: Set,
    sets: HashSet<Set>,
    apps: HashMap<u32, OfApp>,
    /// Apps that went beyond the bounds, of which nothing was said yet.
    beyond: Vec<u32>,
}

#[derive(Debug, Default)]
struct OfApp {
    features: HashSet<u32>,
    models: HashSet<u32>,
    sets: usize,
    beyond: bool,
}

const MODEL: usize = Dimension::Model as usize;
const FEATURE: usize = Dimension::Feature as usize;
const APP: usize = Dimension::App as usize;

impl Labels {
    fn set(&mut self, record: &UsageRecord) -> Set {
        let mut set = self.last;
        for (place, label) in set.iter_mut().zip(labels(record)) {
            match label {
                None => *place = NONE,
                Some(Label::Text(text)) => _ = self.texts.place_in(place, text),
                Some(Label::Connection(id)) => _ = self.texts.place_id_in(place, id),
            }
        }
        self.last = set;
        set
    }

    /// The combination that a record counts in. It is known from here on.
    pub(in crate::usage) fn take(&mut self, record: &UsageRecord) -> Set {
        let set = self.set(record);
        if self.sets.contains(&set) {
            return set;
        }
        let other = self.texts.place(OTHER);
        let bounded = self.bounded(set, other, true);
        self.know(bounded);
        bounded
    }

    /// The combination that a record was counted in.
    pub(in crate::usage) fn find(&mut self, record: &UsageRecord) -> Set {
        let set = self.set(record);
        if self.sets.contains(&set) || self.sets.is_empty() {
            return set;
        }
        let other = self.texts.place(OTHER);
        self.bounded(set, other, false)
    }

    /// Takes a combination in as it is.
    pub(in crate::usage) fn know(&mut self, set: Set) {
        if self.sets.insert(set) {
            let [_, _, model, feature, app, _] = set;
            let of_app = self.apps.entry(app).or_default();
            of_app.features.insert(feature);
            of_app.models.insert(model);
            of_app.sets += 1;
        }
    }

    /// Makes another know the same.
    pub(in crate::usage) fn copy_to(&self, other: &mut Self) {
        for set in &self.sets {
            let own = set.map(|place| self.texts.text(place).map_or(NONE, |text| other.texts.place(text)));
            other.know(own);
        }
    }

    /// An app that went beyond the bounds since this was last asked.
    pub(in crate::usage) fn next_beyond(&mut self) -> Option<&str> {
        let app = self.beyond.pop()?;
        self.texts.text(app)
    }

    fn bounded(&mut self, mut set: Set, other: u32, tell: bool) -> Set {
        let app = set.get(APP).copied().unwrap_or(NONE);
        let of_app = self.apps.entry(app).or_default();
        let mut beyond = false;
        for (at, known) in [(FEATURE, &of_app.features), (MODEL, &of_app.models)] {
            if let Some(place) = set.get_mut(at)
                && known.len() >= bounds::ROLLUP_LABELS_PER_APP_MAX
                && !known.contains(place)
            {
                *place = other;
                beyond = true;
            }
        }
        if of_app.sets >= bounds::ROLLUP_SETS_PER_APP_MAX && !self.sets.contains(&set) {
            set.iter_mut()
                .enumerate()
                .filter(|&(n, _)| n == MODEL || n == FEATURE)
                .for_each(|(_, place)| *place = other);
            beyond = true;
        }
        if beyond && tell && !std::mem::replace(&mut of_app.beyond, true) {
            self.beyond.push(app);
        }
        set
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
