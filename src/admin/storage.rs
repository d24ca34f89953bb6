//! The store itself, and its keys: what it holds, whether it is whole, a backup of it, other keys for it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::control::{Admin, StartError};
use super::keys;
use crate::api::admin::{
    BackupRequest, DataKey, KeyInfo, KeysRotated, RotateKeys, StoreInfo, StorePart, StoreVerified,
};
use crate::api::{Code, Failure};
use crate::credential::{BackupKey, BackupLock, KeyId, MasterKey};
use crate::store::{BackupError, ChangeKeyError, Counts, KeyStatus, Store, StoreError, Verified};

/// The parts of a state directory, and what they hold.
const PARTS: [(&str, &str); 8] = [
    ("state", "connections, switches, lists of models, wrapped keys"),
    ("changes", "the sealed log of changes, from which a damaged state is made anew"),
    ("volatile", "cooldowns, parked accounts, counters of limits"),
    ("usage", "records of usage"),
    ("backups", "backups before migrations"),
    ("state.damaged", "damaged states that were set aside"),
    ("kept", "what was there before a restore"),
    ("reserve", "room to give up on a full disk"),
];

impl Admin {
    /// What the store holds. Blocks.
    ///
    /// # Errors
    /// When its directory cannot be read.
    pub fn store_info(&self) -> Result<StoreInfo, Failure> {
        let info = offline(self.store.dir()).map_err(|error| unread(&error))?;
        Ok(StoreInfo { generation: Some(self.store.generation()), warnings: self.store.notices(), ..info })
    }

    /// Reads everything that the store holds. Blocks, for long where there is much.
    ///
    /// # Errors
    /// When something cannot be read at all.
    pub fn verify_store(&self) -> Result<StoreVerified, Failure> {
        self.settle_usage();
        Ok(summary(self.store.verify()?))
    }

    /// Writes a backup. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read, or whoever asked is gone.
    pub fn back_up(&self, key: &BackupKey, out: impl Write) -> Result<Counts, BackupError> {
        self.settle_usage();
        self.store.backup(key, out)
    }

    /// Which key seals what. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn key_info(&self) -> Result<KeyInfo, Failure> {
        Ok(key_info(&self.store)?)
    }

    /// Changes keys, while everything goes on. What an earlier call left half done is brought to its end. Blocks, also for
    /// another such change.
    ///
    /// # Errors
    /// When there is no other master key to change to, or a change cannot be made durable.
    pub fn rotate_keys(&self, asked: RotateKeys) -> Result<KeysRotated, Failure> {
        let _alone = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let masters = keys::load_all(&self.daemon().keys);
        let masters = masters.map_err(|error| Failure::new(Code::Conflict, error.to_string()))?;
        let master_before = if asked.keep_master { None } else { self.rotate_master(&masters)? };
        let resealed = if asked.data_keys {
            let now = self.store.master_key_id()?;
            let master = masters.iter().find(|master| master.id() == now).ok_or_else(no_other)?;
            self.store.renew_data_keys(master)?;
            Some(self.store.reseal()?)
        } else {
            None
        };
        // What is in force shows credentials as they are sealed now.
        self.change(|_| Ok::<_, StartError>(()))?;
        let keys = self.key_info()?;
        tracing::info!(master = keys.master, resealed, "the keys were changed");
        Ok(KeysRotated { master_before: master_before.map(|id| id.to_string()), resealed, keys })
    }

    /// Wraps the data keys under the key that is to take the place of the one in force; none where it has already.
    fn rotate_master(&self, masters: &[MasterKey]) -> Result<Option<KeyId>, Failure> {
        let now = self.store.master_key_id()?;
        let (first, last) = (masters.first().ok_or_else(no_other)?, masters.last().ok_or_else(no_other)?);
        if first.id() == last.id() {
            return Err(no_other());
        }
        if now == last.id() {
            return Ok(None);
        }
        self.store.change_master_key(first, last)?;
        Ok(Some(now))
    }

    /// Seals anew what a change of the data keys had left when the daemon ended. Blocks.
    pub fn go_on_resealing(&self) {
        let _alone = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        match self.store.reseal() {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "credentials were sealed anew, as had been begun before"),
            Err(error) => {
                tracing::error!(%error, "credentials could not be sealed anew: `bursar keys rotate --data-keys` tries again")
            }
        }
    }
}

fn no_other() -> Failure {
    Failure::new(
        Code::Conflict,
        "there is no other master key to change to: `bursar keys rotate` writes one beside the key file; a daemon with \
         a systemd credential needs a second one, with -next after its name, and a restart",
    )
}

fn unread(error: &io::Error) -> Failure {
    Failure::new(Code::Internal, format!("the state directory cannot be read: {error}"))
}

impl From<ChangeKeyError> for Failure {
    fn from(error: ChangeKeyError) -> Self {
        match error {
            ChangeKeyError::Store(error) => error.into(),
            ChangeKeyError::Keyring(_) => Self::new(Code::Conflict, error.to_string()),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            other => Self::new(Code::Internal, other.to_string()),
        }
    }
}

/// What a walk through a store found, as it is told.
pub fn summary(found: Verified) -> StoreVerified {
    let Verified { generation, records, credentials, volatile, segments, usage_records, problems } = found;
    let ok = problems.is_empty();
    StoreVerified { ok, generation, records, credentials, volatile, segments, usage_records, problems }
}

/// Which key seals what in a store.
///
/// # Errors
/// When it cannot be read.
pub fn key_info(store: &Store) -> Result<KeyInfo, StoreError> {
    Ok(info(&store.key_status()?))
}

fn info(status: &KeyStatus) -> KeyInfo {
    let of = |id: &KeyId| status.credentials.iter().find(|(key, _)| key == id).map(|(_, count)| *count);
    let seals = |name: &str| match name {
        "connections" => "credentials",
        "mac" => "nothing: it authenticates manifests and fingerprints",
        _ => "the log of changes",
    };
    let mut data_keys: Vec<_> = status
        .data_keys
        .iter()
        .map(|(name, id)| DataKey {
            id: id.to_string(),
            seals: seals(name).into(),
            credentials: (*name == "connections").then(|| of(id).unwrap_or_default()),
        })
        .collect();
    let older = status.credentials.iter().filter(|(key, _)| !status.data_keys.iter().any(|(_, id)| id == key));
    data_keys.extend(older.map(|(key, count)| DataKey {
        id: key.to_string(),
        seals: "credentials, until they are sealed anew".into(),
        credentials: Some(*count),
    }));
    KeyInfo { master: status.master.to_string(), data_keys, resealing: status.resealing }
}

/// What can be told of a store's directory without opening it.
///
/// # Errors
/// When it cannot be read.
pub fn offline(dir: &Path) -> io::Result<StoreInfo> {
    let mut parts: Vec<StorePart> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let part = PARTS.iter().rfind(|(part, _)| {
            name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        });
        let Some(&(_, holds)) = part.filter(|(part, _)| *part != "state" || name == "state" || name == "state.healed")
        else {
            continue;
        };
        parts.push(StorePart { bytes: bytes(&entry.path())?, name, holds: holds.into() });
    }
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    let stat = rustix::fs::statvfs(dir)?;
    Ok(StoreInfo {
        path: dir.display().to_string(),
        format: Store::format(dir),
        format_known: Store::FORMAT,
        generation: None,
        parts,
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        warnings: Vec::new(),
    })
}

/// Bytes that something takes on the disk.
fn bytes(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let meta = match fs::symlink_metadata(path) {
        // It was removed while it was looked for.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        meta => meta?,
    };
    if !meta.is_dir() {
        return Ok(meta.blocks() * 512);
    }
    match fs::read_dir(path) {
        Ok(mut entries) => entries.try_fold(0, |sum, entry| Ok(sum + bytes(&entry?.path())?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// The key that a request brings.
///
/// # Errors
/// When it is none.
pub fn backup_key(request: &BackupRequest) -> Result<BackupKey, Failure> {
    let wrong = |field: &str| {
        let what = if field == "key" { "32" } else { "16" };
        Failure::new(Code::InvalidRequest, format!("{field}: give {what} bytes in base64")).at(field)
    };
    let decoded = STANDARD.decode(request.key.expose()).map(Zeroizing::new).map_err(|_| wrong("key"))?;
    let Some(stretched) = &request.stretched else {
        let key = MasterKey::parse(&decoded).map_err(|_| wrong("key"))?;
        return BackupKey::from_key(&key).map_err(|_| wrong("key"));
    };
    let root = <[u8; 32]>::try_from(decoded.as_slice()).map(Zeroizing::new).map_err(|_| wrong("key"))?;
    let salt = STANDARD.decode(&stretched.salt).map_err(|_| wrong("stretched.salt"))?;
    let salt = salt.try_into().map_err(|_| wrong("stretched.salt"))?;
    let (memory_kib, passes) = (stretched.memory_kib, stretched.passes);
    Ok(BackupKey::from_parts(root, BackupLock::Passphrase { salt, memory_kib, passes }))
}
