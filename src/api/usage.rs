//! Usage as it crosses the socket and as everybody inside holds it: one record an attempt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::ids::{AppName, ConnectionId, Feature, ProviderSlug, RequestId};
use super::money::NanoUsd;
use super::outcome::Outcome;

/// What kind of work a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A conversation's next turn.
    Chat,
    /// Vectors for texts.
    Embeddings,
    /// The list of models: a connection's test, never an app's call.
    Models,
}

impl Operation {
    /// The name as it stands in records and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Chat, Self::Embeddings, Self::Models].into_iter().find(|op| op.name() == text).ok_or(())
    }
}

/// What a call used. `None` is unknown, and never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tokens {
    /// Tokens of the request; cached and cache-writing ones included.
    #[serde(rename = "input_tokens")]
    pub input: Option<u64>,
    /// Tokens of the reply, reasoning included.
    #[serde(rename = "output_tokens")]
    pub output: Option<u64>,
    /// Of the input, what the provider read from its cache.
    #[serde(rename = "cached_tokens")]
    pub cached: Option<u64>,
    /// Of the output, what the model spent on reasoning.
    #[serde(rename = "reasoning_tokens")]
    pub reasoning: Option<u64>,
}

impl Tokens {
    /// What is known now, with what a later frame said put over it: the last figure that is there wins.
    #[must_use]
    pub fn updated_by(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            output: later.output.or(self.output),
            cached: later.cached.or(self.cached),
            reasoning: later.reasoning.or(self.reasoning),
        }
    }
}

/// The record of one attempt, or of a request that had none. A request that passed access and parsing has exactly one
/// with `final`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsageRecord {
    /// Time-ordered and unique: the records of a request differ in their lowest bits.
    pub id: RecordId,
    /// The request that the attempt belongs to.
    pub request_id: RequestId,
    /// When the attempt began, in milliseconds since 1970 (RFC 3339 in JSON).
    #[serde(rename = "at", serialize_with = "rfc3339")]
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
    pub cost: Option<NanoUsd>,
    /// Whether tokens are an estimate of Bursar's, or a part of a reply that was cut.
    pub estimated: bool,
    /// Milliseconds to the first content of a stream, or to a reply's head.
    pub ttft_ms: Option<u64>,
    /// Milliseconds from the attempt's begin to its end.
    pub duration_ms: u64,
    /// Why it failed, sanitised.
    pub error: Option<String>,
}

fn rfc3339<S: Serializer>(at_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*at_ms))
}

/// A time in milliseconds since 1970, as RFC 3339 in UTC with milliseconds.
pub fn timestamp(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => String::from("1970-01-01T00:00:00.000Z"),
    }
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
        u128::from_str_radix(text, 16).map(Self).map_err(drop)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_figure_wins_and_nothing_is_forgotten() {
        let first = Tokens { input: Some(5), output: Some(1), ..Tokens::default() };
        let later = Tokens { output: Some(0), cached: Some(2), ..Tokens::default() };
        assert_eq!(
            first.updated_by(later),
            Tokens { input: Some(5), output: Some(0), cached: Some(2), reasoning: None }
        );
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
