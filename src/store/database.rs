//! One database on disk, with what sled 0.34.7 lacks: a sync that is one, an open that comes back, calls that do not
//! unwind. Only this folder names sled.
//!
//! - `flush` does not fsync on Linux, so each commit syncs the database's files after it.
//! - Opening a damaged database may panic or never return, so it runs in a thread of its own that catches the one and
//!   may be abandoned for the other.
//! - A database that is being made has another name until it is whole: what has the right name was whole once.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use super::StoreError;
use super::files;
use crate::bounds;

/// How often opening is tried while sled's own lock lingers: it can outlive the drop of a database for a moment.
const LOCK_TRIES: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// An open database of one tree.
pub(super) struct Database {
    /// None only while it is dropped.
    sled: Option<sled::Db>,
    dir: PathBuf,
    log: File,
    large_values: Mutex<HashSet<OsString>>,
    failed: AtomicBool,
}

/// A key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// Changes that become visible and durable together.
#[derive(Default)]
pub(super) struct Batch(sled::Batch);

impl Batch {
    pub(super) fn insert(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

impl Database {
    /// Makes a database with its first records, whole and durable before it bears its name.
    pub(super) fn create(dir: &Path, cache_bytes: u64, first: Batch) -> Result<(), StoreError> {
        let fresh = files::beside(dir, "new");
        let failed = |error| StoreError::failed("create a database", error);
        files::remove_directory(&fresh).map_err(failed)?;
        files::private_directory(&fresh).map_err(failed)?;
        let path = fresh.clone();
        guarded(move || Self::start(&path, cache_bytes)?.commit(first))?;
        files::settle(&fresh).map_err(failed)?;
        files::rename(&fresh, dir).map_err(failed)
    }

    /// Opens a database that is there and looks at all of it: `check` reads what its caller needs. Neither can panic
    /// or hang here.
    pub(super) fn open<T: Send + 'static>(
        dir: &Path,
        cache_bytes: u64,
        check: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<(Self, T), StoreError> {
        let dir = dir.to_owned();
        guarded(move || {
            // sled would make what is missing, and call it empty.
            if let Some(missing) = ["conf", "db"].iter().find(|name| !dir.join(name).is_file()) {
                return Err(StoreError::Damaged { reason: format!("the file {missing:?} is missing") });
            }
            let database = Self::start(&dir, cache_bytes)?;
            let found = check(&database)?;
            Ok((database, found))
        })
    }

    /// Makes a database in its place. What a crash leaves half made is damaged: this is for one that may be lost.
    pub(super) fn make(dir: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        guarded(move || Self::start(&dir, cache_bytes))
    }

    fn start(dir: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let failed = |error| StoreError::failed("open a database", error);
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None);
        let mut tries = 1;
        let sled = loop {
            match config.open() {
                Err(sled::Error::Io(error)) if is_lock(&error) && tries < LOCK_TRIES => {
                    tries += 1;
                    thread::sleep(LOCK_PAUSE);
                }
                other => break other.map_err(|error| translate("open a database", error))?,
            }
        };
        files::settle(dir).map_err(failed)?;
        let log = File::open(dir.join("db")).map_err(failed)?;
        let large_values = Mutex::new(large_values(dir).map_err(failed)?);
        Ok(Self { sled: Some(sled), dir: dir.into(), log, large_values, failed: AtomicBool::new(false) })
    }

    /// Whether an earlier write failed, so that nothing more is written.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The directory that it is in.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.call("read", |sled| Ok(sled.get(key)?.map(|value| value.to_vec())))
    }

    /// Shows each key that begins with a prefix, with its value, in order, until the visitor has seen enough.
    pub(super) fn visit(
        &self,
        prefix: &[u8],
        mut visitor: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.call("read", |sled| {
            for entry in sled.scan_prefix(prefix) {
                let (key, value) = entry?;
                match visitor(&key, &value) {
                    Ok(true) => {}
                    Ok(false) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(()))
        })?
    }

    /// The entries after a key, in order, until they have so many bytes; all but the last of them have fewer.
    pub(super) fn entries_after(&self, after: Option<&[u8]>, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.call("read", |sled| {
            let (mut entries, mut read) = (Vec::new(), 0);
            for entry in sled.range::<&[u8], _>((after.map_or(Unbounded, Excluded), Unbounded)) {
                let (key, value) = entry?;
                read += key.len() + value.len();
                entries.push((key.to_vec(), value.to_vec()));
                if read >= bytes {
                    break;
                }
            }
            Ok(entries)
        })
    }

    /// Makes changes visible and durable: when this returns, neither a crash nor a power loss takes them back.
    ///
    /// After one that failed nothing more is written, because a failed sync cannot be tried again: what the kernel
    /// dropped is gone. Reading goes on; opening the database anew tells what is there.
    pub(super) fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Failed { reason: "an earlier write failed: reopen the store".into() });
        }
        let done = self.call("write", |sled| {
            sled.apply_batch(batch.0)?;
            sled.flush()
        });
        let synced = done.and_then(|_| self.sync().map_err(|error| StoreError::failed("sync", error)));
        if synced.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        synced
    }

    fn sync(&self) -> io::Result<()> {
        files::sync(&self.log, &self.dir.join("db"))?;
        let now = large_values(&self.dir)?;
        let mut known = self.large_values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = now.difference(&known).peekable();
        if fresh.peek().is_some() {
            for name in fresh {
                // One that is gone again was replaced in the meantime.
                let path = large_values_path(&self.dir).join(name);
                match File::open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    file => files::sync(&file?, &path)?,
                }
            }
            files::sync_directory(&large_values_path(&self.dir))?;
        }
        *known = now;
        Ok(())
    }

    /// Calls sled; a panic inside it is damage, not the end of the process.
    fn call<T>(&self, action: &'static str, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        let Some(sled) = &self.sled else {
            return Err(StoreError::Failed { reason: "the database is closed".into() });
        };
        match catch_unwind(AssertUnwindSafe(|| call(sled))) {
            Ok(result) => result.map_err(|error| translate(action, error)),
            Err(_) => {
                self.failed.store(true, Ordering::Release);
                Err(StoreError::Damaged { reason: format!("the database panicked in a {action}") })
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // sled flushes and syncs when it goes, and panics if that fails; every commit was synced before.
        let sled = self.sled.take();
        if catch_unwind(AssertUnwindSafe(|| drop(sled))).is_err() {
            tracing::warn!(dir = %self.dir.display(), "a database could not be closed in order");
        }
    }
}

/// Runs what may panic or hang on damaged files in a thread of its own, for a bounded time.
///
/// The one place below `daemon/` that spawns: the thread is joined in effect by its answer, and abandoned only when it
/// hangs in sled, in which case the store refuses to open or sets the database aside.
pub(super) fn guarded<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    guarded_for(bounds::STORE_OPEN_TIMEOUT, task)
}

fn guarded_for<T: Send + 'static>(
    timeout: Duration,
    task: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, result) = mpsc::sync_channel(1);
    let run = move || {
        let _ = answer.send(catch_unwind(AssertUnwindSafe(task)));
    };
    thread::Builder::new()
        .name("store-open".into())
        .spawn(run)
        .map_err(|error| StoreError::failed("start a thread", error))?;
    match result.recv_timeout(timeout) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(StoreError::Damaged { reason: "the database panicked while it was read".into() }),
        Err(_) => Err(StoreError::Damaged {
            reason: format!("reading the database took longer than {} s", timeout.as_secs()),
        }),
    }
}

/// Values that sled keeps in files of their own: larger ones, and nodes that grew large.
fn large_values(dir: &Path) -> io::Result<HashSet<OsString>> {
    fs::read_dir(large_values_path(dir))?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

fn large_values_path(dir: &Path) -> PathBuf {
    dir.join("blobs")
}

/// sled reports its lock as an error of no kind.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Whether the file system did its part, and what it gave makes no sense.
fn speaks_of_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof)
}

fn translate(action: &'static str, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            StoreError::Full { free: 0, needed: bounds::DISK_FREE_BYTES_MIN }
        }
        sled::Error::Io(error) if !speaks_of_damage(&error) => StoreError::failed(action, error),
        other => StoreError::Damaged { reason: format!("failed to {action}: {other}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_hang_are_damage_and_come_back() {
        let panicked = guarded::<()>(|| panic!("as sled does")).unwrap_err();
        assert!(matches!(panicked, StoreError::Damaged { .. }), "{panicked}");
        let forever = || {
            thread::sleep(Duration::from_secs(3_600));
            Ok(())
        };
        let hung = guarded_for(Duration::from_millis(20), forever).unwrap_err();
        assert!(hung.to_string().contains("took longer"), "{hung}");
    }
}
