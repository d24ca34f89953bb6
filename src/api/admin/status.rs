//! The daemon itself: its status.

use serde::{Deserialize, Serialize};

use super::Reload;
use super::budget::BudgetStatus;
use crate::api::moment::Moment;

/// `GET /admin/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it began to serve.
    pub started_at: Moment,
    /// How long that is ago, in seconds.
    pub uptime_s: u64,
    /// What configuration is in force.
    pub config: ConfigStatus,
    /// Where its state lies.
    pub store: StoreStatus,
    /// Where it listens.
    pub sockets: SocketPaths,
    /// Worker threads.
    pub workers: u32,
    /// Programs that are connected to it.
    pub clients: ClientCounts,
    /// Connections to providers.
    pub connections: ConnectionCounts,
    /// Usage records on their way to the store.
    pub usage: UsageStatus,
    /// Requests since the daemon began whose way could not be remembered for `explain`.
    pub unexplained: u64,
    /// Budgets, in the order of the configuration.
    #[serde(default)]
    pub budgets: Vec<BudgetStatus>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
    /// The last reload; null if there was none yet.
    pub last_reload: Option<Reload>,
}

/// What configuration is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConfigStatus {
    /// The daemon's file; null: the built-in defaults.
    pub daemon_file: Option<String>,
    /// The file of providers, whether it exists or not.
    pub providers_file: String,
    /// Counts what was put in force since the daemon began.
    pub generation: u64,
}

/// Where the daemon's state lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoreStatus {
    /// The directory.
    pub path: String,
    /// How often its state changed since it was made.
    pub generation: u64,
}

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SocketPaths {
    /// The apps' socket.
    pub app: String,
    /// The admin socket; null: the admin routes are on the apps' socket.
    pub admin: Option<String>,
}

/// Programs that are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClientCounts {
    /// Open connections to the sockets.
    pub open: u64,
    /// Calls to providers that run now.
    pub in_flight: u64,
    /// Calls that wait for a connection with room.
    pub waiting: u64,
}

/// Connections to providers, by what can be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConnectionCounts {
    /// All of them.
    pub total: u64,
    /// Those that a request could go to now.
    pub usable: u64,
}

/// Usage records on their way to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageStatus {
    /// Records that wait to be written.
    pub queued: u64,
    /// Records that could not be kept since the daemon began.
    pub lost: u64,
}
