//! Makes a state whole again from its log of changes, or makes one from nothing but records.
//!
//! A damaged database is never written to: it is set aside under another name, whole and for whoever wants to look.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::change_log::{Change, ChangeLog};
use super::database::{Batch, Database};
use super::manifest::{self, Contents, Manifest};
use super::replay::{self, Records};
use super::state::{self, Paths};
use super::witnesses::{Found, damaged};
use super::{Notices, OpenError, StoreError, files, keys, record};
use crate::bounds;
use crate::clock::Clock;
use crate::credential::{Keyring, Vault, WrappedKeys};

/// Brings a database forward that is one change behind its log.
pub(super) fn redo(paths: &Paths, found: Found, acknowledged: bool, notices: &Notices) -> Result<(), OpenError> {
    let Ok((database, _)) = found.state else { return Err(damaged(paths, "it is not whole")) };
    let (records, contents) = from_log(paths, &found.keyring_of_log)?;
    let make = || {
        let mut batch = Batch::default();
        let before = state::all(&database)?;
        before.keys().filter(|key| !records.contains_key(*key)).for_each(|key| batch.remove(key));
        for (key, value) in records.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
            batch.insert(key, value.clone());
        }
        let manifest = Manifest::of(&found.vault, contents);
        batch.insert(manifest::KEY, record::encode(manifest::KEY, &manifest)?);
        database.commit(batch)
    };
    make().map_err(|error| OpenError::store(&paths.state, error))?;
    if acknowledged {
        notices.add(format!(
            "the state in {} had lost change {}, which was made again from the log of changes; nothing is lost",
            paths.state.display(),
            contents.generation
        ));
    }
    Ok(())
}

/// Makes the database anew from the log, and sets the damaged one aside.
pub(super) fn rebuild(paths: &Paths, found: Found, reason: &str, notices: &Notices) -> Result<(), OpenError> {
    let (records, contents) = from_log(paths, &found.keyring_of_log)?;
    // It is closed before it is renamed.
    drop(found.state);
    let aside =
        set_aside(paths, &found.vault, &records, contents).map_err(|error| OpenError::store(&paths.state, error))?;
    let kept =
        aside.map_or_else(String::new, |aside| format!(", and the damaged one is set aside in {}", aside.display()));
    notices.add(format!(
        "the state in {} was damaged ({reason}): it was made anew from the log of changes, up to change {}{kept}; \
         nothing that was acknowledged is lost",
        paths.state.display(),
        contents.generation
    ));
    Ok(())
}

fn from_log(paths: &Paths, keyring: &Keyring) -> Result<(Records, Contents), OpenError> {
    replay::records(&paths.changes, keyring).map_err(|error| damaged(paths, error))
}

/// Makes the new database under another name, then moves the damaged one away and the new one into its place. A crash
/// between the two leaves a state that is gone, which is healed in the same way.
fn set_aside(
    paths: &Paths,
    vault: &Vault,
    records: &Records,
    contents: Contents,
) -> Result<Option<PathBuf>, StoreError> {
    let failed = |error: io::Error| StoreError::failed("set the damaged state aside", error);
    let healed = files::beside(&paths.state, "healed");
    files::remove_directory(&healed).map_err(failed)?;
    let entries = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    Database::create(&healed, bounds::STATE_CACHE_BYTES, first_batch(vault, contents, entries)?)?;
    let mut aside = None;
    if paths.state.symlink_metadata().is_ok() {
        let free = free_name(&paths.state);
        files::rename(&paths.state, &free).map_err(failed)?;
        aside = Some(free);
    }
    files::rename(&healed, &paths.state).map_err(failed)?;
    if let Err(error) = forget_older(&paths.state) {
        tracing::debug!(%error, "an older damaged state could not be removed");
    }
    Ok(aside)
}

/// A name beside the state that tells when it was damaged, and that nothing has yet.
fn free_name(state: &Path) -> PathBuf {
    let now_s = Clock::system().wall_ms() / 1_000;
    let name = |count: u32| files::beside(state, &format!("damaged-{}", now_s + i64::from(count)));
    (0..).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(0))
}

/// The damaged states that are set aside, oldest first.
pub(super) fn all_aside(state: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(dir) = state.parent() else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("state.damaged-")) {
            all.push(entry.path());
        }
    }
    all.sort();
    Ok(all)
}

fn forget_older(state: &Path) -> io::Result<()> {
    let all = all_aside(state)?;
    let older = all.len().saturating_sub(bounds::STATES_SET_ASIDE_MAX);
    all.iter().take(older).try_for_each(|path| files::remove_directory(path))
}

/// Makes a state of records, its log first, under keys that are given. The keys' record is added to them.
pub(super) fn create(
    paths: &Paths,
    keyring: &Keyring,
    wrapped: &WrappedKeys,
    generation: u64,
    records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
) -> Result<Contents, StoreError> {
    let vault = Vault::new(keyring.clone());
    let mut all: Records = records.into_iter().collect();
    let (key, value): Change = state::encoded(keys::KEY.to_vec(), wrapped)?;
    all.extend(value.map(|value| (key, value)));
    let mut contents = Contents { generation, ..Contents::default() };
    all.iter().for_each(|(key, value)| contents.add(&vault, key, value));
    let entries = || all.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    ChangeLog::create(&paths.changes, wrapped, keyring, contents, entries())?;
    Database::create(&paths.state, bounds::STATE_CACHE_BYTES, first_batch(&vault, contents, entries())?)?;
    Ok(contents)
}

/// The first records of a database, with the manifest inside.
fn first_batch<'a>(
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
