//! `bursar.toml` as it is in force: checked as a whole, and never changed.

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::budget::Budget;
use crate::api::{AppName, Feature};

/// Everything that `bursar.toml` says, with the defaults for what it leaves open. Every path is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// `[server]`.
    pub server: Server,
    /// `[store] path`: the directory of the databases.
    pub store_path: PathBuf,
    /// `[keys]`.
    pub keys: Keys,
    /// `[config] providers`: the other file.
    pub providers_file: PathBuf,
    /// `[access]`.
    pub access: Access,
    /// `[apps]`.
    pub apps: BTreeMap<AppName, App>,
    /// `[usage]`.
    pub usage: Usage,
    /// `[[budgets]]`.
    pub budgets: Vec<Budget>,
}

impl Daemon {
    /// The tables that differ in `new` and cannot change while the daemon runs. `[access]`, `[apps]`, `[usage]`
    /// and `[[budgets]]` can.
    pub fn restart_needed(&self, new: &Self) -> Vec<&'static str> {
        [
            ("[server]", self.server != new.server),
            ("[store]", self.store_path != new.store_path),
            ("[keys]", self.keys != new.keys),
            ("[config]", self.providers_file != new.providers_file),
        ]
        .into_iter()
        .filter_map(|(table, differs)| differs.then_some(table))
        .collect()
    }
}

/// The sockets and the threads behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The apps' socket.
    pub socket: Socket,
    /// A socket of its own for the admin routes; none: they are on the apps' socket.
    pub admin_socket: Option<Socket>,
    /// Worker threads, at most [`crate::bounds::WORKERS_MAX`]; none: as many as the host has processors for.
    pub workers: Option<usize>,
}

/// A Unix socket to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// Its mode, such as 0o660.
    pub mode: u32,
    /// Its group; none: the daemon's own.
    pub group: Option<Principal>,
}

impl Socket {
    /// The mode of a socket that names none: who may connect is the group's question, what they may do the roles'.
    pub const MODE_DEFAULT: u32 = 0o660;
}

/// Where the master key is; the first that exists is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The name of a systemd credential.
    pub credential: String,
    /// A file; none if there is no directory for it.
    pub file: Option<PathBuf>,
}

/// Who may do what. The daemon's own user is admin and client besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// May do all.
    pub admin: Members,
    /// May look at all.
    pub viewer: Members,
    /// May call models.
    pub client: Members,
}

/// The users and groups of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Users.
    pub users: Vec<Principal>,
    /// Groups, of which a caller may be in as many as there are.
    pub groups: Vec<Principal>,
}

/// A user or a group. Names are not looked up here: that is the name service's work, and its answer changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// By name.
    Name(String),
    /// By number.
    Number(u32),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// An app: whom it runs as, and what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name, which usage is grouped by.
    pub name: AppName,
    /// Which callers it is.
    pub matches: Match,
    /// The feature of its calls that name none.
    pub feature: Option<Feature>,
}

/// Which callers an app is. A user is more specific than a group. No two apps match the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Match {
    /// The processes of this user.
    User(Principal),
    /// The processes in this group.
    Group(Principal),
}

/// How usage is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When a reply may end.
    pub durability: Durability,
    /// How long what is kept.
    pub retention: Retention,
}

/// When the end of a reply may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// At once: its record follows within a quarter of a second.
    Batched,
    /// When its record is on the disk.
    Each,
}

impl Durability {
    pub(super) const WORDS: &'static [(&'static str, Self)] = &[("batched", Self::Batched), ("each", Self::Each)];
}

/// How long records and rollups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Single records.
    pub records: Duration,
    /// Rollups by the minute.
    pub minutes: Duration,
    /// Rollups by the hour.
    pub hours: Duration,
    /// Rollups by the day.
    pub days: Duration,
    /// Bytes of disk that all single records may take; the oldest go first. None: as many as there are.
    pub size: Option<u64>,
}

impl Default for Usage {
    fn default() -> Self {
        Self { durability: Durability::Batched, retention: Retention::default() }
    }
}

impl Default for Retention {
    fn default() -> Self {
        const DAY_S: u64 = 24 * 60 * 60;
        let days = |count: u64| Duration::from_secs(count * DAY_S);
        Self { records: days(30), minutes: days(7), hours: days(400), days: days(3_650), size: None }
    }
}
