//! The state directory itself, where no daemon has it open.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, initgroups, setgid, setuid};

use crate::admin::keys;
use crate::cli::exit::{Exit, Failed};
use crate::cli::{Global, locate};
use crate::credential::MasterKey;
use crate::store::{OpenError, Store};

/// Where the store is.
pub(super) fn directory(global: &Global) -> Result<PathBuf, Failed> {
    Ok(locate::daemon(global.config.as_deref(), &locate::environment())?.store_path)
}

/// Nothing was stored as yet.
pub(in crate::cli) fn none(dir: &Path) -> Failed {
    Failed::state(format!("there is no store in {}: the daemon makes one when it first starts", dir.display()))
}

/// Where the store is, and the master keys that may open it.
pub(super) fn place(global: &Global) -> Result<(PathBuf, Vec<MasterKey>), Failed> {
    let daemon = locate::daemon(global.config.as_deref(), &locate::environment())?;
    let masters = keys::load_all_of(&daemon.keys, keys::daemon_uid(&daemon.store_path)).map_err(|error| {
        Failed::state(format!(
            "{error}. Where the key is a systemd credential: `systemd-run --pipe --wait --uid=bursar \
             -p LoadCredentialEncrypted=bursar-master-key bursar store …`"
        ))
    })?;
    Ok((daemon.store_path, masters))
}

/// Opens the store, as its owner.
pub(in crate::cli) fn open(global: &Global) -> Result<Store, Failed> {
    let (dir, masters) = place(global)?;
    if !dir.is_dir() {
        return Err(none(&dir));
    }
    of_this_format(&dir)?;
    become_owner(&dir)?;
    Store::open_with(&dir, &masters).map_err(failed)
}

/// Refuses a store of an older format: to open it would bring it to this one, and somebody may have taken it back to that
/// for an older version's sake.
fn of_this_format(dir: &Path) -> Result<(), Failed> {
    let known = Store::FORMAT;
    match Store::format(dir).filter(|format| *format < known) {
        None => Ok(()),
        Some(format) => Err(Failed::state(format!(
            "the store in {} has format {format}, and this would bring it to {known}: nothing was changed. `bursar store \
             migrate` does that, after a backup; so does the daemon when it starts",
            dir.display()
        ))),
    }
}

/// Opens the store as whoever runs this, does something with it, and leaves all of it to its owner.
pub(super) fn with_store<T>(global: &Global, work: impl FnOnce(&Store) -> Result<T, Failed>) -> Result<T, Failed> {
    let (dir, masters) = place(global)?;
    if !dir.is_dir() {
        return Err(none(&dir));
    }
    of_this_format(&dir)?;
    let store = Store::open_with(&dir, &masters).map_err(failed)?;
    let done = work(&store);
    drop(store);
    let owner = fs::metadata(&dir).and_then(|meta| give_back(&dir, meta.uid(), meta.gid()));
    owner.map_err(|error| {
        Failed::state(format!("the files in {} could not be left to their owner: {error}", dir.display()))
    })?;
    done
}

/// Makes somebody the owner of all that is in a directory.
fn give_back(dir: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        if meta.uid() != uid {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
        }
        if meta.is_dir() {
            give_back(&path, uid, gid)?;
        }
    }
    Ok(())
}

/// Goes on as the owner of a directory, so that the daemon can read and write what is made there.
pub(super) fn become_owner(dir: &Path) -> Result<(), Failed> {
    let Ok(meta) = fs::metadata(dir) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || meta.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    let denied = |error| Failed::new(Exit::NotPermitted, format!("failed to go on as the store's owner: {error}"));
    let user = User::from_uid(uid).map_err(denied)?;
    let name = user.and_then(|user| std::ffi::CString::new(user.name).ok());
    match name {
        Some(name) => initgroups(&name, gid).map_err(denied)?,
        None => nix::unistd::setgroups(&[gid]).map_err(denied)?,
    }
    setgid(gid).and_then(|()| setuid(uid)).map_err(denied)
}

pub(super) fn failed(error: OpenError) -> Failed {
    let advice = if matches!(error, OpenError::InUse { .. }) { ": stop the daemon first" } else { "" };
    Failed::new(Exit::of(error.exit_code()), format!("{error}{advice}"))
}
