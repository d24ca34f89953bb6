//! The small database of what changes all day long and should outlive the process all the same: what stands against
//! accounts and connections, and what has been used of limits. Its fate is another than the state's: a damaged one is set
//! aside, and what it held is learned again.
//!
//! Each kind of fact is a [`Table`]: a prefix of its own, and a record in a file of its own (`facts.rs`, `counters.rs`).
//! Another kind is a line there and such a file. A record is one scope's, whole.

use std::fmt;
use std::path::Path;

use super::database::{Batch, Database};
use super::disk::Disk;
use super::record::{self, Record, RecordError};
use super::{Notices, StoreError, files};
use crate::bounds;

/// What it holds, by the prefix of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// What stands against accounts and connections.
    Facts,
    /// What has been used of daily limits.
    Days,
    /// How providers' last checks went.
    Checks,
}

impl Table {
    const ALL: [Self; 3] = [Self::Facts, Self::Days, Self::Checks];

    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Facts => b"facts/",
            Self::Days => b"days/",
            Self::Checks => b"checks/",
        }
    }

    /// The table of a key; none where no version up to this one has it.
    fn of(key: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|table| key.starts_with(table.prefix()))
    }

    /// Whether a record of it reads.
    fn reads(self, key: &[u8], value: &[u8]) -> Result<(), RecordError> {
        match self {
            Self::Facts => record::decode::<super::Facts>(key, value).map(drop),
            Self::Days => record::decode::<super::Lease>(key, value).map(drop),
            Self::Checks => record::decode::<super::Check>(key, value).map(drop),
        }
    }
}

/// The open database. All calls block.
pub(super) struct Volatile {
    database: Database,
    disk: Disk,
}

impl fmt::Debug for Volatile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volatile({})", self.database.dir().display())
    }
}

impl Volatile {
    /// Opens the database in a directory, making it where there is none. A damaged one is set aside, and said so.
    pub(super) fn open(dir: &Path, disk: Disk, notices: &Notices) -> Result<Self, StoreError> {
        let what = "cooldowns, parked accounts, rejected keys and counters of limits";
        Ok(Self { database: open(dir, what, notices)?, disk })
    }

    /// All records of a table, each with its scope. Those that cannot be read are left out: what they said is learned
    /// again.
    pub(super) fn list<R: Record>(&self, table: Table) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
        list(&self.database, table.prefix())
    }

    /// Shows every record as it is stored.
    pub(super) fn raw(&self, mut see: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.database.visit(b"", |key, value| {
            see(key, value);
            Ok(true)
        })
    }

    /// Counts the records, and tells of those that do not read.
    pub(super) fn sound(&self, count: &mut u64, problems: &mut Vec<String>) -> Result<(), StoreError> {
        self.raw(|key, value| {
            *count += 1;
            let name = || String::from_utf8_lossy(key).into_owned();
            match Table::of(key).map(|table| table.reads(key, value)) {
                Some(Ok(())) => {}
                Some(Err(error)) => problems.push(format!("the record {}: {error}", name())),
                None => problems.push(format!("nobody knows what the record {} is", name())),
            }
        })
    }

    /// Stores records, each in place of its scope's old one; none removes that. Durable when this returns.
    pub(super) fn put<'a, R: Record + 'a>(
        &self,
        table: Table,
        all: impl IntoIterator<Item = (Vec<u8>, Option<&'a R>)>,
    ) -> Result<(), StoreError> {
        self.disk.check()?;
        let mut batch = Batch::default();
        for (scope, record) in all {
            let key = [table.prefix(), &scope].concat();
            match record {
                Some(record) => batch.insert(&key, record::encode(&key, record)?),
                None => batch.remove(&key),
            }
        }
        self.database.commit(batch)
    }
}

/// Opens a database that may be lost.
pub(super) fn open(dir: &Path, what: &str, notices: &Notices) -> Result<Database, StoreError> {
    match open_whole(dir) {
        Err(StoreError::Damaged { reason }) => {
            let aside = files::beside(dir, "damaged");
            let failed = |error| StoreError::failed("set a damaged database aside", error);
            files::remove_directory(&aside).map_err(failed)?;
            files::rename(dir, &aside).map_err(failed)?;
            notices.add(format!("{what} were damaged ({reason}), and are set aside in {}", aside.display()));
            open_whole(dir)
        }
        opened => opened,
    }
}

fn open_whole(dir: &Path) -> Result<Database, StoreError> {
    let cache_bytes = bounds::VOLATILE_CACHE_BYTES;
    if dir.exists() {
        Database::open(dir, cache_bytes, |_| Ok(())).map(|(database, ())| database)
    } else {
        // To make it elsewhere first and open it then would leave its tables in memory twice.
        Database::make(dir, cache_bytes)
    }
}

/// The records whose keys begin with a prefix, each with the rest of its key.
pub(super) fn list<R: Record>(database: &Database, prefix: &[u8]) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
    let mut all = Vec::new();
    database.visit(prefix, |key, value| {
        match record::decode(key, value) {
            Ok(one) => all.push((key.strip_prefix(prefix).unwrap_or(key).to_vec(), one)),
            Err(error) => tracing::warn!(%error, "a stored record is passed over"),
        }
        Ok(true)
    })?;
    Ok(all)
}

#[cfg(test)]
#[path = "volatile_tests.rs"]
mod tests;
