//! The daemon itself: its status, and what a reload did or would do.

use serde::{Deserialize, Serialize};

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

/// `POST /admin/v1/reload`: what reading the configuration again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reload {
    /// When.
    pub at: Moment,
    /// Whether something new is in force. Never with errors: then all stays as it was.
    pub changed: bool,
    /// Counts what was put in force since the daemon began.
    pub generation: u64,
    /// What differs from what was in force before.
    pub changes: Vec<Change>,
    /// What is odd, and was taken all the same.
    pub warnings: Vec<ConfigProblem>,
    /// Why nothing was taken.
    pub errors: Vec<ConfigProblem>,
}

/// `GET /admin/v1/config/plan`: what a reload would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// What would change.
    pub changes: Vec<Change>,
    /// What is odd, and would be taken all the same.
    pub warnings: Vec<ConfigProblem>,
    /// Why nothing would be taken.
    pub errors: Vec<ConfigProblem>,
}

/// One difference between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// What sort of thing it is.
    pub kind: ChangeKind,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub action: ChangeAction,
}

/// What a configuration declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A provider, its models included.
    Provider,
    /// A connection that the file manages.
    Connection,
    /// A route.
    Route,
    /// A limit group.
    LimitGroup,
    /// Values that hold where nothing more special is said.
    Defaults,
    /// A table of the daemon's own file.
    Daemon,
}

impl ChangeKind {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Connection => "connection",
            Self::Route => "route",
            Self::LimitGroup => "limit_group",
            Self::Defaults => "defaults",
            Self::Daemon => "daemon",
        }
    }
}

/// What becomes of something declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// It was not there before.
    Added,
    /// It is another one than before.
    Changed,
    /// It is there no more.
    Removed,
}

impl ChangeAction {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// One thing that is wrong, or odd, in one place of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConfigProblem {
    /// The file.
    pub file: String,
    /// The line, from 1; null if the whole file is meant.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
    /// The dotted path of the key; empty if no key is meant.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl std::fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}
