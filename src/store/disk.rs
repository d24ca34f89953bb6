//! Room on the disk: asked before each commit, because the database cannot be reopened after it ran into a full disk.
//!
//! A reserve file holds some room back. It is given up when the store must open on a full disk, and made again once
//! there is room in plenty.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::StoreError;
use super::files;
use crate::bounds;

/// Asks for the free bytes of the file system that a path is on.
pub(crate) type FreeBytes = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What the system says: the bytes that this user may still write.
pub(super) fn free_bytes() -> FreeBytes {
    Arc::new(|path| {
        let stat = statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    })
}

/// The disk under the store's directory. Cheap to clone.
#[derive(Clone)]
pub(super) struct Disk(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    free: FreeBytes,
    reserved: AtomicBool,
}

impl Disk {
    /// Looks at the disk under a directory; gives up the reserve file if the store could not open otherwise.
    pub(super) fn new(dir: &Path, free: FreeBytes) -> io::Result<Self> {
        let reserve = reserve_path(dir);
        let inner = Inner { dir: dir.into(), free, reserved: AtomicBool::new(reserve.exists()) };
        if (inner.free)(dir)? < bounds::DISK_FREE_BYTES_MIN && inner.reserved.swap(false, Ordering::Relaxed) {
            fs::remove_file(reserve)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// As [`Disk::new`], for a directory that needs no reserve of its own.
    pub(super) fn unreserved(dir: &Path, free: FreeBytes) -> Self {
        Self(Arc::new(Inner { dir: dir.into(), free, reserved: AtomicBool::new(true) }))
    }

    /// Whether there is room for a commit. Makes the reserve file again once there is plenty.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is not.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        let free = (inner.free)(&inner.dir).map_err(|error| StoreError::failed("measure the free space", error))?;
        if free < bounds::DISK_FREE_BYTES_MIN {
            return Err(StoreError::Full { free, needed: bounds::DISK_FREE_BYTES_MIN });
        }
        let plenty = bounds::DISK_RESERVE_BYTES + 2 * bounds::DISK_FREE_BYTES_MIN;
        if free >= plenty && !inner.reserved.swap(true, Ordering::Relaxed) {
            self.reserve();
        }
        Ok(())
    }

    /// Makes the reserve file. That it fails is no reason to fail a commit.
    fn reserve(&self) {
        let path = reserve_path(&self.0.dir);
        let made = files::private_file(&path).and_then(|file| {
            fallocate(&file, FallocateFlags::empty(), 0, bounds::DISK_RESERVE_BYTES).map_err(io::Error::from)
        });
        if let Err(error) = made {
            tracing::debug!(path = %path.display(), %error, "no reserve file could be made");
        }
    }
}

fn reserve_path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({})", self.0.dir.display())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn the_reserve_is_given_up_on_a_full_disk_and_made_again_in_plenty() {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let ask: FreeBytes = {
            let free = free.clone();
            Arc::new(move |_| Ok(free.load(Ordering::Relaxed)))
        };
        let disk = Disk::new(dir.path(), ask.clone()).unwrap();
        disk.check().unwrap();
        let reserve = reserve_path(dir.path());
        assert_eq!(fs::metadata(&reserve).unwrap().len(), bounds::DISK_RESERVE_BYTES);

        free.store(bounds::DISK_FREE_BYTES_MIN - 1, Ordering::Relaxed);
        assert!(matches!(disk.check(), Err(StoreError::Full { .. })));
        let disk = Disk::new(dir.path(), ask).unwrap();
        assert!(!reserve.exists(), "given up so that the store can open");

        free.store(bounds::DISK_FREE_BYTES_MIN, Ordering::Relaxed);
        disk.check().unwrap();
        assert!(!reserve.exists(), "room for a commit, and not for more");
        free.store(u64::MAX, Ordering::Relaxed);
        disk.check().unwrap();
        assert!(reserve.exists());
    }
}
