//! How a state is opened: what there is of it is looked at (`witnesses.rs`), judged (`verdict.rs`), and one of three
//! things follows. It is whole; or it can be made whole again, and that is done and said; or it is refused, and nothing
//! is changed.

use std::path::Path;

use super::change_log::ChangeLog;
use super::database::Database;
use super::disk::Disk;
use super::manifest::Contents;
use super::state::{self, Head, Paths, State};
use super::verdict::{Verdict, decide};
use super::witnesses::{Found, damaged, look};
use super::{Notices, OpenError, StoreError, files, healing};
use crate::credential::{Keyring, MasterKey, Vault};

/// How often what was found may be mended: what a crash left, and damage beside it.
const MENDINGS_MAX: u32 = 3;

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
