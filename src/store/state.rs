//! The database `state`: small, precious, and changed by one writer at a time.
//!
//! All its records are in one tree, `table/id` → envelope, so that a transaction covers whatever a change touches. The
//! manifest (see [`super::manifest`]) is part of each transaction.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use super::database::{Batch, Database, guarded};
use super::disk::Disk;
use super::manifest::{self, Contents, Manifest};
use super::record::{self, Record};
use super::{OpenError, StoreError, files, keys};
use crate::bounds;
use crate::credential::{Keyring, KeyringError, MasterKey, Vault, WrappedKeys};

/// The open database.
pub(super) struct State {
    database: Database,
    vault: Vault,
    disk: Disk,
    manifest_path: PathBuf,
    waiting: Mutex<Vec<Waiting>>,
    head: Mutex<Head>,
}

/// A record's key, and its new value, or none to remove it.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Changes that wait for the next commit, and where their caller hears of it.
struct Waiting {
    changes: Vec<Change>,
    done: mpsc::SyncSender<Result<(), StoreError>>,
}

/// What is in force inside, and the generation that the file outside tells.
struct Head {
    contents: Contents,
    outside: u64,
}

/// Where the parts of the state are.
pub(super) struct Paths {
    state: PathBuf,
    manifest: PathBuf,
    marker: PathBuf,
}

impl Paths {
    pub(super) fn of(dir: &Path) -> Self {
        Self { state: dir.join("state"), manifest: dir.join("manifest"), marker: dir.join("initialized") }
    }
}

/// What the marker says; a version that changes the layout says another number.
const MARKER: &[u8] = b"bursar state, format 1\n";

impl State {
    /// Opens the state of a directory, or makes it where there never was one.
    pub(super) fn open(paths: &Paths, master: &MasterKey, disk: Disk) -> Result<Self, OpenError> {
        let marker = files::read_if_there(&paths.marker).map_err(|error| OpenError::io(&paths.marker, error))?;
        if marker.as_deref().is_some_and(|marker| marker != MARKER) {
            return Err(damaged(paths, "the file \"initialized\" is of another version, or altered"));
        }
        if !paths.state.exists() {
            if marker.is_some() || paths.manifest.exists() {
                return Err(damaged(paths, "state was made here, and it is gone"));
            }
            create(&paths.state, master)?;
        }
        let (database, wrapped, inside) = read(paths)?;
        let vault = unlock(paths, master, &wrapped)?;
        let (database, contents) = verify(paths, database, inside, &vault)?;
        let state = Self {
            database,
            disk,
            manifest_path: paths.manifest.clone(),
            waiting: Mutex::default(),
            head: Mutex::new(Head { contents, outside: outside(paths, &vault, &contents, marker.is_some())? }),
            vault,
        };
        state.settle(paths)?;
        Ok(state)
    }

    /// Writes what a crash may have kept from being written: the manifest outside, then the marker.
    fn settle(&self, paths: &Paths) -> Result<(), OpenError> {
        self.write_outside(&mut locked(&self.head)).map_err(|error| OpenError::store(&paths.manifest, error))?;
        if paths.marker.exists() {
            return Ok(());
        }
        files::replace(&paths.marker, MARKER).map_err(|error| OpenError::io(&paths.marker, error))
    }

    /// What seals and opens with this state's keys.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// How often the state changed since it was made.
    pub(super) fn generation(&self) -> u64 {
        locked(&self.head).contents.generation
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

    /// Stores a record. Durable when this returns.
    pub(super) fn put<R: Record>(&self, key: Vec<u8>, record: &R) -> Result<(), StoreError> {
        self.commit(vec![encoded(key, record)?])
    }

    /// Removes a record, if it is there. Durable when this returns.
    pub(super) fn remove(&self, key: Vec<u8>) -> Result<(), StoreError> {
        self.commit(vec![(key, None)])
    }

    /// Commits changes, all of them or none, together with all that came meanwhile: whoever gets the head commits for
    /// everybody waiting, so that concurrent changes share a sync. Of two changes of one record the later one counts.
    pub(super) fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let (done, result) = mpsc::sync_channel(1);
        locked(&self.waiting).push(Waiting { changes, done });
        let mut head = locked(&self.head);
        let group = std::mem::take(&mut *locked(&self.waiting));
        if !group.is_empty() {
            let (changes, waiters): (Vec<_>, Vec<_>) = group.into_iter().map(|one| (one.changes, one.done)).unzip();
            let result = self.commit_all(&mut head, changes.into_iter().flatten());
            for waiter in waiters {
                let _ = waiter.send(result.clone());
            }
        }
        drop(head);
        result.recv().unwrap_or_else(|_| Err(StoreError::Failed { reason: "the commit was given up".into() }))
    }

    fn commit_all(&self, head: &mut Head, changes: impl Iterator<Item = Change>) -> Result<(), StoreError> {
        self.disk.check()?;
        // The manifest outside may be one behind and never two.
        self.write_outside(head)?;
        let mut next = Contents { generation: head.contents.generation + 1, ..head.contents };
        let mut batch = Batch::default();
        for (key, value) in changes.collect::<BTreeMap<_, _>>() {
            if let Some(old) = self.database.get(&key)? {
                next.subtract(&self.vault, &key, &old);
            }
            match value {
                Some(value) => {
                    next.add(&self.vault, &key, &value);
                    batch.insert(&key, value);
                }
                None => batch.remove(&key),
            }
        }
        batch.insert(manifest::KEY, record::encode(manifest::KEY, &Manifest::of(&self.vault, next))?);
        self.database.commit(batch)?;
        head.contents = next;
        if let Err(error) = self.write_outside(head) {
            tracing::warn!(%error, "the manifest could not be written; it will be before the next change");
        }
        Ok(())
    }

    fn write_outside(&self, head: &mut Head) -> Result<(), StoreError> {
        if head.outside == head.contents.generation {
            return Ok(());
        }
        let manifest = record::encode(manifest::KEY, &Manifest::of(&self.vault, head.contents))?;
        files::replace(&self.manifest_path, &manifest)
            .map_err(|error| StoreError::failed("write the manifest", error))?;
        head.outside = head.contents.generation;
        Ok(())
    }
}

/// A record as the change that stores it.
pub(super) fn encoded<R: Record>(key: Vec<u8>, record: &R) -> Result<Change, StoreError> {
    let value = record::encode(&key, record)?;
    if value.len() > bounds::STATE_RECORD_BYTES_MAX {
        return Err(StoreError::TooLarge { bytes: value.len(), max: bounds::STATE_RECORD_BYTES_MAX });
    }
    Ok((key, Some(value)))
}

/// Makes a new state with new data keys. Until all of it is durable it has another name, so a crash leaves none.
fn create(dir: &Path, master: &MasterKey) -> Result<(), OpenError> {
    let make = || {
        let (keyring, wrapped) =
            Keyring::create(master).map_err(|error| StoreError::Failed { reason: error.to_string() })?;
        let vault = Vault::new(keyring);
        let value = record::encode(keys::KEY, &wrapped)?;
        let mut contents = Contents { generation: 1, ..Contents::default() };
        contents.add(&vault, keys::KEY, &value);
        let mut first = Batch::default();
        first.insert(keys::KEY, value);
        first.insert(manifest::KEY, record::encode(manifest::KEY, &Manifest::of(&vault, contents))?);
        Database::create(dir, bounds::STATE_CACHE_BYTES, first)
    };
    make().map_err(|error| OpenError::store(dir, error))
}

/// Opens the database and reads the keys and the manifest that every state has.
fn read(paths: &Paths) -> Result<(Database, WrappedKeys, Manifest), OpenError> {
    let look = |database: &Database| {
        let missing = |what: &str| StoreError::Damaged { reason: format!("the {what} is missing") };
        let keys_value = database.get(keys::KEY)?.ok_or_else(|| missing("keys' record"))?;
        let manifest_value = database.get(manifest::KEY)?.ok_or_else(|| missing("manifest inside"))?;
        Ok((record::decode(keys::KEY, &keys_value)?, record::decode(manifest::KEY, &manifest_value)?))
    };
    Database::open(&paths.state, bounds::STATE_CACHE_BYTES, look)
        .map(|(database, (wrapped, manifest))| (database, wrapped, manifest))
        .map_err(|error| OpenError::store(&paths.state, error))
}

fn unlock(paths: &Paths, master: &MasterKey, wrapped: &WrappedKeys) -> Result<Vault, OpenError> {
    match Keyring::open(master, wrapped) {
        Ok(keyring) => Ok(Vault::new(keyring)),
        Err(KeyringError::WrongMasterKey { wrapped, given }) => Err(OpenError::WrongMasterKey { wrapped, given }),
        Err(error) => Err(damaged(paths, error)),
    }
}

/// Reads every record and holds it against the manifest inside.
fn verify(
    paths: &Paths,
    database: Database,
    inside: Manifest,
    vault: &Vault,
) -> Result<(Database, Contents), OpenError> {
    let said = inside.verified(vault).ok_or_else(|| damaged(paths, "the manifest inside was altered"))?;
    let vault = vault.clone();
    let count = move || {
        let mut found = Contents { generation: said.generation, ..Contents::default() };
        database.visit(b"", |key, value| {
            if key != manifest::KEY {
                found.add(&vault, key, value);
            }
            Ok(true)
        })?;
        Ok((database, found))
    };
    let (database, found) = guarded(count).map_err(|error| OpenError::store(&paths.state, error))?;
    if found == said {
        return Ok((database, said));
    }
    Err(damaged(
        paths,
        format!("{} records are expected and {} found, or their contents differ", said.records, found.records),
    ))
}

/// The generation of the manifest outside, which must tell the same as the one inside or be one behind.
fn outside(paths: &Paths, vault: &Vault, inside: &Contents, marked: bool) -> Result<u64, OpenError> {
    let value = files::read_if_there(&paths.manifest).map_err(|error| OpenError::io(&paths.manifest, error))?;
    let Some(value) = value else {
        // Only a state that was just made has none yet.
        let just_made = inside.generation == 1 && !marked;
        return if just_made { Ok(0) } else { Err(damaged(paths, "the file \"manifest\" is missing")) };
    };
    let said = record::decode::<Manifest>(manifest::KEY, &value)
        .ok()
        .and_then(|manifest| manifest.verified(vault))
        .ok_or_else(|| damaged(paths, "the file \"manifest\" was altered"))?;
    if said == *inside || said.generation.checked_add(1) == Some(inside.generation) {
        return Ok(said.generation);
    }
    let reason = format!(
        "change {} was the last one acknowledged, and the database holds change {}: it lost some, or is an older copy",
        said.generation, inside.generation
    );
    Err(damaged(paths, reason))
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", self.database.dir().display())
    }
}

fn damaged(paths: &Paths, reason: impl ToString) -> OpenError {
    OpenError::Damaged { dir: paths.state.clone(), reason: reason.to_string() }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
