//! How a state is opened: what there is of it is looked at, and one of three things follows. It is whole; or it can be
//! made whole again, and that is done and said; or it is refused, and nothing is changed.
//!
//! Three witnesses tell how far the state had come: the database with the manifest inside it, the log of changes, and
//! the manifest outside. Each is authenticated by the store's own keys, and a change was acknowledged only after all
//! three had it. So whichever of them has the last change that any of them knows of, and has it whole, is right, unless
//! too few are left to tell that it *is* the last one. [`decide`] is that rule, and nothing else.

use std::path::Path;

use super::change_log::ChangeLog;
use super::database::{Batch, Database, guarded};
use super::disk::Disk;
use super::healing;
use super::manifest::{self, Contents, Manifest};
use super::record;
use super::replay::{self, Reading};
use super::state::{self, Head, Paths, State};
use super::{Notices, OpenError, RecordError, StoreError, files, keys};
use crate::bounds;
use crate::credential::{Keyring, KeyringError, MasterKey, Vault, WrappedKeys};

/// How often what was found may be mended: what a crash left, and damage beside it.
const MENDINGS_MAX: u32 = 3;

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

/// What the witnesses say.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// What the database amounts to; or why it is not whole.
    pub(super) state: Result<Contents, String>,
    /// What the manifest inside says, even where the database is not whole.
    pub(super) claimed: Option<Contents>,
    /// What the log amounts to, as far as it is whole; or why nothing of it is.
    pub(super) log: Result<Contents, String>,
    /// What is wrong with the rest of the log.
    pub(super) torn: Option<String>,
    /// The manifest outside; or what is wrong with it.
    pub(super) manifest: Result<Contents, String>,
    /// Whether the state may just have been made: neither manifest nor marker is there.
    pub(super) fresh: bool,
}

impl Found {
    fn evidence(&self) -> Evidence {
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

/// What to do with a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The database is right. Beside it, something may have to be made anew.
    Whole {
        /// The log, and why.
        log: Option<String>,
        /// The manifest outside, and why.
        manifest: Option<String>,
    },
    /// The database is one change behind the log: a crash came between, unless the change had been acknowledged.
    Redo {
        /// It had been.
        acknowledged: bool,
    },
    /// The log is right: the database is made anew from it.
    Heal(String),
    /// What is left does not tell what was acknowledged.
    Refuse(String),
}

/// Opens the state of a directory, of the format that this version writes.
pub(super) fn open(paths: &Paths, masters: &[MasterKey], disk: &Disk, notices: &Notices) -> Result<State, OpenError> {
    for _ in 0..MENDINGS_MAX {
        let Some(found) = look(paths, masters)? else {
            create(paths, first(paths, masters)?)?;
            continue;
        };
        match decide(&found.evidence()) {
            Verdict::Whole { log, manifest } => return whole(paths, found, log, manifest, disk, notices),
            Verdict::Redo { acknowledged } => healing::redo(paths, found, acknowledged, notices)?,
            Verdict::Heal(reason) => healing::rebuild(paths, found, &reason, notices)?,
            Verdict::Refuse(reason) => return Err(damaged(paths, reason)),
        }
    }
    Err(damaged(paths, "it was made anew, and does not open all the same"))
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

/// Which of the witnesses is right. Pure.
pub(super) fn decide(said: &Evidence) -> Verdict {
    let known = [said.claimed, said.manifest.clone().ok(), said.log.clone().ok()];
    let newest = known.iter().flatten().map(|contents| contents.generation).max().unwrap_or_default();
    match (&said.state, &said.log) {
        (Ok(state), Ok(log)) if state == log => agreed(said, *state, newest),
        (Ok(state), Ok(log)) if state.generation == log.generation => forked(said, *state, *log),
        (Ok(state), Ok(log)) if log.generation == state.generation + 1 && newest == log.generation => {
            match &said.manifest {
                Ok(manifest) if manifest.generation < newest => Verdict::Redo { acknowledged: false },
                Ok(manifest) if manifest == log => Verdict::Redo { acknowledged: true },
                Ok(_) => Verdict::Refuse("the log of changes tells of others than were acknowledged".into()),
                Err(_) => Verdict::Redo { acknowledged: false },
            }
        }
        (Ok(state), Ok(log)) if log.generation > state.generation => {
            let (has, made) = (state.generation, log.generation);
            let reason =
                format!("it holds change {has}, and change {made} was made: it lost some, or is an older copy");
            from_log(said, *log, newest, &reason)
        }
        (Ok(state), Err(log)) => from_state(said, *state, newest, log),
        (Ok(state), Ok(_)) => {
            let log = said.torn.as_deref().unwrap_or("it lost changes, or is an older copy");
            from_state(said, *state, newest, log)
        }
        (Err(reason), Ok(log)) => from_log(said, *log, newest, reason),
        (Err(reason), Err(log)) => Verdict::Refuse(format!("{reason}; and it cannot be made anew: {log}")),
    }
}

/// The database and the log tell the same.
fn agreed(said: &Evidence, state: Contents, newest: u64) -> Verdict {
    let manifest = match &said.manifest {
        Ok(manifest) if manifest.generation > state.generation => return Verdict::Refuse(lost(state, newest)),
        Ok(manifest) if fits(manifest, &state) => None,
        Ok(_) => Some("it was an older copy".into()),
        Err(_) if said.fresh && state.generation == 1 => None,
        Err(reason) => Some(reason.clone()),
    };
    Verdict::Whole { log: None, manifest }
}

/// The database and the log are equally far, with different changes: somebody went on with an older copy of one.
fn forked(said: &Evidence, state: Contents, log: Contents) -> Verdict {
    match &said.manifest {
        Ok(manifest) if *manifest == state => {
            Verdict::Whole { log: Some("it told of other changes".into()), manifest: None }
        }
        Ok(manifest) if *manifest == log => Verdict::Heal("it holds other changes than were acknowledged".into()),
        _ => Verdict::Refuse("the database and the log of changes tell of different changes".into()),
    }
}

/// Only the database is whole, or it knows more than the log.
fn from_state(said: &Evidence, state: Contents, newest: u64, log: &str) -> Verdict {
    match &said.manifest {
        _ if newest > state.generation => {
            Verdict::Refuse(format!("{}; and the log of changes cannot help: {log}", lost(state, newest)))
        }
        Err(reason) => Verdict::Refuse(format!("{reason}; and the log of changes cannot vouch for the rest: {log}")),
        Ok(manifest) if fits(manifest, &state) => Verdict::Whole { log: Some(log.into()), manifest: None },
        Ok(manifest) if manifest.generation < state.generation => {
            Verdict::Whole { log: Some(log.into()), manifest: Some("it was an older copy".into()) }
        }
        Ok(_) => Verdict::Refuse("the manifest outside tells of other changes than the database".into()),
    }
}

/// Only the log is whole, or it knows more than the database.
fn from_log(said: &Evidence, log: Contents, newest: u64, reason: &str) -> Verdict {
    match &said.manifest {
        _ if newest > log.generation => Verdict::Refuse(format!(
            "{reason}; and the log of changes ends with change {}, before change {newest}",
            log.generation
        )),
        Err(manifest) => {
            Verdict::Refuse(format!("{reason}; and {manifest}, so nothing vouches for the log of changes"))
        }
        Ok(manifest) if manifest.generation == log.generation && *manifest != log => {
            Verdict::Refuse(format!("{reason}; and the log of changes tells of others than were acknowledged"))
        }
        Ok(_) => Verdict::Heal(reason.into()),
    }
}

/// Whether a manifest outside is that of a state, or of the change before: a crash came between sync and replacement.
pub(super) fn fits(manifest: &Contents, state: &Contents) -> bool {
    manifest == state || manifest.generation.checked_add(1) == Some(state.generation)
}

pub(super) fn lost(state: Contents, newest: u64) -> String {
    let has = state.generation;
    format!(
        "change {newest} was the last one acknowledged, and the database holds change {has}: it lost some, or is an \
         older copy"
    )
}

/// Opens what was found whole, with what stands beside it made anew where it has to be.
fn whole(
    paths: &Paths,
    found: Found,
    log: Option<String>,
    manifest: Option<String>,
    disk: &Disk,
    notices: &Notices,
) -> Result<State, OpenError> {
    let Ok((database, contents)) = found.state else { return Err(damaged(paths, "it is not whole")) };
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::store(&path, error)
    };
    let log = match (log, found.log) {
        (None, Ok(reading)) => reading.resume(&paths.changes).map_err(|error| OpenError::io(&paths.changes, error))?,
        (reason, _) => {
            let reason = reason.unwrap_or_else(|| "it cannot be read".into());
            remake_log(paths, &database, &found.vault, contents, &reason, notices).map_err(at(&paths.changes))?
        }
    };
    if let Some(reason) = &manifest {
        notices.add(format!("the file {} was made anew: {reason}; nothing is lost", paths.manifest.display()));
    }
    let outside = found.manifest.map_or(0, |outside| if manifest.is_some() { 0 } else { outside.generation });
    let head = Head { contents, outside, log };
    let state = State::new(database, found.vault, disk.clone(), paths.clone(), head);
    state.settle().map_err(at(&paths.manifest))?;
    Ok(state)
}

/// Makes the log anew from the database. One that is damaged is kept beside it.
fn remake_log(
    paths: &Paths,
    database: &Database,
    vault: &Vault,
    contents: Contents,
    reason: &str,
    notices: &Notices,
) -> Result<ChangeLog, StoreError> {
    if paths.changes.exists() {
        let aside = files::beside(&paths.changes, "damaged");
        files::rename(&paths.changes, &aside).map_err(|error| StoreError::failed("set a log aside", error))?;
    }
    let log = paths.changes.display();
    notices.add(format!("the log of changes {log} was made anew from the state: {reason}; nothing is lost"));
    state::log_of(paths, database, &vault.keyring(), contents)
}

/// Makes a new state with new data keys. Until its marker is there, it is one that was never used.
fn create(paths: &Paths, master: &MasterKey) -> Result<(), OpenError> {
    let make = || {
        let (keyring, wrapped) =
            Keyring::create(master).map_err(|error| StoreError::Failed { reason: error.to_string() })?;
        healing::create(paths, &keyring, &wrapped, 1, []).map(drop)
    };
    make().map_err(|error| OpenError::store(&paths.state, error))
}

fn first<'a>(paths: &Paths, masters: &'a [MasterKey]) -> Result<&'a MasterKey, OpenError> {
    masters.first().ok_or_else(|| OpenError::io(&paths.state, "no master key was given"))
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

/// The first records of a database, with the manifest inside.
pub(super) fn first_batch<'a>(
    vault: &Vault,
    contents: Contents,
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Batch, StoreError> {
    let mut batch = Batch::default();
    for (key, value) in records {
        batch.insert(key, value.to_vec());
    }
    batch.insert(manifest::KEY, record::encode(manifest::KEY, &Manifest::of(vault, contents))?);
    Ok(batch)
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
