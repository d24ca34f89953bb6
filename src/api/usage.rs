//! Usage as it crosses the socket and as everybody inside holds it: one record an attempt.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::{AppName, ConnectionId, Feature, ProviderSlug, RequestId};
use super::moment::Moment;
use super::money::NanoUsd;
use super::operation::Operation;
use super::outcome::Outcome;
use super::tokens::Tokens;

/// Whose figure a cost is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// The provider's own: it is never computed anew.
    Provider,
    /// Computed from the configuration's prices.
    Prices,
}

/// The record of one attempt, or of a request that had none. A request that passed access and parsing has exactly one
/// with `final`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageRecord {
    /// Time-ordered and unique: the records of a request differ in their lowest bits.
    pub id: RecordId,
    /// The request that the attempt belongs to.
    pub request_id: RequestId,
    /// When the attempt began, in milliseconds since 1970 (RFC 3339 in JSON).
    #[serde(rename = "at", with = "rfc3339")]
    #[schema(value_type = Moment)]
    pub at_ms: i64,
    /// Whether this is the request's last word.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The calling program.
    pub app: AppName,
    /// What it did with the call.
    pub feature: Feature,
    /// The provider; none where no attempt was made.
    pub provider: Option<ProviderSlug>,
    /// The connection; none where no attempt was made.
    pub connection: Option<ConnectionId>,
    /// The model as the app asked for it: a route's name, or a model.
    pub model: String,
    /// The model's id as the provider was asked for it; none where no attempt was made.
    pub model_sent: Option<String>,
    /// The model that the provider says it used, else the one asked of it.
    pub model_served: Option<String>,
    /// What kind of call it was.
    pub operation: Operation,
    /// Whether the reply was streamed.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status; none where it gave none.
    pub status: Option<u16>,
    /// What it used.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// What it cost; none is unknown.
    #[serde(rename = "cost_usd")]
    #[schema(value_type = Option<f64>)]
    pub cost: Option<NanoUsd>,
    /// Whose figure that is; none where there is no cost, or where nobody noted it (before format 2 of records).
    pub cost_source: Option<CostSource>,
    /// Whether a figure of the tokens is an estimate of Bursar's, or as much as had been counted when a reply was cut.
    pub estimated: bool,
    /// Whether there was more of the reply than was read: it was cut, or the app left.
    pub partial: bool,
    /// Milliseconds to the first content of a stream, or to a reply's head.
    pub ttft_ms: Option<u64>,
    /// Milliseconds from the attempt's begin to its end.
    pub duration_ms: u64,
    /// Why it failed, sanitised.
    pub error: Option<String>,
}

impl UsageRecord {
    /// Whether its provider may have charged it.
    pub fn may_cost(&self) -> bool {
        self.connection.is_some() && self.outcome.may_cost(self.status)
    }
}

/// Milliseconds since 1970, written as a [`Moment`] is.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Moment, timestamp};

    pub(super) fn serialize<S: Serializer>(at_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&timestamp(*at_ms))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        Moment::deserialize(deserializer).map(|at| at.0)
    }
}

/// A time in milliseconds since 1970, as RFC 3339 in UTC with milliseconds.
pub fn timestamp(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => String::from("1970-01-01T00:00:00.000Z"),
    }
}

/// What usage can be grouped and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The connection that was tried.
    Connection,
    /// The provider that was tried.
    Provider,
    /// The model that the provider used, else the one that was asked for.
    Model,
    /// What the app did with the call.
    Feature,
    /// The calling program.
    App,
    /// How it ended.
    Outcome,
}

impl Dimension {
    /// All of them, in the order in which they are shown.
    pub const ALL: &'static [Self] =
        &[Self::Connection, Self::Provider, Self::Model, Self::Feature, Self::App, Self::Outcome];

    /// The word in queries and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Feature => "feature",
            Self::App => "app",
            Self::Outcome => "outcome",
        }
    }
}

impl FromStr for Dimension {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|one| one.name() == text).ok_or(())
    }
}

/// The width of a report's time buckets, which begin at full minutes, hours and days of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// One bucket for the whole time.
    #[default]
    None,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Step {
    /// The width in milliseconds, where there is one.
    pub const fn ms(self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Minute => Some(60_000),
            Self::Hour => Some(3_600_000),
            Self::Day => Some(86_400_000),
        }
    }
}

impl FromStr for Step {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "none" => Ok(Self::None),
            "minute" => Ok(Self::Minute),
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            _ => Err(()),
        }
    }
}

/// What a group of records amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageFigures {
    /// Requests: final records.
    pub requests: u64,
    /// Upstream calls: records with a connection.
    pub attempts: u64,
    /// Requests that did not end well: final records whose outcome is not `ok`.
    pub errors: u64,
    /// Tokens of requests, as far as they are known.
    pub input_tokens: u64,
    /// Tokens of replies, as far as they are known.
    pub output_tokens: u64,
    /// Of the input, what providers read from their caches.
    pub cached_tokens: u64,
    /// Of the output, what models spent on reasoning.
    pub reasoning_tokens: u64,
    /// What it cost, as far as that is known.
    #[schema(value_type = f64)]
    pub cost_usd: NanoUsd,
    /// Attempts whose cost is unknown.
    pub cost_unknown: u64,
    /// Attempts whose tokens are in part an estimate, and with them what they cost. Of days that were summed up before this
    /// was counted, and whose records are gone, there are none.
    #[serde(default)]
    pub estimated: u64,
    /// Half of the requests that reached a provider took no longer, in milliseconds; none if there were none.
    pub p50_ms: Option<u64>,
    /// 90 in 100 of them took no longer, in milliseconds.
    pub p90_ms: Option<u64>,
    /// 99 in 100 of them took no longer, in milliseconds.
    pub p99_ms: Option<u64>,
    /// Half of the requests whose first content is timed had it by then, in milliseconds; none if there were none.
    pub ttft_p50_ms: Option<u64>,
    /// 90 in 100 of them had it by then, in milliseconds.
    pub ttft_p90_ms: Option<u64>,
    /// 99 in 100 of them had it by then, in milliseconds.
    pub ttft_p99_ms: Option<u64>,
}

/// One group's usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageRow {
    /// The begin of the time bucket, as RFC 3339; absent without steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What it amounts to.
    #[serde(flatten)]
    pub figures: UsageFigures,
    /// The group's value for each dimension that was asked for; null where the records have none.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub labels: BTreeMap<Dimension, Option<String>>,
}

/// Usage over a time, by groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageReport {
    /// The begin, as RFC 3339.
    pub from: String,
    /// The end, as RFC 3339; not included.
    pub to: String,
    /// The width of the time buckets.
    pub step: Step,
    /// The groups, by time and then by labels.
    pub rows: Vec<UsageRow>,
    /// All of them together.
    pub totals: UsageFigures,
    /// Whether there were more groups than are shown; the totals count them all.
    pub truncated: bool,
}

/// The id of a record, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u128);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for RecordId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !plain {
            return Err(());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(drop)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("not a record's id: 32 hexadecimal digits"))
    }
}

impl utoipa::PartialSchema for RecordId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[0-9a-f]{32}$"))
            .into()
    }
}

impl utoipa::ToSchema for RecordId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
