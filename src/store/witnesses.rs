//! What there is of a state: each of its witnesses, looked at and held against what it says of itself. Changes nothing.

use std::path::Path;

use super::database::{Database, guarded};
use super::manifest::{self, Contents, Manifest};
use super::record;
use super::replay::{self, Reading};
use super::state::Paths;
use super::verdict::Evidence;
use super::{OpenError, RecordError, StoreError, files, keys};
use crate::bounds;
use crate::credential::{Keyring, KeyringError, MasterKey, Vault, WrappedKeys};

/// What was found of a state.
pub(super) struct Found {
    /// The keys that everything was looked at with.
    pub(super) vault: Vault,
    /// Those that the log was read with: while keys change, it may be ahead.
    pub(super) keyring_of_log: Keyring,
    /// The database and what it amounts to; or why it is not whole.
    pub(super) state: Result<(Database, Contents), String>,
    /// What the manifest inside says, even where the database is not whole.
    pub(super) claimed: Option<Contents>,
    /// The log; or why not even its beginning is whole.
    pub(super) log: Result<Reading, String>,
    /// The manifest outside; or what is wrong with it.
    pub(super) manifest: Result<Contents, String>,
    /// Whether the state may just have been made: neither manifest nor marker is there.
    pub(super) fresh: bool,
}

impl Found {
    /// What all of it says.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence {
            state: self.state.as_ref().map(|(_, contents)| *contents).map_err(Clone::clone),
            claimed: self.claimed,
            log: self.log.as_ref().map(|reading| reading.contents).map_err(Clone::clone),
            torn: self.log.as_ref().ok().and_then(|reading| reading.torn.clone()),
            manifest: self.manifest.clone(),
            fresh: self.fresh,
        }
    }
}

/// Looks at everything; none where there never was a state.
pub(super) fn look(paths: &Paths, masters: &[MasterKey]) -> Result<Option<Found>, OpenError> {
    let manifest_there = paths.manifest.exists();
    let fresh = !manifest_there && !paths.marker.exists();
    let log_keys = replay::wrapped_keys(&paths.changes);
    if !paths.state.exists() && fresh {
        // The log is written first: alone it is what a crash left of a state that was being made.
        match &log_keys {
            Ok(None) => return Ok(None),
            Ok(Some(wrapped)) if is_first(paths, masters, wrapped)? => return Ok(None),
            _ => {}
        }
    }
    let database = database(paths)?;
    let log_keys = match log_keys {
        Ok(keys) => Ok(keys),
        Err(error) => said(readable(&paths.changes, error))?,
    };
    let state_keys = database.as_ref().ok().map(|(_, wrapped, _)| wrapped);
    let keyring = unlock(paths, masters, state_keys, log_keys.as_ref().ok().and_then(Option::as_ref))?;
    let vault = Vault::new(keyring.of_state);
    let (state, claimed) = match database {
        Ok((database, _, manifest)) => count(paths, database, manifest, &vault)?,
        Err(reason) => (Err(reason), None),
    };
    let log = match log_keys {
        Ok(_) => match replay::read(&paths.changes, &keyring.of_log, |_| ()) {
            Ok(Some(reading)) => Ok(reading),
            Ok(None) => Err("the log of changes is missing".into()),
            Err(error) => said(readable(&paths.changes, error))?,
        },
        Err(reason) => Err(reason),
    };
    let manifest = outside(paths, &vault)?;
    Ok(Some(Found { vault, keyring_of_log: keyring.of_log, state, claimed, log, manifest, fresh }))
}

/// Whether a log is that of a state of which nothing but its keys had been made.
fn is_first(paths: &Paths, masters: &[MasterKey], wrapped: &WrappedKeys) -> Result<bool, OpenError> {
    let keyring = unlock(paths, masters, None, Some(wrapped))?;
    let read = replay::read(&paths.changes, &keyring.of_log, |_| ());
    Ok(matches!(read, Ok(Some(reading)) if reading.contents.generation == 1))
}

/// A database that opened, with its keys' record and the manifest inside; or why it is damaged.
pub(super) type Opened = Result<(Database, WrappedKeys, Manifest), String>;

/// Opens the database and reads the keys and the manifest that every state has.
pub(super) fn database(paths: &Paths) -> Result<Opened, OpenError> {
    if !paths.state.exists() {
        return Ok(Err("state was made here, and it is gone".into()));
    }
    let look = |database: &Database| {
        let missing = |what: &str| StoreError::Damaged { reason: format!("the {what} is missing") };
        let keys_value = database.get(keys::KEY)?.ok_or_else(|| missing("keys' record"))?;
        let manifest_value = database.get(manifest::KEY)?.ok_or_else(|| missing("manifest inside"))?;
        Ok((record::decode(keys::KEY, &keys_value)?, record::decode(manifest::KEY, &manifest_value)?))
    };
    match Database::open(&paths.state, bounds::STATE_CACHE_BYTES, look) {
        Ok((database, (wrapped, manifest))) => Ok(Ok((database, wrapped, manifest))),
        Err(error) => said(readable(&paths.state, error)),
    }
}

/// Damage as a reason; anything else as what keeps the store from being opened at all.
fn readable(path: &Path, error: StoreError) -> Result<String, OpenError> {
    match error {
        StoreError::Damaged { reason } => Ok(reason),
        StoreError::Record(error @ (RecordError::Checksum { .. } | RecordError::Body { .. })) => Ok(error.to_string()),
        other => Err(OpenError::store(path, other)),
    }
}

fn said<T>(reason: Result<String, OpenError>) -> Result<Result<T, String>, OpenError> {
    reason.map(Err)
}

/// The data keys, as the state and the log have them: while keys change, one may be ahead of the other.
pub(super) struct Keyrings {
    pub(super) of_state: Keyring,
    pub(super) of_log: Keyring,
}

/// Opens the data keys with whichever master key fits, from the state, or from the log where the state's do not open.
fn unlock(
    paths: &Paths,
    masters: &[MasterKey],
    state: Option<&WrappedKeys>,
    log: Option<&WrappedKeys>,
) -> Result<Keyrings, OpenError> {
    let opened = |wrapped: Option<&WrappedKeys>| wrapped.map(|wrapped| open_keys(masters, wrapped));
    match (opened(state), opened(log)) {
        (Some(Ok(of_state)), Some(Ok(of_log))) => Ok(Keyrings { of_state, of_log }),
        (Some(Ok(one)), _) | (_, Some(Ok(one))) => Ok(Keyrings { of_state: one.clone(), of_log: one }),
        (_, Some(Err(error @ KeyringError::WrongMasterKey { .. })))
        | (Some(Err(error)), _)
        | (None, Some(Err(error))) => Err(wrong(paths, error)),
        (None, None) => Err(damaged(paths, "neither the database nor the log of changes can be read")),
    }
}

/// The data keys, opened with the master key that wrapped them.
pub(super) fn open_keys(masters: &[MasterKey], wrapped: &WrappedKeys) -> Result<Keyring, KeyringError> {
    let missing = KeyringError::Missing("master");
    let fits = masters.iter().find(|master| master.id() == wrapped.master).or(masters.first());
    fits.map_or(Err(missing), |master| Keyring::open(master, wrapped))
}

pub(super) fn wrong(paths: &Paths, error: KeyringError) -> OpenError {
    match error {
        KeyringError::WrongMasterKey { wrapped, given } => OpenError::WrongMasterKey { wrapped, given },
        other => damaged(paths, other),
    }
}

/// The database with what it amounts to, or why that is not what it says; and what it says.
type Counted = (Result<(Database, Contents), String>, Option<Contents>);

/// Reads every record and holds it against the manifest inside.
pub(super) fn count(paths: &Paths, database: Database, inside: Manifest, vault: &Vault) -> Result<Counted, OpenError> {
    let Some(said) = inside.verified(vault) else { return Ok((Err("the manifest inside was altered".into()), None)) };
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
    let counted = match guarded(count) {
        Ok((database, found)) if found == said => Ok((database, said)),
        Ok((_, found)) => {
            Err(format!("{} records are expected and {} found, or their contents differ", said.records, found.records))
        }
        Err(error) => Err(readable(&paths.state, error)?),
    };
    Ok((counted, Some(said)))
}

/// The manifest outside, or what is wrong with it.
pub(super) fn outside(paths: &Paths, vault: &Vault) -> Result<Result<Contents, String>, OpenError> {
    let value = files::read_if_there(&paths.manifest).map_err(|error| OpenError::io(&paths.manifest, error))?;
    let Some(value) = value else { return Ok(Err("the file \"manifest\" is missing".into())) };
    let manifest = record::decode::<Manifest>(manifest::KEY, &value).ok();
    Ok(manifest.and_then(|manifest| manifest.verified(vault)).ok_or_else(|| "the file \"manifest\" was altered".into()))
}

pub(super) fn damaged(paths: &Paths, reason: impl ToString) -> OpenError {
    OpenError::Damaged { dir: paths.state.clone(), reason: reason.to_string() }
}
