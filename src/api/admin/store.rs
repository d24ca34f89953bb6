//! The store and its keys, as operators see them.

use serde::{Deserialize, Serialize};

use super::SecretText;

/// `GET /admin/v1/store`: what the daemon's state directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoreInfo {
    /// The directory.
    pub path: String,
    /// The format that it is in; null while nothing is there yet.
    pub format: Option<u32>,
    /// The newest format that this version knows.
    pub format_known: u32,
    /// How often the state changed since it was made; null if nobody has it open to tell.
    pub generation: Option<u64>,
    /// Its parts, with the bytes that they take on the disk.
    pub parts: Vec<StorePart>,
    /// Bytes that are free on the disk.
    pub free_bytes: u64,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// A part of the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StorePart {
    /// Its name there.
    pub name: String,
    /// What it holds.
    pub holds: String,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// `POST /admin/v1/store/verify`: what reading everything found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoreVerified {
    /// Whether all is well.
    pub ok: bool,
    /// How often the state had changed.
    pub generation: u64,
    /// Records of the state.
    pub records: u64,
    /// Credentials among them that open.
    pub credentials: u64,
    /// Records of what changes all day long: cooldowns, counters of limits.
    pub volatile: u64,
    /// Segments of usage.
    pub segments: u64,
    /// Usage records in them.
    pub usage_records: u64,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// `POST /admin/v1/store/backup`: how the backup is to be sealed. The reply is the backup.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The key: 32 bytes in base64. Where it was made from a passphrase, the passphrase itself stays with whoever asks.
    #[serde(serialize_with = "SecretText::send")]
    pub key: SecretText,
    /// How it was made from a passphrase; null for a key that is kept elsewhere.
    #[serde(default)]
    pub stretched: Option<Stretched>,
}

/// How Argon2id made a key from a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretched {
    /// 16 bytes in base64.
    pub salt: String,
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// `GET /admin/v1/keys`: which key seals what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyInfo {
    /// The id of the master key that wraps the data keys.
    pub master: String,
    /// Each data key.
    pub data_keys: Vec<DataKey>,
    /// Whether credentials are being sealed anew, under another data key than before.
    pub resealing: bool,
}

/// A data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DataKey {
    /// Its id.
    pub id: String,
    /// What it does.
    pub seals: String,
    /// Credentials that it seals; null if it seals none.
    pub credentials: Option<u64>,
}

/// `POST /admin/v1/keys/rotate`: what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// Replace the data keys too, and seal every credential anew.
    #[serde(default)]
    pub data_keys: bool,
    /// Leave the master key as it is.
    #[serde(default)]
    pub keep_master: bool,
}

/// What changing keys came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeysRotated {
    /// The id of the master key before; null if it stayed, or had been changed before.
    pub master_before: Option<String>,
    /// Credentials that were sealed anew; null if the data keys stayed.
    pub resealed: Option<u64>,
    /// Which key seals what now.
    pub keys: KeyInfo,
}
