//! Where tests end the process, or the power: between any two things that are done to files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::files::Step;

/// Tells a process after which step it ends itself.
pub(super) const DIE_AT: &str = "BURSAR_DIE_AT_STEP";

static PASSED: AtomicU64 = AtomicU64::new(0);
static WATCHERS: Mutex<Vec<(PathBuf, Watcher)>> = Mutex::new(Vec::new());

type Watcher = Box<dyn FnMut(Step<'_>) + Send>;

impl Step<'_> {
    /// Where it was done.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Synced(path) | Self::SyncedDirectory(path) | Self::Changed(path) => path,
        }
    }
}

/// Called after each step.
pub(super) fn passed(step: Step<'_>) {
    let count = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if std::env::var(DIE_AT).is_ok_and(|at| at == count.to_string()) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    let mut watchers = WATCHERS.lock().unwrap_or_else(PoisonError::into_inner);
    for (root, watcher) in watchers.iter_mut() {
        if step.path().starts_with(root) {
            watcher(step);
        }
    }
}

/// How many steps there were in this process.
pub(super) fn count() -> u64 {
    PASSED.load(Ordering::SeqCst)
}

/// Shows the steps below a directory, until the guard goes.
pub(super) fn watch(root: &Path, watcher: impl FnMut(Step<'_>) + Send + 'static) -> Watching {
    WATCHERS.lock().unwrap_or_else(PoisonError::into_inner).push((root.to_owned(), Box::new(watcher)));
    Watching(root.to_owned())
}

/// Ends a watch.
pub(super) struct Watching(PathBuf);

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(root, _)| *root != self.0);
    }
}
