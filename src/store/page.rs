//! Pages of usage records, in the order of their ids.
//!
//! Blocks overlap in ids, because a long call begins early and is recorded late, and so do the parts of a day. So a day's
//! blocks are merged, whichever part they are in: a record is next only when no block that is still unread can hold one
//! that comes before it. Days do not overlap: the time in a record's id chooses its segment.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::StoreError;
use super::block::Summary;
use super::segment::{self, Name};
use super::segments::Segments;
use super::usage::{ID_SKEW_MS, id_ms};
use crate::api::usage::RecordId;
use crate::api::{RecordOrder, RecordPage, UsageRecord};
use crate::bounds;

/// Which records a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Where the page before ended.
    pub after: Option<RecordId>,
    /// In which order.
    pub order: RecordOrder,
    /// Only attempts that began at or after this time, in milliseconds since 1970.
    pub from_ms: i64,
    /// Only attempts that began before this time.
    pub to_ms: i64,
    /// The most records that are wanted.
    pub limit: usize,
}

impl Default for Ask {
    /// The newest ones.
    fn default() -> Self {
        let order = RecordOrder::default();
        Self { after: None, order, from_ms: i64::MIN, to_ms: i64::MAX, limit: bounds::USAGE_PAGE_MAX }
    }
}

impl Ask {
    /// Whether an id is still to come.
    fn is_ahead(&self, id: RecordId) -> bool {
        self.after.is_none_or(|after| match self.order {
            RecordOrder::Newest => id < after,
            RecordOrder::Oldest => id > after,
        })
    }

    /// Whether a block may hold a record that is wanted.
    fn wants(&self, first: RecordId, block: &Summary) -> bool {
        let ahead = match self.order {
            RecordOrder::Newest => self.is_ahead(first),
            RecordOrder::Oldest => self.is_ahead(block.last_id),
        };
        ahead && block.last_ms >= self.from_ms && block.first_ms < self.to_ms
    }

    /// The segments that may hold some, day by day in the order that is asked for.
    fn days(&self, segments: &Segments) -> Vec<Vec<Name>> {
        let first = segment::day_of(self.from_ms.saturating_sub(ID_SKEW_MS));
        let last = segment::day_of(self.to_ms.saturating_add(ID_SKEW_MS));
        let after = self.after.map(|after| segment::day_of(id_ms(after)));
        let days = match (self.order, after) {
            (_, None) => first..=last,
            (RecordOrder::Newest, Some(day)) => first..=last.min(day),
            (RecordOrder::Oldest, Some(day)) => first.max(day)..=last,
        };
        let names = segments.names(days);
        let mut days: Vec<_> = names.chunk_by(|one, other| one.day == other.day).map(<[Name]>::to_vec).collect();
        if self.order == RecordOrder::Newest {
            days.reverse();
        }
        days
    }
}

/// Searches segments for one page.
pub(super) fn page(
    segments: &Segments,
    ask: Ask,
    filter: impl Fn(&UsageRecord) -> bool,
) -> Result<RecordPage<UsageRecord>, StoreError> {
    let limit = ask.limit.clamp(1, bounds::USAGE_PAGE_MAX);
    let blocks_left = bounds::USAGE_PAGE_BLOCKS_MAX;
    let days = ask.days(segments);
    let mut search = Search { segments, ask: Ask { limit, ..ask }, blocks_left, page: Vec::new(), filter };
    for parts in days {
        if let ControlFlow::Break(next) = search.day(&parts)? {
            return Ok(RecordPage { records: search.page, next: Some(next) });
        }
    }
    Ok(RecordPage { records: search.page, next: None })
}

/// A block that is not yet read, and the nearest id that it may hold.
struct Unread {
    nearest: RecordId,
    segment: Name,
    first: RecordId,
}

/// A search, through one day after the other.
struct Search<'a, F> {
    segments: &'a Segments,
    ask: Ask,
    blocks_left: usize,
    page: Vec<UsageRecord>,
    filter: F,
}

impl<F: Fn(&UsageRecord) -> bool> Search<'_, F> {
    /// Searches the parts of a day. Breaks with the place to go on.
    fn day(&mut self, parts: &[Name]) -> Result<ControlFlow<RecordId>, StoreError> {
        let mut unread = self.unread(parts)?;
        let mut merged: BTreeMap<RecordId, UsageRecord> = BTreeMap::new();
        loop {
            while let Some(record) = self.next_of(&mut merged, unread.last()) {
                self.ask.after = Some(record.id);
                let id = record.id;
                if (self.ask.from_ms..self.ask.to_ms).contains(&record.at_ms) && (self.filter)(&record) {
                    self.page.push(record);
                }
                if self.page.len() >= self.ask.limit || self.blocks_left == 0 {
                    return Ok(ControlFlow::Break(id));
                }
            }
            let Some(block) = unread.pop() else { return Ok(ControlFlow::Continue(())) };
            self.blocks_left = self.blocks_left.saturating_sub(1);
            // A damaged segment is set aside, and left out.
            let read = self.segments.look(block.segment, |segment| segment.read(block.first))?.unwrap_or_default();
            let ahead = read.into_iter().filter(|record| self.ask.is_ahead(record.id));
            merged.extend(ahead.map(|record| (record.id, record)));
        }
    }

    /// The blocks of a day's parts, the nearest last.
    fn unread(&self, parts: &[Name]) -> Result<Vec<Unread>, StoreError> {
        let (order, mut unread) = (self.ask.order, Vec::new());
        for &segment in parts {
            let blocks =
                self.segments.look(segment, |open| Ok(open.blocks(|first, block| self.ask.wants(first, block))));
            unread.extend(blocks?.unwrap_or_default().into_iter().map(|(first, block)| {
                let nearest = if order == RecordOrder::Newest { block.last_id } else { first };
                Unread { nearest, segment, first }
            }));
        }
        match order {
            RecordOrder::Newest => unread.sort_by_key(|block| block.nearest),
            RecordOrder::Oldest => unread.sort_by_key(|block| std::cmp::Reverse(block.nearest)),
        }
        Ok(unread)
    }

    /// The next record, if none that is unread comes before it.
    fn next_of(&self, merged: &mut BTreeMap<RecordId, UsageRecord>, unread: Option<&Unread>) -> Option<UsageRecord> {
        let entry = match self.ask.order {
            RecordOrder::Newest => merged.last_entry(),
            RecordOrder::Oldest => merged.first_entry(),
        }?;
        let first = match self.ask.order {
            RecordOrder::Newest => unread.is_none_or(|unread| *entry.key() > unread.nearest),
            RecordOrder::Oldest => unread.is_none_or(|unread| *entry.key() < unread.nearest),
        };
        first.then(|| entry.remove())
    }
}
