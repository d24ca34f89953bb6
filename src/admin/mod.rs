//! What operators do, once, for command line, API and dashboard alike.
//!
//! Everything here may block: on the store, on files, on the name service. It runs on threads that may wait, never on a
//! worker. A change is durable, and the snapshot that holds it published, before the call returns.

mod budgets;
mod confirm;
mod connections;
mod control;
mod counters;
mod explain;
mod facts;
mod failure;
mod keeps;
pub mod keys;
mod metrics;
mod models;
mod notes;
mod probe;
mod providers;
mod reload;
mod reprice;
mod secrets;
mod status;
mod storage;
mod stored;
mod usage;
mod view;

pub use budgets::{dangling as dangling_budgets, of_no_connection as budgets_of_no_connection};
pub use connections::ConnectionFilter;
pub use control::{Admin, Paths, StartError};
pub use metrics::Form as MetricsForm;
pub use models::Listing;
pub use probe::{Doubt, check_all, check_provider, fetch_models, put_secret, test};
pub use providers::NotesChange;
pub use reload::Reloaded;
pub use status::Process;
pub use storage::{backup_key, key_info, offline, summary};
pub use usage::time;

use crate::api::{Code, Failure};

/// Runs what blocks on a thread that may wait.
///
/// # Errors
/// What the work says; or that it broke off.
pub async fn off_the_worker<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let broken = |_| Err(Failure::new(Code::Internal, "this change met a fault in Bursar: please report it"));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(broken)
}

#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod sweep_tests;
#[cfg(test)]
mod tests;
