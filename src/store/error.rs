//! How the store fails, and how a program ends that cannot go on without it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files::LockError;
use super::record::RecordError;
use crate::credential::{KeyId, KeyringError};

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
    /// A newer version wrote it.
    #[error(
        "the state in {dir} has format {found}, which {writer} wrote, and this version knows formats up to {known}: \
         use that version or a newer one, or take the state back with its `bursar store migrate --to {known}`",
        dir = .dir.display()
    )]
    Newer {
        /// The state directory.
        dir: PathBuf,
        /// The format that it is in.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
        /// The version that wrote it.
        writer: String,
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
            Self::Damaged { .. } | Self::WrongMasterKey { .. } | Self::Newer { .. } | Self::Io { .. } => 78,
        }
    }

    pub(super) fn io(path: &Path, error: impl ToString) -> Self {
        Self::Io { path: path.into(), reason: error.to_string() }
    }

    pub(super) fn locked(dir: &Path, error: LockError) -> Self {
        match error {
            LockError::Held(pid) => Self::InUse { dir: dir.into(), pid },
            LockError::Io(error) => Self::io(dir, error),
        }
    }

    pub(super) fn store(path: &Path, error: StoreError) -> Self {
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
    pub(super) fn failed(action: &str, error: impl ToString) -> Self {
        Self::Failed { reason: format!("{action}: {}", error.to_string()) }
    }

    /// Another thread was to make the change, and broke off.
    pub(super) fn broken_off() -> Self {
        Self::Failed { reason: "make the change: a fault in Bursar broke it off, please report it".into() }
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
