//! Budgets, as operators see them.

use serde::{Deserialize, Serialize};

use crate::api::{BudgetName, Moment, NanoUsd};

/// `GET /admin/v1/budgets`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BudgetList {
    /// All budgets, in the order of the configuration.
    pub budgets: Vec<BudgetStatus>,
}

/// A budget, and what is left of it. What is under way is reserved, and counts as used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BudgetStatus {
    /// Its name.
    pub name: BudgetName,
    /// What spends it: `app`, `feature` or `connection`.
    pub of: String,
    /// Which.
    pub who: String,
    /// How long it has to last: `hour`, `day` or `month`.
    pub per: String,
    /// The time zone in which that begins.
    pub zone: String,
    /// What becomes of calls when it is spent: `deny`, `warn`, or `route:NAME`.
    pub on_exceed: String,
    /// Whether nothing is left of one of its figures.
    pub spent: bool,
    /// Money; null: any amount.
    pub usd: Option<BudgetUsd>,
    /// Tokens, in and out together; null: any number.
    pub tokens: Option<BudgetFigure>,
    /// Requests; null: any number.
    pub requests: Option<BudgetFigure>,
    /// When the present hour, day or month began.
    pub began_at: Moment,
    /// When the next begins.
    pub resets_at: Moment,
}

/// A figure of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BudgetFigure {
    /// How much there is.
    pub limit: u64,
    /// How much of it is used, or reserved.
    pub used: u64,
    /// How much is left.
    pub left: u64,
}

/// The money of a budget, in USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BudgetUsd {
    /// How much there is.
    #[schema(value_type = f64)]
    pub limit: NanoUsd,
    /// How much of it is used, or reserved.
    #[schema(value_type = f64)]
    pub used: NanoUsd,
    /// How much is left.
    #[schema(value_type = f64)]
    pub left: NanoUsd,
}
