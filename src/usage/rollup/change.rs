//! Records that are changed where they are, and the rollups that then have to follow.

use std::ops::Range;

use super::Rollups;
use crate::api::UsageRecord;
use crate::clock::Clock;
use crate::store::{StoreError, days_of, span_of};

/// What became of a record: nothing, or another one with the same id, time and labels.
pub type Change = Option<UsageRecord>;

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Records that were looked at.
    pub records: u64,
    /// Records that were changed.
    pub changed: u64,
}

impl Rollups {
    /// Changes records of a time where they are: `change` tells the new form of a record, if there is one. It is asked
    /// more than once for the same record, and must answer the same; of what it answers, id, time and labels must be the
    /// record's own. The rollups of the days that were touched are counted anew. Blocks.
    ///
    /// Blocks of records change some at a time, each whole and durable, and days whose rollups do not fit any longer are
    /// marked before. So a crash leaves some records changed and others not, and rollups that fit what there is: the same
    /// call again does the rest.
    ///
    /// # Errors
    /// When a day cannot be read or written; the days before it are done.
    pub fn change(
        &self,
        span: &Range<i64>,
        mut change: impl FnMut(&UsageRecord) -> Change,
    ) -> Result<Changes, StoreError> {
        let mut changes = Changes::default();
        let days = days_of(span);
        for day in self.store.usage().days_with_records() {
            if days.contains(&day) {
                self.change_day(day, span, &mut change, &mut changes)?;
            }
        }
        Ok(changes)
    }

    fn change_day(
        &self,
        day: i64,
        span: &Range<i64>,
        change: &mut impl FnMut(&UsageRecord) -> Change,
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
        let usage = self.store.usage();
        let mut any = false;
        usage.scan_day(day, span.clone(), |record| {
            changes.records += 1;
            any |= change(record).is_some();
        })?;
        if !any {
            return Ok(());
        }
        self.state().stale.insert(day);
        self.store.rollups().mark_stale(day)?;
        usage.rewrite_day(day, span.clone(), |record| {
            let new = change(record);
            changes.changed += u64::from(new.is_some());
            new
        })?;
        let is_over = span_of(day).end < Clock::system().wall_ms();
        self.replace(day, is_over)
    }
}
