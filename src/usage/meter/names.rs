//! The names of one label, as numbers: a bounded table.

use super::OTHER;
use crate::api::ConnectionId;
use crate::bounds;
use crate::texts::Texts;

/// A table of names. Number 0 is what is beyond the bound.
#[derive(Debug)]
pub(super) struct Names {
    texts: Texts,
    last: u32,
}

impl Default for Names {
    fn default() -> Self {
        Self { texts: Texts::bounded(OTHER, bounds::METRIC_NAMES_MAX + 1), last: 0 }
    }
}

impl Names {
    pub(super) fn place(&mut self, name: &str) -> u32 {
        self.texts.place_in(&mut self.last, name)
    }

    pub(super) fn place_of(&mut self, id: &ConnectionId) -> u32 {
        self.texts.place_id_in(&mut self.last, id)
    }

    pub(super) fn name(&self, place: u32) -> &str {
        self.texts.text(place).unwrap_or(OTHER)
    }
}
