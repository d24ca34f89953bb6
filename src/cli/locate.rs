//! Where the configuration and the daemon's sockets are.

use std::path::{Path, PathBuf};

use super::exit::Failed;
use crate::config::{self, Daemon, Environment, Report};

/// Which of the daemon's two planes a command speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// Calls of models.
    App,
    /// Everything that operators do.
    Admin,
}

/// The environment of this process.
pub(super) fn environment() -> Environment {
    Environment::new(rustix::process::geteuid().is_root(), |name| std::env::var_os(name))
}

/// What the files say, for a command that cannot do without.
///
/// # Errors
/// When the file cannot be read or taken.
pub(super) fn daemon(asked: Option<&Path>, environment: &Environment) -> Result<Daemon, Failed> {
    let file = environment.daemon_file(asked);
    match config::load_daemon(file.as_deref(), environment, None) {
        Ok(loaded) => Ok(loaded.value),
        Err(report) => Err(bad(&report)),
    }
}

/// A configuration that cannot be taken.
pub(super) fn bad(report: &Report) -> Failed {
    Failed::state(format!("the configuration cannot be taken:\n{report}"))
}

/// The socket to connect to: the one that was asked for, else the configuration's, else the system's, else the user's
/// own.
///
/// # Errors
/// When a configuration that was asked for cannot be taken, or there is no place to look.
pub(super) fn socket(
    asked: Option<&Path>,
    config: Option<&Path>,
    environment: &Environment,
    plane: Plane,
) -> Result<PathBuf, Failed> {
    if let Some(socket) = asked {
        return Ok(socket.to_owned());
    }
    if let Some(file) = environment.daemon_file(config) {
        match config::load_daemon(Some(&file), environment, None) {
            Ok(loaded) => return Ok(of(&loaded.value, plane)),
            Err(report) if config.is_some() => return Err(bad(&report)),
            // A file that this user may not read, or that is broken now: the daemon runs all the same.
            Err(report) => tracing::warn!("the sockets are looked for in their usual places: {report}"),
        }
    }
    first_there(candidates(environment, plane))
        .ok_or_else(|| Failed::state("there is no place to look for the daemon's socket: name it with --socket"))
}

fn of(daemon: &Daemon, plane: Plane) -> PathBuf {
    let server = &daemon.server;
    match (plane, &server.admin_socket) {
        (Plane::Admin, Some(admin)) => admin.path.clone(),
        _ => server.socket.path.clone(),
    }
}

/// The usual places, best first. The last one is named where none is there.
fn candidates(environment: &Environment, plane: Plane) -> Vec<PathBuf> {
    let admin = (plane == Plane::Admin).then(|| PathBuf::from("/run/bursar-admin/admin.sock"));
    let system = PathBuf::from("/run/bursar/bursar.sock");
    let own = environment.runtime_dir.as_ref().map(|dir| dir.join("bursar.sock"));
    admin.into_iter().chain([system]).chain(own.filter(|_| !environment.root)).collect()
}

fn first_there(candidates: Vec<PathBuf>) -> Option<PathBuf> {
    let there = candidates.iter().find(|path| path.symlink_metadata().is_ok()).cloned();
    there.or_else(|| candidates.into_iter().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(dir: &Path) -> Environment {
        let dir = dir.to_owned();
        let mut environment = Environment::new(false, |name| (name == "HOME").then(|| dir.clone().into()));
        environment.system_config = dir.join("etc");
        environment
    }

    #[test]
    fn what_was_asked_for_wins_over_the_file_and_the_file_over_the_usual_places() {
        let dir = tempfile::tempdir().unwrap();
        let environment = environment(dir.path());
        let asked = socket(Some(Path::new("/asked.sock")), None, &environment, Plane::Admin).unwrap();
        assert_eq!(asked, Path::new("/asked.sock"));

        let file = dir.path().join("bursar.toml");
        std::fs::write(&file, "[server]\nsocket = \"/a.sock\"\nadmin_socket = \"/b.sock\"\n").unwrap();
        let found = |plane| socket(None, Some(&file), &environment, plane).unwrap();
        assert_eq!((found(Plane::App), found(Plane::Admin)), ("/a.sock".into(), "/b.sock".into()));

        std::fs::write(&file, "[server]\nsokket = \"/a.sock\"\n").unwrap();
        let failed = socket(None, Some(&file), &environment, Plane::App).unwrap_err();
        assert!(failed.message.contains("sokket"), "{failed}");
    }

    #[test]
    fn without_a_file_the_users_own_socket_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        let own = environment(dir.path()).runtime_dir.unwrap().join("bursar.sock");
        assert_eq!(candidates(&environment(dir.path()), Plane::App).last(), Some(&own));
    }
}
