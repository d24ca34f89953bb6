//! AES-256-GCM, bound to the place of each record. The only file that names the primitive.
//!
//! What must stay true: a nonce comes from the system's random numbers, never from a counter that a restored backup
//! would repeat; every seal names its place, so that no ciphertext opens in another's; and decryption only ever gives
//! the whole plaintext or nothing (the in-place calls, which can leave bytes behind a failed check, stay unused).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::bounds;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// The form of a sealed record: this byte, the key's id, the nonce, the ciphertext with its tag.
const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// The beginning of all associated data: nothing else of this program's makes the same bytes.
const DOMAIN: &[u8] = b"bursar/seal";

/// Which key: the first bytes of a hash of it. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; KEY_ID_BYTES]);

impl KeyId {
    pub(super) fn of(key: &[u8; KEY_BYTES]) -> Self {
        let mut id = [0; KEY_ID_BYTES];
        let hash = Sha256::new().chain_update(b"bursar-kid").chain_update(key).finalize();
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a sealed record belongs. It opens only where it was sealed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub tree: &'a str,
    /// The record, in one or more parts; `["a", "b"]` and `["ab"]` differ.
    pub record: &'a [&'a str],
    /// The origin that the plaintext may be sent to; empty for what is never sent.
    pub origin: &'a str,
}

impl Place<'_> {
    /// The associated data: every part with its length before it, so that no two places give the same bytes.
    fn associated(&self, key: KeyId) -> Vec<u8> {
        let mut data = Vec::with_capacity(160);
        let parts = [DOMAIN, &[FORMAT], &key.0, self.tree.as_bytes(), self.origin.as_bytes()];
        for part in parts.into_iter().chain(self.record.iter().map(|part| part.as_bytes())) {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// A record that cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CipherError {
    /// The bytes are not what this key sealed for this place.
    #[error("the sealed record was altered, or was sealed for another place")]
    Tampered,
    /// Another key sealed it.
    #[error("the record is sealed with the key {sealed}, and the key here is {given}")]
    OtherKey {
        /// The key that the record names.
        sealed: KeyId,
        /// The key that was to open it.
        given: KeyId,
    },
    /// A newer version of this program sealed it.
    #[error("the sealed record has format {0}, and this version knows formats up to {FORMAT}")]
    Format(u8),
    /// The system's random numbers cannot be read.
    #[error("no random numbers can be had from the system")]
    Random,
    /// The key has sealed as much as is safe with random nonces.
    #[error("the key has sealed as many records as is safe; rotate the data keys")]
    Exhausted,
}

/// One key, ready to seal and open. Holds the key schedule, so that opening costs half a microsecond.
pub struct Cipher {
    key: Aes256Gcm,
    id: KeyId,
    seals: AtomicU64,
}

impl Cipher {
    /// Makes a cipher of a key.
    ///
    /// # Errors
    /// Never with a key of the right length.
    pub fn new(key: &[u8; KEY_BYTES]) -> Result<Self, CipherError> {
        let id = KeyId::of(key);
        let key = Aes256Gcm::new_from_slice(key).map_err(|_| CipherError::Tampered)?;
        Ok(Self { key, id, seals: AtomicU64::new(0) })
    }

    /// Which key this is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key that sealed these bytes, as they say.
    pub fn key_of(record: &[u8]) -> Option<KeyId> {
        record.get(1..)?.first_chunk().copied().map(KeyId)
    }

    /// Seals bytes for one place, under a nonce of their own.
    ///
    /// # Errors
    /// When the system gives no random numbers, or the key has sealed too much.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        if self.seals.fetch_add(1, Ordering::Relaxed) >= bounds::SEALS_PER_KEY_MAX {
            return Err(CipherError::Exhausted);
        }
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| CipherError::Random)?;
        let aad = place.associated(self.id);
        let sealed = self
            .key
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: &aad })
            .map_err(|_| CipherError::Exhausted)?;
        let mut record = Vec::with_capacity(HEAD_BYTES + sealed.len());
        record.push(FORMAT);
        record.extend_from_slice(&self.id.0);
        record.extend_from_slice(&nonce);
        record.extend_from_slice(&sealed);
        Ok(record)
    }

    /// Opens what [`Cipher::seal`] sealed for the same place.
    ///
    /// # Errors
    /// When the key, the format, the place or any bit differs.
    pub fn open(&self, place: &Place<'_>, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, CipherError> {
        let (&format, rest) = record.split_first().ok_or(CipherError::Tampered)?;
        if format != FORMAT {
            return Err(if format > FORMAT { CipherError::Format(format) } else { CipherError::Tampered });
        }
        let (id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or(CipherError::Tampered)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(CipherError::Tampered)?;
        if KeyId(*id) != self.id {
            return Err(CipherError::OtherKey { sealed: KeyId(*id), given: self.id });
        }
        let aad = place.associated(self.id);
        self.key
            .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| CipherError::Tampered)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({})", self.id)
    }
}

#[cfg(test)]
#[path = "cipher_tests.rs"]
mod tests;
