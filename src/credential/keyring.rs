//! The data keys, and how the master key wraps them.
//!
//! Two levels, so that changing the master key re-wraps a few keys and touches no record. The wrapped form holds a
//! check record beside each key: a key that was swapped for another is noticed before anything is opened with it.
//!
//! The key of credentials can be replaced while it is in use. Until every credential is sealed anew the old one stays
//! wrapped beside the new one, and a process that once had it keeps it to its end, for whoever still holds a credential
//! that it sealed.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::cipher::{Cipher, CipherError, KEY_BYTES, KeyId, Place};
use super::master::MasterKey;

/// Seals the credentials of connections.
const CONNECTIONS: &str = "connections";
/// Sealed them before, and still opens those that are not sealed anew.
const RETIRED: &str = "connections-retired";
/// Seals the log of changes.
const CHANGES: &str = "changes";
/// Authenticates manifests and fingerprints.
const MAC: &str = "mac";
/// Every data key that there may be.
const NAMES: [&str; 4] = [CONNECTIONS, RETIRED, MAC, CHANGES];
/// What a check record holds.
const CHECK: &[u8] = b"bursar/check/v1";

/// A key that authenticates, in plain form: wiped when it goes.
pub type MacKey = Zeroizing<[u8; KEY_BYTES]>;

/// The data keys of one store, open and ready. Cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    connections: Arc<Cipher>,
    retired: Vec<Arc<Cipher>>,
    mac: Zeroizing<[u8; KEY_BYTES]>,
    changes: Arc<Cipher>,
}

/// The data keys in the form in which they are stored: useless without the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeys {
    /// The master key that wraps them.
    pub master: KeyId,
    /// Each key.
    pub keys: Vec<WrappedKey>,
}

impl WrappedKeys {
    /// Whether credentials are being sealed anew, under another key than before.
    pub fn is_resealing(&self) -> bool {
        self.has(RETIRED)
    }

    fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }
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
        Self::create_with(master, random_key()?)
    }

    /// As [`Keyring::create`], with the key that authenticates fingerprints brought along: those that were made with
    /// it stay good.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn create_with(master: &MasterKey, mac: MacKey) -> Result<(Self, WrappedKeys), KeyringError> {
        let wrapping = master.cipher()?;
        let (connections, changes) = (random_key()?, random_key()?);
        let each = [(CONNECTIONS, &connections), (MAC, &mac), (CHANGES, &changes)];
        let keys = each.into_iter().map(|(name, key)| wrap(&wrapping, name, key)).collect::<Result<_, _>>()?;
        let (connections, changes) = (Cipher::new(&connections)?.into(), Cipher::new(&changes)?.into());
        let keyring = Self { connections, retired: Vec::new(), mac, changes };
        Ok((keyring, WrappedKeys { master: master.id(), keys }))
    }

    /// Opens the data keys and proves each by its check record.
    ///
    /// # Errors
    /// When the master key is another one, or a key is missing or altered.
    pub fn open(master: &MasterKey, wrapped: &WrappedKeys) -> Result<Self, KeyringError> {
        let wrapping = wrapping_cipher(master, wrapped)?;
        let cipher = |name| Ok::<_, KeyringError>(Arc::new(Cipher::new(&*unwrap(&wrapping, name, wrapped)?)?));
        let retired = if wrapped.is_resealing() { vec![cipher(RETIRED)?] } else { Vec::new() };
        let (connections, changes) = (cipher(CONNECTIONS)?, cipher(CHANGES)?);
        Ok(Self { connections, retired, mac: unwrap(&wrapping, MAC, wrapped)?, changes })
    }

    /// Wraps the same data keys under another master key; no sealed record changes.
    ///
    /// # Errors
    /// As [`Keyring::open`], and when the system gives no random numbers.
    pub fn rewrap(from: &MasterKey, to: &MasterKey, wrapped: &WrappedKeys) -> Result<WrappedKeys, KeyringError> {
        let (old, new) = (wrapping_cipher(from, wrapped)?, to.cipher()?);
        let again = |name| unwrap(&old, name, wrapped).and_then(|key| wrap(&new, name, &key));
        let present = NAMES.into_iter().filter(|name| wrapped.has(name));
        Ok(WrappedKeys { master: to.id(), keys: present.map(again).collect::<Result<_, _>>()? })
    }

    /// Adds the key of the log of changes to keys that were made before there was one; none where it is there.
    ///
    /// # Errors
    /// As [`Keyring::open`], and when the system gives no random numbers.
    pub fn completed(master: &MasterKey, wrapped: &WrappedKeys) -> Result<Option<WrappedKeys>, KeyringError> {
        let wrapping = wrapping_cipher(master, wrapped)?;
        if wrapped.has(CHANGES) {
            return Ok(None);
        }
        let mut keys = wrapped.keys.clone();
        keys.push(wrap(&wrapping, CHANGES, &*random_key()?)?);
        Ok(Some(WrappedKeys { keys, ..*wrapped }))
    }

    /// Begins to replace the data keys: new ones seal from here on, and the old key of credentials is kept until
    /// [`Keyring::settled`]. What authenticates stays, so that fingerprints do.
    ///
    /// # Errors
    /// As [`Keyring::open`], and when the system gives no random numbers.
    pub fn renewed(&self, master: &MasterKey, wrapped: &WrappedKeys) -> Result<(Self, WrappedKeys), KeyringError> {
        let wrapping = wrapping_cipher(master, wrapped)?;
        let old = unwrap(&wrapping, CONNECTIONS, wrapped)?;
        let mac = unwrap(&wrapping, MAC, wrapped)?;
        let (connections, changes) = (random_key()?, random_key()?);
        let each = [(CONNECTIONS, &connections), (RETIRED, &old), (MAC, &mac), (CHANGES, &changes)];
        let keys = each.into_iter().map(|(name, key)| wrap(&wrapping, name, key)).collect::<Result<_, _>>()?;
        let retired = self.retired.iter().chain([&self.connections]).cloned().collect();
        let (connections, changes) = (Cipher::new(&connections)?.into(), Cipher::new(&changes)?.into());
        Ok((Self { connections, retired, mac, changes }, WrappedKeys { master: wrapped.master, keys }))
    }

    /// Ends that: no stored credential needs the old key any more.
    #[must_use]
    pub fn settled(wrapped: &WrappedKeys) -> WrappedKeys {
        let keys = wrapped.keys.iter().filter(|key| key.name != RETIRED).cloned().collect();
        WrappedKeys { keys, ..*wrapped }
    }

    /// Seals the credentials of connections.
    pub(super) fn connections(&self) -> &Cipher {
        &self.connections
    }

    /// Whether this process had another key of credentials before.
    pub fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// The key that sealed a credential, as long as this process has it.
    pub(super) fn that_sealed(&self, sealed: &[u8]) -> &Cipher {
        let id = Cipher::key_of(sealed);
        let older = || self.retired.iter().find(|cipher| Some(cipher.id()) == id);
        if id == Some(self.connections.id()) { &self.connections } else { older().unwrap_or(&self.connections) }
    }

    /// Seals the log of changes.
    pub fn changes(&self) -> &Cipher {
        &self.changes
    }

    /// Which key seals what: its purpose and its id.
    pub fn ids(&self) -> [(&'static str, KeyId); 3] {
        [(CONNECTIONS, self.connections.id()), (MAC, KeyId::of(&self.mac)), (CHANGES, self.changes.id())]
    }

    /// The key that authenticates, for a backup that brings it to another store.
    pub fn mac_key(&self) -> &MacKey {
        &self.mac
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
        let [one, other, third] = [0, 1, 2].map(|n| wrapped.keys[n].clone());
        let swapped = [(&one, &other), (&other, &one)]
            .map(|(name, key)| WrappedKey { name: name.name.clone(), ..key.clone() })
            .to_vec();
        assert!(matches!(open(swapped), KeyringError::Damaged { source: CipherError::Tampered, .. }));
        let mut flipped = one.clone();
        flipped.check[30] ^= 1;
        assert!(matches!(open(vec![flipped, other]), KeyringError::Damaged { .. }));
        assert_eq!(open(vec![one.clone(), third]), KeyringError::Missing("mac"));
        assert_eq!(open(vec![one, wrapped.keys[1].clone()]), KeyringError::Missing("changes"));
    }

    #[test]
    fn renewed_keys_seal_anew_and_open_what_was_sealed_before_until_they_are_settled() {
        let (made, wrapped) = Keyring::create(&master(1)).unwrap();
        let place = Place { tree: "t", record: &["r"], origin: "" };
        let sealed = made.connections().seal(&place, b"before").unwrap();
        let (renewed, both) = made.renewed(&master(1), &wrapped).unwrap();
        assert!(both.is_resealing() && !wrapped.is_resealing());
        assert_ne!(renewed.ids()[0], made.ids()[0]);
        assert_eq!(renewed.ids()[1], made.ids()[1]);
        let moved = Keyring::rewrap(&master(1), &master(2), &both).unwrap();
        for ring in [&renewed, &Keyring::open(&master(1), &both).unwrap(), &Keyring::open(&master(2), &moved).unwrap()]
        {
            assert_eq!(ring.that_sealed(&sealed).open(&place, &sealed).unwrap().as_slice(), b"before");
            assert_eq!(ring.ids(), renewed.ids());
        }
        let settled = Keyring::open(&master(1), &Keyring::settled(&both)).unwrap();
        assert!(settled.that_sealed(&sealed).open(&place, &sealed).is_err());
        assert_eq!(settled.ids(), renewed.ids());
    }

    #[test]
    fn keys_of_before_the_log_of_changes_are_completed_once() {
        let (made, wrapped) = Keyring::create(&master(1)).unwrap();
        assert_eq!(Keyring::completed(&master(1), &wrapped).unwrap(), None);
        let keys = wrapped.keys.iter().filter(|key| key.name != CHANGES).cloned().collect();
        let old = WrappedKeys { keys, ..wrapped };
        assert!(matches!(Keyring::open(&master(1), &old), Err(KeyringError::Missing("changes"))));
        let completed = Keyring::completed(&master(1), &old).unwrap().unwrap();
        let opened = Keyring::open(&master(1), &completed).unwrap();
        assert_eq!((opened.ids()[0], opened.ids()[1]), (made.ids()[0], made.ids()[1]));
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
