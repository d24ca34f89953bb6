//! Usage over a time, by groups: a scan over the records, with bounded rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::tally::Tally;
use crate::api::UsageRecord;
use crate::api::usage::{Dimension, Step, UsageReport, UsageRow, timestamp};
use crate::bounds;
use crate::store::{Store, StoreError};

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

/// A group: its time bucket, and its value for each dimension that is asked for.
type Group = (Option<i64>, Vec<Option<String>>);

/// Answers a question about usage from the records. Blocks.
///
/// `requests` counts a final record at the connection that it names, so that grouping never counts a request twice.
///
/// # Errors
/// When the records cannot be read.
pub fn totals(store: &Store, query: &Query) -> Result<UsageReport, StoreError> {
    let mut groups: BTreeMap<Group, Tally> = BTreeMap::new();
    // What belongs to groups that are not shown.
    let mut all = Tally::default();
    let mut truncated = false;
    store.usage().scan(query.from_ms, query.to_ms, |record| {
        if query.takes(record) {
            let group = query.group(record);
            if groups.len() < bounds::USAGE_ROWS_MAX || groups.contains_key(&group) {
                groups.entry(group).or_default().add(record);
            } else {
                truncated = true;
                all.add(record);
            }
        }
        ControlFlow::Continue(())
    })?;
    groups.values().for_each(|tally| all.merge(tally));
    let row = |((at, labels), tally): (Group, Tally)| UsageRow {
        at: at.map(timestamp),
        figures: tally.figures(),
        labels: query.by.iter().copied().zip(labels).collect(),
    };
    Ok(UsageReport {
        from: timestamp(query.from_ms),
        to: timestamp(query.to_ms),
        step: query.step,
        rows: groups.into_iter().map(row).collect(),
        totals: all.figures(),
        truncated,
    })
}

impl Query {
    /// Whether a record passes the filters. For pages of records too.
    pub fn takes(&self, record: &UsageRecord) -> bool {
        self.filters.iter().all(|(dimension, _)| {
            let label = label(record, *dimension);
            self.filters.iter().any(|(other, value)| other == dimension && label.as_deref() == Some(value))
        })
    }

    fn group(&self, record: &UsageRecord) -> Group {
        let bucket = self.step.ms().map(|width| record.at_ms.div_euclid(width).saturating_mul(width));
        (bucket, self.by.iter().map(|&dimension| label(record, dimension).map(Cow::into_owned)).collect())
    }
}

/// A record's value in a dimension; none where no attempt was made.
fn label(record: &UsageRecord, dimension: Dimension) -> Option<Cow<'_, str>> {
    let text = match dimension {
        Dimension::Connection => return record.connection.as_ref().map(|id| Cow::Owned(id.to_string())),
        Dimension::Provider => record.provider.as_ref()?.as_str(),
        Dimension::Model => record.model_served.as_deref().unwrap_or(&record.model),
        Dimension::Feature => record.feature.as_str(),
        Dimension::App => record.app.as_str(),
        Dimension::Outcome => record.outcome.name(),
    };
    Some(Cow::Borrowed(text))
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
