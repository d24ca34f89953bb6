//! Backups: everything that a store holds, in one file that opens with a passphrase or a key of its own, on any host.
//!
//! In clear stands what the key is made from, and when and by which version the file was written ([`Head`]). The rest is
//! sealed in chunks ([`sealed`]), each at its place, the last one marked: a file that was cut, lengthened, or put together
//! from two does not open. Inside are records ([`item`]), and among them the credentials, sealed once more by the
//! backup's own key instead of the store's: no plain secret is ever written, and whoever restores seals them anew.
//!
//! A backup is read to its end and held against its own counts before anything is done with it.

mod item;
mod read;
mod restore;
mod sealed;
mod write;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use read::{Inspected, head, inspect};
pub(super) use restore::finish;
pub use restore::{Restored, restore};
pub(super) use write::{Source, write};

use super::record::{self, Record, RecordError};
use super::{OpenError, StoreError};
use crate::credential::{BackupKeyError, BackupLock, KeyId, VaultError};

/// What a backup's file begins with.
const MAGIC: &[u8; 16] = b"bursar backup 1\n";

/// What stands in clear at the beginning of a backup. Its bytes are part of the key, so none can be altered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Another one for each backup.
    id: [u8; 16],
    /// What the key is made from.
    pub lock: BackupLock,
    /// When it was begun, in milliseconds since 1970.
    pub created_ms: i64,
    /// The version that wrote it.
    pub writer: String,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// How often the state had changed since it was made.
    pub generation: u64,
    /// Records of the state: connections, switches, lists of models.
    pub records: u64,
    /// Credentials among them.
    pub credentials: u64,
    /// Cooldowns, counters of limits and the like.
    pub volatile: u64,
    /// Segments of usage.
    pub segments: u64,
    /// Blocks of usage records in them.
    pub blocks: u64,
    /// Bytes of what they amount to, in files beside them.
    pub rollup_bytes: u64,
}

/// A backup that cannot be written, read or restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// It is none.
    #[error("this is not a backup of Bursar's")]
    NoBackup,
    /// A newer version wrote it.
    #[error("{writer} wrote this backup in a form that this version does not know: use that version or a newer one")]
    Newer {
        /// The version that wrote it.
        writer: String,
    },
    /// The first chunk does not open.
    #[error("the backup does not open: the {0} is another one, or the file was altered")]
    WrongKey(&'static str),
    /// A later one does not.
    #[error("the backup is damaged at byte {at}: {reason}; nothing was changed")]
    Damaged {
        /// Where.
        at: u64,
        /// What was found.
        reason: String,
    },
    /// Its key cannot be made.
    #[error(transparent)]
    Key(#[from] BackupKeyError),
    /// A credential cannot be sealed for the backup, or out of it.
    #[error("the credential of {connection} cannot be taken along: {error}")]
    Credential {
        /// Whose.
        connection: String,
        /// Why.
        error: VaultError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store to restore into does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file cannot be read or written.
    #[error("failed to {doing}: {error}")]
    Io {
        /// What.
        doing: &'static str,
        /// Why.
        error: std::io::Error,
    },
}

impl BackupError {
    fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Io { doing, error }
    }
}

impl From<RecordError> for BackupError {
    fn from(error: RecordError) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Serialize, Deserialize)]
enum LockV1 {
    Passphrase { salt: [u8; 16], memory_kib: u32, passes: u32 },
    Key([u8; 8]),
}

impl Record for Head {
    const KIND: &'static str = "backup";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let lock = match self.lock {
            BackupLock::Passphrase { salt, memory_kib, passes } => LockV1::Passphrase { salt, memory_kib, passes },
            BackupLock::Key(KeyId(id)) => LockV1::Key(id),
        };
        record::to_bytes(Self::KIND, &(self.id, lock, self.created_ms, &self.writer))
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let (id, lock, created_ms, writer) = record::from_bytes(Self::KIND, body)?;
        let lock = match lock {
            LockV1::Passphrase { salt, memory_kib, passes } => BackupLock::Passphrase { salt, memory_kib, passes },
            LockV1::Key(id) => BackupLock::Key(KeyId(id)),
        };
        Ok(Self { id, lock, created_ms, writer })
    }
}

#[cfg(test)]
mod tests;
