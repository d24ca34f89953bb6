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
//! changes       the sealed log of the changes to `state`, from which a damaged one is made anew
//! volatile/     what changes all day long: cooldowns, parks, rejections, and what has been used of limits
//! usage/        segments of usage records, a directory for each UTC day or size bound; and the rollups of each day
//! ```
//!
//! What must stay true:
//! - A change is acknowledged after it was flushed *and* synced. See `database.rs`.
//! - `state` opens whole, as it was acknowledged, or not at all: damaged, it is made anew from the log of changes and
//!   that is said ([`Store::notices`]), or the store is refused. A damaged segment of usage is set aside and said so;
//!   serving goes on.
//! - Nothing on disk holds a plain secret.

mod backup;
mod block;
mod change_log;
mod changes;
mod checks;
mod connections;
mod counters;
mod database;
mod days;
mod disk;
mod error;
mod facts;
mod files;
mod healing;
mod keys;
mod layout;
mod manifest;
mod migrations;
mod models;
mod notices;
mod opening;
mod page;
mod record;
mod rekey;
mod replay;
mod rollups;
mod rows;
mod segment;
mod segments;
mod sizes;
mod state;
mod switches;
mod two_databases;
mod usage;
mod verdict;
mod verify;
mod volatile;
mod witnesses;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use backup::{BackupError, Counts, Head as BackupHead, Inspected, Restored, head as backup_head, inspect, restore};
pub use changes::Changes;
pub use checks::{Check, Checks};
pub use connections::{Connections, StoredConnection};
pub use counters::{Counters, Lease};
pub use days::{days_of, first_day_kept, span_of};
pub(crate) use disk::FreeBytes;
pub use error::{ChangeKeyError, OpenError, StoreError};
pub use facts::{CoolingFact, Facts, FactsTable, ModelFact, ParkedFact, RejectedFact, Scope};
pub use migrations::Migrated;
pub use models::{ModelList, ModelLists};
pub use page::Ask as RecordAsk;
pub use record::RecordError;
pub use rekey::KeyStatus;
pub use rollups::{Frame, Frames, Head, Lengths, Log, PackedSums, Position, Rollups, Tier};
pub use switches::{ConnectionSwitch, ConnectionSwitches, ProviderSwitch, ProviderSwitches};
pub use usage::Usage;
pub use verify::Verified;

use crate::api::ConnectionId;
use crate::credential::{BackupKey, KeyId, MasterKey, Origin, SealedSecret, Secret, Vault, VaultError};
use disk::Disk;
use files::Lock;
use migrations::Place;
use notices::Notices;
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

impl Store {
    /// Opens the store of a state directory, making both where there never were any.
    ///
    /// # Errors
    /// When another process has it open, the master key is not the right one, or the state is not whole. Damaged usage
    /// is no error: see [`Store::notices`].
    pub fn open(dir: &Path, master: &MasterKey) -> Result<Self, OpenError> {
        Self::open_with(dir, std::slice::from_ref(master))
    }

    /// As [`Store::open`], with whichever master key fits: while it is changed there may be two.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(dir: &Path, masters: &[MasterKey]) -> Result<Self, OpenError> {
        Self::open_on(dir, masters, disk::free_bytes())
    }

    /// As [`Store::open_with`], with another measure of free space.
    pub(crate) fn open_on(dir: &Path, masters: &[MasterKey], free: FreeBytes) -> Result<Self, OpenError> {
        let io = |error: io::Error| OpenError::io(dir, error);
        files::private_directory(dir).map_err(io)?;
        let lock = Lock::take(&dir.join("lock")).map_err(|error| OpenError::locked(dir, error))?;
        backup::finish(dir).map_err(io)?;
        let disk = Disk::new(dir, free).map_err(io)?;
        let notices = Notices::default();
        let paths = state::Paths::of(dir);
        migrations::run(&Place { dir, paths: &paths, masters, disk: &disk, notices: &notices }, layout::CURRENT)?;
        let state = opening::open(&paths, masters, &disk, &notices)?;
        layout::mark(&paths, layout::CURRENT)?;
        for aside in healing::all_aside(&paths.state).map_err(io)? {
            notices.add(format!("a damaged state is kept in {}: remove it when it is of no more use", aside.display()));
        }
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
        self.notices.all()
    }

    /// How often the state changed since it was made.
    pub fn generation(&self) -> u64 {
        self.state.contents().generation
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

    /// Writes a backup of everything, while the store is in use.
    ///
    /// # Errors
    /// When the store cannot be read, or the backup not be written.
    pub fn backup(&self, key: &BackupKey, out: impl Write) -> Result<Counts, BackupError> {
        let (records, contents) = self.state.copy()?;
        let rest = Some((&self.volatile, &self.usage));
        backup::write(&backup::Source { records: &records, contents, vault: self.state.vault(), rest }, key, out)
    }

    /// Wraps the data keys under another master key; from then on the store opens with that one only. No credential
    /// changes, and open vaults go on.
    ///
    /// # Errors
    /// When `from` is not the master key in force, or the change cannot be made durable.
    pub fn change_master_key(&self, from: &MasterKey, to: &MasterKey) -> Result<(), ChangeKeyError> {
        rekey::rewrap(&self.state, from, to)
    }
}

impl Store {
    /// The format that this version writes.
    pub const FORMAT: u32 = layout::CURRENT;

    /// The format that a directory says it is in; none where it says nothing that can be read.
    pub fn format(dir: &Path) -> Option<u32> {
        match layout::read(&state::Paths::of(dir)).ok()? {
            layout::Layout::Format(format) | layout::Layout::Newer(format, _) => Some(format),
            layout::Layout::Unmarked | layout::Layout::Altered => None,
        }
    }

    /// The format of a newer version that a directory says it is in, with that version.
    pub fn newer_format(dir: &Path) -> Option<(u32, String)> {
        match layout::read(&state::Paths::of(dir)).ok()? {
            layout::Layout::Newer(format, writer) => Some((format, writer)),
            _ => None,
        }
    }

    /// The master key that the store of a directory was sealed under, as far as that can be told without opening it.
    pub fn sealed_under(dir: &Path) -> Option<KeyId> {
        Some(replay::wrapped_keys(&state::Paths::of(dir).changes).ok()??.master)
    }

    /// Which key seals what.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn key_status(&self) -> Result<KeyStatus, StoreError> {
        rekey::status(&self.state)
    }

    /// Begins to seal with other data keys, unless that was begun already. Credentials that were sealed before still
    /// open; [`Store::reseal`] seals them anew.
    ///
    /// # Errors
    /// When the master key is not the one in force, or the change cannot be made durable.
    pub fn renew_data_keys(&self, master: &MasterKey) -> Result<(), ChangeKeyError> {
        rekey::renew(&self.state, master)
    }

    /// Seals anew every credential that an older key sealed, and lets go of that key; tells how many there were. Other
    /// changes go on meanwhile.
    ///
    /// # Errors
    /// When a credential does not open, or a change cannot be made durable. It can be called again.
    pub fn reseal(&self) -> Result<u64, StoreError> {
        rekey::reseal(&self.state)
    }

    /// Brings the store of a directory to a format, if it is in another one. No process may have it open.
    ///
    /// # Errors
    /// As [`Store::open`], and when there is no such format.
    pub fn migrate(dir: &Path, masters: &[MasterKey], to: u32) -> Result<Migrated, OpenError> {
        let _lock = Lock::take(&dir.join("lock")).map_err(|error| OpenError::locked(dir, error))?;
        backup::finish(dir).map_err(|error| OpenError::io(dir, error))?;
        let disk = Disk::new(dir, disk::free_bytes()).map_err(|error| OpenError::io(dir, error))?;
        let (paths, notices) = (state::Paths::of(dir), Notices::default());
        migrations::run(&Place { dir, paths: &paths, masters, disk: &disk, notices: &notices }, to)
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
pub(crate) mod format_tests;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod power_tests;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
