//! The log of changes: everything that `state` holds, once more, from which a damaged one is rebuilt.
//!
//! A file of sealed frames. The first ones are a snapshot of all records; each change follows as it is made, and is
//! synced before the database is written, so that at open the log is as far as the database or one change ahead. When
//! the changes have grown too long, a new file with a new snapshot takes the old one's place. In clear stands only what
//! opens the rest: the data keys, wrapped by the master key.
//!
//! What must stay true: a frame opens at its own place in its own file only, so none can be left out, repeated,
//! exchanged or brought in from another log; and what the last frame of a change says of generation, count and sum is
//! what the records before it amount to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, Fresh};
use super::manifest::Contents;
use super::record::{self, Record, RecordError};
use super::{StoreError, keys};
use crate::bounds;
use crate::credential::{Cipher, CipherError, Keyring, Place, WrappedKeys};

/// What a log's file begins with.
pub(super) const MAGIC: &[u8; 16] = b"bursar changes 1";
/// The bytes that tell a frame's length.
pub(super) const LENGTH_BYTES: u64 = 4;
const HEAD_KEY: &[u8] = b"changes";
const FRAME_KEY: &[u8] = b"frame";

/// A record's new value, or none to remove it.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// An open log, at its end.
pub(super) struct ChangeLog {
    file: File,
    path: PathBuf,
    place: LogPlace,
    /// Where the next frame begins.
    end: u64,
    /// Where the snapshot ends.
    snapshot_end: u64,
    failed: bool,
}

/// Which log, and which frame comes next.
#[derive(Debug, Clone)]
pub(super) struct LogPlace {
    log: String,
    frame: u64,
}

impl LogPlace {
    pub(super) fn first(id: [u8; 16]) -> Self {
        Self { log: format!("{:032x}", u128::from_be_bytes(id)), frame: 0 }
    }

    fn seal(&mut self, cipher: &Cipher, plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let sealed = self.with(|place| cipher.seal(place, plain))?;
        self.frame += 1;
        Ok(sealed)
    }

    /// Opens the next frame.
    pub(super) fn open(&mut self, cipher: &Cipher, sealed: &[u8]) -> Result<Frame, StoreError> {
        let damaged = |reason: String| StoreError::Damaged { reason };
        let plain = self.with(|place| cipher.open(place, sealed)).map_err(|error| damaged(error.to_string()))?;
        self.frame += 1;
        Ok(record::decode(FRAME_KEY, &plain)?)
    }

    fn with<T>(&self, use_it: impl FnOnce(&Place<'_>) -> T) -> T {
        let frame = self.frame.to_string();
        use_it(&Place { tree: "changes", record: &[&self.log, &frame], origin: "" })
    }
}

impl ChangeLog {
    /// Writes a new log with a snapshot, in place of the one that may be there; durable when this returns.
    pub(super) fn create<'a>(
        path: &Path,
        wrapped: &WrappedKeys,
        keyring: &Keyring,
        contents: Contents,
        entries: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::failed("write the log of changes", error);
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| StoreError::failed("write the log of changes", error))?;
        let mut place = LogPlace::first(id);
        let mut fresh = Fresh::create(path).map_err(failed)?;
        let head = record::encode(HEAD_KEY, &Head { id, wrapped: wrapped.clone() })?;
        fresh.write(MAGIC).and_then(|()| fresh.write(&length(&head)?)).map_err(failed)?;
        fresh.write(&head).map_err(failed)?;
        let mut write = |frame: Frame| {
            let bytes = frame_bytes(&mut place, keyring.changes(), frame)?;
            fresh.write(&bytes).map_err(failed)
        };
        let mut part = Part::default();
        for (key, value) in entries {
            part.push((key.to_vec(), Some(value.to_vec())));
            if part.is_full() {
                write(Frame { ends: None, changes: part.take() })?;
            }
        }
        write(Frame { ends: Some(contents), changes: part.take() })?;
        let (file, end) = fresh.put_in_place().map_err(failed)?;
        Ok(Self { file, path: path.into(), place, end, snapshot_end: end, failed: false })
    }

    /// Goes on with a log that was read to its end. What follows the end, a crash left half written.
    pub(super) fn resume(path: &Path, place: LogPlace, end: u64, snapshot_end: u64) -> io::Result<Self> {
        let file = files::private_file(path)?;
        if file.metadata()?.len() > end {
            file.set_len(end)?;
            files::sync(&file, path)?;
        }
        Ok(Self { file, path: path.into(), place, end, snapshot_end, failed: false })
    }

    /// Appends a change that leads to `contents`. Durable when this returns; after an error it is not there.
    ///
    /// After an error that leaves it open what is there, nothing more is appended.
    pub(super) fn append(&mut self, cipher: &Cipher, contents: Contents, changes: &[Change]) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed { reason: "an earlier write failed: reopen the store".into() });
        }
        let before = (self.place.clone(), self.end);
        let written = self.write_all(cipher, contents, changes);
        if written.is_err() {
            (self.place, self.end) = before;
            self.failed = self.file.set_len(self.end).and_then(|()| files::sync(&self.file, &self.path)).is_err();
        }
        written
    }

    fn write_all(&mut self, cipher: &Cipher, contents: Contents, changes: &[Change]) -> Result<(), StoreError> {
        let mut part = Part::default();
        for change in changes {
            part.push(change.clone());
            if part.is_full() {
                self.write(cipher, Frame { ends: None, changes: part.take() })?;
            }
        }
        self.write(cipher, Frame { ends: Some(contents), changes: part.take() })?;
        let synced = files::sync(&self.file, &self.path);
        // What a failed sync leaves on the disk nobody knows, and a second one would not tell.
        self.failed |= synced.is_err();
        synced.map_err(|error| StoreError::failed("sync the log of changes", error))
    }

    fn write(&mut self, cipher: &Cipher, frame: Frame) -> Result<(), StoreError> {
        let bytes = frame_bytes(&mut self.place, cipher, frame)?;
        self.file.write_all_at(&bytes, self.end).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => StoreError::Full { free: 0, needed: bounds::DISK_FREE_BYTES_MIN },
            _ => StoreError::failed("write the log of changes", error),
        })?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Whether it has grown so long that a new snapshot should take its place.
    pub(super) fn is_long(&self) -> bool {
        self.end - self.snapshot_end > bounds::CHANGES_BYTES_MAX
    }

    /// Nothing more may be appended: what the database holds is no longer known.
    pub(super) fn give_up(&mut self) {
        self.failed = true;
    }
}

fn frame_bytes(place: &mut LogPlace, cipher: &Cipher, frame: Frame) -> Result<Vec<u8>, StoreError> {
    let plain = record::encode(FRAME_KEY, &frame)?;
    let failed = |error: &dyn ToString| StoreError::failed("seal a change", error.to_string());
    let sealed = place.seal(cipher, &plain).map_err(|error| failed(&error))?;
    let mut bytes = length(&sealed).map_err(|error| failed(&error))?.to_vec();
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

fn length(bytes: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(io::Error::other)
}

/// Changes for one frame.
#[derive(Default)]
struct Part {
    changes: Vec<Change>,
    bytes: usize,
}

impl Part {
    fn push(&mut self, change: Change) {
        self.bytes += change.0.len() + change.1.as_ref().map_or(0, Vec::len);
        self.changes.push(change);
    }

    fn is_full(&self) -> bool {
        self.bytes >= bounds::CHANGES_FRAME_BYTES
    }

    fn take(&mut self) -> Vec<Change> {
        self.bytes = 0;
        std::mem::take(&mut self.changes)
    }
}

/// What stands in clear at a log's beginning.
pub(super) struct Head {
    pub(super) id: [u8; 16],
    pub(super) wrapped: WrappedKeys,
}

impl Head {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        record::decode(HEAD_KEY, bytes)
    }
}

impl Record for Head {
    const KIND: &'static str = "log of changes";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        record::to_bytes(Self::KIND, &(self.id, keys::to_form(&self.wrapped)))
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let (id, form) = record::from_bytes(Self::KIND, body)?;
        Ok(Self { id, wrapped: keys::from_form(form) })
    }
}

/// Part of a change, or the end of one.
pub(super) struct Frame {
    /// What the records amount to after the change; none if more of it follows.
    pub(super) ends: Option<Contents>,
    pub(super) changes: Vec<Change>,
}

#[derive(Serialize, Deserialize)]
struct FrameV1 {
    ends: Option<(u64, u64, u128)>,
    changes: Vec<Change>,
}

impl Record for Frame {
    const KIND: &'static str = "change";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let ends = self.ends.map(|Contents { generation, records, sum }| (generation, records, sum));
        record::to_bytes(Self::KIND, &FrameV1 { ends, changes: self.changes.clone() })
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let FrameV1 { ends, changes } = record::from_bytes(Self::KIND, body)?;
        let ends = ends.map(|(generation, records, sum)| Contents { generation, records, sum });
        Ok(Self { ends, changes })
    }
}
