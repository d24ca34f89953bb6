//! The secrets that files refer to: read, and sealed in memory at once.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::api::ConnectionId;
use crate::bounds;
use crate::config::{self, Catalogue, SecretRef};
use crate::credential::{Fingerprint, Origin, Secret, Vault};
use crate::snapshot::DeclaredSecret;
use crate::store::ConnectionSwitch;

/// The secrets of all declared connections.
#[derive(Default, Clone)]
pub(super) struct Secrets {
    /// Each one sealed, or why it cannot be had.
    pub(super) sealed: HashMap<ConnectionId, DeclaredSecret>,
    /// What was read of each: of those alone that could be.
    seen: HashMap<ConnectionId, SeenSecret>,
}

/// What is known of a secret that was read: enough to tell it from another one, and not what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenSecret {
    print: Fingerprint,
    origin: Origin,
    /// Whether it may be sent: it is new, or was accepted for this origin.
    accepted: bool,
}

/// What there is to know of the secret of one connection.
pub(super) struct Resolved {
    sealed: DeclaredSecret,
    seen: Option<SeenSecret>,
}

impl Resolved {
    /// Why the secret cannot be had.
    pub(super) fn problem(&self) -> Option<&str> {
        self.sealed.as_ref().err().map(String::as_str)
    }
}

impl Secrets {
    /// Reads and seals them. A secret that cannot be had is a reason that stands with its connection; the others are
    /// served all the same. `switches` say which secret was last accepted for which origin.
    pub(super) fn resolve(catalogue: &Catalogue, vault: &Vault, switches: &Switches) -> Self {
        let mut all = Self::default();
        for connection in &catalogue.connections {
            if let Some(resolved) = resolve(connection, catalogue, vault, switches.get(&connection.id)) {
                all.put(&connection.id, resolved);
            }
        }
        all
    }

    /// Takes another reading of one secret.
    pub(super) fn put(&mut self, id: &ConnectionId, Resolved { sealed, seen }: Resolved) {
        self.sealed.insert(id.clone(), sealed);
        match seen {
            Some(seen) => self.seen.insert(id.clone(), seen),
            None => self.seen.remove(id),
        };
    }

    /// The switches that are to remember other secrets than they do: (connection, switch, whether an earlier secret was
    /// known).
    pub(super) fn to_accept<'a>(
        &'a self,
        switches: &'a Switches,
    ) -> impl Iterator<Item = (&'a ConnectionId, ConnectionSwitch, bool)> {
        self.seen.iter().filter(|(_, seen)| seen.accepted).filter_map(|(id, seen)| {
            let switch = switches.get(id).cloned().unwrap_or_default();
            let known = switch.fingerprint;
            let same = known == Some(seen.print) && switch.origin.as_ref() == Some(&seen.origin);
            let renewed = known.is_some_and(|known| known != seen.print);
            let after = ConnectionSwitch { fingerprint: Some(seen.print), origin: Some(seen.origin.clone()), ..switch };
            (!same).then_some((id, after, renewed))
        })
    }

    /// The connections whose secret is another one than before, or can be had where it could not, or the reverse; with
    /// what there is to say of that.
    pub(super) fn changed<'a>(&'a self, before: &'a Self) -> BTreeMap<&'a ConnectionId, &'static str> {
        let had = |of: &Self, id| of.sealed.get(id).map(Result::is_ok);
        let one = |id: &'a ConnectionId| {
            let (was, is) = (had(before, id)?, had(self, id)?);
            let differs = self.seen.get(id).map(|seen| seen.print) != before.seen.get(id).map(|seen| seen.print);
            match (was, is) {
                (true, true) if differs => Some((id, "its secret is another one")),
                (false, true) => Some((id, "its secret can be had")),
                (true, false) => Some((id, "its secret cannot be had")),
                _ => None,
            }
        };
        self.sealed.keys().filter_map(one).collect()
    }

    /// The connections whose secret waits for a word of an operator's, because their provider has moved.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &ConnectionId> {
        self.seen.iter().filter(|(_, seen)| !seen.accepted).map(|(id, _)| id)
    }
}

/// What operators switched on declared connections, and which secrets were accepted for them.
pub(super) type Switches = BTreeMap<ConnectionId, ConnectionSwitch>;

/// Reads and seals the secret of a connection, if it has one. One that was accepted for another origin is not sealed: it
/// would be sent to where nobody said that it may go.
pub(super) fn resolve(
    connection: &config::Connection,
    catalogue: &Catalogue,
    vault: &Vault,
    switch: Option<&ConnectionSwitch>,
) -> Option<Resolved> {
    let id = &connection.id;
    let reference = connection.secret.as_ref()?;
    let provider = catalogue.providers.get(&id.provider)?;
    let read = Origin::of(&provider.base_url)
        .map_err(|error| error.to_string())
        .and_then(|origin| Ok((read(reference)?, origin)));
    let (secret, origin) = match read {
        Ok(read) => read,
        Err(problem) => return Some(Resolved { sealed: Err(problem), seen: None }),
    };
    let print = vault.fingerprint(&origin, &secret);
    let moved_from = switch
        .and_then(|switch| switch.origin.as_ref().zip(switch.fingerprint))
        .filter(|(at, known)| **at != origin && vault.fingerprint(at, &secret) == *known);
    let sealed = match moved_from {
        Some((at, _)) => Err(format!(
            "the secret was accepted for {at}, and the provider is now at {origin}: `bursar credentials confirm {id}` \
             lets it go there, or give another secret"
        )),
        None => vault.seal(id, &origin, &secret).map_err(|error| error.to_string()),
    };
    let seen = SeenSecret { print, accepted: moved_from.is_none(), origin };
    Some(Resolved { sealed, seen: Some(seen) })
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
