//! What is used of a limit, as operators see it.

use serde::{Deserialize, Serialize};

use crate::api::LimitGroup;

/// A limit that counts for a connection, and how much of it is used now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quota {
    /// The limit group that has it; null: the connection itself.
    pub limit_group: Option<LimitGroup>,
    /// The model that it is for; null: all together.
    pub model: Option<String>,
    /// The figure, as `limits` names it.
    pub figure: String,
    /// How much is used. A call counts for a minute from the head of its reply, a day's from the provider's midnight on.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
}
