//! Watching configuration files. The only file that names `notify`.
//!
//! What is watched are the *directories* that hold the files: a watch on a file is dead after the first save by rename,
//! and never sees a symbolic link swapped. Event paths decide only whether a directory is ours at all; which file in it
//! was meant is never asked, since a swap renames quite another name (`..data`).
//!
//! An event is a hint to read again, never data. A hint too many costs one reading, a lost one costs the time to the
//! next poll, so nothing here needs to be exact. The watches are set anew before every hint: what changed before that
//! is found by the reading that follows, what changes after it by the new watches.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};

use crate::bounds;

/// Symbolic links that are followed from one file to the next: as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Gives hints to read configuration again, until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told.
#[derive(Debug)]
enum Signal {
    /// Something happened at these paths.
    Changed(Vec<PathBuf>),
    /// Something happened, and nobody knows where.
    Lost,
    /// The watcher is dropped.
    Stop,
}

impl Watcher {
    /// Watches over files, and over the fragments in directories; none of them need be there yet. `on_hint` is called from a thread of its own: once at the
    /// beginning, since a file may have changed before it was watched; when something has changed and settled; and
    /// every [`bounds::CONFIG_POLL_INTERVAL`]. Where the kernel has no watches left, only that last remains.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn new(
        files: impl IntoIterator<Item = PathBuf>,
        directories: impl IntoIterator<Item = PathBuf>,
        on_hint: impl Fn() + Send + 'static,
    ) -> Result<Self, std::io::Error> {
        Self::with_poll(files, directories, bounds::CONFIG_POLL_INTERVAL, on_hint)
    }

    fn with_poll(
        files: impl IntoIterator<Item = PathBuf>,
        directories: impl IntoIterator<Item = PathBuf>,
        poll: Duration,
        on_hint: impl Fn() + Send + 'static,
    ) -> Result<Self, std::io::Error> {
        let files = files.into_iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
        let directories = directories.into_iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
        let (signals, received) = mpsc::channel();
        let mut watches = Watches::new(files, directories, signals.clone());
        watches.arm();
        let thread = std::thread::Builder::new()
            .name("config-watch".into())
            .spawn(move || run(watches, &received, poll, on_hint))?;
        Ok(Self { signals, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A thread that is gone already needs no telling, and its panic has been told.
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut watches: Watches, received: &Receiver<Signal>, poll: Duration, on_hint: impl Fn()) {
    on_hint();
    let mut next_poll = Instant::now() + poll;
    loop {
        let hint = match received.recv_timeout(next_poll.saturating_duration_since(Instant::now())) {
            Ok(Signal::Changed(paths)) => paths.iter().any(|path| watches.concern(path)),
            Ok(Signal::Lost) | Err(RecvTimeoutError::Timeout) => true,
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        };
        if hint {
            next_poll = Instant::now() + poll;
            watches.arm();
            on_hint();
        }
    }
    watches.stop();
}

/// The watches of the moment.
struct Watches {
    files: Vec<PathBuf>,
    /// Directories of which every file counts.
    directories: Vec<PathBuf>,
    /// The directories that hold the files, and those that their links lead through.
    holding: BTreeSet<PathBuf>,
    /// The directories with a watch: the holding ones, and those that hold *them*.
    armed: BTreeSet<PathBuf>,
    debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
}

impl Watches {
    fn new(files: Vec<PathBuf>, directories: Vec<PathBuf>, signals: Sender<Signal>) -> Self {
        // Nobody listens any more while the watcher is being dropped.
        let tell = move |result| drop(signal(result).map(|signal| signals.send(signal)));
        let debouncer = new_debouncer(bounds::CONFIG_SETTLE_INTERVAL, None, tell)
            .inspect_err(|error| tracing::warn!(%error, "configuration files are polled, not watched"))
            .ok();
        Self { files, directories, holding: BTreeSet::new(), armed: BTreeSet::new(), debouncer }
    }

    /// Sets all watches anew. A directory that was replaced, even by one with the same inode, is watched again; one that
    /// is not there is waited for in the nearest that is.
    fn arm(&mut self) {
        let Some(debouncer) = &mut self.debouncer else { return };
        for directory in std::mem::take(&mut self.armed) {
            // The kernel drops the watch of a directory that is gone, and then there is none to take away.
            let _ = debouncer.unwatch(&directory);
        }
        let fragments = self.directories.iter().flat_map(|directory| listed(directory));
        let fragments: Vec<_> = fragments.collect();
        self.holding = self.files.iter().chain(&fragments).flat_map(|file| directories(file)).collect();
        self.holding.extend(self.directories.iter().cloned());
        self.holding.extend(self.directories.iter().filter_map(|directory| directory.canonicalize().ok()));
        let parents = self.holding.iter().filter_map(|directory| directory.parent());
        let wanted = self.holding.iter().map(PathBuf::as_path).chain(parents).filter_map(nearest);
        for directory in wanted.map(Path::to_path_buf).collect::<BTreeSet<_>>() {
            // What went in between, or cannot be watched, is found by the poll.
            if debouncer.watch(&directory, RecursiveMode::NonRecursive).is_ok() {
                self.armed.insert(directory);
            }
        }
    }

    /// Whether something at this path can change what the files say: it is in a holding directory, or it is one, or one
    /// lies below it.
    fn concern(&self, path: &Path) -> bool {
        self.holding.iter().any(|directory| path.parent() == Some(directory) || directory.starts_with(path))
    }

    fn stop(self) {
        if let Some(debouncer) = self.debouncer {
            debouncer.stop();
        }
    }
}

/// What a batch of events means. Reading a file is an event too, and must not lead to reading it again.
fn signal(result: DebounceEventResult) -> Option<Signal> {
    let Ok(events) = result else { return Some(Signal::Lost) };
    if events.iter().any(|event| event.need_rescan()) {
        return Some(Signal::Lost);
    }
    let changes = events.into_iter().filter(|event| !matches!(event.kind, EventKind::Access(_)));
    let paths: Vec<PathBuf> = changes.flat_map(|event| event.event.paths).collect();
    (!paths.is_empty()).then_some(Signal::Changed(paths))
}

/// The files of a directory, as many as a configuration may have.
fn listed(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).take(bounds::CONFIG_FRAGMENTS_MAX).collect()
}

/// The directory that holds a file and, link by link, those that hold what it stands for.
fn directories(file: &Path) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let mut name = file.to_path_buf();
    for _ in 0..LINKS_MAX {
        let Some(directory) = name.parent().map(Path::to_path_buf) else { break };
        let link = std::fs::read_link(&name);
        directories.push(directory.clone());
        match link {
            Ok(target) => name = directory.join(target),
            Err(_) => break,
        }
    }
    // Links among the directories themselves: the real place.
    directories.extend(file.canonicalize().ok().and_then(|real| real.parent().map(Path::to_path_buf)));
    directories
}

/// The path, or its nearest ancestor, that is a directory now.
fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|ancestor| ancestor.is_dir())
}

#[cfg(test)]
mod tests;
