//! Binding a socket so that nobody can connect before its mode and group are right.
//!
//! The socket is made under another name with no rights for anybody, gets its group and mode, and is renamed into place.
//! What stands there is looked at first, under a lock: a socket that nobody answers on is replaced, one that somebody
//! answers on and anything that is no socket are left alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::Gid;
use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use crate::config::{Principal, Socket};

/// What a socket serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Everything: there is no admin socket.
    Both,
    /// Apps' calls only.
    App,
    /// Operators, and apps' calls for their tools.
    Admin,
}

/// A socket that cannot be had.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another daemon answers there.
    #[error("another process already answers at {0}: stop it first, or choose another path with [server] socket")]
    Live(PathBuf),
    /// Something else stands there.
    #[error("{0} is not a socket: it is left untouched; remove it, or choose another path with [server] socket")]
    Foreign(PathBuf),
    /// The path is too long for a socket.
    #[error("{0} is too long for a socket's path (107 bytes at most): choose a shorter one with [server] socket")]
    TooLong(PathBuf),
    /// The group is unknown.
    #[error("there is no group {0:?}, which [server] names for the socket")]
    Group(String),
    /// The system refused.
    #[error("cannot {doing} {path}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// A listening socket.
#[derive(Debug)]
pub struct Binding {
    /// The socket, not blocking.
    pub listener: UnixListener,
    /// What it serves.
    pub plane: Plane,
    /// Where it is, and the file's inode; none where another program made it.
    own: Option<(PathBuf, u64)>,
}

/// Binds a socket.
///
/// # Errors
/// When somebody answers there, something else stands there, or the system refuses.
pub fn bind(socket: &Socket, plane: Plane) -> Result<Binding, ListenError> {
    let path = &socket.path;
    let at = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| ListenError::Io { doing, path, error }
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(parent).map_err(at("make the directory", parent))?;
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (lock_path, new_path) = (beside(".lock"), beside(".new"));
    if new_path.as_os_str().len() > 107 {
        return Err(ListenError::TooLong(path.clone()));
    }
    let lock =
        File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(at("open", &lock_path))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| at("lock", &lock_path)(error.into()))?;
    look(path)?;
    let _ = fs::remove_file(&new_path);
    // The process's mask leaves the new socket to its owner alone, until the group and the mode are right.
    let listener = UnixListener::bind(&new_path).map_err(at("bind", &new_path))?;
    if let Some(group) = &socket.group {
        let gid = group_id(group)?;
        std::os::unix::fs::chown(&new_path, None, Some(gid.as_raw())).map_err(at("change the group of", &new_path))?;
    }
    fs::set_permissions(&new_path, fs::Permissions::from_mode(socket.mode))
        .map_err(at("set the mode of", &new_path))?;
    listener.set_nonblocking(true).map_err(at("set up", &new_path))?;
    let inode = fs::symlink_metadata(&new_path).map_err(at("look at", &new_path))?.ino();
    fs::rename(&new_path, path).map_err(at("put in place", path))?;
    Ok(Binding { listener, plane, own: Some((path.clone(), inode)) })
}

/// Takes over a socket that systemd made.
///
/// # Errors
/// When it cannot be set up.
pub fn inherited(listener: UnixListener, plane: Plane) -> io::Result<Binding> {
    listener.set_nonblocking(true)?;
    Ok(Binding { listener, plane, own: None })
}

impl Binding {
    /// Removes the socket's file, if it is still the one that was made here.
    pub fn remove(&self) {
        if let Some((path, inode)) = &self.own
            && fs::symlink_metadata(path).is_ok_and(|file| file.ino() == *inode)
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// What stands at the path: nothing or a socket that nobody answers on is fine.
fn look(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ListenError::Io { doing: "look at", path: path.to_owned(), error }),
        Ok(file) if !file.file_type().is_socket() => Err(ListenError::Foreign(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => Err(ListenError::Live(path.to_owned())),
        },
    }
}

/// Makes the directory with mode 0755: the socket's own mode decides who may connect.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn group_id(group: &Principal) -> Result<Gid, ListenError> {
    match group {
        Principal::Number(gid) => Ok(Gid::from_raw(*gid)),
        Principal::Name(name) => nix::unistd::Group::from_name(name)
            .ok()
            .flatten()
            .map(|group| group.gid)
            .ok_or_else(|| ListenError::Group(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(path: PathBuf) -> Socket {
        Socket { path, mode: 0o660, group: None }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/s.sock");
        let first = bind(&socket(path.clone()), Plane::Both).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&socket(path.clone()), Plane::Both), Err(ListenError::Live(_))));
        drop(first);
        let second = bind(&socket(path.clone()), Plane::Both).unwrap();
        UnixStream::connect(&path).unwrap();
        second.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "mine").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link, &dir.path().to_owned()] {
            assert!(matches!(bind(&socket(path.clone()), Plane::Both), Err(ListenError::Foreign(_))), "{path:?}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        let long = dir.path().join("x".repeat(120));
        assert!(matches!(bind(&socket(long), Plane::Both), Err(ListenError::TooLong(_))));
    }
}
