//! The master key: where it comes from, and how a first one is made.
//!
//! A missing or wrong key is never mended by a new one: over existing state that would lose every credential.

mod error;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use error::KeyError;

use crate::config::{self, Keys};
use crate::credential::MasterKey;

/// Reads the master key that is in force, and the one that is to take its place, if there is one: the state tells which
/// of them it is sealed under. That one is another credential, with `-next` after its name, or another file, with
/// `.next`.
///
/// # Errors
/// When there is none, or none that may be used.
pub fn load_all(keys: &Keys) -> Result<Vec<MasterKey>, KeyError> {
    load_all_of(keys, rustix::process::geteuid().as_raw())
}

/// The same for a daemon that runs as another user.
///
/// # Errors
/// As [`load_all`].
pub fn load_all_of(keys: &Keys, daemon_uid: u32) -> Result<Vec<MasterKey>, KeyError> {
    let first = load(keys, daemon_uid);
    let next = match load(&next(keys), daemon_uid) {
        Ok(key) => Some(key),
        Err(KeyError::Missing { .. }) => None,
        Err(error) => return Err(error),
    };
    match (first, next) {
        (Err(KeyError::Missing { .. }), Some(next)) => Ok(vec![next]),
        (first, next) => Ok([first?].into_iter().chain(next).collect()),
    }
}

/// The user that the daemon with this state runs as: whoever looks at it from outside may be root.
pub fn daemon_uid(store: &Path) -> u32 {
    fs::metadata(store).map_or_else(|_| rustix::process::geteuid().as_raw(), |meta| meta.uid())
}

/// Where the key is that is to take the place of the one in force: a credential for a credential, a file for a file. A
/// file that took a credential's place would not be looked at.
fn next(keys: &Keys) -> Keys {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let is_there = |directory: PathBuf| !keys.credential.is_empty() && directory.join(&keys.credential).exists();
    if directory.is_some_and(is_there) {
        Keys { credential: format!("{}-next", keys.credential), file: None }
    } else {
        Keys { credential: String::new(), file: keys.file.as_deref().map(|file| beside(file, "next")) }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Whether the key in force comes from the file.
pub fn is_of_file(keys: &Keys) -> bool {
    keys.file.as_ref().is_some_and(|file| file.exists())
}

/// Writes a key that is to take the place of the one in the file, beside it and for the same user; one that an earlier
/// call wrote is kept. Gives its path.
///
/// # Errors
/// When the file cannot be written, or names no key.
pub fn write_next(keys: &Keys) -> Result<PathBuf, KeyError> {
    let file = keys.file.as_ref().ok_or(KeyError::NoFile)?;
    let path = beside(file, "next");
    let failed = |error| KeyError::Io { doing: "write", path: path.clone(), error };
    if path.symlink_metadata().is_ok() {
        let opened = File::open(&path).map_err(failed)?;
        return read_file(opened, &path, fs::metadata(file).map_err(failed)?.uid()).map(|_| path.clone());
    }
    let key = MasterKey::generate().map_err(KeyError::Unmade)?;
    let owner = fs::metadata(file).map_err(failed)?;
    let owner = rustix::process::geteuid().is_root().then_some(owner);
    write_for(&path, key.to_text().as_bytes(), owner.as_ref()).map_err(failed)?;
    Ok(path)
}

/// Puts that key in the place of the one in the file, which is kept beside it, as are those before: backups may need
/// them. Gives the path of the old one.
///
/// # Errors
/// When the system refuses.
pub fn put_next_in_place(keys: &Keys) -> Result<PathBuf, KeyError> {
    let file = keys.file.as_ref().ok_or(KeyError::NoFile)?;
    let failed = |error| KeyError::Io { doing: "put the new master key in the place of", path: file.clone(), error };
    let (next, old) = (beside(file, "next"), kept(file).map_err(failed)?);
    fs::rename(&next, file).map_err(failed)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(old)
}

/// Gives a file a second name, the first of `.old`, `.old-2`, … that is free, or that it has already.
fn kept(file: &Path) -> io::Result<PathBuf> {
    let here = fs::metadata(file)?.ino();
    let mut old = beside(file, "old");
    for n in 2.. {
        match fs::hard_link(file, &old) {
            // A call that was cut off had come so far.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(&old)?.ino() == here => {
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => old = beside(file, &format!("old-{n}")),
            linked => {
                linked?;
                break;
            }
        }
    }
    Ok(old)
}

/// Reads the master key: the systemd credential if there is one, else the file, which only root and the daemon's user may
/// own.
///
/// # Errors
/// When there is none, or none that may be used.
pub fn load(keys: &Keys, daemon_uid: u32) -> Result<MasterKey, KeyError> {
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
            Ok(file) => return read_file(file, path, daemon_uid),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tried.push(format!("the file {}", path.display()));
            }
            Err(error) => return Err(KeyError::Io { doing: "open", path: path.clone(), error }),
        }
    }
    Err(KeyError::Missing { tried: tried.join(" and ") })
}

fn read_file(file: File, path: &Path, daemon_uid: u32) -> Result<MasterKey, KeyError> {
    let failed = |error| KeyError::Io { doing: "read", path: path.to_owned(), error };
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(KeyError::NoRegularFile { path: path.to_owned() });
    }
    if let Some((owner, chown)) = config::stranger(meta.uid(), daemon_uid) {
        return Err(KeyError::Stranger { path: path.to_owned(), owner, chown });
    }
    let mode = meta.mode() & 0o777;
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
    let key = MasterKey::generate().map_err(KeyError::Unmade)?;
    match write(&path, key.to_text().as_bytes()) {
        Ok(()) => Ok(path),
        Err(error) => Err(KeyError::Io { doing: "write", path, error }),
    }
}

/// Writes a private file, whole or not at all, and durably.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    write_for(path, text, None)
}

/// As [`write`], for the owner of another file.
fn write_for(path: &Path, text: &[u8], owner: Option<&fs::Metadata>) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    // A temporary file is made with mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(text)?;
    if let Some(owner) = owner {
        std::os::unix::fs::fchown(temporary.as_file(), Some(owner.uid()), Some(owner.gid()))?;
    }
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

    fn load(keys: &Keys) -> Result<MasterKey, KeyError> {
        super::load(keys, rustix::process::geteuid().as_raw())
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
    fn a_next_key_is_written_once_and_takes_the_place_of_the_one_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        let keys = keys(&file);
        init(&keys, &dir.path().join("store")).unwrap();
        let ids = || load_all(&keys).unwrap().iter().map(MasterKey::id).collect::<Vec<_>>();
        let first = ids();
        let next = write_next(&keys).unwrap();
        assert_eq!(fs::metadata(&next).unwrap().mode() & 0o777, 0o600);
        let both = ids();
        assert_eq!((both.len(), both[0]), (2, first[0]));
        assert_eq!(write_next(&keys).unwrap(), next);
        assert_eq!(ids(), both, "one that is there is kept");
        let old = put_next_in_place(&keys).unwrap();
        assert_eq!(ids(), both[1..]);
        assert_eq!(load(&Keys { file: Some(old), ..keys.clone() }).unwrap().id(), first[0]);
        write_next(&keys).unwrap();
        fs::hard_link(&file, dir.path().join("master.key.old-2")).unwrap();
        let older = put_next_in_place(&keys).unwrap();
        assert_eq!(older, dir.path().join("master.key.old-2"), "as a call that was cut off left it");
        let of = |path: PathBuf| load(&Keys { file: Some(path), ..keys.clone() }).unwrap().id();
        assert_eq!((of(dir.path().join("master.key.old")), of(older)), (first[0], both[1]), "no key is lost");
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
    fn a_key_of_another_user_than_the_daemons_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        init(&keys(&file), &dir.path().join("store")).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
        }
        let owner = fs::metadata(&file).unwrap().uid();
        let error = super::load(&keys(&file), owner - 1).unwrap_err().to_string();
        assert!(error.contains(&format!("belongs to user {owner}")) && error.contains("chown it to root"), "{error}");
        super::load(&keys(&file), owner).unwrap();
    }

    #[test]
    fn what_is_said_of_a_key_that_cannot_be_used_leads_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        let told = || load(&keys(&file)).unwrap_err().to_string();
        let missing = told();
        assert!(missing.contains("keys init") && missing.contains("store restore"), "{missing}");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let empty = told();
        assert!(empty.contains("where a copy is kept") && empty.contains("move this one away"), "{empty}");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let directory = told();
        assert!(directory.contains("move it away") && !directory.contains("chmod"), "{directory}");
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
