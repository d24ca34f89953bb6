//! What outlives the process: credentials and switches, and the records of usage. Only this folder names sled.
//!
//! **All calls block** on the disk, up to a whole sync. Callers keep them off the workers; what a request needs is in
//! memory already (the snapshot, and the [`Vault`] that opens credentials without touching the disk).
//!
//! The state directory, mode 0700 with files of mode 0600:
//!
//! ```text
//! lock          the pid of the process that has the store open, and its lock
//! initialized   says that state was made here: state that is missing later is damage, never a fresh start
//! reserve       4 MiB to give up when the store must open on a full disk
//! manifest      generation, count and sum of `state`, authenticated: what was acknowledged
//! state/        connections, switches, lists of models, wrapped keys, and nothing else
//! volatile/     what changes all day long: cooldowns, parks, rejections, and what has been used of limits
//! usage/        segments of usage records, a directory for each UTC day or size bound; and the rollups of each day
//! ```
//!
//! What must stay true:
//! - A change is acknowledged after it was flushed *and* synced. See `database.rs`.
//! - `state` opens whole, as it was acknowledged, or not at all. A damaged segment of usage is renamed and said so
//!   ([`Store::notices`]); serving goes on.
//! - Nothing on disk holds a plain secret.

mod block;
mod changes;
mod checks;
mod connections;
mod counters;
mod database;
mod days;
mod disk;
mod facts;
mod files;
mod keys;
mod manifest;
mod models;
mod page;
mod record;
mod rollups;
mod rows;
mod segment;
mod segments;
mod sizes;
mod state;
mod switches;
mod two_databases;
mod usage;
mod volatile;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

pub use changes::Changes;
pub use checks::{Check, Checks};
pub use connections::{Connections, StoredConnection};
pub use counters::{Counters, Lease};
pub use days::{days_of, first_day_kept, span_of};
pub(crate) use disk::FreeBytes;
pub use facts::{CoolingFact, Facts, FactsTable, ModelFact, ParkedFact, RejectedFact, Scope};
pub use models::{ModelList, ModelLists};
pub use page::Ask as RecordAsk;
pub use record::RecordError;
pub use rollups::{Frame, Head, Lengths, Log, Position, Rollups, Tier, touches};
pub use switches::{ConnectionSwitch, ConnectionSwitches, ProviderSwitch, ProviderSwitches};
pub use usage::Usage;

use crate::api::ConnectionId;
use crate::bounds;
use crate::credential::{KeyId, Keyring, KeyringError, MasterKey, Origin, SealedSecret, Secret, Vault, VaultError};
use disk::Disk;
use files::{Lock, LockError};
use state::State;
use volatile::Volatile;

/// The open store of one state directory. All calls block.
#[derive(Debug)]
pub struct Store {
    // Dropped in this order: the lock goes last.
    state: State,
    volatile: Volatile,
    usage: Usage,
    rollups: Rollups,
    notices: Notices,
    dir: PathBuf,
    _lock: Lock,
}

/// A store that does not open. Each says which directory, and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{dir} is in use by {holder}", dir = .dir.display(), holder = holder(*.pid))]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// The process, where its lock tells.
        pid: Option<u32>,
    },
    /// What was acknowledged is not all there.
    #[error(
        "the state in {dir} is damaged: {reason}; nothing was changed: restore a backup with `bursar store restore`, \
         or move the state directory away to begin anew",
        dir = .dir.display()
    )]
    Damaged {
        /// The directory of the database.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The master key is not the one that wrapped the data keys.
    #[error("the state was sealed under the master key {wrapped}, and the one given is {given}: give the right one")]
    WrongMasterKey {
        /// The master key that the state names.
        wrapped: KeyId,
        /// The one that was given.
        given: KeyId,
    },
    /// No room.
    #[error("the disk under {dir} is full", dir = .dir.display())]
    Full {
        /// The state directory.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("failed to open {path}: {reason}", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| String::from("another process"), |pid| format!("process {pid}"))
}

impl OpenError {
    /// The exit code of a program that cannot go on without the store: 75 if trying again may help, else 78.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::InUse { .. } | Self::Full { .. } => 75,
            Self::Damaged { .. } | Self::WrongMasterKey { .. } | Self::Io { .. } => 78,
        }
    }

    fn io(path: &Path, error: impl ToString) -> Self {
        Self::Io { path: path.into(), reason: error.to_string() }
    }

    fn store(path: &Path, error: StoreError) -> Self {
        match error {
            StoreError::Full { .. } => Self::Full { dir: path.into() },
            StoreError::Failed { reason } => Self::Io { path: path.into(), reason },
            other => Self::Damaged { dir: path.into(), reason: other.to_string() },
        }
    }
}

/// A call to the store that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No room for a commit. Nothing was changed; the next try may do.
    #[error("the disk is full: {free} bytes are free, and {needed} are needed")]
    Full {
        /// Bytes that are free.
        free: u64,
        /// Bytes that a commit asks for.
        needed: u64,
    },
    /// The record is too large to be stored.
    #[error("the record has {bytes} bytes, and {max} are the most")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// A stored record makes no sense.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The database makes no sense.
    #[error("the database is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// The system refused; after a failed write the database takes no more until it is opened anew.
    #[error("failed to {reason}")]
    Failed {
        /// What was tried, and what the system said.
        reason: String,
    },
}

impl StoreError {
    fn failed(action: &str, error: impl ToString) -> Self {
        Self::Failed { reason: format!("{action}: {}", error.to_string()) }
    }
}

/// What operators should know about the store: filled while it opens and while it serves. Cheap to clone.
#[derive(Debug, Clone, Default)]
struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    fn add(&self, notice: String) {
        tracing::error!("{notice}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= bounds::STORE_NOTICES_MAX {
            all.remove(0);
        }
        all.push(notice);
    }
}

impl Store {
    /// Opens the store of a state directory, making both where there never were any.
    ///
    /// # Errors
    /// When another process has it open, the master key is not the right one, or the state is not whole. Damaged usage
    /// is no error: see [`Store::notices`].
    pub fn open(dir: &Path, master: &MasterKey) -> Result<Self, OpenError> {
        Self::open_on(dir, master, disk::free_bytes())
    }

    /// As [`Store::open`], with another measure of free space.
    pub(crate) fn open_on(dir: &Path, master: &MasterKey, free: FreeBytes) -> Result<Self, OpenError> {
        let io = |error: io::Error| OpenError::io(dir, error);
        files::private_directory(dir).map_err(io)?;
        let lock = Lock::take(&dir.join("lock")).map_err(|error| match error {
            LockError::Held(pid) => OpenError::InUse { dir: dir.into(), pid },
            LockError::Io(error) => io(error),
        })?;
        let disk = Disk::new(dir, free).map_err(io)?;
        let state = State::open(&state::Paths::of(dir), master, disk.clone())?;
        let notices = Notices::default();
        let volatile = Self::open_volatile(dir, &disk, &notices)?;
        let of_usage = dir.join("usage");
        let usage = Usage::open(&of_usage, disk.clone(), notices.clone())?;
        let rollups = Rollups::open(&of_usage, disk, notices.clone());
        let rollups = rollups.map_err(|error| OpenError::io(&of_usage, error))?;
        Ok(Self { state, volatile, usage, rollups, notices, dir: dir.into(), _lock: lock })
    }

    fn open_volatile(dir: &Path, disk: &Disk, notices: &Notices) -> Result<Volatile, OpenError> {
        let path = dir.join("volatile");
        let volatile = Volatile::open(&path, disk.clone(), notices);
        let volatile = volatile.map_err(|error| OpenError::store(&path, error))?;
        two_databases::read_over(dir, &volatile, notices).map_err(|error| OpenError::store(dir, error))?;
        Ok(volatile)
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What operators should know: segments of usage that were set aside, and why. Newest last.
    pub fn notices(&self) -> Vec<String> {
        self.notices.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the state changed since it was made.
    pub fn generation(&self) -> u64 {
        self.state.generation()
    }

    /// The connections that the store manages.
    pub fn connections(&self) -> Connections<'_> {
        Connections::new(&self.state)
    }

    /// What operators switched on providers.
    pub fn provider_switches(&self) -> ProviderSwitches<'_> {
        ProviderSwitches::new(&self.state)
    }

    /// What operators switched on connections that TOML manages.
    pub fn connection_switches(&self) -> ConnectionSwitches<'_> {
        ConnectionSwitches::new(&self.state)
    }

    /// Changes of all these that are made together, or not at all.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(&self.state)
    }

    /// The models that providers list.
    pub fn model_lists(&self) -> ModelLists<'_> {
        ModelLists::new(&self.state)
    }

    /// What has been used of the quotas of a day.
    pub fn counters(&self) -> Counters<'_> {
        Counters::new(&self.volatile)
    }

    /// How providers' last checks went.
    pub fn checks(&self) -> Checks<'_> {
        Checks::new(&self.volatile)
    }

    /// What stands against accounts and connections.
    pub fn facts(&self) -> FactsTable<'_> {
        FactsTable::new(&self.volatile)
    }

    /// The records of usage.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Seals and opens credentials without touching the disk; for request workers. Cheap to clone.
    pub fn vault(&self) -> Vault {
        self.state.vault().clone()
    }

    /// What the records of usage amount to.
    pub fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// Tells operators something about the store, in [`Store::notices`] and in the log.
    pub fn notice(&self, notice: String) {
        self.notices.add(notice);
    }

    /// Seals a secret for one connection and the one origin that it may be sent to.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub fn seal(&self, id: &ConnectionId, origin: &Origin, secret: &Secret) -> Result<SealedSecret, VaultError> {
        self.state.vault().seal(id, origin, secret)
    }

    /// Opens a secret that was sealed for this connection and origin.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_secret(&self, id: &ConnectionId, origin: &Origin, sealed: &SealedSecret) -> Result<Secret, VaultError> {
        self.state.vault().open(id, origin, sealed)
    }

    /// Which master key wraps the data keys.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn master_key_id(&self) -> Result<KeyId, StoreError> {
        Ok(self.state.wrapped_keys()?.master)
    }

    /// Wraps the data keys under another master key; from then on the store opens with that one only. No credential
    /// changes, and open vaults go on.
    ///
    /// # Errors
    /// When `from` is not the master key in force, or the change cannot be made durable.
    pub fn change_master_key(&self, from: &MasterKey, to: &MasterKey) -> Result<(), ChangeKeyError> {
        let wrapped = Keyring::rewrap(from, to, &self.state.wrapped_keys()?)?;
        Ok(self.state.put(keys::KEY.to_vec(), &wrapped)?)
    }
}

/// The master key could not be changed; the old one is in force.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeKeyError {
    /// The keys do not open, or no new ones can be wrapped.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The store did not take the change.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod tests;
