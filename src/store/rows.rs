//! The rows of a usage block: its records, and the one table of strings that they share.
//!
//! Numbers that name a text are places in that table. A row is a fixed run of bytes that differ little from those of the
//! row before, which is what the block's compression lives on.

use serde::Deserialize;

use super::block::KIND;
use super::record::{self, RecordError};
use crate::api::usage::RecordId;
use crate::api::{ConnectionId, CostSource, NanoUsd, RequestId, Tokens, UsageRecord};
use crate::bounds;
use crate::texts::Texts;

const FINAL: u8 = 1;
const STREAM: u8 = 2;
const ESTIMATED: u8 = 4;
/// Since format 2.
const PARTIAL: u8 = 8;
/// Since format 2: the cost is the provider's own figure.
const COST_GIVEN: u8 = 16;
/// Since format 2: the cost was computed.
const COST_COMPUTED: u8 = 32;

/// Records in the format that is written: what bincode makes of [`RowsV2`], put together without making one. A record's
/// row is the most of what recording it costs.
pub(super) fn to_bytes(records: &[&UsageRecord]) -> Result<Vec<u8>, RecordError> {
    let mut table = Table::default();
    let mut rows = Plain(Vec::with_capacity(records.len() * ROW_BYTES));
    for record in records {
        rows.row(record, &mut table)?;
    }
    let texts = table.texts.all();
    let bytes = table.texts.all().map(|text| text.len() + 8).sum::<usize>();
    let mut all = Plain(Vec::with_capacity(bytes + rows.0.len() + 16));
    all.number(texts.len() as u64);
    texts.for_each(|text| all.text(text));
    all.number(records.len() as u64);
    all.0.extend_from_slice(&rows.0);
    if all.0.len() as u64 > bounds::STORE_RECORD_BYTES_MAX {
        return Err(RecordError::body(KIND, "it is too large"));
    }
    Ok(all.0)
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

#[derive(Deserialize)]
struct RowsV2 {
    strings: Vec<String>,
    rows: Vec<RowV2>,
}

/// A record.
#[derive(Deserialize)]
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
#[derive(Deserialize, Clone, Copy)]
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

#[derive(Deserialize)]
struct RowsV1 {
    strings: Vec<String>,
    rows: Vec<RowV1>,
}

/// A record of format 1, which knew four figures and nothing of whose the cost was.
#[derive(Deserialize)]
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

/// Roughly what a row takes.
const ROW_BYTES: usize = 192;

/// Bytes as bincode writes them, with integers of a fixed size.
struct Plain(Vec<u8>);

impl Plain {
    /// A record's row, field by field in the order of [`RowV2`].
    fn row(&mut self, record: &UsageRecord, table: &mut Table) -> Result<(), RecordError> {
        let tokens = &record.tokens;
        self.0.extend_from_slice(&record.id.0.to_le_bytes());
        self.0.extend_from_slice(&(record.id.0 ^ record.request_id.as_u128()).to_le_bytes());
        self.0.extend_from_slice(&record.at_ms.to_le_bytes());
        self.0.push(flags(record));
        let model_max = bounds::MODEL_BYTES_MAX;
        let mut model = |column: Column, model: &Option<String>| match model {
            Some(model) => table.place(column, cut(model, model_max)).map(Some),
            None => Ok(None),
        };
        let (sent, served) = (model(Column::Sent, &record.model_sent)?, model(Column::Served, &record.model_served)?);
        self.place(table.place(Column::App, record.app.as_str())?);
        self.place(table.place(Column::Feature, record.feature.as_str())?);
        let provider = record.provider.as_ref().map(|slug| table.place(Column::Provider, slug.as_str()));
        self.maybe(provider.transpose()?, Self::place);
        let connection = record.connection.as_ref().map(|id| table.place_id(id)).transpose()?;
        self.maybe(connection, Self::place);
        self.place(table.place(Column::Model, cut(&record.model, model_max))?);
        self.maybe(sent, Self::place);
        self.maybe(served, Self::place);
        self.place(table.place(Column::Operation, record.operation.name())?);
        self.place(table.place(Column::Outcome, record.outcome.name())?);
        self.maybe(record.status, Self::place);
        [tokens.input, tokens.output, tokens.cached, tokens.reasoning].into_iter().for_each(|one| self.figure(one));
        let rarer = rarer(tokens);
        let any = rarer.iter().any(Option::is_some);
        self.maybe(any.then_some(rarer), |plain, rarer| rarer.into_iter().for_each(|one| plain.figure(one)));
        self.figure(record.cost.map(|cost| cost.0));
        self.figure(record.ttft_ms);
        self.number(record.duration_ms);
        let error = record.error.as_deref().map(|error| cut(error, bounds::ERROR_TEXT_BYTES_MAX));
        let error = error.map(|error| table.place(Column::Error, error)).transpose()?;
        self.maybe(error, Self::place);
        Ok(())
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn place(&mut self, place: u16) {
        self.0.extend_from_slice(&place.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn figure(&mut self, figure: Option<u64>) {
        self.maybe(figure, Self::number);
    }

    fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }
}

/// The figures of [`RarerV2`], in its order.
fn rarer(tokens: &Tokens) -> [Option<u64>; 10] {
    [
        tokens.cache_write,
        tokens.cache_write_1h,
        tokens.audio_input,
        tokens.audio_output,
        tokens.image_input,
        tokens.image_output,
        tokens.images,
        tokens.characters,
        tokens.audio_ms,
        tokens.searches,
    ]
}

/// The longest beginning of a text within so many bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// The columns of a row that name texts.
#[derive(Clone, Copy)]
enum Column {
    App,
    Feature,
    Provider,
    Connection,
    Model,
    Sent,
    Served,
    Operation,
    Outcome,
    Error,
}

/// The table of texts while a block is made.
#[derive(Default)]
struct Table {
    texts: Texts,
    /// What each column had last.
    last: [u32; Column::Error as usize + 1],
}

impl Table {
    fn place(&mut self, column: Column, text: &str) -> Result<u16, RecordError> {
        self.placed(column, |texts, last| texts.place_in(last, text))
    }

    fn place_id(&mut self, id: &ConnectionId) -> Result<u16, RecordError> {
        self.placed(Column::Connection, |texts, last| texts.place_id_in(last, id))
    }

    fn placed(&mut self, column: Column, place: impl FnOnce(&mut Texts, &mut u32) -> u32) -> Result<u16, RecordError> {
        let mut unused = 0;
        let last = self.last.get_mut(column as usize).unwrap_or(&mut unused);
        u16::try_from(place(&mut self.texts, last)).map_err(|error| RecordError::body(KIND, error))
    }
}
