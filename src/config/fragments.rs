//! The files that say together what may be called: `providers.toml`, and the fragments in the directory beside it,
//! `providers.d/*.toml`, in the order of their names.
//!
//! They are read as one document: every table may grow in any of them, and nothing may stand in two. A fragment is taken
//! away by deleting it; a file that has become empty is about to be written, here as elsewhere.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::document::{Entry, Node, Place, Table, Value};
use super::problem::{Problem, Problems, Report};
use super::source::{Fingerprint, Source, guarded};
use super::{secret, walk};
use crate::bounds;

/// The directory of the fragments beside a file of providers: `providers.d` beside `providers.toml`.
pub fn directory_of(file: &Path) -> PathBuf {
    file.with_extension("d")
}

/// Reads the file and all fragments, the file first. A missing file and a missing directory are no errors here.
///
/// # Errors
/// When one of them cannot be read or trusted, or there are too many: everything of that sort at once.
pub(super) fn read_all(file: &Path) -> Result<Vec<Source>, Report> {
    let mut report = Report::default();
    let mut sources = Vec::new();
    let mut take = |read: Result<Source, Report>| match read {
        Ok(source) => sources.push(source),
        Err(refused) => report.errors.extend(refused.errors),
    };
    take(Source::read(file));
    let directory = directory_of(file);
    match open(&directory) {
        Ok(None) => {}
        Ok(Some((opened, names))) => {
            for name in names {
                let read = Source::read_in(opened.as_fd(), &name, &directory.join(&name));
                // One that went between the listing and the reading was deleted.
                if !matches!(&read, Ok(source) if source.fingerprint == Fingerprint::Missing) {
                    take(read);
                }
            }
        }
        Err(message) => take(Err(Problem::of_file(&Arc::from(directory), message).into())),
    }
    let bytes: u64 = sources.iter().map(|source| source.text.len() as u64).sum();
    if bytes > bounds::CONFIG_BYTES_MAX {
        let message = format!("has, with its fragments, more than {} bytes", bounds::CONFIG_BYTES_MAX);
        report.errors.push(Problem::of_file(&Arc::from(file), message));
    }
    if report.errors.is_empty() { Ok(sources) } else { Err(report) }
}

/// What would be read if one of the files said something else, or were there too; none where the change is to a file that
/// is not read.
///
/// # Errors
/// When one of the others cannot be read or trusted.
pub(super) fn with_change(file: &Path, change: &Source) -> Result<Option<Vec<Source>>, Report> {
    let mut sources = read_all(file)?;
    let changed = settled(&change.file);
    if let Some(there) = sources.iter_mut().find(|source| settled(&source.file) == changed) {
        *there = Source { file: Arc::clone(&there.file), ..change.clone() };
        return Ok(Some(sources));
    }
    let directory = directory_of(file);
    let name = changed.file_name().filter(|name| is_fragment(name) && settled(&directory.join(name)) == changed);
    let Some(name) = name else { return Ok(None) };
    let at = sources.iter().skip(1).take_while(|source| source.file.file_name() < Some(name)).count() + 1;
    sources.insert(at.min(sources.len()), Source { file: directory.join(name).into(), ..change.clone() });
    Ok(Some(sources))
}

/// Where a name leads, as far as there is something: two names of one file are the same then.
fn settled(file: &Path) -> PathBuf {
    let leads = |path: &Path| path.canonicalize().ok();
    let beside = || {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(leads(parent)?.join(file.file_name()?))
    };
    leads(file).or_else(beside).or_else(|| std::path::absolute(file).ok()).unwrap_or_else(|| file.to_owned())
}

/// Opens the directory and lists its fragments, by name; none where there is no directory.
fn open(directory: &Path) -> Result<Option<(OwnedFd, Vec<OsString>)>, String> {
    let said = |what: &str, error: Errno| format!("{what}: {}", std::io::Error::from(error));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::NONBLOCK;
    let opened = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::NOTDIR) => return Err("is not a directory: fragments of the configuration belong into one".into()),
        Err(error) => return Err(said("cannot be opened", error)),
    };
    let stat = rustix::fs::fstat(&opened).map_err(|error| said("cannot be examined", error))?;
    guarded(&stat, rustix::process::geteuid().as_raw())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened).map_err(|error| said("cannot be listed", error))? {
        let entry = entry.map_err(|error| said("cannot be listed", error))?;
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        if is_fragment(&name) {
            names.push(name);
        }
        if names.len() > bounds::CONFIG_FRAGMENTS_MAX {
            return Err(format!("holds more than {} fragments", bounds::CONFIG_FRAGMENTS_MAX));
        }
    }
    names.sort_unstable();
    Ok(Some((opened, names)))
}

/// Hidden files are editors' and Kubernetes' own.
fn is_fragment(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

/// Puts documents together: tables grow key by key, lists item by item. What stands in two is refused.
pub(super) fn merged(documents: impl IntoIterator<Item = Node>, problems: &Problems) -> Option<Node> {
    let mut documents = documents.into_iter();
    let mut whole = documents.next()?;
    for document in documents {
        if let (Value::Table(into), Value::Table(from)) = (&mut whole.value, document.value) {
            merge(into, from, problems);
        }
    }
    Some(whole)
}

fn merge(into: &mut Table, from: Table, problems: &Problems) {
    for (key, entry) in from.0 {
        let Some(there) = into.0.get_mut(&key) else {
            into.0.insert(key, entry);
            continue;
        };
        match (&mut there.node.value, entry.node.value) {
            (Value::Table(into), Value::Table(from)) => join(&key, into, from, problems),
            (Value::List(into), Value::List(from)) => into.extend(from),
            _ => twice(&shown(&key), &entry.key_place, &there.key_place, problems),
        }
    }
}

/// Puts the entries of one table into another.
fn join(table: &str, into: &mut Table, from: Table, problems: &Problems) {
    for (key, entry) in from.0 {
        match into.0.get(&key) {
            Some(Entry { key_place, .. }) => {
                twice(&format!("{}.{}", shown(table), shown(&key)), &entry.key_place, key_place, problems);
            }
            None => {
                into.0.insert(key, entry);
            }
        }
    }
}

/// A key as it is shown; one that looks like a secret is not.
fn shown(key: &str) -> String {
    if secret::looks_like_one(key) { "…".into() } else { walk::quoted_key(key) }
}

fn twice(key: &str, here: &Place, there: &Place, problems: &Problems) {
    let message = format!("stands in {there} too: write it in one of the two");
    problems.error(Problem::at(here, key, message));
}
