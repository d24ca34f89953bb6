//! Reads a log of changes: how far it goes, and what it amounts to.
//!
//! A log is read to its last whole change. What follows that is either what a crash left half written, or damage: the
//! log alone cannot tell, and whoever reads it holds it against the manifests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::StoreError;
use super::change_log::{Change, ChangeLog, Frame, Head, LENGTH_BYTES, LogPlace, MAGIC};
use super::manifest::Contents;
use crate::bounds;
use crate::credential::{Keyring, Vault, WrappedKeys};

/// The records of a state, by key.
pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// A log that was read to its last whole change.
pub(super) struct Reading {
    place: LogPlace,
    end: u64,
    snapshot_end: u64,
    /// What it amounts to.
    pub(super) contents: Contents,
    /// Whether anything that cannot be read follows.
    pub(super) torn: Option<String>,
}

impl Reading {
    /// Opens the log for what comes next.
    pub(super) fn resume(self, path: &Path) -> io::Result<ChangeLog> {
        ChangeLog::resume(path, self.place, self.end, self.snapshot_end)
    }
}

fn damaged(reason: impl ToString) -> StoreError {
    StoreError::Damaged { reason: reason.to_string() }
}

/// The wrapped keys at a log's beginning; none where there is no log.
pub(super) fn wrapped_keys(path: &Path) -> Result<Option<WrappedKeys>, StoreError> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    Ok(Some(head(&mut file)?.0.wrapped))
}

fn open(path: &Path) -> Result<Option<BufReader<File>>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::failed("read the log of changes", error)),
    }
}

fn head(file: &mut impl Read) -> Result<(Head, u64), StoreError> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(damaged)?;
    if magic != *MAGIC {
        return Err(damaged("the log of changes does not begin as one"));
    }
    let bytes = piece(file)?.ok_or_else(|| damaged("the log of changes ends in its head"))?;
    Ok((Head::read(&bytes)?, MAGIC.len() as u64 + LENGTH_BYTES + bytes.len() as u64))
}

/// The next piece with its length before it; none at the end.
fn piece(file: &mut impl Read) -> Result<Option<Vec<u8>>, StoreError> {
    let mut length = [0; 4];
    let mut read = 0;
    while let Some(rest) = length.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) if read == 0 => return Ok(None),
            Ok(0) => return Err(damaged("it ends in the middle of a change")),
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::failed("read the log of changes", error)),
        }
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > bounds::CHANGES_FRAME_BYTES_MAX {
        return Err(damaged("the length of a change makes no sense"));
    }
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(|_| damaged("it ends in the middle of a change"))?;
    Ok(Some(bytes))
}

/// Reads a log and shows each frame of whole changes, in order, as soon as the change is whole.
///
/// None where there is no log. An error where not even the snapshot is whole.
pub(super) fn read(
    path: &Path,
    keyring: &Keyring,
    mut see: impl FnMut(Vec<Change>),
) -> Result<Option<Reading>, StoreError> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let (head, mut at) = head(&mut file)?;
    let mut place = LogPlace::first(head.id);
    let mut whole: Option<Reading> = None;
    let mut pending = Vec::new();
    let torn = loop {
        let frame = match next(&mut file, &mut place, keyring, &mut at) {
            Ok(Some(frame)) => frame,
            Ok(None) if pending.is_empty() => break None,
            Ok(None) => break Some(String::from("it ends in the middle of a change")),
            Err(error) => break Some(error.to_string()),
        };
        pending.push(frame.changes);
        let Some(contents) = frame.ends else { continue };
        let snapshot_end = whole.as_ref().map_or(at, |whole| whole.snapshot_end);
        if whole.as_ref().is_some_and(|whole| whole.contents.generation.checked_add(1) != Some(contents.generation)) {
            break Some(String::from("a change is missing in it"));
        }
        pending.drain(..).for_each(&mut see);
        whole = Some(Reading { place: place.clone(), end: at, snapshot_end, contents, torn: None });
    };
    match whole {
        Some(whole) => Ok(Some(Reading { torn, ..whole })),
        None => Err(damaged(torn.unwrap_or_else(|| "the log of changes is empty".into()))),
    }
}

fn next(
    file: &mut impl Read,
    place: &mut LogPlace,
    keyring: &Keyring,
    at: &mut u64,
) -> Result<Option<Frame>, StoreError> {
    let Some(sealed) = piece(file)? else { return Ok(None) };
    let frame = place.open(keyring.changes(), &sealed)?;
    *at += LENGTH_BYTES + sealed.len() as u64;
    Ok(Some(frame))
}

/// The records that a log amounts to, held against what it says of them.
pub(super) fn records(path: &Path, keyring: &Keyring) -> Result<(Records, Contents), StoreError> {
    let mut records = Records::new();
    let reading = read(path, keyring, |changes| {
        for (key, value) in changes {
            match value {
                Some(value) => drop(records.insert(key, value)),
                None => drop(records.remove(&key)),
            }
        }
    })?;
    let said = reading.ok_or_else(|| damaged("there is no log of changes"))?.contents;
    let vault = Vault::new(keyring.clone());
    let mut found = Contents { generation: said.generation, ..Contents::default() };
    records.iter().for_each(|(key, value)| found.add(&vault, key, value));
    if found == said { Ok((records, said)) } else { Err(damaged("the log of changes amounts to something else")) }
}
