//! What a backup holds, piece by piece.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::sealed::{Opener, Sealer, damaged};
use super::{BackupError, Counts};
use crate::bounds;
use crate::store::record::{self, Record, RecordError};

const KEY: &[u8] = b"item";

/// One piece. They come in this order: first of all the keys, at last the counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Item {
    /// The key that authenticates fingerprints, sealed by the backup's.
    Keys {
        /// It.
        mac: Vec<u8>,
    },
    /// A record of the state as it is stored; a credential in it is sealed by the backup's key.
    Record {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// A record of what changes all day long, as it is stored.
    Volatile {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// The segment of usage that the blocks after it belong to.
    Segment {
        /// Its name.
        name: String,
    },
    /// An entry of the segment as it is stored.
    Block {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// A piece of a file of usage that stands beside the segments: what follows those of the same file before it.
    File {
        /// The directory and the file's name in it.
        name: [String; 2],
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// How much came before.
    End(Counts),
}

impl Record for Item {
    const KIND: &'static str = "backup item";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        record::to_bytes(Self::KIND, self)
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        record::from_bytes(Self::KIND, body)
    }
}

/// Writes a piece.
pub(super) fn write<W: Write>(to: &mut Sealer<W>, item: &Item) -> Result<(), BackupError> {
    let bytes = record::encode(KEY, item)?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.write(&length.to_le_bytes())?;
    to.write(&bytes)
}

/// Reads the next piece.
pub(super) fn read<R: Read>(from: &mut Opener<R>) -> Result<Item, BackupError> {
    let mut length = [0; 4];
    from.read(&mut length)?;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > bounds::STORE_RECORD_BYTES_MAX {
        return Err(damaged(from.at(), "the length of a record makes no sense"));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read(&mut bytes)?;
    match record::decode(KEY, &bytes) {
        Ok(item) => Ok(item),
        Err(RecordError::Format { .. }) => Err(BackupError::Newer { writer: "a newer version".into() }),
        Err(error) => Err(damaged(from.at(), error)),
    }
}
