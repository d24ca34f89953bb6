//! The wrapped data keys in their stored form.

use serde::{Deserialize, Serialize};

use super::record::{self, Record, RecordError};
use crate::credential::{KeyId, WrappedKey, WrappedKeys};

/// The one key under which they are stored.
pub(super) const KEY: &[u8] = b"keys";

/// Their form wherever they are stored.
#[derive(Serialize, Deserialize)]
pub(super) struct WrappedKeysV1 {
    master: [u8; 8],
    /// Name, sealed key, check record.
    keys: Vec<(String, Vec<u8>, Vec<u8>)>,
}

pub(super) fn to_form(wrapped: &WrappedKeys) -> WrappedKeysV1 {
    let keys = wrapped.keys.iter().map(|key| (key.name.clone(), key.sealed.clone(), key.check.clone())).collect();
    WrappedKeysV1 { master: wrapped.master.0, keys }
}

pub(super) fn from_form(form: WrappedKeysV1) -> WrappedKeys {
    let keys = form.keys.into_iter().map(|(name, sealed, check)| WrappedKey { name, sealed, check }).collect();
    WrappedKeys { master: KeyId(form.master), keys }
}

impl Record for WrappedKeys {
    const KIND: &'static str = "keys";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        record::to_bytes(Self::KIND, &to_form(self))
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        Ok(from_form(record::from_bytes(Self::KIND, body)?))
    }
}
