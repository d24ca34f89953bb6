//! With real files, as editors, package managers and Kubernetes change them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::*;

/// Longer than any hint takes, and never waited for where one comes.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longer than any test: hints must come from events.
const NEVER: Duration = Duration::from_secs(3_600);

struct Watched {
    hints: Receiver<()>,
    file: PathBuf,
    _watcher: Watcher,
}

impl Watched {
    fn new(file: &Path, poll: Duration) -> Self {
        let (told, hints) = mpsc::channel();
        let watcher =
            Watcher::with_poll([file.to_path_buf()], [fragments_of(file)], poll, move || told.send(()).unwrap_or(()))
                .unwrap();
        hints.recv_timeout(DEADLINE).expect("the first hint, at once");
        Self { hints, file: file.to_path_buf(), _watcher: watcher }
    }

    /// Takes hints, and reads at each as the daemon does, until the file says this.
    fn wait_for(&self, content: Option<&str>) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.hints.recv_timeout(left).unwrap_or_else(|_| panic!("no hint that it says {content:?}"));
            if fs::read_to_string(&self.file).ok().as_deref() == content {
                return;
            }
        }
    }
}

fn fragments_of(file: &Path) -> PathBuf {
    file.with_extension("d")
}

fn save_by_rename(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(&new, file).unwrap();
}

#[test]
fn saves_by_rename_are_seen_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, "0").unwrap();
    let watched = Watched::new(&file, NEVER);
    for content in ["1", "2", "3"] {
        save_by_rename(&file, content);
        watched.wait_for(Some(content));
    }
}

#[test]
fn a_save_in_two_steps_is_seen_whole_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, "before").unwrap();
    let watched = Watched::new(&file, NEVER);
    fs::write(&file, "").unwrap();
    watched.wait_for(Some(""));
    fs::write(&file, "after").unwrap();
    watched.wait_for(Some("after"));
}

#[test]
fn kubernetes_swaps_a_link_beside_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, content) in [("..1", "one"), ("..2", "two"), ("..3", "three")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("providers.toml"), content).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/providers.toml", at("providers.toml")).unwrap();
    let watched = Watched::new(&at("providers.toml"), NEVER);
    for (version, content) in [("..2", "two"), ("..3", "three")] {
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        watched.wait_for(Some(content));
    }
}

#[test]
fn a_change_behind_a_link_into_another_directory_is_seen() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, target) = (dir.path().join("providers.toml"), other.path().join("real.toml"));
    fs::write(&target, "0").unwrap();
    symlink(&target, &link).unwrap();
    let watched = Watched::new(&link, NEVER);
    save_by_rename(&target, "1");
    watched.wait_for(Some("1"));
}

#[test]
fn a_file_that_goes_and_comes_back_is_seen_both_times() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    fs::write(&file, "0").unwrap();
    let watched = Watched::new(&file, NEVER);
    fs::remove_file(&file).unwrap();
    watched.wait_for(None);
    fs::write(&file, "1").unwrap();
    watched.wait_for(Some("1"));
}

#[test]
fn a_directory_that_is_replaced_is_watched_again() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, old) = (dir.path().join("bursar"), dir.path().join("bursar.old"));
    let file = inner.join("providers.toml");
    fs::create_dir(&inner).unwrap();
    fs::write(&file, "0").unwrap();
    let watched = Watched::new(&file, NEVER);

    fs::rename(&inner, &old).unwrap();
    watched.wait_for(None);
    fs::create_dir(&inner).unwrap();
    fs::write(&file, "1").unwrap();
    watched.wait_for(Some("1"));
    save_by_rename(&file, "2");
    watched.wait_for(Some("2"));

    fs::remove_dir_all(&inner).unwrap();
    watched.wait_for(None);
    fs::create_dir(&inner).unwrap();
    fs::write(&file, "3").unwrap();
    watched.wait_for(Some("3"));
    save_by_rename(&file, "4");
    watched.wait_for(Some("4"));
}

#[test]
fn a_file_is_waited_for_before_its_directories_exist() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a/b/providers.toml");
    let watched = Watched::new(&file, NEVER);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "1").unwrap();
    watched.wait_for(Some("1"));
}

#[test]
fn what_no_event_tells_is_found_by_the_poll() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    let watched = Watched::new(&file, Duration::from_millis(10));
    for _ in 0..3 {
        watched.hints.recv_timeout(DEADLINE).expect("a hint without a change");
    }
}

#[test]
fn reading_is_no_change() {
    let event = |kind| {
        let event = notify::Event::new(kind).add_path("/etc/bursar/providers.toml".into());
        Ok(vec![notify_debouncer_full::DebouncedEvent::new(event, Instant::now())])
    };
    let read = EventKind::Access(notify::event::AccessKind::Read);
    assert!(signal(event(read)).is_none());
    assert!(matches!(signal(event(EventKind::Any)), Some(Signal::Changed(paths)) if paths.len() == 1));
}

#[test]
fn what_lies_beside_the_directory_does_not_concern_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut watches = Watches::new(vec![dir.path().join("bursar/providers.toml")], Vec::new(), mpsc::channel().0);
    watches.arm();
    for (name, concerns) in [("bursar", true), ("bursar/..data", true), ("bursar/x/y", false), ("elsewhere", false)] {
        assert_eq!(watches.concern(&dir.path().join(name)), concerns, "{name}");
    }
    assert!(watches.concern(dir.path()), "the directory of the directory");
}

#[test]
fn a_dropped_watcher_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (told, hints) = mpsc::channel();
    drop(Watcher::new([dir.path().join("x")], [], move || told.send(()).unwrap_or(())).unwrap());
    hints.recv_timeout(DEADLINE).expect("the first hint");
    assert!(hints.recv_timeout(DEADLINE).is_err(), "the sender went with the thread");
}

#[test]
fn fragments_are_seen_that_come_change_and_go_with_their_directory_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("providers.toml");
    let mut watched = Watched::new(&file, NEVER);
    let fragments = fragments_of(&file);
    watched.file = fragments.join("a.toml");
    fs::create_dir(&fragments).unwrap();
    fs::write(fragments.join("a.toml"), "1").unwrap();
    watched.wait_for(Some("1"));
    save_by_rename(&fragments.join("a.toml"), "2");
    watched.wait_for(Some("2"));
    fs::remove_file(fragments.join("a.toml")).unwrap();
    watched.wait_for(None);
    // A directory of which every file is a link into another, which is swapped.
    fs::remove_dir(&fragments).unwrap();
    for (version, content) in [("..1", "three"), ("..2", "four")] {
        fs::create_dir(dir.path().join(version)).unwrap();
        fs::write(dir.path().join(version).join("a.toml"), content).unwrap();
    }
    symlink("..1", dir.path().join("..data")).unwrap();
    fs::create_dir(&fragments).unwrap();
    symlink("../..data/a.toml", fragments.join("a.toml")).unwrap();
    watched.wait_for(Some("three"));
    symlink("..2", dir.path().join("..tmp")).unwrap();
    fs::rename(dir.path().join("..tmp"), dir.path().join("..data")).unwrap();
    watched.wait_for(Some("four"));
}
