//! Objects of the admin plane, as operators and their programs see them.
//!
//! Replies show secrets as a hint at most. Requests that carry one hold it as [`SecretText`], which neither prints nor
//! serialises itself. A request with an unknown key is refused: a misspelled limit must not be a limit that is not there.

mod budget;
mod config;
mod connection;
mod event;
mod explain;
mod provider;
mod quota;
mod reprice;
mod secret;
mod status;
mod store;

pub use budget::{BudgetFigure, BudgetList, BudgetStatus, BudgetUsd};
pub use config::{Change, ChangeAction, ChangeKind, ConfigProblem, KeyChange, Orphan, Plan, Reload, Sync};
pub use connection::{
    CheckReport, Connection, ConnectionHealth, ConnectionList, ConnectionStatus, CreateConnection, Health, HealthList,
    HealthState, Limits, ManagedBy, PatchConnection, PutSecret, SecretInfo, TestResult,
};
pub use event::{Event, EventKind};
pub use explain::{DryRun, ExplainAction, ExplainRequest, ExplainSource, ExplainedCandidate, ExplainedRequest};
pub use provider::{
    HealthCheck, Model, PatchProvider, Price, PriceRates, PriceTier, Provider, ProviderList, RemovedProvider,
};
pub use quota::Quota;
pub use reprice::{RepriceRequest, Repriced, RepricedModel};
pub use secret::SecretText;
pub use status::{ClientCounts, ConfigStatus, ConnectionCounts, SocketPaths, Status, StoreStatus, UsageStatus};
pub use store::{
    BackupRequest, DataKey, KeyInfo, KeysRotated, RotateKeys, StoreInfo, StorePart, StoreVerified, Stretched,
};

/// A JSON object whose keys are its owner's.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// Tells a key that is absent (`None`) from one that is null (`Some(None)`): a change leaves the first alone, and takes
/// the second away.
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
