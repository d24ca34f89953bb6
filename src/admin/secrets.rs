//! The secrets that files refer to: read, and sealed in memory at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::api::ConnectionId;
use crate::bounds;
use crate::config::{Catalogue, SecretRef};
use crate::credential::{Origin, Secret, Vault};
use crate::snapshot::DeclaredSecret;

/// Reads and seals the secrets of all declared connections. A secret that cannot be had is a reason that stands with its
/// connection; the others are served all the same.
pub(super) fn resolve(catalogue: &Catalogue, vault: &Vault) -> HashMap<ConnectionId, DeclaredSecret> {
    let mut all = HashMap::new();
    for connection in &catalogue.connections {
        let Some(reference) = &connection.secret else { continue };
        let Some(provider) = catalogue.providers.get(&connection.id.provider) else { continue };
        let sealed = Origin::of(&provider.base_url).map_err(|error| error.to_string()).and_then(|origin| {
            let secret = read(reference)?;
            vault.seal(&connection.id, &origin, &secret).map_err(|error| error.to_string())
        });
        all.insert(connection.id.clone(), sealed);
    }
    all
}

fn read(reference: &SecretRef) -> Result<Secret, String> {
    let bytes = match reference {
        SecretRef::Env(name) => {
            let value = std::env::var_os(name).ok_or_else(|| format!("{reference} is not set"))?;
            std::os::unix::ffi::OsStringExt::into_vec(value)
        }
        SecretRef::File(path) => file(path, reference)?,
        SecretRef::Credential(name) => {
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).ok_or_else(|| {
                format!("{reference} is not there: the daemon was not started with credentials (LoadCredential=)")
            })?;
            file(&directory.join(name), reference)?
        }
    };
    Secret::new(bytes).map_err(|error| format!("{reference} holds no usable secret: {error}"))
}

fn file(path: &Path, reference: &SecretRef) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{reference} cannot be read: {error}");
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    let most = u64::try_from(bounds::SECRET_BYTES_MAX).unwrap_or(u64::MAX) + 2;
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(std::mem::take(&mut *bytes))
}
