//! Writes a backup, of a store that may be in use.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::item::{self, Item};
use super::sealed::Sealer;
use super::{BackupError, Counts};
use crate::credential::{BackupKey, Cipher, Vault};
use crate::store::connections::{self, StoredConnection};
use crate::store::manifest::Contents;
use crate::store::record;
use crate::store::replay::Records;
use crate::store::usage::Usage;
use crate::store::volatile::Volatile;
use crate::store::{StoreError, keys};

/// Bytes of usage that are read at once: a segment is not kept from others for longer.
const USAGE_BYTES_AT_ONCE: usize = 1 << 20;

/// What is backed up.
pub(in crate::store) struct Source<'a> {
    /// The state's records, all of one moment.
    pub(in crate::store) records: &'a Records,
    /// What they amount to.
    pub(in crate::store) contents: Contents,
    /// What opens their credentials.
    pub(in crate::store) vault: &'a Vault,
    /// The rest, as it is at the moment of reading.
    pub(in crate::store) rest: Option<(&'a Volatile, &'a Usage)>,
}

/// Writes a backup, and gives what it holds.
pub(in crate::store) fn write(source: &Source<'_>, key: &BackupKey, out: impl Write) -> Result<Counts, BackupError> {
    let mut to = Sealer::begin(out, key)?;
    let mut counts = Counts { generation: source.contents.generation, ..Counts::default() };
    let mac = source.vault.handed_over_mac(to.cipher());
    let mac = mac.map_err(|error| BackupError::Credential { connection: "the store".into(), error })?;
    item::write(&mut to, &Item::Keys { mac })?;
    for (key, value) in source.records.iter().filter(|(key, _)| key.as_slice() != keys::KEY) {
        let value = handed_over(source.vault, to.cipher(), key, value, &mut counts)?;
        item::write(&mut to, &Item::Record { key: key.clone(), value })?;
        counts.records += 1;
    }
    if let Some((volatile, usage)) = source.rest {
        write_volatile(volatile, &mut to, &mut counts)?;
        write_usage(usage, &mut to, &mut counts)?;
    }
    item::write(&mut to, &Item::End(counts))?;
    to.end()?;
    Ok(counts)
}

/// A record's value, with its credential sealed by the backup's key where it has one.
fn handed_over(
    vault: &Vault,
    cipher: &Cipher,
    key: &[u8],
    value: &[u8],
    counts: &mut Counts,
) -> Result<Vec<u8>, BackupError> {
    if !connections::is_key(key) {
        return Ok(value.to_vec());
    }
    let mut connection: StoredConnection = record::decode(key, value)?;
    let Some(secret) = &connection.secret else { return Ok(value.to_vec()) };
    let sealed = vault.handed_over(&connection.id, secret, cipher);
    let failed = |error| BackupError::Credential { connection: connection.id.to_string(), error };
    connection.secret = Some(sealed.map_err(failed)?);
    counts.credentials += 1;
    Ok(record::encode(key, &connection)?)
}

/// Writes the files of a directory, as long as they are when they are opened.
fn write_files<W: Write>(dir: &Path, to: &mut Sealer<W>, counts: &mut Counts) -> Result<(), BackupError> {
    let text = |name: Option<&std::ffi::OsStr>| name.and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    for entry in fs::read_dir(dir).map_err(BackupError::io("read the rollups"))? {
        let path = entry.map_err(BackupError::io("read the rollups"))?.path();
        let name = [text(dir.file_name()), text(path.file_name())];
        let mut file = match File::open(&path) {
            // It was forgotten in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(BackupError::io("read the rollups"))?,
        };
        let length = file.metadata().map_err(BackupError::io("read the rollups"))?.len();
        let mut left = length;
        while left > 0 {
            let size = left.min(USAGE_BYTES_AT_ONCE as u64);
            let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
            file.read_exact(&mut bytes).map_err(BackupError::io("read the rollups"))?;
            item::write(to, &Item::File { name: name.clone(), bytes })?;
            left -= size;
        }
        counts.rollup_bytes += length;
    }
    Ok(())
}

fn write_volatile<W: Write>(volatile: &Volatile, to: &mut Sealer<W>, counts: &mut Counts) -> Result<(), BackupError> {
    let mut all = Vec::new();
    volatile.raw(|key, value| all.push(Item::Volatile { key: key.to_vec(), value: value.to_vec() }))?;
    counts.volatile = all.len() as u64;
    all.iter().try_for_each(|item| item::write(to, item))
}

fn write_usage<W: Write>(usage: &Usage, to: &mut Sealer<W>, counts: &mut Counts) -> Result<(), BackupError> {
    // Before the records that they sum up: what they lack is found there, and not the reverse.
    for dir in usage.rollup_directories()? {
        write_files(&dir, to, counts)?;
    }
    for name in usage.segment_names() {
        let mut after = None;
        let mut begun = false;
        loop {
            let entries = usage.raw(name, after.as_deref(), USAGE_BYTES_AT_ONCE)?;
            // One that is gone was forgotten, or set aside, in the meantime.
            let Some((last, _)) = entries.last() else { break };
            if !begun {
                item::write(to, &Item::Segment { name: name.to_string() })?;
                counts.segments += 1;
                begun = true;
            }
            after = Some(last.clone());
            for (key, value) in entries {
                item::write(to, &Item::Block { key, value })?;
                counts.blocks += 1;
            }
        }
    }
    Ok(())
}

impl From<std::io::Error> for BackupError {
    fn from(error: std::io::Error) -> Self {
        Self::Store(StoreError::failed("write the backup", error))
    }
}
