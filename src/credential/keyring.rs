//! The data keys, and how the master key wraps them.
//!
//! Two levels, so that changing the master key re-wraps a few keys and touches no record. The wrapped form holds a
//! check record beside each key: a key that was swapped for another is noticed before anything is opened with it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::cipher::{Cipher, CipherError, KEY_BYTES, KeyId, Place};
use super::master::MasterKey;

/// Seals the credentials of connections.
const CONNECTIONS: &str = "connections";
/// Authenticates manifests and fingerprints.
const MAC: &str = "mac";
/// What a check record holds.
const CHECK: &[u8] = b"bursar/check/v1";

/// The data keys of one store, open and ready.
pub struct Keyring {
    connections: Cipher,
    mac: Zeroizing<[u8; KEY_BYTES]>,
}

/// The data keys in the form in which they are stored: useless without the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeys {
    /// The master key that wraps them.
    pub master: KeyId,
    /// Each key.
    pub keys: Vec<WrappedKey>,
}

/// One data key under the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// What it is for.
    pub name: String,
    /// The key, sealed by the master key.
    pub sealed: Vec<u8>,
    /// A constant, sealed by the key itself.
    pub check: Vec<u8>,
}

/// The keyed hash of a secret and its origin: tells whether either changed, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// The data keys cannot be opened or made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// Another master key wrapped them.
    #[error("the keys were wrapped by the master key {wrapped}, and the one given is {given}")]
    WrongMasterKey {
        /// The master key that the stored keys name.
        wrapped: KeyId,
        /// The one that was given.
        given: KeyId,
    },
    /// A key that this version needs is not there.
    #[error("the data key {0:?} is missing")]
    Missing(&'static str),
    /// A wrapped key or its check record was altered.
    #[error("the data key {name:?} cannot be unwrapped: {source}")]
    Damaged {
        /// The key.
        name: &'static str,
        /// Why.
        source: CipherError,
    },
    /// No key could be made.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}

impl Keyring {
    /// Makes new data keys and wraps them.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn create(master: &MasterKey) -> Result<(Self, WrappedKeys), KeyringError> {
        let wrapping = master.cipher()?;
        let (connections, mac) = (random_key()?, random_key()?);
        let keys = vec![wrap(&wrapping, CONNECTIONS, &connections)?, wrap(&wrapping, MAC, &mac)?];
        let keyring = Self { connections: Cipher::new(&connections)?, mac };
        Ok((keyring, WrappedKeys { master: master.id(), keys }))
    }

    /// Opens the data keys and proves each by its check record.
    ///
    /// # Errors
    /// When the master key is another one, or a key is missing or altered.
    pub fn open(master: &MasterKey, wrapped: &WrappedKeys) -> Result<Self, KeyringError> {
        let wrapping = wrapping_cipher(master, wrapped)?;
        let connections = Cipher::new(&*unwrap(&wrapping, CONNECTIONS, wrapped)?)?;
        Ok(Self { connections, mac: unwrap(&wrapping, MAC, wrapped)? })
    }

    /// Wraps the same data keys under another master key; no sealed record changes.
    ///
    /// # Errors
    /// As [`Keyring::open`], and when the system gives no random numbers.
    pub fn rewrap(from: &MasterKey, to: &MasterKey, wrapped: &WrappedKeys) -> Result<WrappedKeys, KeyringError> {
        let (old, new) = (wrapping_cipher(from, wrapped)?, to.cipher()?);
        let again = |name| unwrap(&old, name, wrapped).and_then(|key| wrap(&new, name, &key));
        Ok(WrappedKeys { master: to.id(), keys: vec![again(CONNECTIONS)?, again(MAC)?] })
    }

    /// Seals and opens the credentials of connections.
    pub(super) fn connections(&self) -> &Cipher {
        &self.connections
    }

    /// Authenticates bytes under a label of their own: HMAC-SHA256 over both, the label's length first.
    pub fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        // An HMAC key may have any length, so this cannot fail; an empty tag would equal no stored one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.mac.as_slice()) else { return [0; 32] };
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn wrapping_cipher(master: &MasterKey, wrapped: &WrappedKeys) -> Result<Cipher, KeyringError> {
    if master.id() != wrapped.master {
        return Err(KeyringError::WrongMasterKey { wrapped: wrapped.master, given: master.id() });
    }
    Ok(master.cipher()?)
}

fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, CipherError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| CipherError::Random)?;
    Ok(key)
}

fn wrap(wrapping: &Cipher, name: &'static str, key: &[u8; KEY_BYTES]) -> Result<WrappedKey, KeyringError> {
    let sealed = wrapping.seal(&Place { tree: "keys", record: &[name], origin: "" }, key)?;
    let check = Cipher::new(key)?.seal(&Place { tree: "check", record: &[name], origin: "" }, CHECK)?;
    Ok(WrappedKey { name: name.into(), sealed, check })
}

fn unwrap(
    wrapping: &Cipher,
    name: &'static str,
    wrapped: &WrappedKeys,
) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
    let found = wrapped.keys.iter().find(|key| key.name == name).ok_or(KeyringError::Missing(name))?;
    let damaged = |source| KeyringError::Damaged { name, source };
    let plain = wrapping.open(&Place { tree: "keys", record: &[name], origin: "" }, &found.sealed).map_err(damaged)?;
    let key = <[u8; KEY_BYTES]>::try_from(plain.as_slice()).map_err(|_| damaged(CipherError::Tampered))?;
    let key = Zeroizing::new(key);
    let check = Cipher::new(&key)?;
    let said = check.open(&Place { tree: "check", record: &[name], origin: "" }, &found.check).map_err(damaged)?;
    if said.as_slice() == CHECK { Ok(key) } else { Err(damaged(CipherError::Tampered)) }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.connections.id())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(byte: u8) -> MasterKey {
        let mut raw = [byte; KEY_BYTES];
        raw[0] = 0;
        MasterKey::parse(&raw).unwrap()
    }

    #[test]
    fn wrapped_keys_open_with_their_master_key_only() {
        let (made, wrapped) = Keyring::create(&master(1)).unwrap();
        let opened = Keyring::open(&master(1), &wrapped).unwrap();
        assert_eq!(made.mac("x", &[b"y"]), opened.mac("x", &[b"y"]));
        assert_eq!(made.connections.id(), opened.connections.id());
        assert_eq!(
            Keyring::open(&master(2), &wrapped).unwrap_err(),
            KeyringError::WrongMasterKey { wrapped: master(1).id(), given: master(2).id() }
        );
    }

    #[test]
    fn altered_swapped_and_missing_keys_are_noticed() {
        let (_, wrapped) = Keyring::create(&master(1)).unwrap();
        let open = |keys| Keyring::open(&master(1), &WrappedKeys { keys, ..wrapped.clone() }).unwrap_err();
        let [one, other] = [wrapped.keys[0].clone(), wrapped.keys[1].clone()];
        let swapped = [(&one, &other), (&other, &one)]
            .map(|(name, key)| WrappedKey { name: name.name.clone(), ..key.clone() })
            .to_vec();
        assert!(matches!(open(swapped), KeyringError::Damaged { source: CipherError::Tampered, .. }));
        let mut flipped = one.clone();
        flipped.check[30] ^= 1;
        assert!(matches!(open(vec![flipped, other]), KeyringError::Damaged { .. }));
        assert_eq!(open(vec![one]), KeyringError::Missing("mac"));
    }

    #[test]
    fn a_new_master_key_wraps_the_same_data_keys() {
        let (made, wrapped) = Keyring::create(&master(1)).unwrap();
        let again = Keyring::rewrap(&master(1), &master(2), &wrapped).unwrap();
        assert_eq!(Keyring::open(&master(2), &again).unwrap().mac("x", &[]), made.mac("x", &[]));
        assert!(Keyring::open(&master(1), &again).is_err());
        assert!(Keyring::rewrap(&master(2), &master(1), &wrapped).is_err());
    }

    #[test]
    fn a_mac_keeps_label_and_parts_apart() {
        let (keyring, _) = Keyring::create(&master(1)).unwrap();
        assert_ne!(keyring.mac("ab", &[b"c"]), keyring.mac("a", &[b"bc"]));
        assert_ne!(keyring.mac("a", &[b"b", b"c"]), keyring.mac("a", &[b"bc"]));
    }
}
