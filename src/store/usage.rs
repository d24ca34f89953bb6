//! The table of usage records: appended in blocks, searched by time, forgotten by whole segments.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::database::Entry;
use super::disk::Disk;
use super::page::{self, Ask};
use super::rollups::Position;
use super::segment::{self, Segment};
use super::segments::Segments;
use super::{Notices, OpenError, StoreError};
use crate::api::usage::RecordId;
use crate::api::{RecordPage, RequestId, UsageRecord};
use crate::bounds;

/// How far the time in a record's id may be from the begin of its attempt, for the id to choose the segment: a request
/// does not last longer.
pub(super) const ID_SKEW_MS: i64 = 3_600_000;
/// How far the ids of a request's records are from the request's: they are counted up from it.
const ATTEMPTS_MAX: u128 = 2 * bounds::ATTEMPTS_MAX as u128;

/// The records of usage. All calls block.
pub struct Usage {
    pub(super) segments: Segments,
}

impl Usage {
    pub(super) fn open(root: &Path, disk: Disk, notices: Notices) -> Result<Self, OpenError> {
        let segments = Segments::open(root, disk, notices, bounds::USAGE_SEGMENT_BYTES_MAX)
            .map_err(|error| OpenError::io(root, error))?;
        Ok(Self { segments })
    }

    /// Appends records, and tells where those of each day are now. Durable when this returns.
    ///
    /// After an error the same slice may be appended again as it is: what may have been written of it is replaced, so
    /// no record is there twice.
    ///
    /// # Errors
    /// When the disk is full, or the records cannot be made durable.
    pub fn append(&self, records: &[UsageRecord]) -> Result<Vec<(i64, Position)>, StoreError> {
        let mut days: BTreeMap<i64, Vec<&UsageRecord>> = BTreeMap::new();
        for record in records {
            days.entry(Self::day_of(record)).or_default().push(record);
        }
        let mut positions = Vec::new();
        for (day, mut records) in days {
            records.sort_by_key(|record| record.id);
            positions.push((day, self.segments.append(day, &records)?));
        }
        Ok(positions)
    }

    /// The day, since 1970, whose segments a record belongs to: by the time in its id, so that segments and ids sort
    /// alike, unless the id has no such time in it.
    pub fn day_of(record: &UsageRecord) -> i64 {
        let by_id = id_ms(record.id);
        let near = by_id.abs_diff(record.at_ms) <= ID_SKEW_MS.unsigned_abs();
        segment::day_of(if near { by_id } else { record.at_ms })
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

    /// Records that pass a filter, in the order that is asked for. A page may hold fewer than its limit, and even none,
    /// and still have a `next`: the search through one is bounded.
    ///
    /// # Errors
    /// When a segment cannot be read. One that is damaged is set aside and left out.
    pub fn page(&self, ask: Ask, filter: impl Fn(&UsageRecord) -> bool) -> Result<RecordPage<UsageRecord>, StoreError> {
        page::page(&self.segments, ask, filter)
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
}

pub(super) fn id_ms(id: RecordId) -> i64 {
    i64::try_from(id.0 >> 80).unwrap_or(i64::MAX)
}

pub(super) fn scan_one(
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

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Usage")
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
