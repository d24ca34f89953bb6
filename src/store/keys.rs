//! The wrapped data keys in their stored form.

use serde::{Deserialize, Serialize};

use super::record::{self, Record, RecordError};
use crate::credential::{KeyId, WrappedKey, WrappedKeys};

/// The one key under which they are stored.
pub(super) const KEY: &[u8] = b"keys";

#[derive(Serialize, Deserialize)]
struct WrappedKeysV1 {
    master: [u8; 8],
    /// Name, sealed key, check record.
    keys: Vec<(String, Vec<u8>, Vec<u8>)>,
}

impl Record for WrappedKeys {
    const KIND: &'static str = "keys";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let keys = self.keys.iter().map(|key| (key.name.clone(), key.sealed.clone(), key.check.clone())).collect();
        record::to_bytes(Self::KIND, &WrappedKeysV1 { master: self.master.0, keys })
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let stored: WrappedKeysV1 = record::from_bytes(Self::KIND, body)?;
        let keys = stored.keys.into_iter().map(|(name, sealed, check)| WrappedKey { name, sealed, check }).collect();
        Ok(Self { master: KeyId(stored.master), keys })
    }
}
