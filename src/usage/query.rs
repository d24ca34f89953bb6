//! Usage over a time, by groups.

use std::borrow::Cow;

use super::rollup::{self, Label, Rollups, labels};
use crate::api::UsageRecord;
use crate::api::usage::{Dimension, Step, UsageReport};
use crate::store::{StoreError, Tier};

/// A question about usage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The begin, in milliseconds since 1970.
    pub from_ms: i64,
    /// The end, in milliseconds since 1970; not included.
    pub to_ms: i64,
    /// What to group by.
    pub by: Vec<Dimension>,
    /// The width of the time buckets.
    pub step: Step,
    /// Only records with these values count; a dimension that is named twice may have either.
    pub filters: Vec<(Dimension, String)>,
}

/// Answers a question about usage: from what is kept of sums, and from records at the edges. Blocks.
///
/// `requests` counts a final record at the connection that it names, so that grouping never counts a request twice. Where
/// only sums are kept, and the time begins or ends within one, that one counts whole, and the report says what it covers.
///
/// # Errors
/// When what is needed cannot be read.
pub fn totals(rollups: &Rollups, query: &Query) -> Result<UsageReport, StoreError> {
    rollup::report(rollups, query)
}

impl Query {
    /// Whether a record passes the filters. For pages of records too.
    pub fn takes(&self, record: &UsageRecord) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        let labels = labels(record).map(|label| match label {
            None => None,
            Some(Label::Text(text)) => Some(Cow::Borrowed(text)),
            Some(Label::Connection(id)) => Some(Cow::Owned(id.to_string())),
        });
        self.passes(|dimension| labels.get(dimension).and_then(Option::as_deref))
    }

    /// Whether labels pass the filters, given by their dimension's place in [`Dimension::ALL`].
    pub(super) fn passes<'l>(&self, label: impl Fn(usize) -> Option<&'l str>) -> bool {
        self.filters.iter().all(|(dimension, _)| {
            let label = label(*dimension as usize);
            self.filters.iter().any(|(other, value)| other == dimension && label == Some(value))
        })
    }
}

impl Step {
    /// The coarsest sums that tell its buckets apart.
    pub(super) fn coarsest(self) -> Tier {
        match self {
            Self::Minute => Tier::Minutes,
            Self::Hour => Tier::Hours,
            Self::Day | Self::None => Tier::Days,
        }
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
