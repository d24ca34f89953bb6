//! The secrets that files refer to: read, and sealed in memory at once.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::api::ConnectionId;
use crate::bounds;
use crate::config::{self, Catalogue, SecretRef};
use crate::credential::{Fingerprint, Origin, Secret, Vault};
use crate::snapshot::DeclaredSecret;

/// The secrets of all declared connections.
#[derive(Default)]
pub(super) struct Secrets {
    /// Each one sealed, or why it cannot be had.
    pub(super) sealed: HashMap<ConnectionId, DeclaredSecret>,
    /// By what a new one is told from the one before. It is kept while none can be had.
    prints: HashMap<ConnectionId, Fingerprint>,
}

impl Secrets {
    /// Reads and seals them. A secret that cannot be had is a reason that stands with its connection; the others are
    /// served all the same. `before` is what was in force.
    pub(super) fn resolve(catalogue: &Catalogue, vault: &Vault, before: &Self) -> Self {
        let mut all = Self::default();
        for connection in &catalogue.connections {
            let id = &connection.id;
            let Some(reference) = &connection.secret else { continue };
            let Some(provider) = catalogue.providers.get(&id.provider) else { continue };
            let sealed = Origin::of(&provider.base_url).map_err(|error| error.to_string()).and_then(|origin| {
                let secret = read(reference)?;
                let sealed = vault.seal(id, &origin, &secret).map_err(|error| error.to_string())?;
                Ok((sealed, vault.fingerprint(&origin, &secret)))
            });
            let print = sealed.as_ref().map_or_else(|_| before.prints.get(id).copied(), |(_, print)| Some(*print));
            all.prints.extend(print.map(|print| (id.clone(), print)));
            all.sealed.insert(id.clone(), sealed.map(|(sealed, _)| sealed));
        }
        all
    }

    /// The connections whose secret is another one than before.
    pub(super) fn renewed<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a ConnectionId> {
        self.prints.iter().filter(|(id, print)| before.prints.get(*id) != Some(*print)).map(|(id, _)| id)
    }

    /// The connections whose secret is another one than before, or can be had where it could not, or the reverse.
    pub(super) fn changed<'a>(&'a self, before: &'a Self) -> BTreeSet<&'a ConnectionId> {
        let had = |of: &Self, id| of.sealed.get(id).map(Result::is_ok);
        let turned = self.sealed.keys().filter(|id| had(before, *id).is_some_and(|was| had(self, *id) != Some(was)));
        self.renewed(before).chain(turned).collect()
    }
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

/// Reads a secret's file, which is opened without waiting: a FIFO in its place must not hold a reload up.
fn file(path: &Path, reference: &SecretRef) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{reference} cannot be read: {error}");
    let (file, _) = config::open_regular(path)
        .map_err(|error| format!("{reference} {error}"))?
        .ok_or_else(|| failed(&"there is no such file"))?;
    // One allocation of its final size: growing would leave copies behind.
    let most = bounds::SECRET_BYTES_MAX + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Ok(std::mem::take(&mut *bytes))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode};

    use super::*;

    #[test]
    fn a_secret_that_is_no_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        for (path, says) in [
            (fifo.as_path(), "is a FIFO, not a file"),
            (directory.path(), "is a directory, not a file"),
            (Path::new("/dev/zero"), "is a device, not a file"),
            (Path::new("/nonexistent/secret"), "there is no such file"),
        ] {
            let why = read(&SecretRef::File(path.to_owned())).unwrap_err();
            assert!(why.contains(says) && why.contains(&path.display().to_string()), "{why}");
        }
    }

    #[test]
    fn a_secret_is_read_within_its_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (bytes, good) in [(bounds::SECRET_BYTES_MAX, true), (bounds::SECRET_BYTES_MAX + 1, false), (1 << 20, false)]
        {
            std::fs::write(&path, "k".repeat(bytes) + "\r\n").unwrap();
            assert_eq!(read(&SecretRef::File(path.clone())).is_ok(), good, "{bytes}");
        }
    }
}
