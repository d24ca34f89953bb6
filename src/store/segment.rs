//! A segment: the usage records of a UTC day, or of a part of one, in a database of their own.
//!
//! Deleting in the database does not shrink it, so what is to be forgotten together is stored together and goes as a
//! directory. Beside the database a file counts the acknowledged blocks. It is written after each commit and never
//! synced, so it may lag and cannot lead: a database with fewer blocks has lost some.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::block::{self, Block, Packed, Summary};
use super::database::{Batch, Database, Entry};
use super::{StoreError, files, record};
use crate::api::UsageRecord;
use crate::api::usage::RecordId;
use crate::bounds;

pub(super) const DAY_MS: i64 = 86_400_000;
/// The 30th of December 9999: the last day that a time stamp can begin.
const DAY_MAX: i64 = 2_932_895;

/// The name of a segment: its day, and which part of it. Names sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    /// Days since 1970.
    pub(super) day: i64,
    /// Parts of a day, from 0.
    pub(super) part: u32,
}

/// The day of a time, as far as names go.
pub(super) fn day_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(DAY_MS).clamp(0, DAY_MAX)
}

/// A day as names have it: `2026-11-29`.
pub(super) fn date(day: i64) -> String {
    jiff::Timestamp::from_second(day * DAY_MS / 1_000).unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

/// The day that a name tells. Only the one spelling: what has another was made by somebody else.
pub(super) fn day_of_date(text: &str) -> Option<i64> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let begin = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(day_of(begin)).filter(|&day| self::date(day) == text)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", date(self.day), self.part)
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (date, part) = text.split_once('.').ok_or(())?;
        let name = Self { day: day_of_date(date).ok_or(())?, part: part.parse().map_err(drop)? };
        // Only the one spelling: what has another was made by somebody else.
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

/// An open segment.
pub(super) struct Segment {
    name: Name,
    database: Database,
    index: RwLock<BTreeMap<RecordId, Summary>>,
    bytes: AtomicU64,
    /// The number of the last commit. Each has one of its own, also one that failed.
    commit: AtomicU64,
    count: File,
}

impl Segment {
    /// Makes an empty segment. Until it is whole it has another name.
    pub(super) fn create(dir: &Path) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::failed("create a segment", error);
        let fresh = files::beside(dir, "new");
        files::remove_directory(&fresh).map_err(failed)?;
        files::private_directory(&fresh).map_err(failed)?;
        Database::create(&database_path(&fresh), bounds::USAGE_CACHE_BYTES, Batch::default())?;
        files::replace(&count_path(&fresh), &count_bytes(0)).map_err(failed)?;
        files::settle(&fresh).map_err(failed)?;
        files::rename(&fresh, dir).map_err(failed)
    }

    /// Opens a segment and reads all of its blocks.
    pub(super) fn open(name: Name, dir: &Path) -> Result<Self, StoreError> {
        let look = |database: &Database| {
            let (mut index, mut bytes) = (BTreeMap::new(), 0);
            database.visit(b"", |key, value| {
                let first = <[u8; 16]>::try_from(key).map_err(|_| strange_key())?;
                let block: Block = record::decode(key, value)?;
                index.insert(RecordId(u128::from_be_bytes(first)), block.summary);
                bytes += value.len() as u64;
                Ok(true)
            })?;
            Ok((index, bytes))
        };
        let (database, (index, bytes)) = Database::open(&database_path(dir), bounds::USAGE_CACHE_BYTES, look)?;
        let count =
            files::private_file(&count_path(dir)).map_err(|error| StoreError::failed("open a segment", error))?;
        // A count that cannot be read tells nothing: the database has checksums of its own.
        let acknowledged = read_count(&count).unwrap_or_default();
        if (index.len() as u64) < acknowledged {
            let reason = format!("{acknowledged} blocks were acknowledged, and {} are there", index.len());
            return Err(StoreError::Damaged { reason });
        }
        let commit = index.values().map(|block: &Summary| block.commit).max().unwrap_or_default();
        let segment = Self {
            name,
            database,
            index: RwLock::new(index),
            bytes: AtomicU64::new(bytes),
            commit: AtomicU64::new(commit),
            count,
        };
        segment.write_count();
        Ok(segment)
    }

    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// Bytes of its values.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many blocks it has.
    pub(super) fn blocks_count(&self) -> usize {
        self.index.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Appends records, ordered by id, as one commit, whose number it tells. Durable when this returns. The same
    /// records may be appended again after an error: they replace what may have been written of them.
    pub(super) fn append(&self, records: &[&UsageRecord]) -> Result<u64, StoreError> {
        let commit = self.commit.fetch_add(1, Ordering::Relaxed) + 1;
        self.put(block::pack(records, commit)?)?;
        Ok(commit)
    }

    /// Stores blocks, new ones and others in the place of what had their keys, as one change. Durable when this returns.
    pub(super) fn put(&self, blocks: Vec<Packed>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let mut added = Vec::new();
        let mut bytes = 0;
        for (first, summary, value) in blocks {
            bytes += value.len() as u64;
            batch.insert(&block::key(first), value);
            added.push((first, summary));
        }
        self.database.commit(batch)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.index.write().unwrap_or_else(PoisonError::into_inner).extend(added);
        self.write_count();
        Ok(())
    }

    /// The keys and summaries of the blocks that a search wants, oldest first.
    pub(super) fn blocks(&self, wanted: impl Fn(RecordId, &Summary) -> bool) -> Vec<(RecordId, Summary)> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index
            .iter()
            .filter(|&(&first, summary)| wanted(first, summary))
            .map(|(&first, &summary)| (first, summary))
            .collect()
    }

    /// The records of a block, ordered by id.
    pub(super) fn read(&self, first: RecordId) -> Result<Vec<UsageRecord>, StoreError> {
        let key = block::key(first);
        let value = self.database.get(&key)?.ok_or_else(|| StoreError::Damaged { reason: "a block is gone".into() })?;
        Ok(record::decode::<Block>(&key, &value)?.unpack()?)
    }

    /// The entries after a key, as they are stored.
    pub(super) fn raw(&self, after: Option<&[u8]>, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        self.database.entries_after(after, bytes)
    }

    fn write_count(&self) {
        let blocks = self.index.read().unwrap_or_else(PoisonError::into_inner).len();
        if let Err(error) = self.count.write_all_at(&count_bytes(blocks as u64), 0) {
            tracing::debug!(segment = %self.name, %error, "the count of blocks could not be written");
        }
    }
}

/// A segment that is made of entries as they were stored.
pub(super) struct Refill {
    name: Name,
    dir: PathBuf,
    database: Database,
    batch: Batch,
    bytes: usize,
}

impl Refill {
    pub(super) fn begin(root: &Path, name: Name) -> Result<Self, StoreError> {
        let dir = root.join(name.to_string());
        Segment::create(&dir)?;
        let (database, ()) = Database::open(&database_path(&dir), bounds::USAGE_CACHE_BYTES, |_| Ok(()))?;
        Ok(Self { name, dir, database, batch: Batch::default(), bytes: 0 })
    }

    pub(super) fn push(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), StoreError> {
        self.bytes += key.len() + value.len();
        self.batch.insert(key, value);
        if self.bytes < bounds::COMMIT_BYTES_MAX {
            return Ok(());
        }
        self.bytes = 0;
        self.database.commit(std::mem::take(&mut self.batch))
    }

    /// Makes it durable, and opens it once as any other: what is no segment is refused.
    pub(super) fn end(self) -> Result<(), StoreError> {
        let Self { name, dir, database, batch, .. } = self;
        database.commit(batch)?;
        drop(database);
        Segment::open(name, &dir).map(drop)
    }
}

fn strange_key() -> StoreError {
    StoreError::Damaged { reason: "a key is not a record's id".into() }
}

fn database_path(dir: &Path) -> PathBuf {
    dir.join("db")
}

fn count_path(dir: &Path) -> PathBuf {
    dir.join("acknowledged")
}

/// The count and its checksum, always as long.
fn count_bytes(blocks: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    let crc = crc32fast::hash(&blocks.to_le_bytes()).to_le_bytes();
    bytes.iter_mut().zip(blocks.to_le_bytes().into_iter().chain(crc)).for_each(|(to, from)| *to = from);
    bytes
}

fn read_count(file: &File) -> Option<u64> {
    let mut bytes = [0; 12];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let blocks = u64::from_le_bytes(*bytes.first_chunk()?);
    (bytes == count_bytes(blocks)).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_read_back() {
        let name = Name { day: day_of(1_700_000_000_000), part: 3 };
        assert_eq!(name.to_string(), "2023-11-14.03");
        assert_eq!("2023-11-14.03".parse(), Ok(name));
        assert_eq!(Name { day: day_of(i64::MAX), part: 100 }.to_string(), "9999-12-30.100");
        assert_eq!("9999-12-30.100".parse(), Ok(Name { day: DAY_MAX, part: 100 }));
        assert_eq!(day_of(-1), 0);
        for other in ["2023-11-14", "2023-11-14.3", "2023-11-14.03.new", "2023-11-14.03.damaged-1", "x.00"] {
            assert!(other.parse::<Name>().is_err(), "{other}");
        }
        assert!(Name { day: 1, part: 99 } < Name { day: 2, part: 0 });
    }
}
