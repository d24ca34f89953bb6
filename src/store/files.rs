//! The store's own files and directories: private, and synced where something is promised about them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

#[cfg(test)]
use super::testing::passed;

/// What was done to files, told after it was done: tests end the process, or the power, between any two.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests look at them"))]
pub(super) enum Step<'a> {
    /// A file's bytes are durable.
    Synced(&'a Path),
    /// The names in a directory are durable.
    SyncedDirectory(&'a Path),
    /// Something else was changed at a path.
    Changed(&'a Path),
}

#[cfg(not(test))]
fn passed(_: Step<'_>) {}

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes a directory that only its owner enters, with the ones above it; one that is there is made private.
pub(super) fn private_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(DIRECTORY_MODE))
}

/// Makes everything in a directory private and durable: the database's makers create files under the umask and sync
/// them as they see fit.
pub(super) fn settle(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            settle(&path)?;
        } else {
            fs::set_permissions(&path, Permissions::from_mode(FILE_MODE))?;
            sync(&File::open(&path)?, &path)?;
        }
    }
    fs::set_permissions(dir, Permissions::from_mode(DIRECTORY_MODE))?;
    sync_directory(dir)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    passed(Step::SyncedDirectory(dir));
    Ok(())
}

/// Makes a file's bytes durable, with its length.
pub(super) fn sync(file: &File, path: &Path) -> io::Result<()> {
    file.sync_data()?;
    passed(Step::Synced(path));
    Ok(())
}

/// Makes durable that something was created, renamed or removed at this path.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_directory)
}

/// Opens a private file for reading and writing, creating it.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)
}

/// A file that is written under another name, and takes its place as a whole: after a crash the old one is there or the
/// new one.
pub(super) struct Fresh {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    bytes: u64,
}

impl Fresh {
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        let path = beside(target, "new");
        remove_file(&path)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        Ok(Self { file: BufWriter::new(file), path, target: target.into(), bytes: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Makes it durable under its name; gives the open file and its bytes.
    pub(super) fn put_in_place(self) -> io::Result<(File, u64)> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        sync(&file, &self.path)?;
        rename(&self.path, &self.target)?;
        Ok((file, self.bytes))
    }
}

/// Replaces a file as a whole and durably: after a crash it holds the old bytes or the new ones.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut fresh = Fresh::create(path)?;
    fresh.write(bytes)?;
    fresh.put_in_place().map(drop)
}

/// Removes a file, if it is there.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => {
            removed?;
            passed(Step::Changed(path));
            Ok(())
        }
    }
}

/// A file's bytes, if it is there.
pub(super) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves something and makes that durable.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    passed(Step::Changed(to));
    if from.parent() != to.parent() {
        sync_parent(from)?;
    }
    sync_parent(to)
}

/// Removes a directory with all that is in it, if it is there.
pub(super) fn remove_directory(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            passed(Step::Changed(dir));
            Ok(())
        }
    }
}

/// What a directory with all that is in it takes of the disk.
pub(super) fn bytes_on_disk(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let of = entry.metadata()?;
        bytes += of.blocks() * 512;
        if of.is_dir() {
            bytes += bytes_on_disk(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// The same path with a suffix after a dot.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// One process at a time: a locked file that holds its pid. The lock goes with the process, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why the lock could not be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another holds it; its pid, where the file tells.
    Held(Option<u32>),
    /// The file cannot be opened or written.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock, or says at once who has it.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = private_file(path).map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        let line = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(line.as_bytes())).map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private_and_what_is_found_becomes_so() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        private_directory(&root).unwrap();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/file"), "x").unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        settle(&root).unwrap();
        replace(&root.join("whole"), b"y").unwrap();
        assert_eq!([&root, &root.join("sub")].map(|path| mode(path)), [0o700; 2]);
        assert_eq!([root.join("sub/file"), root.join("whole")].map(|path| mode(&path)), [0o600; 2]);
    }

    #[test]
    fn the_second_is_told_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(LockError::Held(Some(pid))) if pid == std::process::id()));
        drop(first);
        Lock::take(&path).unwrap();
    }
}
