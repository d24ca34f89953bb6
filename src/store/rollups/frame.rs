//! A frame's bytes: its head in an envelope, after the head's length; then its sections, each in an envelope.
//!
//! An envelope's checksum takes in the day, the tier and the place in the file, so that bytes which stand where they do
//! not belong are noticed.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::{Position, Tier};
use crate::bounds;
use crate::store::StoreError;
use crate::store::record::{self, Record, RecordError};

const LENGTH_BYTES: usize = 4;
/// A head has some dozens of bytes, and as many again for its sections.
const HEAD_BYTES_MAX: usize = 512;
const ZSTD_LEVEL: i32 = 1;

/// What more there is: packed sums of some time buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The begin of its first bucket, in milliseconds since 1970.
    pub first_ms: i64,
    /// The begin of its last one.
    pub last_ms: i64,
    /// The sums by different dimensions: what tells the section, and its bytes.
    pub sections: Vec<(u8, Vec<u8>)>,
}

/// What is known of a frame without reading its sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The begin of its first bucket, in milliseconds since 1970.
    pub first_ms: i64,
    /// The begin of its last one.
    pub last_ms: i64,
    /// The records that all frames up to the end of its commit take in.
    pub position: Position,
    /// Whether it is the last one of its commit: frames after the last such one are half a commit, and do not count.
    pub last: bool,
    /// Which sections it has, and how long they are.
    pub sections: Vec<(u8, u32)>,
}

impl Head {
    /// Whether its buckets touch a time.
    pub fn touches(&self, span: &Range<i64>) -> bool {
        self.first_ms < span.end && self.last_ms >= span.start
    }
}

#[derive(Serialize, Deserialize)]
struct HeadV1 {
    first_ms: i64,
    last_ms: i64,
    part: u32,
    commit: u64,
    last: bool,
    sections: Vec<(u8, u32)>,
}

impl Record for Head {
    const KIND: &'static str = "rollup frame";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let Self { first_ms, last_ms, position: Position { part, commit }, last, sections } = self.clone();
        record::to_bytes(Self::KIND, &HeadV1 { first_ms, last_ms, part, commit, last, sections })
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let HeadV1 { first_ms, last_ms, part, commit, last, sections } = record::from_bytes(Self::KIND, body)?;
        Ok(Self { first_ms, last_ms, position: Position { part, commit }, last, sections })
    }
}

/// A section as it is read.
#[derive(Debug, Clone, Copy)]
pub struct PackedSums<'b> {
    /// The format that it was written in: what that means for the bytes is the caller's business.
    pub format: u8,
    /// What was given to be written.
    pub bytes: &'b [u8],
}

/// A section's bytes, behind a byte that says whether they are compressed.
struct Section {
    format: u8,
    bytes: Vec<u8>,
}

impl Section {
    fn of(plain: &[u8]) -> Self {
        let packed = compress(plain).ok().filter(|packed| packed.len() < plain.len());
        let mut bytes = Vec::with_capacity(1 + plain.len());
        bytes.push(u8::from(packed.is_some()));
        bytes.extend_from_slice(packed.as_deref().unwrap_or(plain));
        Self { format: Self::FORMAT, bytes }
    }
}

impl Record for Section {
    const KIND: &'static str = "rollup section";
    /// Since format 2, histograms may be runs (`usage/rollup/pack.rs`).
    const FORMAT: u8 = 2;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        Ok(self.bytes.clone())
    }

    fn from_body(format: u8, body: &[u8]) -> Result<Self, RecordError> {
        Ok(Self { format, bytes: body.to_vec() })
    }
}

fn key(day: i64, tier: Tier, at: u64) -> Vec<u8> {
    [&day.to_be_bytes(), tier.name().as_bytes(), &at.to_be_bytes()].concat()
}

/// The bytes of a frame that begins at this place of a file.
pub(super) fn to_bytes(
    frame: &Frame,
    day: i64,
    tier: Tier,
    at: u64,
    position: Position,
    last: bool,
) -> Result<Vec<u8>, RecordError> {
    let key = key(day, tier, at);
    let mut sections = Vec::new();
    let mut bodies = Vec::new();
    for (kind, plain) in &frame.sections {
        let value = record::encode(&key, &Section::of(plain))?;
        sections.push((*kind, u32::try_from(value.len()).map_err(|error| RecordError::body(Head::KIND, error))?));
        bodies.extend_from_slice(&value);
    }
    let head = Head { first_ms: frame.first_ms, last_ms: frame.last_ms, position, last, sections };
    let head = record::encode(&key, &head)?;
    let length = u32::try_from(head.len()).map_err(|error| RecordError::body(Head::KIND, error))?;
    Ok([&length.to_le_bytes(), head.as_slice(), &bodies].concat())
}

/// Reads the frames of a file, from its begin.
pub(super) struct Reader<'f> {
    file: &'f File,
    day: i64,
    tier: Tier,
    at: u64,
    end: u64,
    bytes: Vec<u8>,
}

/// A frame in a file.
pub(super) struct Found {
    pub(super) head: Head,
    at: u64,
    /// Where its first section begins.
    sections_at: u64,
    /// Where it ends.
    pub(super) end: u64,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f File, day: i64, tier: Tier, end: u64) -> Self {
        Self { file, day, tier, at: 0, end, bytes: Vec::new() }
    }

    /// The next frame; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Found>, StoreError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let mut buffer = [0; LENGTH_BYTES + HEAD_BYTES_MAX];
        let there = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..there).unwrap_or_default();
        self.file.read_exact_at(buffer, self.at).map_err(|error| unreadable(&error))?;
        let (length, rest) = buffer.split_first_chunk::<LENGTH_BYTES>().ok_or_else(torn)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let head: Head = record::decode(&key(self.day, self.tier, self.at), rest.get(..length).ok_or_else(torn)?)?;
        let sections_at = self.at + (LENGTH_BYTES + length) as u64;
        let end = head.sections.iter().fold(sections_at, |at, &(_, length)| at.saturating_add(length.into()));
        if end > self.end {
            return Err(torn());
        }
        let found = Found { head, at: self.at, sections_at, end };
        self.at = end;
        Ok(Some(found))
    }

    /// Shows the section of each frame that `choose` wants.
    pub(super) fn sections(
        mut self,
        mut choose: impl FnMut(&Head) -> Option<u8>,
        mut visitor: impl FnMut(&Head, PackedSums<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        while let Some(found) = self.next()? {
            if let Some(kind) = choose(&found.head) {
                let Section { format, bytes } = self.section(&found, kind)?;
                visitor(&found.head, PackedSums { format, bytes: &bytes })?;
            }
        }
        Ok(())
    }

    /// Whether a frame's section can be read.
    pub(super) fn is_whole(&mut self, found: &Found, kind: u8) -> bool {
        self.section(found, kind).is_ok()
    }

    /// A frame's section, its bytes as they were given to be written.
    fn section(&mut self, found: &Found, kind: u8) -> Result<Section, StoreError> {
        let mut at = found.sections_at;
        for &(other, length) in &found.head.sections {
            if other == kind {
                self.bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
                self.file.read_exact_at(&mut self.bytes, at).map_err(|error| unreadable(&error))?;
                let Section { format, bytes } = record::decode(&key(self.day, self.tier, found.at), &self.bytes)?;
                return Ok(Section { format, bytes: plain(bytes)? });
            }
            at += u64::from(length);
        }
        Err(RecordError::body(Head::KIND, format!("section {kind} is missing")).into())
    }
}

thread_local! {
    /// What unpacks, kept for the next file: a question reads many.
    static UNPACKING: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Counts seldom repeat, so that short repetitions are not worth their time when they are read.
fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut zstd = Compressor::new(ZSTD_LEVEL)?;
    zstd.set_parameter(CParameter::MinMatch(7))?;
    zstd.compress(plain)
}

fn plain(mut bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let broken = |error| StoreError::from(RecordError::body(Section::KIND, error));
    let capacity = usize::try_from(bounds::STORE_RECORD_BYTES_MAX).unwrap_or(usize::MAX);
    match bytes.first() {
        Some(0) => {
            bytes.remove(0);
            Ok(bytes)
        }
        Some(1) => UNPACKING.with_borrow_mut(|zstd| {
            let zstd = match zstd {
                Some(zstd) => zstd,
                none => none.insert(Decompressor::new().map_err(|error| broken(error.to_string()))?),
            };
            let packed = bytes.get(1..).unwrap_or_default();
            let capacity = Decompressor::upper_bound(packed).map_or(capacity, |most| most.min(capacity));
            zstd.decompress(packed, capacity).map_err(|error| broken(error.to_string()))
        }),
        _ => Err(broken("it says not how it is packed".into())),
    }
}

fn torn() -> StoreError {
    StoreError::Damaged { reason: "a frame of rollups is cut off".into() }
}

fn unreadable(error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof { torn() } else { StoreError::failed("read rollups", error) }
}
