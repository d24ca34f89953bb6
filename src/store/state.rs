//! The database `state`: small, precious, and changed by one writer at a time.
//!
//! All its records are in one tree, `table/id` → envelope, so that a transaction covers whatever a change touches. The
//! manifest (see [`super::manifest`]) is part of each transaction.
//!
//! A change goes first into the log of changes ([`super::change_log`]), which is synced; then into the database, which is
//! synced; then the manifest outside is replaced, and only then it is acknowledged. So whatever the moment of a crash,
//! what is behind can be brought forward by what is ahead, and one of them lost or damaged can be made from the others:
//! [`super::opening`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::change_log::{Change, ChangeLog};
use super::database::{Batch, Database};
use super::disk::Disk;
use super::manifest::{self, Contents, Manifest};
use super::record::{self, Record};
use super::replay::Records;
use super::{StoreError, files, keys, rekey};
use crate::bounds;
use crate::credential::{Keyring, Vault, WrappedKeys};

/// The open database.
pub(super) struct State {
    database: Database,
    vault: Vault,
    disk: Disk,
    paths: Paths,
    waiting: Mutex<Vec<Waiting>>,
    head: Mutex<Head>,
}

/// Changes that wait for the next commit, and where their caller hears of it.
struct Waiting {
    changes: Vec<Change>,
    done: mpsc::SyncSender<Result<(), StoreError>>,
}

/// What is in force inside, the generation that the file outside tells, and the log of changes.
pub(super) struct Head {
    pub(super) contents: Contents,
    pub(super) outside: u64,
    pub(super) log: ChangeLog,
}

/// The stored keys as they are to be.
pub(super) struct NewKeys {
    pub(super) wrapped: WrappedKeys,
    /// Where the data keys are others than before.
    pub(super) keyring: Option<Keyring>,
}

/// Where the parts of the state are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) state: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) changes: PathBuf,
    pub(super) marker: PathBuf,
}

impl Paths {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            state: dir.join("state"),
            manifest: dir.join("manifest"),
            changes: dir.join("changes"),
            marker: dir.join("initialized"),
        }
    }
}

impl State {
    /// A state that was found whole, or made so.
    pub(super) fn new(database: Database, vault: Vault, disk: Disk, paths: Paths, head: Head) -> Self {
        Self { database, vault, disk, paths, waiting: Mutex::default(), head: Mutex::new(head) }
    }

    /// Writes what a crash may have kept from being written: the manifest outside.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.write_outside(&mut locked(&self.head))
    }

    /// What seals and opens with this state's keys.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What it amounts to.
    pub(super) fn contents(&self) -> Contents {
        locked(&self.head).contents
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The data keys as they are stored.
    pub(super) fn wrapped_keys(&self) -> Result<WrappedKeys, StoreError> {
        let missing = || StoreError::Damaged { reason: "the keys' record is missing".into() };
        self.get(keys::KEY)?.ok_or_else(missing)
    }

    /// The record of a table, if it is there.
    pub(super) fn get<R: Record>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        let value = self.database.get(key)?;
        value.map(|value| record::decode(key, &value).map_err(StoreError::from)).transpose()
    }

    /// All records of a table, in the order of their keys.
    pub(super) fn list<R: Record>(&self, table: &[u8]) -> Result<Vec<R>, StoreError> {
        let mut all = Vec::new();
        self.database.visit(table, |key, value| {
            all.push(record::decode(key, value)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Every record as it is stored, all of one moment, and what they amount to. Changes wait meanwhile.
    pub(super) fn copy(&self) -> Result<(Records, Contents), StoreError> {
        let head = locked(&self.head);
        Ok((all(&self.database)?, head.contents))
    }

    /// Shows every record as it is stored, all of one moment. Changes wait meanwhile.
    pub(super) fn inspect<T>(
        &self,
        look: impl FnOnce(&Database, &Contents) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let head = locked(&self.head);
        look(&self.database, &head.contents)
    }

    /// Stores a record. Durable when this returns.
    pub(super) fn put<R: Record>(&self, key: Vec<u8>, record: &R) -> Result<(), StoreError> {
        self.commit(vec![encoded(key, record)?])
    }

    /// Removes a record, if it is there. Durable when this returns.
    pub(super) fn remove(&self, key: Vec<u8>) -> Result<(), StoreError> {
        self.commit(vec![(key, None)])
    }

    /// Makes changes, all of them or none, together with all that came meanwhile: whoever gets the head commits for
    /// everybody waiting, so that concurrent changes share their syncs. Durable when this returns.
    pub(super) fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let (done, result) = mpsc::sync_channel(1);
        locked(&self.waiting).push(Waiting { changes, done });
        loop {
            let mut head = locked(&self.head);
            // Another may have committed it, before the head could be had.
            match result.try_recv() {
                Ok(result) => return result,
                Err(TryRecvError::Empty) => {}
                // It was taken, and whoever took it is gone.
                Err(TryRecvError::Disconnected) => return Err(StoreError::broken_off()),
            }
            let (changes, waiters): (Vec<_>, Vec<_>) =
                self.next_group().into_iter().map(|one| (one.changes, one.done)).unzip();
            let result = self.commit_all(&mut head, changes.into_iter().flatten().collect());
            for waiter in waiters {
                let _ = waiter.send(result.clone());
            }
        }
    }

    /// As many of those that wait as one commit takes; at least one, of those that came first.
    fn next_group(&self) -> Vec<Waiting> {
        let mut waiting = locked(&self.waiting);
        let mut bytes = 0;
        let fits = waiting.iter().take_while(|one| {
            let fits = bytes < bounds::COMMIT_BYTES_MAX;
            bytes +=
                one.changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
            fits
        });
        let count = fits.count();
        waiting.drain(..count).collect()
    }

    /// Changes one record, reading it and storing what becomes of it while nobody else changes anything.
    pub(super) fn update(
        &self,
        make: impl FnOnce(&Database) -> Result<Vec<Change>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut head = locked(&self.head);
        let changes = make(&self.database)?;
        if changes.is_empty() { Ok(()) } else { self.commit_all(&mut head, changes) }
    }

    fn commit_all(&self, head: &mut Head, changes: Vec<Change>) -> Result<(), StoreError> {
        self.begin(head)?;
        let changes = rekey::refreshed(&self.vault, last_of_each(changes))?;
        let (next, batch) = self.prepare(head, &changes)?;
        head.log.append(self.vault.keyring().changes(), next, &changes)?;
        self.finish(head, next, batch)?;
        if head.log.is_long()
            && let Err(error) = self.compact(head)
        {
            tracing::warn!(%error, "the log of changes could not be made anew; it will be after the next change");
        }
        Ok(())
    }

    /// Changes the stored keys, unless `make` says that none are to change. It is shown those that are stored, and nobody
    /// else changes anything meanwhile: keys that follow from others than these would leave credentials that none opens.
    pub(super) fn change_keys<E: From<StoreError>>(
        &self,
        make: impl FnOnce(&Database, &WrappedKeys) -> Result<Option<NewKeys>, E>,
    ) -> Result<(), E> {
        let mut head = locked(&self.head);
        match make(&self.database, &self.wrapped_keys()?)? {
            Some(keys) => Ok(self.install(&mut head, keys)?),
            None => Ok(()),
        }
    }

    /// The log begins anew with other keys: they stand in clear at its beginning, wrapped, and it is sealed under one of
    /// them.
    fn install(&self, head: &mut Head, keys: NewKeys) -> Result<(), StoreError> {
        let NewKeys { wrapped, keyring } = keys;
        self.begin(head)?;
        let changes = [encoded(keys::KEY.to_vec(), &wrapped)?];
        let (next, batch) = self.prepare(head, &changes)?;
        let mut records = all(&self.database)?;
        for (key, value) in changes {
            records.extend(value.map(|value| (key, value)));
        }
        let entries = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let current = self.vault.keyring();
        let sealing = keyring.as_ref().unwrap_or(&current);
        head.log = ChangeLog::create(&self.paths.changes, &wrapped, sealing, next, entries)?;
        if let Some(keyring) = keyring {
            self.vault.replace(keyring);
        }
        self.finish(head, next, batch)
    }

    fn begin(&self, head: &mut Head) -> Result<(), StoreError> {
        self.disk.check()?;
        if self.database.has_failed() {
            return Err(StoreError::Failed { reason: "an earlier write failed: reopen the store".into() });
        }
        // The manifest outside may be one behind and never two.
        self.write_outside(head)
    }

    fn prepare(&self, head: &Head, changes: &[Change]) -> Result<(Contents, Batch), StoreError> {
        let mut next = Contents { generation: head.contents.generation + 1, ..head.contents };
        let mut batch = Batch::default();
        for (key, value) in changes {
            if let Some(old) = self.database.get(key)? {
                next.subtract(&self.vault, key, &old);
            }
            match value {
                Some(value) => {
                    next.add(&self.vault, key, value);
                    batch.insert(key, value.clone());
                }
                None => batch.remove(key),
            }
        }
        batch.insert(manifest::KEY, record::encode(manifest::KEY, &Manifest::of(&self.vault, next))?);
        Ok((next, batch))
    }

    /// Brings the database to where the log is, and acknowledges.
    fn finish(&self, head: &mut Head, next: Contents, batch: Batch) -> Result<(), StoreError> {
        if let Err(error) = self.database.commit(batch) {
            head.log.give_up();
            return Err(error);
        }
        head.contents = next;
        if let Err(error) = self.write_outside(head) {
            tracing::warn!(%error, "the manifest could not be written; it will be before the next change");
        }
        Ok(())
    }

    fn compact(&self, head: &mut Head) -> Result<(), StoreError> {
        head.log = log_of(&self.paths, &self.database, &self.vault.keyring(), head.contents)?;
        Ok(())
    }

    fn write_outside(&self, head: &mut Head) -> Result<(), StoreError> {
        if head.outside == head.contents.generation {
            return Ok(());
        }
        write_manifest(&self.paths, &self.vault, head.contents)?;
        head.outside = head.contents.generation;
        Ok(())
    }
}

/// The change that stores a record.
pub(super) fn encoded<R: Record>(key: Vec<u8>, record: &R) -> Result<Change, StoreError> {
    let value = record::encode(&key, record)?;
    if value.len() > bounds::STATE_RECORD_BYTES_MAX {
        return Err(StoreError::TooLarge { bytes: value.len(), max: bounds::STATE_RECORD_BYTES_MAX });
    }
    Ok((key, Some(value)))
}

/// Of several changes of one record the last one.
fn last_of_each(changes: Vec<Change>) -> Vec<Change> {
    changes.into_iter().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
}

/// Every record of a database but the manifest.
pub(super) fn all(database: &Database) -> Result<Records, StoreError> {
    let mut records = Records::new();
    database.visit(b"", |key, value| {
        if key != manifest::KEY {
            records.insert(key.to_vec(), value.to_vec());
        }
        Ok(true)
    })?;
    Ok(records)
}

/// Writes the log of changes anew, from the database.
pub(super) fn log_of(
    paths: &Paths,
    database: &Database,
    keyring: &Keyring,
    contents: Contents,
) -> Result<ChangeLog, StoreError> {
    let records = all(database)?;
    let missing = || StoreError::Damaged { reason: "the keys' record is missing".into() };
    let wrapped = record::decode(keys::KEY, records.get(keys::KEY).ok_or_else(missing)?)?;
    let entries = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    ChangeLog::create(&paths.changes, &wrapped, keyring, contents, entries)
}

/// Writes the manifest outside.
pub(super) fn write_manifest(paths: &Paths, vault: &Vault, contents: Contents) -> Result<(), StoreError> {
    let manifest = record::encode(manifest::KEY, &Manifest::of(vault, contents))?;
    files::replace(&paths.manifest, &manifest).map_err(|error| StoreError::failed("write the manifest", error))
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", self.database.dir().display())
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
