//! The configuration: what a reload or a sync did or would do, and what is wrong with files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::ProviderSlug;
use crate::api::moment::Moment;

/// `POST /admin/v1/reload` and `/admin/v1/config/sync`: what reading the configuration again came to.
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
    /// What the store keeps of things that are no longer declared.
    #[serde(default)]
    pub orphans: Vec<Orphan>,
    /// What is odd, and was taken all the same.
    pub warnings: Vec<ConfigProblem>,
    /// Why nothing was taken.
    pub errors: Vec<ConfigProblem>,
}

/// `GET /admin/v1/config/plan`: what a reload, or a sync that prunes and maps, would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// What would change.
    pub changes: Vec<Change>,
    /// What the store would still keep of things that are no longer declared.
    #[serde(default)]
    pub orphans: Vec<Orphan>,
    /// What is odd, and would be taken all the same.
    pub warnings: Vec<ConfigProblem>,
    /// Why nothing would be taken.
    pub errors: Vec<ConfigProblem>,
}

/// `POST /admin/v1/config/sync`: what to do besides taking in what the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Whether to remove what the store keeps of things that are no longer declared, secrets too.
    #[serde(default)]
    pub prune: bool,
    /// The new names of providers that were renamed, by their old ones: what the store keeps of them moves there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub map: BTreeMap<ProviderSlug, ProviderSlug>,
}

/// One difference between two configurations, or one thing that a sync does in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// What sort of thing it is.
    pub kind: ChangeKind,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub action: ChangeAction,
    /// What there is to know about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The keys that differ, where it changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyChange>,
}

impl Change {
    /// A change of which no more is to be said.
    pub fn new(kind: ChangeKind, name: impl Into<String>, action: ChangeAction) -> Self {
        Self { kind, name: name.into(), action, note: None, keys: Vec::new() }
    }
}

/// A key that differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyChange {
    /// Its path within what changes, such as `models.m.price.input`.
    pub key: String,
    /// Its value in force, as TOML writes it; null: none.
    pub was: Option<String>,
    /// Its value in the files; null: none.
    pub now: Option<String>,
    /// The file that says so.
    pub file: Option<String>,
    /// The line there, from 1.
    pub line: Option<u32>,
}

/// What the store keeps of something that is no longer declared. It is used for nothing, and waits for `--map` or `--prune`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Orphan {
    /// A provider or a connection.
    pub kind: ChangeKind,
    /// Its name.
    pub name: String,
    /// What is kept.
    pub keeps: String,
}

/// What a configuration declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A provider, its models included.
    Provider,
    /// A connection.
    Connection,
    /// A route.
    Route,
    /// A feature's own route.
    Feature,
    /// A limit group.
    LimitGroup,
    /// A budget.
    Budget,
    /// Values that hold where nothing more special is said.
    Defaults,
    /// An app.
    App,
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
            Self::Feature => "feature",
            Self::Budget => "budget",
            Self::LimitGroup => "limit_group",
            Self::Defaults => "defaults",
            Self::App => "app",
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
    /// What the store keeps of it goes under another name.
    Moved,
    /// What the store kept of it is removed.
    Pruned,
}

impl ChangeAction {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Moved => "moved",
            Self::Pruned => "pruned",
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
