//! From one format of the state directory to the next, and back.
//!
//! Each step is a file with an up and a down. Steps run in order, up when the store is opened, or either way by
//! `bursar store migrate`. Before the first one everything is backed up, sealed under the master key, into `backups/`.
//!
//! What must stay true: until the marker names the new format, the directory opens in the old one; and a step that was
//! cut off at any point can be taken again from its beginning.

mod to_2;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::backup::{self, Source};
use super::disk::Disk;
use super::layout::{self, Layout};
use super::manifest::Contents;
use super::replay::Records;
use super::state::Paths;
use super::{BackupError, Notices, OpenError, files};
use crate::credential::{BackupKey, MasterKey, Vault};

/// What a step works on.
pub(super) struct Place<'a> {
    pub(super) dir: &'a Path,
    pub(super) paths: &'a Paths,
    pub(super) masters: &'a [MasterKey],
    pub(super) disk: &'a Disk,
    pub(super) notices: &'a Notices,
}

/// The way between a format and the one before it.
struct Step {
    /// Reads what is backed up before the step up.
    before_up: fn(&Place<'_>) -> Result<Before, OpenError>,
    /// Makes all that the newer format has, leaving all that the older one needs.
    up: fn(&Place<'_>) -> Result<(), OpenError>,
    /// Removes what only the older one needs. Called again whenever a store is opened.
    after_up: fn(&Place<'_>) -> io::Result<()>,
    /// As the three above, the other way.
    before_down: fn(&Place<'_>) -> Result<Before, OpenError>,
    down: fn(&Place<'_>) -> Result<(), OpenError>,
    after_down: fn(&Place<'_>) -> io::Result<()>,
}

/// A state before a step.
struct Before {
    records: Records,
    contents: Contents,
    vault: Vault,
}

/// The step to format 2, to format 3, …
const STEPS: [Step; 1] = [to_2::STEP];
/// The oldest format that there is a way back to.
const OLDEST: u32 = 1;

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The format before.
    pub from: u32,
    /// The format now.
    pub to: u32,
    /// The backup that was made; none where there was nothing to do.
    pub backup: Option<PathBuf>,
}

/// Brings a directory to a format, if it is in another one.
pub(super) fn run(place: &Place<'_>, to: u32) -> Result<Migrated, OpenError> {
    let from = format(place)?;
    let mut migrated = Migrated { from, to, backup: None };
    if !(OLDEST..=layout::CURRENT).contains(&to) {
        let reason = format!("there is no format {to}: this version knows {OLDEST} to {}", layout::CURRENT);
        return Err(OpenError::io(place.dir, reason));
    }
    let mut now = from;
    while now != to {
        let up = now < to;
        let step = step(if up { now + 1 } else { now })?;
        let (before, act, after) =
            if up { (step.before_up, step.up, step.after_up) } else { (step.before_down, step.down, step.after_down) };
        let next = if up { now + 1 } else { now - 1 };
        tracing::info!(from = now, to = next, "the store is brought to another format");
        if migrated.backup.is_none() {
            migrated.backup = Some(back_up(place, next, &before(place)?)?);
        }
        act(place)?;
        layout::mark(place.paths, next)?;
        after(place).map_err(|error| OpenError::io(place.dir, error))?;
        now = next;
    }
    if to == layout::CURRENT {
        // What a crash kept from being removed.
        (step(to)?.after_up)(place).map_err(|error| OpenError::io(place.dir, error))?;
    }
    Ok(migrated)
}

fn step(to: u32) -> Result<&'static Step, OpenError> {
    static ALL: [Step; 1] = STEPS;
    let at = usize::try_from(to.saturating_sub(OLDEST + 1)).unwrap_or(usize::MAX);
    ALL.get(at).ok_or_else(|| OpenError::io(Path::new("store"), format!("there is no step to format {to}")))
}

/// The format that a directory is in; that of this version where there is nothing yet.
fn format(place: &Place<'_>) -> Result<u32, OpenError> {
    let Paths { state, changes, .. } = place.paths;
    match layout::read(place.paths)? {
        Layout::Format(format) => Ok(format),
        Layout::Newer(found, writer) => {
            Err(OpenError::Newer { dir: place.dir.into(), found, known: layout::CURRENT, writer })
        }
        // The log came with format 2, and is the first thing that is made of a new store.
        Layout::Unmarked if state.exists() && !changes.exists() => Ok(1),
        Layout::Unmarked => Ok(layout::CURRENT),
        Layout::Altered if changes.exists() => {
            place.notices.add("the file \"initialized\" was altered, and was made anew; nothing is lost".into());
            Ok(layout::CURRENT)
        }
        Layout::Altered => Err(super::witnesses::damaged(place.paths, "the file \"initialized\" was altered")),
    }
}

/// Writes the backup before a step, under the master key. One of the same state is there already where a step is taken
/// again.
fn back_up(place: &Place<'_>, next: u32, before: &Before) -> Result<PathBuf, OpenError> {
    let dir = place.dir.join("backups");
    let io = |error: io::Error| OpenError::io(&dir, error);
    let path = dir.join(format!("before-format-{next}-change-{}.backup", before.contents.generation));
    if path.exists() {
        return Ok(path);
    }
    files::private_directory(&dir).and_then(|()| files::sync_directory(place.dir)).map_err(io)?;
    let master = place.masters.first().ok_or_else(|| OpenError::io(&dir, "no master key was given"))?;
    let key = BackupKey::from_key(master).map_err(|error| OpenError::io(&path, error))?;
    let source = Source { records: &before.records, contents: before.contents, vault: &before.vault, rest: None };
    write_file(&path, |out| backup::write(&source, &key, out).map(drop)).map_err(|error| match error {
        BackupError::Store(error) => OpenError::store(&path, error),
        other => OpenError::io(&path, other),
    })?;
    Ok(path)
}

/// Writes a file under another name, and gives it its own once it is whole and durable.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let fresh = files::beside(path, "new");
    files::remove_file(&fresh)?;
    let mut out = BufWriter::new(files::private_file(&fresh)?);
    write(&mut out)?;
    out.flush()?;
    files::sync(out.get_ref(), &fresh)?;
    Ok(files::rename(&fresh, path)?)
}
