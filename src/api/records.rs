//! Pages of usage records, as operators read them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use super::usage::RecordId;

/// `GET /admin/v1/usage/records`: some records, and where to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordPage<R> {
    /// The records, in the order that was asked for.
    pub records: Vec<R>,
    /// What to give as `after` for those that follow; null at the end. A page may hold few records, and even none, and
    /// still name what follows: the search for one is bounded.
    pub next: Option<RecordId>,
}

/// In which order records are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordOrder {
    /// Those of the latest requests first.
    #[default]
    Newest,
    /// Those of the earliest requests first.
    Oldest,
}

impl RecordOrder {
    /// The word in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }
}

impl FromStr for RecordOrder {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Newest, Self::Oldest].into_iter().find(|one| one.name() == text).ok_or(())
    }
}

/// What stands before the tokens in a record.
const BEFORE_TOKENS: &[&str] = &[
    "id",
    "request_id",
    "at",
    "final",
    "app",
    "feature",
    "provider",
    "connection",
    "model",
    "model_sent",
    "model_served",
    "operation",
    "stream",
    "outcome",
    "status",
];

/// What stands behind them.
const BEHIND_TOKENS: &[&str] = &["cost_usd", "cost_source", "estimated", "partial", "ttft_ms", "duration_ms", "error"];

/// The fields that a record may have, in the order in which JSON and CSV have them.
pub fn record_fields() -> impl Iterator<Item = &'static str> {
    BEFORE_TOKENS.iter().chain(Tokens::NAMES).chain(BEHIND_TOKENS).copied()
}
