//! The table of usage records: appended in blocks, searched by time, forgotten by whole segments.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::database::Entry;
use super::disk::Disk;
use super::segment::{self, Segment};
use super::segments::Segments;
use super::{Notices, OpenError, StoreError};
use crate::api::usage::RecordId;
use crate::api::{RequestId, UsageRecord};
use crate::bounds;

/// How far the time in a record's id may be from the begin of its attempt, for the id to choose the segment: a request
/// does not last longer.
const ID_SKEW_MS: i64 = 3_600_000;
/// How far the ids of a request's records are from the request's: they are counted up from it.
const ATTEMPTS_MAX: u128 = 2 * bounds::ATTEMPTS_MAX as u128;

/// The records of usage. All calls block.
pub struct Usage {
    segments: Segments,
}

/// Records, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<UsageRecord>,
    /// Where to go on for older ones; none at the end.
    pub next: Option<RecordId>,
}

impl Usage {
    pub(super) fn open(root: &Path, disk: Disk, notices: Notices) -> Result<Self, OpenError> {
        let segments = Segments::open(root, disk, notices, bounds::USAGE_SEGMENT_BYTES_MAX)
            .map_err(|error| OpenError::io(root, error))?;
        Ok(Self { segments })
    }

    /// Appends records. Durable when this returns.
    ///
    /// After an error the same slice may be appended again as it is: what may have been written of it is replaced, so
    /// no record is there twice.
    ///
    /// # Errors
    /// When the disk is full, or the records cannot be made durable.
    pub fn append(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        let mut days: BTreeMap<i64, Vec<&UsageRecord>> = BTreeMap::new();
        for record in records {
            days.entry(day_of(record)).or_default().push(record);
        }
        for (day, mut records) in days {
            records.sort_by_key(|record| record.id);
            self.segments.append(day, &records)?;
        }
        Ok(())
    }

    /// Shows every record whose attempt began at or after `from_ms` and before `to_ms`, segment by segment and block by
    /// block: roughly, and not exactly, in the order of time. The visitor may end the search.
    ///
    /// # Errors
    /// When a segment cannot be read. One that is damaged is set aside and left out.
    pub fn scan(
        &self,
        from_ms: i64,
        to_ms: i64,
        mut visitor: impl FnMut(&UsageRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let first = segment::day_of(from_ms.saturating_sub(ID_SKEW_MS));
        let last = segment::day_of(to_ms.saturating_add(ID_SKEW_MS));
        for name in self.segments.names(first..=last) {
            let flow = self.segments.look(name, |segment| scan_one(segment, from_ms, to_ms, &mut visitor))?;
            if flow == Some(ControlFlow::Break(())) {
                break;
            }
        }
        Ok(())
    }

    /// The newest records that pass a filter, at most `limit`, older than `after`. A page may hold fewer, and even
    /// none, and still have a `next`: the search through one is bounded.
    ///
    /// # Errors
    /// When a segment cannot be read. One that is damaged is set aside and left out.
    pub fn page(
        &self,
        after: Option<RecordId>,
        limit: usize,
        filter: impl Fn(&UsageRecord) -> bool,
    ) -> Result<Page, StoreError> {
        let mut search = Search {
            before: after,
            limit: limit.clamp(1, bounds::USAGE_PAGE_MAX),
            blocks_left: bounds::USAGE_PAGE_BLOCKS_MAX,
            page: Vec::new(),
            filter,
        };
        // Segments sort as ids do: those of later days hold nothing older.
        let last = after.map_or(i64::MAX, |id| segment::day_of(id_ms(id)));
        for name in self.segments.names(0..=last).into_iter().rev() {
            if let Some(ControlFlow::Break(next)) = self.segments.look(name, |segment| search.run(segment))? {
                return Ok(Page { records: search.page, next: Some(next) });
            }
        }
        Ok(Page { records: search.page, next: None })
    }

    /// The records of one request, in the order of its attempts.
    ///
    /// # Errors
    /// When a segment cannot be read. One that is damaged is set aside and left out.
    pub fn of_request(&self, request: RequestId) -> Result<Vec<UsageRecord>, StoreError> {
        let (from, to) = (RecordId(request.as_u128()), RecordId(request.as_u128().saturating_add(ATTEMPTS_MAX)));
        let day = segment::day_of(id_ms(from));
        let mut records = Vec::new();
        for name in self.segments.names(day..=day) {
            self.segments.look(name, |segment| {
                for (first, _) in segment.blocks(|first, block| first <= to && block.last_id >= from) {
                    records.extend(segment.read(first)?.into_iter().filter(|record| record.request_id == request));
                }
                Ok(())
            })?;
        }
        records.sort_by_key(|record| record.id);
        Ok(records)
    }

    /// The names of all segments, oldest first.
    pub(super) fn segment_names(&self) -> Vec<segment::Name> {
        self.segments.names(0..=i64::MAX)
    }

    /// The directories in which what the records amount to is kept beside them.
    pub(super) fn rollup_directories(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.segments.beside(".rollups").map_err(|error| StoreError::failed("read the rollups", error))
    }

    /// The entries of a segment after a key, as they are stored; none where it is gone, or was set aside.
    pub(super) fn raw(
        &self,
        name: segment::Name,
        after: Option<&[u8]>,
        bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        Ok(self.segments.look(name, |segment| segment.raw(after, bytes))?.unwrap_or_default())
    }

    /// Removes whole segments that hold nothing at or after this time; tells how many.
    ///
    /// # Errors
    /// When a directory cannot be removed.
    pub fn retain_from(&self, from_ms: i64) -> Result<usize, StoreError> {
        // A segment may hold attempts that began up to the skew after its day.
        self.segments
            .remove_before(segment::day_of(from_ms.saturating_sub(ID_SKEW_MS)))
            .map_err(|error| StoreError::failed("remove old usage", error))
    }
}

/// The segment that a record belongs to: by the time in its id, so that segments and ids sort alike, unless the id has
/// no such time in it.
fn day_of(record: &UsageRecord) -> i64 {
    let by_id = id_ms(record.id);
    let near = by_id.abs_diff(record.at_ms) <= ID_SKEW_MS.unsigned_abs();
    segment::day_of(if near { by_id } else { record.at_ms })
}

fn id_ms(id: RecordId) -> i64 {
    i64::try_from(id.0 >> 80).unwrap_or(i64::MAX)
}

fn scan_one(
    segment: &Segment,
    from_ms: i64,
    to_ms: i64,
    visitor: &mut impl FnMut(&UsageRecord) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, StoreError> {
    for (first, _) in segment.blocks(|_, block| block.last_ms >= from_ms && block.first_ms < to_ms) {
        for record in segment.read(first)? {
            if (from_ms..to_ms).contains(&record.at_ms) && visitor(&record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A search for the newest records, through one segment after the other.
struct Search<F> {
    before: Option<RecordId>,
    limit: usize,
    blocks_left: usize,
    page: Vec<UsageRecord>,
    filter: F,
}

impl<F: Fn(&UsageRecord) -> bool> Search<F> {
    /// Searches a segment. Blocks overlap in ids, so records are merged: one is next only when no block that is still
    /// unread can hold a newer one. Breaks with the place to go on.
    fn run(&mut self, segment: &Segment) -> Result<ControlFlow<RecordId>, StoreError> {
        let before = self.before;
        let wanted = |id: RecordId| before.is_none_or(|before| id < before);
        let mut blocks = segment.blocks(|first, _| wanted(first));
        blocks.sort_by_key(|&(_, block)| block.last_id);
        let mut merged: BTreeMap<RecordId, UsageRecord> = BTreeMap::new();
        loop {
            let unread = blocks.last().map(|&(_, block)| block.last_id);
            while let Some(newest) =
                merged.last_entry().filter(|newest| unread.is_none_or(|unread| *newest.key() > unread))
            {
                let record = newest.remove();
                self.before = Some(record.id);
                if (self.filter)(&record) {
                    self.page.push(record);
                }
                if let Some(last) = self.before.filter(|_| self.page.len() >= self.limit || self.blocks_left == 0) {
                    return Ok(ControlFlow::Break(last));
                }
            }
            let Some((first, _)) = blocks.pop() else { return Ok(ControlFlow::Continue(())) };
            self.blocks_left = self.blocks_left.saturating_sub(1);
            merged.extend(segment.read(first)?.into_iter().filter(|one| wanted(one.id)).map(|one| (one.id, one)));
        }
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Usage")
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
