//! Costs computed anew after a price was put right.

use serde::{Deserialize, Serialize};

use crate::api::{NanoUsd, ProviderSlug};

/// `POST /admin/v1/usage/reprice`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepriceRequest {
    /// The begin: RFC 3339, a date, or so long ago: `-24h`.
    pub from: String,
    /// The end, likewise; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether nothing is to be changed yet.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of the costs, or would.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Repriced {
    /// The begin, as RFC 3339.
    pub from: String,
    /// The end, as RFC 3339; not included.
    pub to: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Records of calls that may have cost something.
    pub records: u64,
    /// Of those, whose cost is another one now.
    pub changed: u64,
    /// Of those, whose cost is the provider's own figure, which stays.
    pub providers_own: u64,
    /// Of those, whose cost is not known, before and after.
    pub unknown: u64,
    /// The cost of all records before, as far as it was known.
    #[schema(value_type = f64)]
    pub old_cost_usd: NanoUsd,
    /// The cost of all records now, as far as it is known.
    #[schema(value_type = f64)]
    pub new_cost_usd: NanoUsd,
    /// The records by provider and model.
    pub rows: Vec<RepricedModel>,
}

/// What became of the costs of one model's calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RepricedModel {
    /// The provider.
    pub provider: ProviderSlug,
    /// The model, as the provider was asked for it.
    pub model: String,
    /// Records of calls that may have cost something.
    pub records: u64,
    /// Of those, whose cost is another one now.
    pub changed: u64,
    /// Of those, whose cost is the provider's own figure, which stays.
    pub providers_own: u64,
    /// Of those, whose cost is not known, before and after.
    pub unknown: u64,
    /// Why not: the most frequent reason; null where all are known.
    pub unknown_why: Option<String>,
    /// The cost before, as far as it was known.
    #[schema(value_type = f64)]
    pub old_cost_usd: NanoUsd,
    /// The cost now, as far as it is known.
    #[schema(value_type = f64)]
    pub new_cost_usd: NanoUsd,
}
