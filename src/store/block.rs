//! Usage records in their stored form: a block is one value with all records of a group commit.
//!
//! A block's head tells its times and ids, so that a search skips it unread. Its rows share one table of strings (the
//! same apps, models and connections come again and again), and are compressed where it pays.

use std::cell::RefCell;
use std::io;

use serde::Deserialize;
use zstd::bulk::Compressor;

use super::record::{self, Record, RecordError};
use super::rows;
use crate::api::UsageRecord;
use crate::api::usage::RecordId;
use crate::bounds;

pub(super) const KIND: &str = "usage block";
const ZSTD_LEVEL: i32 = 1;
/// What a block takes besides its rows.
const HEAD_BYTES: usize = 53;

/// What is known of a block without unpacking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    /// The earliest begin of an attempt in it.
    pub(super) first_ms: i64,
    /// The latest.
    pub(super) last_ms: i64,
    /// The largest id in it; the smallest is its key.
    pub(super) last_id: RecordId,
    /// How many records it holds.
    pub(super) records: u32,
    /// The commit of its segment that stored it, from 1; 0 if that was before format 3, which began to count them.
    pub(super) commit: u64,
}

/// Records of one group commit, ordered by id.
pub(super) struct Block {
    pub(super) summary: Summary,
    /// The format that the rows are in.
    format: u8,
    compressed: bool,
    rows: Vec<u8>,
}

/// A block as it is stored: its key, what is known of it, and its value.
pub(super) type Packed = (RecordId, Summary, Vec<u8>);

/// Packs the records of a commit, which must be ordered by id, into as many values as they need.
pub(super) fn pack(records: &[&UsageRecord], commit: u64) -> Result<Vec<Packed>, RecordError> {
    let mut values = Vec::new();
    for chunk in records.chunks(bounds::USAGE_BLOCK_RECORDS_MAX) {
        pack_into(chunk, commit, &mut values)?;
    }
    Ok(values)
}

/// Halves the records until each value is small enough.
fn pack_into(records: &[&UsageRecord], commit: u64, values: &mut Vec<Packed>) -> Result<(), RecordError> {
    let Some(first) = records.first() else { return Ok(()) };
    let block = Block::of(records, commit)?;
    let value = record::encode(&key(first.id), &block)?;
    if value.len() <= bounds::STORE_VALUE_BYTES_MAX || records.len() == 1 {
        values.push((first.id, block.summary, value));
        return Ok(());
    }
    let (front, back) = records.split_at(records.len() / 2);
    pack_into(front, commit, values)?;
    pack_into(back, commit, values)
}

/// The key of the block that begins with this record.
pub(super) fn key(first: RecordId) -> [u8; 16] {
    first.0.to_be_bytes()
}

impl Block {
    fn of(records: &[&UsageRecord], commit: u64) -> Result<Self, RecordError> {
        let times = || records.iter().map(|record| record.at_ms);
        let summary = Summary {
            first_ms: times().min().unwrap_or_default(),
            last_ms: times().max().unwrap_or_default(),
            last_id: records.iter().map(|record| record.id).max().unwrap_or(RecordId(0)),
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
            commit,
        };
        let plain = rows::to_bytes(records)?;
        let packed = compress(&plain).ok().filter(|packed| packed.len() < plain.len());
        Ok(Self { summary, format: Self::FORMAT, compressed: packed.is_some(), rows: packed.unwrap_or(plain) })
    }

    /// The records, ordered by id.
    pub(super) fn unpack(&self) -> Result<Vec<UsageRecord>, RecordError> {
        let capacity = usize::try_from(bounds::STORE_RECORD_BYTES_MAX).unwrap_or(usize::MAX);
        if self.compressed {
            let plain = zstd::bulk::decompress(&self.rows, capacity).map_err(|error| RecordError::body(KIND, error))?;
            rows::from_bytes(self.format, &plain)
        } else {
            rows::from_bytes(self.format, &self.rows)
        }
    }
}

thread_local! {
    /// What compresses, kept for the next block: making one anew costs as much as a few dozen records.
    static ZSTD: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    ZSTD.with_borrow_mut(|zstd| match zstd {
        Some(zstd) => zstd.compress(plain),
        none => none.insert(Compressor::new(ZSTD_LEVEL)?).compress(plain),
    })
}

/// A block's form in formats 1 and 2. What changed in format 2 are the rows inside.
#[derive(Deserialize)]
struct BlockV1 {
    first_ms: i64,
    last_ms: i64,
    last_id: u128,
    records: u32,
    compressed: bool,
    rows: Vec<u8>,
}

#[derive(Deserialize)]
struct BlockV3 {
    first_ms: i64,
    last_ms: i64,
    last_id: u128,
    records: u32,
    commit: u64,
    compressed: bool,
    rows: Vec<u8>,
}

impl Record for Block {
    const KIND: &'static str = KIND;
    const FORMAT: u8 = 3;

    /// What bincode makes of [`BlockV3`], without its asking for each byte of the rows.
    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let Summary { first_ms, last_ms, last_id: RecordId(last_id), records, commit } = self.summary;
        let mut body = Vec::with_capacity(HEAD_BYTES + self.rows.len());
        body.extend_from_slice(&first_ms.to_le_bytes());
        body.extend_from_slice(&last_ms.to_le_bytes());
        body.extend_from_slice(&last_id.to_le_bytes());
        body.extend_from_slice(&records.to_le_bytes());
        body.extend_from_slice(&commit.to_le_bytes());
        body.push(u8::from(self.compressed));
        body.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        body.extend_from_slice(&self.rows);
        Ok(body)
    }

    fn from_body(format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let BlockV3 { first_ms, last_ms, last_id, records, commit, compressed, rows } = match format {
            1 | 2 => record::from_bytes::<BlockV1>(KIND, body)?.into(),
            _ => record::from_bytes(KIND, body)?,
        };
        let summary = Summary { first_ms, last_ms, last_id: RecordId(last_id), records, commit };
        Ok(Self { summary, format, compressed, rows })
    }
}

impl From<BlockV1> for BlockV3 {
    fn from(old: BlockV1) -> Self {
        let BlockV1 { first_ms, last_ms, last_id, records, compressed, rows } = old;
        Self { first_ms, last_ms, last_id, records, commit: 0, compressed, rows }
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
pub(super) mod tests;
