//! Secrets, and the keys that seal them. Pure: bytes in, bytes out; no file, no database, no clock.
//!
//! Plain secret bytes exist only between [`Vault::open`] and the send that they were opened for. So no type that holds
//! them can be printed, copied or serialised, and each wipes its memory when it goes. (Copies inside the HTTP and TLS
//! libraries' buffers cannot be wiped; that is why a secret is opened for each call and never kept.)
//!
//! The order of keys: a [`MasterKey`] comes from outside and is never stored. It wraps the data keys of a [`Keyring`],
//! which are stored wrapped. A data key seals each credential, bound to its connection and to the [`Origin`] that it
//! may be sent to: a sealed credential that is moved to another connection, or whose connection now points elsewhere,
//! does not open.

mod backup;
mod cipher;
mod keyring;
mod master;
mod origin;
mod secret;
mod vault;

pub use backup::{BackupKey, BackupKeyError, BackupLock, SALT_BYTES};
pub use cipher::{Cipher, CipherError, KeyId, Place};
pub use keyring::{Fingerprint, Keyring, KeyringError, MacKey, WrappedKey, WrappedKeys};
pub use master::{MasterKey, MasterKeyError};
pub use origin::{Origin, OriginError};
pub use secret::{Secret, SecretError};
pub use vault::{SealedSecret, Vault, VaultError};
