//! The key of a backup: made from a passphrase, or from a key that is kept elsewhere.
//!
//! A backup outlives the host that it comes from, and its keys with it. So it is sealed by nothing of that host's: who has
//! the passphrase, or the key, has the backup, and nobody else.

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::cipher::{Cipher, CipherError, KEY_BYTES, KeyId};
use super::master::MasterKey;
use crate::bounds;

const OF_KEY: &[u8] = b"bursar/backup/key/v1";
const OF_FILE: &[u8] = b"bursar/backup/file/v1";
/// Bytes of a passphrase's salt.
pub const SALT_BYTES: usize = 16;

/// What a backup's key is made from; stands in clear in the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupLock {
    /// A passphrase, by Argon2id.
    Passphrase {
        /// Another one for each backup.
        salt: [u8; SALT_BYTES],
        /// KiB of memory.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
    },
    /// A key of 32 bytes: its id.
    Key(KeyId),
}

/// The key of a backup, in plain form: wiped when it goes.
pub struct BackupKey {
    root: Zeroizing<[u8; KEY_BYTES]>,
    lock: BackupLock,
}

/// A key that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BackupKeyError {
    /// Nobody would have to guess for long.
    #[error("the passphrase has {bytes} bytes, and {min} are the least", min = bounds::PASSPHRASE_BYTES_MIN)]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// The backup asks for a passphrase, and a key was given, or the reverse.
    #[error("the backup is sealed with {0}, which was not given")]
    OtherLock(&'static str),
    /// Another key.
    #[error("the backup is sealed with the key {sealed}, and the one given is {given}")]
    OtherKey {
        /// The key that the backup names.
        sealed: KeyId,
        /// The one that was given.
        given: KeyId,
    },
    /// The backup asks for more work than any that this program writes.
    #[error("the backup asks for {memory_kib} KiB and {passes} passes to make its key, which is more than is taken")]
    Costly {
        /// KiB of memory.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
    },
    /// The system gives no random numbers or no memory.
    #[error("no key can be made: {0}")]
    System(&'static str),
}

impl BackupKey {
    /// Makes the key of a new backup from a passphrase, under a salt of its own. Takes a while, and memory.
    ///
    /// # Errors
    /// When the passphrase is short, or the system gives no random numbers or no memory.
    pub fn from_passphrase(passphrase: &[u8]) -> Result<Self, BackupKeyError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| BackupKeyError::System("there are no random numbers"))?;
        let (memory_kib, passes) = (bounds::PASSPHRASE_MEMORY_KIB, bounds::PASSPHRASE_PASSES);
        if passphrase.len() < bounds::PASSPHRASE_BYTES_MIN {
            return Err(BackupKeyError::Short { bytes: passphrase.len() });
        }
        Self::stretch(passphrase, BackupLock::Passphrase { salt, memory_kib, passes })
    }

    /// Makes the key that a backup names from a passphrase.
    ///
    /// # Errors
    /// When the backup is sealed with a key, or asks for more work than is taken.
    pub fn of_passphrase(passphrase: &[u8], lock: BackupLock) -> Result<Self, BackupKeyError> {
        Self::stretch(passphrase, lock)
    }

    fn stretch(passphrase: &[u8], lock: BackupLock) -> Result<Self, BackupKeyError> {
        let BackupLock::Passphrase { salt, memory_kib, passes } = lock else {
            return Err(BackupKeyError::OtherLock("a key"));
        };
        if memory_kib > bounds::PASSPHRASE_MEMORY_KIB_MAX || passes > bounds::PASSPHRASE_PASSES_MAX {
            return Err(BackupKeyError::Costly { memory_kib, passes });
        }
        let system = |_| BackupKeyError::System("the passphrase cannot be stretched");
        let params = Params::new(memory_kib, passes, 1, Some(KEY_BYTES)).map_err(system)?;
        let mut root = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &salt, root.as_mut_slice())
            .map_err(system)?;
        Ok(Self { root, lock })
    }

    /// Makes the key of a backup from a key that is kept elsewhere: another use of a master key, or of one like it.
    ///
    /// # Errors
    /// Never with a key of the right length.
    pub fn from_key(key: &MasterKey) -> Result<Self, BackupKeyError> {
        let root = key.derive(OF_KEY).map_err(|_| BackupKeyError::System("the key cannot be derived"))?;
        let lock = BackupLock::Key(KeyId::of(&root));
        Ok(Self { root, lock })
    }

    /// As [`BackupKey::from_key`], if it is the key that a backup names.
    ///
    /// # Errors
    /// When the backup is sealed with a passphrase, or with another key.
    pub fn of_key(key: &MasterKey, lock: BackupLock) -> Result<Self, BackupKeyError> {
        let own = Self::from_key(key)?;
        match (lock, own.lock) {
            (BackupLock::Key(sealed), BackupLock::Key(given)) if sealed != given => {
                Err(BackupKeyError::OtherKey { sealed, given })
            }
            (BackupLock::Key(_), _) => Ok(own),
            (BackupLock::Passphrase { .. }, _) => Err(BackupKeyError::OtherLock("a passphrase")),
        }
    }

    /// A key that was made elsewhere, with what it was made from.
    pub fn from_parts(root: Zeroizing<[u8; KEY_BYTES]>, lock: BackupLock) -> Self {
        Self { root, lock }
    }

    /// The key itself, for the daemon that is to write a backup with it.
    pub fn root(&self) -> &[u8; KEY_BYTES] {
        &self.root
    }

    /// What it was made from.
    pub fn lock(&self) -> BackupLock {
        self.lock
    }

    /// What seals one backup, and no other under the same key.
    ///
    /// # Errors
    /// Never with ids of a sensible length.
    pub fn of_file(&self, id: &[u8]) -> Result<Cipher, CipherError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Hkdf::<Sha256>::new(Some(id), self.root.as_slice())
            .expand(OF_FILE, key.as_mut_slice())
            .map_err(|_| CipherError::Random)?;
        Cipher::new(&key)
    }
}

impl std::fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackupKey({:?})", self.lock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Place;

    const PLACE: Place<'static> = Place { tree: "t", record: &["r"], origin: "" };

    #[test]
    fn a_passphrase_and_a_key_each_open_what_they_sealed_and_nothing_else() {
        let made = BackupKey::from_passphrase(b"correct horse battery").unwrap();
        let sealed = made.of_file(b"one").unwrap().seal(&PLACE, b"x").unwrap();
        let opens = |key: &BackupKey, id: &[u8]| key.of_file(id).unwrap().open(&PLACE, &sealed).is_ok();
        let again = BackupKey::of_passphrase(b"correct horse battery", made.lock()).unwrap();
        assert!(opens(&again, b"one") && !opens(&again, b"two"));
        assert!(!opens(&BackupKey::of_passphrase(b"correct horse battery!", made.lock()).unwrap(), b"one"));
        let other = BackupKey::from_passphrase(b"correct horse battery").unwrap();
        assert_ne!(other.lock(), made.lock(), "each has a salt of its own");

        let (one, two) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let lock = BackupKey::from_key(&one).unwrap().lock();
        assert!(BackupKey::of_key(&one, lock).is_ok());
        assert!(matches!(BackupKey::of_key(&two, lock), Err(BackupKeyError::OtherKey { .. })));
        assert!(matches!(BackupKey::of_key(&one, made.lock()), Err(BackupKeyError::OtherLock("a passphrase"))));
        assert!(matches!(BackupKey::of_passphrase(b"x", lock), Err(BackupKeyError::OtherLock("a key"))));
    }

    #[test]
    fn short_passphrases_and_costly_headers_are_refused_at_once() {
        assert_eq!(BackupKey::from_passphrase(b"short").unwrap_err(), BackupKeyError::Short { bytes: 5 });
        let lock = BackupLock::Passphrase { salt: [0; 16], memory_kib: u32::MAX, passes: 1 };
        assert!(matches!(BackupKey::of_passphrase(b"x", lock), Err(BackupKeyError::Costly { .. })));
        let lock = BackupLock::Passphrase { salt: [0; 16], memory_kib: 0, passes: 0 };
        assert!(matches!(BackupKey::of_passphrase(b"x", lock), Err(BackupKeyError::System(_))));
    }
}
