//! The records of usage day by day: which days there are, all records of one in the order in which they were stored, and
//! days that are forgotten.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use super::StoreError;
use super::block;
use super::rollups::Position;
use super::segment::{self, Name, Segment};
use super::usage::{ID_SKEW_MS, Usage, scan_one};
use crate::api::UsageRecord;
use crate::api::usage::RecordId;
use crate::bounds;

impl Usage {
    /// The days that have records.
    pub fn days_with_records(&self) -> BTreeSet<i64> {
        self.segments.names(0..=i64::MAX).into_iter().map(|name| name.day).collect()
    }

    /// Whether a day has records.
    pub fn has_day(&self, day: i64) -> bool {
        !self.segments.names(day..=day).is_empty()
    }

    /// As [`Usage::scan`], through the records of one day's segments alone.
    ///
    /// # Errors
    /// When a segment cannot be read. One that is damaged is set aside and left out.
    pub fn scan_day(
        &self,
        day: i64,
        span: Range<i64>,
        mut visitor: impl FnMut(&UsageRecord),
    ) -> Result<(), StoreError> {
        let mut visitor = |record: &UsageRecord| {
            visitor(record);
            ControlFlow::Continue(())
        };
        for name in self.segments.names(day..=day) {
            self.segments.look(name, |segment| scan_one(segment, span.start, span.end, &mut visitor))?;
        }
        Ok(())
    }

    /// Shows all records of a day that were stored after a position, in the order in which they were stored. A commit may
    /// come in several parts.
    ///
    /// # Errors
    /// When a segment cannot be read; and whatever the visitor says. One that is damaged is set aside and left out.
    pub fn replay(
        &self,
        day: i64,
        after: Option<Position>,
        mut visitor: impl FnMut(&[UsageRecord], Position) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for name in self.segments.names(day..=day) {
            let from = match after {
                Some(after) if after.part > name.part => continue,
                Some(after) if after.part == name.part => after.commit + 1,
                _ => 0,
            };
            let mut stopped = Ok(());
            self.segments.look(name, |segment| {
                stopped = replay_one(segment, name, from, &mut visitor)?;
                Ok(())
            })?;
            stopped?;
        }
        Ok(())
    }

    /// Changes records of a day where they are: `change` tells the new form of a record, if there is one. Changed blocks
    /// take the place of the old ones, some at a time, each durably and whole.
    ///
    /// # Errors
    /// When a segment cannot be read or written.
    pub fn rewrite_day(
        &self,
        day: i64,
        span: Range<i64>,
        mut change: impl FnMut(&UsageRecord) -> Option<UsageRecord>,
    ) -> Result<(), StoreError> {
        for name in self.segments.names(day..=day) {
            self.segments.look(name, |segment| rewrite_one(segment, &span, &mut change))?;
        }
        Ok(())
    }

    /// Removes whole segments that hold nothing at or after this time; tells how many.
    ///
    /// # Errors
    /// When a directory cannot be removed.
    pub fn retain_from(&self, from_ms: i64) -> Result<usize, StoreError> {
        self.segments
            .remove_before(first_day_kept(from_ms))
            .map_err(|error| StoreError::failed("remove old usage", error))
    }

    /// Removes the oldest segments as long as all of them together take more than so many bytes of disk; never the
    /// newest. Tells how many.
    ///
    /// # Errors
    /// When a directory cannot be removed.
    pub fn retain_bytes(&self, bytes_max: u64) -> Result<usize, StoreError> {
        self.segments.remove_beyond(bytes_max).map_err(|error| StoreError::failed("remove old usage", error))
    }

    /// Closes what was opened for a search and has not been searched for a while.
    pub fn close_idle(&self) {
        self.segments.close_idle();
    }
}

/// The first day that is kept if what was at this time is to be kept: a segment may hold attempts that began up to the
/// skew after its day.
pub fn first_day_kept(from_ms: i64) -> i64 {
    segment::day_of(from_ms.saturating_sub(ID_SKEW_MS))
}

/// The time in which attempts of a day's segments may begin.
pub fn span_of(day: i64) -> Range<i64> {
    let begin = day.saturating_mul(segment::DAY_MS);
    begin.saturating_sub(ID_SKEW_MS)..begin.saturating_add(segment::DAY_MS + ID_SKEW_MS)
}

/// The days whose segments may hold attempts of this time.
pub fn days_of(span: &Range<i64>) -> std::ops::RangeInclusive<i64> {
    let last = span.end.saturating_sub(1).saturating_add(ID_SKEW_MS);
    segment::day_of(span.start.saturating_sub(ID_SKEW_MS))..=segment::day_of(last)
}

fn replay_one(
    segment: &Segment,
    name: Name,
    from: u64,
    visitor: &mut impl FnMut(&[UsageRecord], Position) -> Result<(), StoreError>,
) -> Result<Result<(), StoreError>, StoreError> {
    let mut blocks = segment.blocks(|_, block| block.commit >= from);
    blocks.sort_by_key(|&(first, block)| (block.commit, first));
    for (first, block) in blocks {
        let records = segment.read(first)?;
        if let Err(error) = visitor(&records, Position { part: name.part, commit: block.commit }) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn rewrite_one(
    segment: &Segment,
    span: &Range<i64>,
    change: &mut impl FnMut(&UsageRecord) -> Option<UsageRecord>,
) -> Result<(), StoreError> {
    let blocks = segment.blocks(|_, block| block.last_ms >= span.start && block.first_ms < span.end);
    for some in blocks.chunks(bounds::USAGE_REWRITE_BLOCKS) {
        let mut changed = Vec::new();
        for &(first, block) in some {
            changed.extend(rewritten(segment, first, block.commit, span, change)?);
        }
        if !changed.is_empty() {
            segment.put(changed)?;
        }
    }
    Ok(())
}

/// A block with its records changed; nothing if none was.
fn rewritten(
    segment: &Segment,
    first: RecordId,
    commit: u64,
    span: &Range<i64>,
    change: &mut impl FnMut(&UsageRecord) -> Option<UsageRecord>,
) -> Result<Vec<block::Packed>, StoreError> {
    let mut records = segment.read(first)?;
    let mut any = false;
    for record in records.iter_mut().filter(|record| span.contains(&record.at_ms)) {
        if let Some(new) = change(record) {
            *record = new;
            any = true;
        }
    }
    if !any {
        return Ok(Vec::new());
    }
    Ok(block::pack(&records.iter().collect::<Vec<_>>(), commit)?)
}
