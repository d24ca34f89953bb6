//! Reading a configuration file, within bounds, and only one that can be trusted.
//!
//! Everything is asked of the *opened* file: what is checked is what is read, whatever happens to the name meanwhile.
//! Opening never blocks, so a FIFO in a file's place cannot hang a reload.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::problem::{Problem, Report};
use crate::bounds;

/// Write permission for everybody.
const WORLD_WRITABLE: u32 = 0o002;

/// A configuration file's text, and what it takes to see that it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, as it is named in problems.
    pub file: Arc<Path>,
    /// Its text; empty if the file is missing.
    pub text: String,
    /// What to compare with the next reading.
    pub fingerprint: Fingerprint,
}

/// What was in a file. Two readings with the same fingerprint need not be checked twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// There was no file.
    Missing,
    /// There was nothing in it but white space: a file that is about to be written looks like this.
    Empty,
    /// There was something in it, with this SHA-256.
    Content([u8; 32]),
}

impl Fingerprint {
    fn of(text: &str) -> Self {
        if text.trim().is_empty() { Self::Empty } else { Self::Content(Sha256::digest(text.as_bytes()).into()) }
    }
}

impl Source {
    /// Reads a file. A missing one is no error here: what follows it and the caller know whether it may be missing.
    ///
    /// # Errors
    /// When the file cannot be read, is not a regular file, is larger than [`bounds::CONFIG_FILE_BYTES_MAX`], may be
    /// written by anyone, belongs to a stranger, or is not UTF-8.
    pub fn read(file: &Path) -> Result<Self, Report> {
        Self::read_opened(file.into(), open_regular(file))
    }

    /// A text that was read elsewhere, such as one to be checked before it is saved.
    pub fn from_text(file: impl Into<Arc<Path>>, text: String) -> Self {
        Self { file: file.into(), fingerprint: Fingerprint::of(&text), text }
    }

    /// Reads a file of an open directory.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(super) fn read_in(directory: BorrowedFd<'_>, name: &OsStr, file: &Path) -> Result<Self, Report> {
        Self::read_opened(file.into(), open_at(directory, Path::new(name)))
    }

    fn read_opened(named: Arc<Path>, opened: Result<Option<(File, Stat)>, String>) -> Result<Self, Report> {
        let refuse = |message: String| Report::from(Problem::of_file(&named, message));
        let Some((opened, stat)) = opened.map_err(refuse)? else {
            return Ok(Self { file: named, text: String::new(), fingerprint: Fingerprint::Missing });
        };
        trusted(&stat, rustix::process::geteuid().as_raw()).map_err(refuse)?;
        let bytes = read_bounded(opened).map_err(refuse)?;
        let text = String::from_utf8(bytes).map_err(|error| Report::from(not_utf8(&named, &error)))?;
        Ok(Self::from_text(named, text))
    }

    /// Whether there was nothing in the file but white space, or no file.
    pub fn is_blank(&self) -> bool {
        !matches!(self.fingerprint, Fingerprint::Content(_))
    }
}

/// Whether what was read may take the place of what was read before (none: at start).
///
/// An editor truncates before it writes, and a file may vanish by mistake: a running daemon takes neither for the wish to
/// have no configuration. `may_go` tells which files are taken away by deleting them, as fragments are.
///
/// # Errors
/// When there was something in a file before and now there is nothing: all such files at once.
pub(super) fn follows(
    now: &[Source],
    before: Option<&[Source]>,
    may_go: impl Fn(&Source) -> bool,
) -> Result<(), Report> {
    let mut report = Report::default();
    for old in before.unwrap_or_default().iter().filter(|old| !old.is_blank()) {
        let new = now.iter().find(|new| new.file == old.file).map_or(Fingerprint::Missing, |new| new.fingerprint);
        let message = match new {
            Fingerprint::Missing if !may_go(old) => "the file has vanished; nothing was changed",
            Fingerprint::Empty => "the file has become empty; nothing was changed",
            _ => continue,
        };
        report.errors.push(Problem::of_file(&old.file, message));
    }
    if report.errors.is_empty() { Ok(()) } else { Err(report) }
}

/// Opens a regular file without ever waiting; none if there is none. Whatever else has its name is refused.
///
/// # Errors
/// When it cannot be opened or examined, or is no regular file.
pub fn open_regular(file: &Path) -> Result<Option<(File, Stat)>, String> {
    open_at(CWD, file)
}

fn open_at(directory: BorrowedFd<'_>, file: &Path) -> Result<Option<(File, Stat)>, String> {
    // NONBLOCK: a FIFO opens at once, to be refused below. NOCTTY: a terminal must not become ours.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match rustix::fs::openat(directory, file, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(format!("cannot be opened: {}", std::io::Error::from(error))),
    };
    let stat =
        rustix::fs::fstat(&opened).map_err(|error| format!("cannot be examined: {}", std::io::Error::from(error)))?;
    regular(&stat)?;
    Ok(Some((File::from(opened), stat)))
}

fn regular(stat: &Stat) -> Result<(), String> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::RegularFile {
        let found = match kind {
            FileType::Directory => "a directory",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            _ => "a device",
        };
        return Err(format!("is {found}, not a file"));
    }
    Ok(())
}

/// Whoever can write the file can send the keys elsewhere; so only root and the daemon's own user may.
pub(super) fn trusted(stat: &Stat, own_uid: u32) -> Result<(), String> {
    regular(stat)?;
    guarded(stat, own_uid)
}

/// Whether only root and the daemon's own user may change a file, or what is in a directory.
pub(super) fn guarded(stat: &Stat, own_uid: u32) -> Result<(), String> {
    if stat.st_mode & WORLD_WRITABLE != 0 {
        return Err("may be written by everyone, who could send the keys elsewhere: chmod o-w it".into());
    }
    match stranger(stat.st_uid, own_uid) {
        None => Ok(()),
        Some((owner, chown)) => Err(format!("{owner}, who could send the keys elsewhere: {chown}")),
    }
}

/// Whom a file belongs to, and what to do about it, where that is neither root nor the daemon's own user.
pub fn stranger(owner: u32, own_uid: u32) -> Option<(String, String)> {
    if owner == 0 || owner == own_uid {
        return None;
    }
    let own = if own_uid == 0 { String::new() } else { format!(" or to user {own_uid}") };
    Some((format!("belongs to user {owner}"), format!("chown it to root{own}")))
}

fn read_bounded(opened: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    opened
        .take(bounds::CONFIG_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > bounds::CONFIG_FILE_BYTES_MAX {
        return Err(format!("is larger than {} bytes", bounds::CONFIG_FILE_BYTES_MAX));
    }
    Ok(bytes)
}

fn not_utf8(file: &Arc<Path>, error: &std::string::FromUtf8Error) -> Problem {
    let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
    Problem { line: u32::try_from(line).ok(), ..Problem::of_file(file, "is not UTF-8 text: save it as UTF-8") }
}
