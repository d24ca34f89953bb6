//! Why there is no master key, and what leads on from there.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::credential::MasterKeyError;

/// No master key, or none that may be used. No message ever holds a byte of one.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Nowhere a key.
    #[error(
        "there is no master key: looked for {tried}. `bursar keys init` makes one for a first start. What is stored \
         already only opens with its own key: put that back from where a copy is kept. Where no copy is left, move the \
         store's directory away, and after `bursar keys init` let `bursar store restore` bring a backup back"
    )]
    Missing {
        /// The places that were tried.
        tried: String,
    },
    /// What is there is no key.
    #[error(
        "the master key in {place} cannot be used: {error}. Put the right one in its place, from where a copy is kept; \
         for a first start, move this one away, and `bursar keys init` makes another"
    )]
    Unusable {
        /// Where.
        place: String,
        /// Why.
        error: MasterKeyError,
    },
    /// No key could be made.
    #[error("failed to make a master key: {0}")]
    Unmade(MasterKeyError),
    /// Something else has its name.
    #[error("{} is no file with a master key: move it away, and put the key in its place", path.display())]
    NoRegularFile {
        /// What has the name.
        path: PathBuf,
    },
    /// Somebody else can read and replace it.
    #[error("the master key in {} {owner}, who can read and replace it: {chown}", path.display())]
    Stranger {
        /// The file.
        path: PathBuf,
        /// Whom it belongs to.
        owner: String,
        /// What to do about it.
        chown: String,
    },
    /// Others can read it.
    #[error("the master key in {} can be read by others (mode {mode:03o}): chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refused.
    #[error("failed to {doing} {}: {error}", path.display())]
    Io {
        /// What.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A key is there already.
    #[error("{} is there already, and is kept: nothing was changed", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// State is there that was sealed under some other key.
    #[error(
        "{} holds state that is sealed under a master key: a new key could not open it, and none was made. Bring the old key back, or move the directory away to begin anew",
        store.display()
    )]
    StateExists {
        /// The state directory.
        store: PathBuf,
    },
    /// The configuration names no file.
    #[error("[keys] names no file to write the key to: add file = \"/etc/bursar/master.key\"")]
    NoFile,
}

impl KeyError {
    /// Whether the key is there, and not for this user.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }
}
