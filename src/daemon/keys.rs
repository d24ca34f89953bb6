//! The master key: where it comes from, and how a first one is made.
//!
//! A missing or wrong key is never mended by a new one: over existing state that would lose every credential.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::Keys;
use crate::credential::{MasterKey, MasterKeyError};

/// No master key, or none that may be used. No message ever holds a byte of one.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Nowhere a key.
    #[error("there is no master key: looked for {tried}. `bursar keys init` makes one for a first start")]
    Missing {
        /// The places that were tried.
        tried: String,
    },
    /// What is there is no key.
    #[error("the master key in {place} cannot be used: {error}")]
    Unusable {
        /// Where.
        place: String,
        /// Why.
        error: MasterKeyError,
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

/// Reads the master key: the systemd credential if there is one, else the file.
///
/// # Errors
/// When there is none, or none that may be used.
pub fn load(keys: &Keys) -> Result<MasterKey, KeyError> {
    let mut tried = Vec::new();
    let name = &keys.credential;
    if !name.is_empty() {
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(directory) => {
                let path = Path::new(&directory).join(name);
                // systemd leaves the directory empty where a credential is missing, or shut.
                match fs::read(&path).map(Zeroizing::new) {
                    Ok(bytes) => return parse(&bytes, &path),
                    Err(error) => tried.push(format!("the systemd credential {name} ({})", error.kind())),
                }
            }
            None => tried.push(format!("the systemd credential {name} (the daemon was started without credentials)")),
        }
    }
    if let Some(path) = &keys.file {
        match File::open(path) {
            Ok(file) => return read_file(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tried.push(format!("the file {}", path.display()));
            }
            Err(error) => return Err(KeyError::Io { doing: "open", path: path.clone(), error }),
        }
    }
    Err(KeyError::Missing { tried: tried.join(" and ") })
}

fn read_file(file: File, path: &Path) -> Result<MasterKey, KeyError> {
    let failed = |error| KeyError::Io { doing: "read", path: path.to_owned(), error };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(4096).read_to_end(&mut bytes).map_err(failed)?;
    parse(&bytes, path)
}

fn parse(bytes: &[u8], path: &Path) -> Result<MasterKey, KeyError> {
    MasterKey::parse(bytes).map_err(|error| KeyError::Unusable { place: path.display().to_string(), error })
}

/// Writes a first master key, mode 0600, and gives the file's path.
///
/// # Errors
/// When a key or state is there already, or the file cannot be written.
pub fn init(keys: &Keys, store: &Path) -> Result<PathBuf, KeyError> {
    let path = keys.file.clone().ok_or(KeyError::NoFile)?;
    if path.symlink_metadata().is_ok() {
        return Err(KeyError::Exists { path });
    }
    replace(keys, store)
}

/// As [`init`], and in place of a key that is there. Never over state: nothing could open it any more.
///
/// # Errors
/// When state is there already, or the file cannot be written.
pub fn replace(keys: &Keys, store: &Path) -> Result<PathBuf, KeyError> {
    let path = keys.file.clone().ok_or(KeyError::NoFile)?;
    if fs::read_dir(store).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(KeyError::StateExists { store: store.to_owned() });
    }
    let key = MasterKey::generate().map_err(|error| KeyError::Unusable { place: path.display().to_string(), error })?;
    match write(&path, key.to_text().as_bytes()) {
        Ok(()) => Ok(path),
        Err(error) => Err(KeyError::Io { doing: "write", path, error }),
    }
}

/// Writes a private file, whole or not at all, and durably.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    // A temporary file is made with mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(text)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keys(file: &Path) -> Keys {
        Keys { credential: String::new(), file: Some(file.to_owned()) }
    }

    #[test]
    fn a_first_key_is_made_once_and_only_without_state() {
        let dir = tempfile::tempdir().unwrap();
        let (file, store) = (dir.path().join("deep/master.key"), dir.path().join("store"));
        assert!(load(&keys(&file)).unwrap_err().to_string().contains("bursar keys init"));
        init(&keys(&file), &store).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let first = load(&keys(&file)).unwrap().id();
        assert!(matches!(init(&keys(&file), &store), Err(KeyError::Exists { .. })));
        assert_eq!(load(&keys(&file)).unwrap().id(), first);
        replace(&keys(&file), &store).unwrap();
        assert_ne!(load(&keys(&file)).unwrap().id(), first);
        fs::create_dir(&store).unwrap();
        fs::write(store.join("x"), "state").unwrap();
        let other = dir.path().join("other.key");
        assert!(matches!(init(&keys(&other), &store), Err(KeyError::StateExists { .. })));
        assert!(matches!(replace(&keys(&other), &store), Err(KeyError::StateExists { .. })));
        assert!(!other.exists());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        init(&keys(&file), &dir.path().join("store")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(&keys(&file)), Err(KeyError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_broken_key_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        for bad in ["", "CANARY-short", &"CANARY".repeat(100)] {
            fs::write(&file, bad).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let error = load(&keys(&file)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }
}
