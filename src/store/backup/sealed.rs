//! The outer form of a backup: chunks, each sealed at its place.

use std::io::{Read, Write};

use zeroize::Zeroizing;

use super::{BackupError, Head, MAGIC};
use crate::bounds;
use crate::clock::Clock;
use crate::credential::{BackupKey, BackupLock, Cipher, Place};
use crate::store::record::{self, RecordError};

const HEAD_KEY: &[u8] = b"backup";
const HEAD_BYTES_MAX: usize = 1_024;
/// What sealing adds to a chunk, and some room.
const SEAL_BYTES: usize = 64;
const MORE: u8 = 0;
const LAST: u8 = 1;

/// Writes a backup's bytes, sealed.
pub(super) struct Sealer<W> {
    out: W,
    cipher: Cipher,
    chunk: Zeroizing<Vec<u8>>,
    chunks: u64,
}

impl<W: Write> Sealer<W> {
    /// Begins a backup.
    pub(super) fn begin(mut out: W, key: &BackupKey) -> Result<Self, BackupError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| BackupError::io("make a backup")(std::io::Error::other(error)))?;
        let writer = concat!("bursar ", env!("CARGO_PKG_VERSION")).to_owned();
        let head = Head { id, lock: key.lock(), created_ms: Clock::system().wall_ms(), writer };
        let head = record::encode(HEAD_KEY, &head)?;
        let cipher = key.of_file(&head).map_err(|error| damaged(0, error))?;
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes();
        for part in [MAGIC.as_slice(), &length, &head] {
            out.write_all(part).map_err(BackupError::io("write the backup"))?;
        }
        Ok(Self { out, cipher, chunk: Zeroizing::new(Vec::with_capacity(bounds::BACKUP_CHUNK_BYTES)), chunks: 0 })
    }

    /// What seals this backup, for credentials inside it.
    pub(super) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            let room = bounds::BACKUP_CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == bounds::BACKUP_CHUNK_BYTES {
                self.seal(MORE)?;
            }
        }
        Ok(())
    }

    /// Ends the backup, and gives what it was written to.
    pub(super) fn end(mut self) -> Result<W, BackupError> {
        self.seal(LAST)?;
        self.out.flush().map_err(BackupError::io("write the backup"))?;
        Ok(self.out)
    }

    fn seal(&mut self, mark: u8) -> Result<(), BackupError> {
        let sealed = at(self.chunks, mark, |place| self.cipher.seal(place, &self.chunk));
        let sealed = sealed.map_err(|error| damaged(0, error))?;
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes();
        for part in [[mark].as_slice(), &length, &sealed] {
            self.out.write_all(part).map_err(BackupError::io("write the backup"))?;
        }
        self.chunk.clear();
        self.chunks += 1;
        Ok(())
    }
}

/// Reads a backup's bytes. Nothing is given that was not authenticated.
pub(super) struct Opener<R> {
    input: R,
    cipher: Cipher,
    with: &'static str,
    chunk: Zeroizing<Vec<u8>>,
    read: usize,
    chunks: u64,
    at: u64,
    ended: bool,
}

/// Reads what stands in clear at the beginning.
pub(super) fn head(input: &mut impl Read) -> Result<(Head, Vec<u8>), BackupError> {
    let mut begin = [0; MAGIC.len() + 4];
    input.read_exact(&mut begin).map_err(|_| BackupError::NoBackup)?;
    let (magic, length) = begin.split_first_chunk::<{ MAGIC.len() }>().ok_or(BackupError::NoBackup)?;
    let length = length.first_chunk().map(|length| u32::from_le_bytes(*length)).unwrap_or(u32::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if magic != MAGIC || length > HEAD_BYTES_MAX {
        return Err(BackupError::NoBackup);
    }
    let mut head = vec![0; length];
    input.read_exact(&mut head).map_err(|_| BackupError::NoBackup)?;
    match record::decode::<Head>(HEAD_KEY, &head) {
        Ok(read) => Ok((read, head)),
        Err(RecordError::Format { .. }) => Err(BackupError::Newer { writer: "a newer version".into() }),
        Err(_) => Err(BackupError::NoBackup),
    }
}

impl<R: Read> Opener<R> {
    /// Begins to read a backup whose head was read.
    pub(super) fn begin(input: R, head: &[u8], key: &BackupKey) -> Result<Self, BackupError> {
        let cipher = key.of_file(head).map_err(|error| damaged(0, error))?;
        let with = match key.lock() {
            BackupLock::Passphrase { .. } => "passphrase",
            BackupLock::Key(_) => "key",
        };
        let at = (MAGIC.len() + 4 + head.len()) as u64;
        let chunk = Zeroizing::new(Vec::new());
        let mut opener = Self { input, cipher, with, chunk, read: 0, chunks: 0, at, ended: false };
        opener.next_chunk()?;
        Ok(opener)
    }

    pub(super) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// How far it was read, for whoever finds that something is wrong there.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next bytes, all of them.
    pub(super) fn read(&mut self, mut into: &mut [u8]) -> Result<(), BackupError> {
        while !into.is_empty() {
            let there = self.chunk.get(self.read..).unwrap_or_default();
            if there.is_empty() {
                if self.ended {
                    return Err(damaged(self.at, "it ends too early"));
                }
                self.next_chunk()?;
                continue;
            }
            let count = there.len().min(into.len());
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(there.get(..count).unwrap_or_default());
            self.read += count;
            into = later;
        }
        Ok(())
    }

    /// Makes sure that nothing follows.
    pub(super) fn end(mut self) -> Result<(), BackupError> {
        let more = |opener: &Self| opener.read < opener.chunk.len();
        while !self.ended && !more(&self) {
            self.next_chunk()?;
        }
        let follows = more(&self) || self.input.read(&mut [0]).map_err(BackupError::io("read the backup"))? > 0;
        if follows { Err(damaged(self.at, "something follows its end")) } else { Ok(()) }
    }

    fn next_chunk(&mut self) -> Result<(), BackupError> {
        let at_byte = self.at;
        let mut begin = [0; 5];
        self.fill(&mut begin)?;
        let [mark, length @ ..] = begin;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > bounds::BACKUP_CHUNK_BYTES + SEAL_BYTES {
            return Err(damaged(at_byte, "the length of a chunk makes no sense"));
        }
        let mut sealed = vec![0; length];
        self.fill(&mut sealed)?;
        let opened = at(self.chunks, mark, |place| self.cipher.open(place, &sealed));
        self.chunk = opened.map_err(|error| match self.chunks {
            0 => BackupError::WrongKey(self.with),
            _ => damaged(at_byte, error),
        })?;
        self.read = 0;
        self.chunks += 1;
        self.ended = mark == LAST;
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(damaged(self.at, "it is cut off there"))
            }
            Err(error) => Err(BackupError::io("read the backup")(error)),
        }
    }
}

/// Where a chunk belongs.
fn at<T>(chunk: u64, mark: u8, use_it: impl FnOnce(&Place<'_>) -> T) -> T {
    let mark = if mark == LAST { "last" } else { "more" };
    use_it(&Place { tree: "backup", record: &[&chunk.to_string(), mark], origin: "" })
}

pub(super) fn damaged(at: u64, reason: impl ToString) -> BackupError {
    BackupError::Damaged { at, reason: reason.to_string() }
}
