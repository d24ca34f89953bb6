//! Restores a backup: into a directory that never was a store, or over one, whose state is kept aside.
//!
//! A whole new store is made in `restoring` first, opened and looked through. Then one rename makes it `restored-TIME`:
//! that is the moment at which it counts. After it, its parts take their places one by one, and what stood there moves to
//! `kept-TIME`; whoever opens the store next goes on with that ([`finish`]) before anything else. So a crash before the
//! moment leaves the old state, and one after it the new state.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use super::BackupError;
use super::item::Item;
use super::read::{self, Inspected};
use crate::bounds;
use crate::clock::Clock;
use crate::credential::{BackupKey, Cipher, Keyring, MasterKey, Vault, WrappedKeys};
use crate::store::connections::{self, StoredConnection};
use crate::store::database::{Batch, Database};
use crate::store::disk::{self, Disk};
use crate::store::files::{self, Lock};
use crate::store::replay::Records;
use crate::store::segment::Refill;
use crate::store::state::Paths;
use crate::store::{Notices, OpenError, StoreError, healing, layout, opening, record};

const RESTORING: &str = "restoring";
const RESTORED: &str = "restored-";
const KEPT: &str = "kept-";
/// The parts of a store, the one that says that there is one last. Each restored store has all of them.
const PARTS: [&str; 6] = ["usage", "volatile", "changes", "state", "manifest", "initialized"];
/// What older versions had in its place.
const FORMER: [&str; 2] = ["counters", "facts"];

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub backup: Inspected,
    /// Where what was there before is kept; none if nothing was.
    pub kept: Option<PathBuf>,
}

/// Reads a backup to its end, and restores it. No process may have the store open.
///
/// # Errors
/// When the backup is not whole, the store is in use, or there is no room. Then what was there is as it was.
pub fn restore(
    dir: &Path,
    master: &MasterKey,
    key: &BackupKey,
    mut input: impl Read + Seek,
) -> Result<Restored, BackupError> {
    let backup = read::inspect(io::BufReader::new(&mut input), key)?;
    input.rewind().map_err(BackupError::io("read the backup"))?;
    files::private_directory(dir).map_err(BackupError::io("make the store's directory"))?;
    let _lock = Lock::take(&dir.join("lock")).map_err(|error| OpenError::locked(dir, error))?;
    finish(dir).map_err(BackupError::io("end an earlier restore"))?;
    let fresh = dir.join(RESTORING);
    let made = make(&fresh, master, key, io::BufReader::new(input)).and_then(|()| check(&fresh, master));
    if let Err(error) = made {
        let _ = files::remove_directory(&fresh);
        return Err(error);
    }
    let now_s = Clock::system().wall_ms() / 1_000;
    let mut names = (now_s..).map(|time| (dir.join(format!("{RESTORED}{time}")), dir.join(format!("{KEPT}{time}"))));
    let free = names.find(|(_, kept)| kept.symlink_metadata().is_err());
    let (restored, kept) = free.ok_or(BackupError::NoBackup)?;
    files::rename(&fresh, &restored).map_err(BackupError::io("put the restored store in force"))?;
    finish(dir).map_err(BackupError::io("put the restored store in its place"))?;
    Ok(Restored { backup, kept: Some(kept).filter(|kept| kept.exists()) })
}

/// Makes the whole store that a backup holds, with data keys of its own.
fn make(dir: &Path, master: &MasterKey, key: &BackupKey, input: impl Read) -> Result<(), BackupError> {
    files::remove_directory(dir).map_err(BackupError::io("remove what an earlier restore left"))?;
    files::private_directory(dir).map_err(BackupError::io("make the restored store's directory"))?;
    files::private_directory(&dir.join("usage")).map_err(BackupError::io("make the restored store's directory"))?;
    let mut making =
        Making { dir, master, keys: None, records: Records::new(), volatile: Batch::default(), segment: None };
    let read = read::walk(input, key, |item, cipher| making.take(item, cipher))?;
    making.end(read.counts.generation)
}

/// A store that is being made.
struct Making<'a> {
    dir: &'a Path,
    master: &'a MasterKey,
    keys: Option<(Keyring, WrappedKeys, Vault)>,
    records: Records,
    volatile: Batch,
    segment: Option<Refill>,
}

impl Making<'_> {
    fn take(&mut self, item: Item, cipher: &Cipher) -> Result<(), BackupError> {
        match item {
            Item::Keys { mac } => {
                let failed = |error| BackupError::Credential { connection: "the store".into(), error };
                let mac = Vault::taken_over_mac(&mac, cipher).map_err(failed)?;
                let made = Keyring::create_with(self.master, mac);
                let (keyring, wrapped) = made.map_err(|error| StoreError::failed("make data keys", error))?;
                self.keys = Some((keyring.clone(), wrapped, Vault::new(keyring)));
            }
            Item::Record { key, value } => {
                let value = self.taken_over(&key, value, cipher)?;
                self.records.insert(key, value);
            }
            Item::Volatile { key, value } => self.volatile.insert(&key, value),
            Item::Segment { name } => {
                self.end_segment()?;
                let name = name.parse().map_err(|()| BackupError::NoBackup)?;
                self.segment = Some(Refill::begin(&self.dir.join("usage"), name)?);
            }
            Item::Block { key, value } => self.segment.as_mut().map_or(Ok(()), |segment| segment.push(&key, value))?,
            Item::File { name: [of, name], bytes } => self.append(&self.dir.join("usage").join(of), &name, &bytes)?,
            Item::End(_) => {}
        }
        Ok(())
    }

    /// Adds to a file; what was made is synced as a whole at the end.
    fn append(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        use std::os::unix::fs::FileExt;
        let write = || {
            files::private_directory(dir)?;
            let file = files::private_file(&dir.join(name))?;
            file.write_all_at(bytes, file.metadata()?.len())
        };
        write().map_err(BackupError::io("write the restored store"))
    }

    /// A record's value, with its credential sealed by this store's key.
    fn taken_over(&self, key: &[u8], value: Vec<u8>, cipher: &Cipher) -> Result<Vec<u8>, BackupError> {
        let (true, Some((_, _, vault))) = (connections::is_key(key), &self.keys) else { return Ok(value) };
        let mut connection: StoredConnection = record::decode(key, &value)?;
        let Some(secret) = &connection.secret else { return Ok(value) };
        let sealed = vault.taken_over(&connection.id, secret, cipher);
        let failed = |error| BackupError::Credential { connection: connection.id.to_string(), error };
        connection.secret = Some(sealed.map_err(failed)?);
        Ok(record::encode(key, &connection)?)
    }

    fn end_segment(&mut self) -> Result<(), StoreError> {
        self.segment.take().map_or(Ok(()), Refill::end)
    }

    fn end(mut self, generation: u64) -> Result<(), BackupError> {
        self.end_segment()?;
        let (keyring, wrapped, vault) = self.keys.take().ok_or(BackupError::NoBackup)?;
        Database::create(&self.dir.join("volatile"), bounds::VOLATILE_CACHE_BYTES, self.volatile)?;
        let paths = Paths::of(self.dir);
        let contents = healing::create(&paths, &keyring, &wrapped, generation, self.records)?;
        crate::store::state::write_manifest(&paths, &vault, contents)?;
        layout::mark(&paths, layout::CURRENT)?;
        files::settle(self.dir).map_err(BackupError::io("sync the restored store"))
    }
}

/// Opens what was made as any store is opened, and looks through all of it.
fn check(dir: &Path, master: &MasterKey) -> Result<(), BackupError> {
    let disk = Disk::unreserved(dir, disk::free_bytes());
    let notices = Notices::default();
    let state = opening::open(&Paths::of(dir), std::slice::from_ref(master), &disk, &notices)?;
    let connections: Vec<StoredConnection> = state.list(connections::TABLE.as_bytes())?;
    for one in connections {
        let Some(secret) = &one.secret else { continue };
        let failed = |error| BackupError::Credential { connection: one.id.to_string(), error };
        state.vault().open(&one.id, &secret.origin, secret).map_err(failed)?;
    }
    Ok(())
}

/// Goes on with a restore that counts and whose parts are not all in their places; clears away one that does not.
pub(in crate::store) fn finish(dir: &Path) -> io::Result<()> {
    files::remove_directory(&dir.join(RESTORING))?;
    let mut restored = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        restored.extend(name.to_str().and_then(|name| name.strip_prefix(RESTORED)).map(str::to_owned));
    }
    restored.iter().try_for_each(|time| put_in_place(dir, time))
}

fn put_in_place(dir: &Path, time: &str) -> io::Result<()> {
    let (restored, kept) = (dir.join(format!("{RESTORED}{time}")), dir.join(format!("{KEPT}{time}")));
    let keep = |name: &str| {
        let there = dir.join(name);
        if there.symlink_metadata().is_err() {
            return Ok(());
        }
        if !kept.exists() {
            files::private_directory(&kept)?;
            files::sync_directory(dir)?;
        }
        files::rename(&there, &kept.join(name))
    };
    FORMER.iter().try_for_each(|name| keep(name))?;
    for name in PARTS {
        let fresh = restored.join(name);
        // What is gone from here is in its place already.
        if fresh.symlink_metadata().is_ok() {
            keep(name)?;
            files::rename(&fresh, &dir.join(name))?;
        }
    }
    files::remove_directory(&restored)?;
    files::sync_directory(dir)
}
