//! Reading a configuration file, within bounds, and only one that can be trusted.
//!
//! Everything is asked of the *opened* file: what is checked is what is read, whatever happens to the name meanwhile.
//! Opening never blocks, so a FIFO in a file's place cannot hang a reload.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat};
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

/// The fingerprints last seen, so that a hint without a change leads to nothing.
#[derive(Debug, Clone, Default)]
pub struct Seen(BTreeMap<Arc<Path>, Fingerprint>);

impl Seen {
    /// Whether a file is not as it was when last asked; the first time it is not.
    pub fn changed(&mut self, source: &Source) -> bool {
        self.0.insert(Arc::clone(&source.file), source.fingerprint) != Some(source.fingerprint)
    }
}

impl Source {
    /// Reads a file. A missing one is no error here: [`Source::follows`] and the caller know whether it may be missing.
    ///
    /// # Errors
    /// When the file cannot be read, is not a regular file, is larger than [`bounds::CONFIG_FILE_BYTES_MAX`], may be
    /// written by anyone, belongs to a stranger, or is not UTF-8.
    pub fn read(file: &Path) -> Result<Self, Report> {
        let named: Arc<Path> = file.into();
        let refuse = |message: String| Report::from(Problem::of_file(&named, message));
        let Some(opened) = open(file).map_err(refuse)? else {
            return Ok(Self { file: named, text: String::new(), fingerprint: Fingerprint::Missing });
        };
        let bytes = read_bounded(opened).map_err(refuse)?;
        let text = String::from_utf8(bytes).map_err(|error| Report::from(not_utf8(&named, &error)))?;
        Ok(Self::from_text(named, text))
    }

    /// A text that was read elsewhere, such as one to be checked before it is saved.
    pub fn from_text(file: impl Into<Arc<Path>>, text: String) -> Self {
        Self { file: file.into(), fingerprint: Fingerprint::of(&text), text }
    }

    /// Whether this reading may take the place of the one before it (none: at start).
    ///
    /// An editor truncates before it writes, and a file may vanish by mistake: a running daemon takes neither for the
    /// wish to have no configuration.
    ///
    /// # Errors
    /// When there was something in the file before and now there is nothing.
    pub fn follows(&self, before: Option<Fingerprint>) -> Result<(), Report> {
        let message = match (before, self.fingerprint) {
            (Some(Fingerprint::Content(_)), Fingerprint::Missing) => "the file has vanished; nothing was changed",
            (Some(Fingerprint::Content(_)), Fingerprint::Empty) => "the file has become empty; nothing was changed",
            _ => return Ok(()),
        };
        Err(Problem::of_file(&self.file, message).into())
    }
}

/// Opens a file that can be trusted; none if there is none.
fn open(file: &Path) -> Result<Option<File>, String> {
    let Some((opened, stat)) = open_regular(file)? else { return Ok(None) };
    trusted(&stat, rustix::process::geteuid().as_raw())?;
    Ok(Some(opened))
}

/// Opens a regular file without ever waiting; none if there is none. Whatever else has its name is refused.
///
/// # Errors
/// When it cannot be opened or examined, or is no regular file.
pub fn open_regular(file: &Path) -> Result<Option<(File, Stat)>, String> {
    // NONBLOCK: a FIFO opens at once, to be refused below. NOCTTY: a terminal must not become ours.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match rustix::fs::open(file, flags, Mode::empty()) {
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
    if stat.st_mode & WORLD_WRITABLE != 0 {
        return Err("may be written by everyone, who could send the keys elsewhere: chmod o-w it".into());
    }
    if stat.st_uid != 0 && stat.st_uid != own_uid {
        let owner = stat.st_uid;
        return Err(format!(
            "belongs to user {owner}, who could send the keys elsewhere: chown it to root or to user {own_uid}"
        ));
    }
    Ok(())
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
