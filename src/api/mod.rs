//! Every type that crosses the socket: ids, outcomes, error codes, usage, admin objects.
//!
//! This is the bottom of the house: it knows nothing above it, and what it derives from serde is what the
//! socket's clients see.

pub mod admin;
pub mod capability;
pub mod error;
pub mod execute;
pub mod ids;
pub mod moment;
pub mod money;
pub mod operation;
pub mod outcome;
pub mod records;
pub mod tokens;
pub mod usage;

pub use capability::{Capabilities, Capability};
pub use error::{Code, ErrorBody, Failure};
pub use ids::{
    AppName, BudgetName, ConnectionId, ConnectionName, Feature, IdError, LimitGroup, ProviderSlug, RequestId, RouteName,
};
pub use moment::Moment;
pub use money::{NanoUsd, PicoUsd};
pub use operation::Operation;
pub use outcome::Outcome;
pub use records::{RecordOrder, RecordPage};
pub use tokens::Tokens;
pub use usage::{CostSource, UsageRecord};
