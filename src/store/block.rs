//! Usage records in their stored form: a block is one value with all records of a group commit.
//!
//! A block's head tells its times and ids, so that a search skips it unread. Its rows share one table of strings (the
//! same apps, models and connections come again and again), and are compressed where it pays.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::record::{self, Record, RecordError};
use crate::api::usage::RecordId;
use crate::api::{NanoUsd, RequestId, Tokens, UsageRecord};
use crate::bounds;

const KIND: &str = "usage block";
const ZSTD_LEVEL: i32 = 1;

const FINAL: u8 = 1;
const STREAM: u8 = 2;
const ESTIMATED: u8 = 4;

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
}

/// Records of one group commit, ordered by id.
pub(super) struct Block {
    pub(super) summary: Summary,
    compressed: bool,
    rows: Vec<u8>,
}

/// Packs records, which must be ordered by id, into as many values as they need, each with its key and summary.
pub(super) fn pack(records: &[&UsageRecord]) -> Result<Vec<(RecordId, Summary, Vec<u8>)>, RecordError> {
    let mut values = Vec::new();
    for chunk in records.chunks(bounds::USAGE_BLOCK_RECORDS_MAX) {
        pack_into(chunk, &mut values)?;
    }
    Ok(values)
}

/// Halves the records until each value is small enough.
fn pack_into(records: &[&UsageRecord], values: &mut Vec<(RecordId, Summary, Vec<u8>)>) -> Result<(), RecordError> {
    let Some(first) = records.first() else { return Ok(()) };
    let block = Block::of(records)?;
    let value = record::encode(&key(first.id), &block)?;
    if value.len() <= bounds::STORE_VALUE_BYTES_MAX || records.len() == 1 {
        values.push((first.id, block.summary, value));
        return Ok(());
    }
    let (front, back) = records.split_at(records.len() / 2);
    pack_into(front, values)?;
    pack_into(back, values)
}

/// The key of the block that begins with this record.
pub(super) fn key(first: RecordId) -> [u8; 16] {
    first.0.to_be_bytes()
}

impl Block {
    fn of(records: &[&UsageRecord]) -> Result<Self, RecordError> {
        let times = || records.iter().map(|record| record.at_ms);
        let summary = Summary {
            first_ms: times().min().unwrap_or_default(),
            last_ms: times().max().unwrap_or_default(),
            last_id: records.iter().map(|record| record.id).max().unwrap_or(RecordId(0)),
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
        };
        let mut strings = Strings::default();
        let rows = records.iter().map(|record| RowV1::of(record, &mut strings)).collect::<Result<_, _>>()?;
        let plain = record::to_bytes(KIND, &RowsV1 { strings: strings.all, rows })?;
        let packed = zstd::bulk::compress(&plain, ZSTD_LEVEL).ok().filter(|packed| packed.len() < plain.len());
        Ok(Self { summary, compressed: packed.is_some(), rows: packed.unwrap_or(plain) })
    }

    /// The records, ordered by id.
    pub(super) fn unpack(&self) -> Result<Vec<UsageRecord>, RecordError> {
        let capacity = usize::try_from(bounds::STORE_RECORD_BYTES_MAX).unwrap_or(usize::MAX);
        let rows: RowsV1 = if self.compressed {
            let plain = zstd::bulk::decompress(&self.rows, capacity).map_err(|error| RecordError::body(KIND, error))?;
            record::from_bytes(KIND, &plain)?
        } else {
            record::from_bytes(KIND, &self.rows)?
        };
        rows.rows.into_iter().map(|row| row.read(&rows.strings)).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct BlockV1 {
    first_ms: i64,
    last_ms: i64,
    last_id: u128,
    records: u32,
    compressed: bool,
    rows: Vec<u8>,
}

impl Record for Block {
    const KIND: &'static str = KIND;
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let Summary { first_ms, last_ms, last_id, records } = self.summary;
        let rows = self.rows.clone();
        record::to_bytes(
            KIND,
            &BlockV1 { first_ms, last_ms, last_id: last_id.0, records, compressed: self.compressed, rows },
        )
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let BlockV1 { first_ms, last_ms, last_id, records, compressed, rows } = record::from_bytes(KIND, body)?;
        Ok(Self { summary: Summary { first_ms, last_ms, last_id: RecordId(last_id), records }, compressed, rows })
    }
}

#[derive(Serialize, Deserialize)]
struct RowsV1 {
    strings: Vec<String>,
    rows: Vec<RowV1>,
}

/// A record. Numbers that name a text are places in the block's table of strings.
#[derive(Serialize, Deserialize)]
struct RowV1 {
    id: u128,
    /// The request's id, as its difference from the record's: the lowest bits alone.
    request: u128,
    at_ms: i64,
    flags: u8,
    app: u16,
    feature: u16,
    provider: Option<u16>,
    connection: Option<u16>,
    model: u16,
    model_served: Option<u16>,
    operation: u16,
    outcome: u16,
    status: Option<u16>,
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
    cost_nano_usd: Option<u64>,
    ttft_ms: Option<u64>,
    duration_ms: u64,
    error: Option<u16>,
}

impl RowV1 {
    fn of(record: &UsageRecord, strings: &mut Strings) -> Result<Self, RecordError> {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let model_max = bounds::MODEL_BYTES_MAX;
        Ok(Self {
            id: record.id.0,
            request: record.id.0 ^ record.request_id.as_u128(),
            at_ms: record.at_ms,
            flags: flag(record.is_final, FINAL) | flag(record.stream, STREAM) | flag(record.estimated, ESTIMATED),
            app: strings.place(record.app.as_str())?,
            feature: strings.place(record.feature.as_str())?,
            provider: record.provider.as_ref().map(|slug| strings.place(slug.as_str())).transpose()?,
            connection: record.connection.as_ref().map(|id| strings.place(&id.to_string())).transpose()?,
            model: strings.place(cut(&record.model, model_max))?,
            model_served: record
                .model_served
                .as_deref()
                .map(|model| strings.place(cut(model, model_max)))
                .transpose()?,
            operation: strings.place(record.operation.name())?,
            outcome: strings.place(record.outcome.name())?,
            status: record.status,
            input: record.tokens.input,
            output: record.tokens.output,
            cached: record.tokens.cached,
            reasoning: record.tokens.reasoning,
            cost_nano_usd: record.cost.map(|cost| cost.0),
            ttft_ms: record.ttft_ms,
            duration_ms: record.duration_ms,
            error: record
                .error
                .as_deref()
                .map(|error| strings.place(cut(error, bounds::ERROR_TEXT_BYTES_MAX)))
                .transpose()?,
        })
    }

    fn read(self, strings: &[String]) -> Result<UsageRecord, RecordError> {
        let text = |place: u16| {
            let text = strings.get(usize::from(place)).map(String::as_str);
            text.ok_or_else(|| RecordError::body(KIND, "a string is missing"))
        };
        let owned = |place: u16| text(place).map(str::to_owned);
        Ok(UsageRecord {
            id: RecordId(self.id),
            request_id: RequestId::from_u128(self.id ^ self.request),
            at_ms: self.at_ms,
            is_final: self.flags & FINAL != 0,
            app: name(text(self.app)?)?,
            feature: name(text(self.feature)?)?,
            provider: self.provider.map(|place| name(text(place)?)).transpose()?,
            connection: self.connection.map(|place| name(text(place)?)).transpose()?,
            model: owned(self.model)?,
            model_served: self.model_served.map(owned).transpose()?,
            operation: name(text(self.operation)?)?,
            stream: self.flags & STREAM != 0,
            outcome: name(text(self.outcome)?)?,
            status: self.status,
            tokens: Tokens { input: self.input, output: self.output, cached: self.cached, reasoning: self.reasoning },
            cost: self.cost_nano_usd.map(NanoUsd),
            estimated: self.flags & ESTIMATED != 0,
            ttft_ms: self.ttft_ms,
            duration_ms: self.duration_ms,
            error: self.error.map(owned).transpose()?,
        })
    }
}

fn name<T: std::str::FromStr>(text: &str) -> Result<T, RecordError> {
    text.parse().map_err(|_| RecordError::body(KIND, format!("{text:?} is not known")))
}

/// The longest beginning of a text within so many bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// The table of strings while a block is made.
#[derive(Default)]
struct Strings {
    all: Vec<String>,
    places: HashMap<String, u16>,
}

impl Strings {
    fn place(&mut self, text: &str) -> Result<u16, RecordError> {
        if let Some(&place) = self.places.get(text) {
            return Ok(place);
        }
        let place = u16::try_from(self.all.len()).map_err(|error| RecordError::body(KIND, error))?;
        self.all.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        Ok(place)
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
pub(super) mod tests;
