//! The rows of a usage block: its records, and the one table of strings that they share.
//!
//! Numbers that name a text are places in that table. A row is a fixed run of bytes that differ little from those of the
//! row before, which is what the block's compression lives on.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::block::KIND;
use super::record::{self, RecordError};
use crate::api::usage::RecordId;
use crate::api::{CostSource, NanoUsd, RequestId, Tokens, UsageRecord};
use crate::bounds;

const FINAL: u8 = 1;
const STREAM: u8 = 2;
const ESTIMATED: u8 = 4;
/// Since format 2.
const PARTIAL: u8 = 8;
/// Since format 2: the cost is the provider's own figure.
const COST_GIVEN: u8 = 16;
/// Since format 2: the cost was computed.
const COST_COMPUTED: u8 = 32;

/// Records in the format that is written.
pub(super) fn to_bytes(records: &[&UsageRecord]) -> Result<Vec<u8>, RecordError> {
    let mut strings = Strings::default();
    let rows = records.iter().map(|record| RowV2::of(record, &mut strings)).collect::<Result<_, _>>()?;
    record::to_bytes(KIND, &RowsV2 { strings: strings.all, rows })
}

/// Records from any format.
pub(super) fn from_bytes(format: u8, bytes: &[u8]) -> Result<Vec<UsageRecord>, RecordError> {
    if format == 1 {
        let RowsV1 { strings, rows } = record::from_bytes(KIND, bytes)?;
        return rows.into_iter().map(|row| RowV2::from(row).read(&strings)).collect();
    }
    let RowsV2 { strings, rows } = record::from_bytes(KIND, bytes)?;
    rows.into_iter().map(|row| row.read(&strings)).collect()
}

#[derive(Serialize, Deserialize)]
struct RowsV2 {
    strings: Vec<String>,
    rows: Vec<RowV2>,
}

/// A record.
#[derive(Serialize, Deserialize)]
struct RowV2 {
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
    model_sent: Option<u16>,
    model_served: Option<u16>,
    operation: u16,
    outcome: u16,
    status: Option<u16>,
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
    /// Of those known, which and how much.
    rarer: Option<RarerV2>,
    cost_nano_usd: Option<u64>,
    ttft_ms: Option<u64>,
    duration_ms: u64,
    error: Option<u16>,
}

/// Figures that few records have.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Default)]
struct RarerV2 {
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    image_input: Option<u64>,
    image_output: Option<u64>,
    images: Option<u64>,
    characters: Option<u64>,
    audio_ms: Option<u64>,
    searches: Option<u64>,
}

impl RowV2 {
    fn of(record: &UsageRecord, strings: &mut Strings) -> Result<Self, RecordError> {
        let model_max = bounds::MODEL_BYTES_MAX;
        let mut model = |model: Option<&str>| model.map(|model| strings.place(cut(model, model_max))).transpose();
        let (model_sent, model_served) = (model(record.model_sent.as_deref())?, model(record.model_served.as_deref())?);
        let tokens = &record.tokens;
        Ok(Self {
            id: record.id.0,
            request: record.id.0 ^ record.request_id.as_u128(),
            at_ms: record.at_ms,
            flags: flags(record),
            app: strings.place(record.app.as_str())?,
            feature: strings.place(record.feature.as_str())?,
            provider: record.provider.as_ref().map(|slug| strings.place(slug.as_str())).transpose()?,
            connection: record.connection.as_ref().map(|id| strings.place(&id.to_string())).transpose()?,
            model: strings.place(cut(&record.model, model_max))?,
            model_sent,
            model_served,
            operation: strings.place(record.operation.name())?,
            outcome: strings.place(record.outcome.name())?,
            status: record.status,
            input: tokens.input,
            output: tokens.output,
            cached: tokens.cached,
            reasoning: tokens.reasoning,
            rarer: Some(RarerV2::of(tokens)).filter(|rarer| *rarer != RarerV2::default()),
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
            model_sent: self.model_sent.map(owned).transpose()?,
            model_served: self.model_served.map(owned).transpose()?,
            operation: name(text(self.operation)?)?,
            stream: self.flags & STREAM != 0,
            outcome: name(text(self.outcome)?)?,
            status: self.status,
            tokens: Tokens {
                input: self.input,
                output: self.output,
                cached: self.cached,
                reasoning: self.reasoning,
                ..self.rarer.map(RarerV2::tokens).unwrap_or_default()
            },
            cost: self.cost_nano_usd.map(NanoUsd),
            cost_source: match self.flags & (COST_GIVEN | COST_COMPUTED) {
                COST_GIVEN => Some(CostSource::Provider),
                COST_COMPUTED => Some(CostSource::Prices),
                _ => None,
            },
            estimated: self.flags & ESTIMATED != 0,
            partial: self.flags & PARTIAL != 0,
            ttft_ms: self.ttft_ms,
            duration_ms: self.duration_ms,
            error: self.error.map(owned).transpose()?,
        })
    }
}

fn flags(record: &UsageRecord) -> u8 {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    flag(record.is_final, FINAL)
        | flag(record.stream, STREAM)
        | flag(record.estimated, ESTIMATED)
        | flag(record.partial, PARTIAL)
        | match record.cost_source {
            Some(CostSource::Provider) => COST_GIVEN,
            Some(CostSource::Prices) => COST_COMPUTED,
            None => 0,
        }
}

impl RarerV2 {
    fn of(tokens: &Tokens) -> Self {
        Self {
            cache_write: tokens.cache_write,
            cache_write_1h: tokens.cache_write_1h,
            audio_input: tokens.audio_input,
            audio_output: tokens.audio_output,
            image_input: tokens.image_input,
            image_output: tokens.image_output,
            images: tokens.images,
            characters: tokens.characters,
            audio_ms: tokens.audio_ms,
            searches: tokens.searches,
        }
    }

    fn tokens(self) -> Tokens {
        Tokens {
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
            image_input: self.image_input,
            image_output: self.image_output,
            images: self.images,
            characters: self.characters,
            audio_ms: self.audio_ms,
            searches: self.searches,
            ..Tokens::default()
        }
    }
}

#[derive(Serialize, Deserialize)]
struct RowsV1 {
    strings: Vec<String>,
    rows: Vec<RowV1>,
}

/// A record of format 1, which knew four figures and nothing of whose the cost was.
#[derive(Serialize, Deserialize)]
struct RowV1 {
    id: u128,
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

impl From<RowV1> for RowV2 {
    fn from(row: RowV1) -> Self {
        Self {
            id: row.id,
            request: row.request,
            at_ms: row.at_ms,
            // What was estimated then had been read in part.
            flags: if row.flags & ESTIMATED != 0 { row.flags | PARTIAL } else { row.flags },
            app: row.app,
            feature: row.feature,
            provider: row.provider,
            connection: row.connection,
            model: row.model,
            model_sent: None,
            model_served: row.model_served,
            operation: row.operation,
            outcome: row.outcome,
            status: row.status,
            input: row.input,
            output: row.output,
            cached: row.cached,
            reasoning: row.reasoning,
            rarer: None,
            cost_nano_usd: row.cost_nano_usd,
            ttft_ms: row.ttft_ms,
            duration_ms: row.duration_ms,
            error: row.error,
        }
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
