//! Seals and opens the credentials of connections, without touching the store.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use thiserror::Error;

use super::cipher::{Cipher, CipherError, Place};
use super::keyring::{Fingerprint, Keyring, MacKey};
use super::origin::Origin;
use super::secret::Secret;
use crate::api::ConnectionId;

/// A credential that only the keys of this store open, and only for its own connection and origin. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Where the secret may be sent.
    pub origin: Origin,
    /// The sealed bytes.
    pub sealed: Arc<[u8]>,
    /// The end of the secret, for operators; none of a short one.
    pub hint: Option<String>,
}

/// A credential that cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The provider's address changed since the secret was given.
    #[error("the secret was given for {sealed}, and the connection now points to {asked}: give the secret again")]
    OtherOrigin {
        /// The origin that it is sealed for.
        sealed: Origin,
        /// The origin that it was to be opened for.
        asked: Origin,
    },
    /// The sealed bytes cannot be opened, or no new ones made.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}

/// Seals and opens credentials. Cheap to clone; does no I/O, so a worker may open a credential for each call. All
/// clones see it when the data keys are replaced.
#[derive(Clone)]
pub struct Vault(Arc<ArcSwap<Keyring>>);

impl Vault {
    /// A vault over open keys.
    pub fn new(keyring: Keyring) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keyring)))
    }

    /// The keys that are in force.
    pub fn keyring(&self) -> Arc<Keyring> {
        self.0.load_full()
    }

    /// Puts other keys in force.
    pub fn replace(&self, keyring: Keyring) {
        self.0.store(Arc::new(keyring));
    }

    /// Whether the key that seals now sealed this credential.
    pub fn is_current(&self, secret: &SealedSecret) -> bool {
        Cipher::key_of(&secret.sealed) == Some(self.0.load().connections().id())
    }

    /// The credential, sealed anew by the key that seals now.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Vault::seal`].
    pub fn resealed(&self, id: &ConnectionId, secret: &SealedSecret) -> Result<SealedSecret, VaultError> {
        let plain = self.open(id, &secret.origin, secret)?;
        let sealed = self.0.load().connections().seal(&place(&names(id), &secret.origin), plain.expose())?;
        Ok(SealedSecret { sealed: sealed.into(), ..secret.clone() })
    }

    /// Seals a secret for one connection and the one origin that it may be sent to.
    ///
    /// # Errors
    /// When the system gives no random numbers, or the key has sealed too much.
    pub fn seal(&self, id: &ConnectionId, origin: &Origin, secret: &Secret) -> Result<SealedSecret, VaultError> {
        let sealed = self.0.load().connections().seal(&place(&names(id), origin), secret.expose())?;
        Ok(SealedSecret { origin: origin.clone(), sealed: sealed.into(), hint: secret.hint() })
    }

    /// Opens a secret for the one call that it is needed for.
    ///
    /// # Errors
    /// When the connection's origin is not the one that the secret was sealed for, or the sealed bytes were altered or
    /// belong to another connection.
    pub fn open(&self, id: &ConnectionId, origin: &Origin, secret: &SealedSecret) -> Result<Secret, VaultError> {
        if secret.origin != *origin {
            return Err(VaultError::OtherOrigin { sealed: secret.origin.clone(), asked: origin.clone() });
        }
        let keys = self.0.load();
        Ok(Secret::opened(keys.that_sealed(&secret.sealed).open(&place(&names(id), origin), &secret.sealed)?))
    }

    /// The credential, sealed for a backup by the backup's key.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Vault::seal`].
    pub fn handed_over(
        &self,
        id: &ConnectionId,
        secret: &SealedSecret,
        to: &Cipher,
    ) -> Result<SealedSecret, VaultError> {
        let plain = self.open(id, &secret.origin, secret)?;
        let sealed = to.seal(&in_backup(&names(id), &secret.origin), plain.expose())?;
        Ok(SealedSecret { sealed: sealed.into(), ..secret.clone() })
    }

    /// A credential out of a backup, sealed by the key that seals now.
    ///
    /// # Errors
    /// When the backup's key did not seal it for this connection and origin.
    pub fn taken_over(
        &self,
        id: &ConnectionId,
        secret: &SealedSecret,
        from: &Cipher,
    ) -> Result<SealedSecret, VaultError> {
        let plain = from.open(&in_backup(&names(id), &secret.origin), &secret.sealed)?;
        let sealed = self.0.load().connections().seal(&place(&names(id), &secret.origin), &plain)?;
        Ok(SealedSecret { sealed: sealed.into(), ..secret.clone() })
    }

    /// Whether a credential out of a backup opens.
    ///
    /// # Errors
    /// As [`Vault::taken_over`].
    pub fn opens_handed_over(id: &ConnectionId, secret: &SealedSecret, from: &Cipher) -> Result<(), VaultError> {
        Ok(from.open(&in_backup(&names(id), &secret.origin), &secret.sealed).map(drop)?)
    }

    /// The key that authenticates, sealed for a backup.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn handed_over_mac(&self, to: &Cipher) -> Result<Vec<u8>, VaultError> {
        Ok(to.seal(&MAC_IN_BACKUP, self.0.load().mac_key().as_slice())?)
    }

    /// That key, out of a backup.
    ///
    /// # Errors
    /// When the backup's key did not seal it.
    pub fn taken_over_mac(sealed: &[u8], from: &Cipher) -> Result<MacKey, VaultError> {
        let plain = from.open(&MAC_IN_BACKUP, sealed)?;
        let mut key = MacKey::default();
        if plain.len() != key.len() {
            return Err(CipherError::Tampered.into());
        }
        key.copy_from_slice(&plain);
        Ok(key)
    }

    /// The keyed fingerprint of a secret and its origin.
    pub fn fingerprint(&self, origin: &Origin, secret: &Secret) -> Fingerprint {
        let tag = self.0.load().mac("fingerprint", &[origin.as_str().as_bytes(), secret.expose()]);
        let mut short = [0; 16];
        short.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
        Fingerprint(short)
    }

    /// Authenticates bytes of the store's own; see [`Keyring::mac`].
    pub fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.0.load().mac(label, parts)
    }
}

fn names(id: &ConnectionId) -> [&str; 2] {
    [id.provider.as_str(), id.name.as_str()]
}

fn place<'a>(names: &'a [&'a str; 2], origin: &'a Origin) -> Place<'a> {
    Place { tree: "connections", record: names, origin: origin.as_str() }
}

fn in_backup<'a>(names: &'a [&'a str; 2], origin: &'a Origin) -> Place<'a> {
    Place { tree: "backup-connections", record: names, origin: origin.as_str() }
}

const MAC_IN_BACKUP: Place<'static> = Place { tree: "backup-keys", record: &["mac"], origin: "" };

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret({})", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::MasterKey;

    fn vault() -> Vault {
        Vault::new(Keyring::create(&MasterKey::generate().unwrap()).unwrap().0)
    }

    fn canary() -> Secret {
        Secret::new(b"sk-canary-canary-9876".to_vec()).unwrap()
    }

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn a_secret_opens_for_its_connection_and_origin_only() {
        let (vault, here, there) = (vault(), origin("https://api.openai.com"), origin("https://evil.example"));
        let (main, other) = ("openai:main".parse().unwrap(), "openai:other".parse().unwrap());
        let sealed = vault.seal(&main, &here, &canary()).unwrap();
        assert!(vault.open(&main, &here, &sealed).unwrap().same_as(&canary()));
        assert_eq!(sealed.hint.as_deref(), Some("…9876"));

        let moved = VaultError::OtherOrigin { sealed: here.clone(), asked: there.clone() };
        assert_eq!(vault.open(&main, &there, &sealed).unwrap_err(), moved);
        let tampered = VaultError::Cipher(CipherError::Tampered);
        assert_eq!(vault.open(&other, &here, &sealed).unwrap_err(), tampered);
        let relabelled = SealedSecret { origin: there.clone(), ..sealed };
        assert_eq!(vault.open(&main, &there, &relabelled).unwrap_err(), tampered);
    }

    #[test]
    fn a_fingerprint_tells_secrets_and_origins_apart_and_needs_the_key() {
        let (vault, here, there) = (vault(), origin("https://a.example"), origin("https://b.example"));
        let other = Secret::new(b"sk-other".to_vec()).unwrap();
        assert_eq!(vault.fingerprint(&here, &canary()), vault.clone().fingerprint(&here, &canary()));
        assert_ne!(vault.fingerprint(&here, &canary()), vault.fingerprint(&there, &canary()));
        assert_ne!(vault.fingerprint(&here, &canary()), vault.fingerprint(&here, &other));
        assert_ne!(vault.fingerprint(&here, &canary()), self::vault().fingerprint(&here, &canary()));
    }

    #[test]
    fn nothing_here_prints_a_secret_or_a_key() {
        let master = MasterKey::parse(b"canary-canary-canary-canary-1234").unwrap();
        let (keyring, wrapped) = Keyring::create(&master).unwrap();
        let shown_keys = format!("{master:?} {keyring:?} {wrapped:?} {:?}", keyring.connections());
        let vault = Vault::new(keyring);
        let (id, here) = ("openai:main".parse().unwrap(), origin("https://a.example"));
        let sealed = vault.seal(&id, &here, &canary()).unwrap();
        let error = vault.open(&id, &origin("https://b.example"), &sealed).unwrap_err();
        let print = vault.fingerprint(&here, &canary());
        let shown = format!("{shown_keys} {vault:?} {sealed:#?} {error:?} {error} {print:?} {:?}", canary());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
