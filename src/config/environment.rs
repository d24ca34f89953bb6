//! Where things lie by default: under `/etc`, `/run` and `/var/lib` for the system's daemon, under the XDG directories
//! for a user's own.
//!
//! The process's environment is read once, by the caller, and handed in: nothing below looks at it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's directories for configuration, sockets and state.
const SYSTEM_CONFIG: &str = "/etc/bursar";
const SYSTEM_RUN: &str = "/run/bursar";
const SYSTEM_STATE: &str = "/var/lib/bursar";

/// What the defaults depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Whether the process runs as root.
    pub root: bool,
    /// The system's configuration directory, `/etc/bursar`.
    pub system_config: PathBuf,
    /// The user's directory for configuration, `…/bursar`; none if the environment names no home.
    pub config_home: Option<PathBuf>,
    /// The user's directory for state, `…/bursar`.
    pub state_home: Option<PathBuf>,
    /// The user's directory for sockets, `…/bursar`.
    pub runtime_dir: Option<PathBuf>,
}

/// The directories that defaults are put into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directories {
    pub(super) config: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) run: Option<PathBuf>,
}

impl Environment {
    /// Reads the variables that matter through `variable`. Relative paths in them are ignored, as the XDG
    /// specification asks. Without `XDG_RUNTIME_DIR` the socket lies in the state directory, which is the user's own
    /// too: never in a directory that others can write to.
    pub fn new(root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let under_home = |name: &str, fallback: &str| {
            absolute(name).or_else(|| home.as_ref().map(|home| home.join(fallback))).map(|dir| dir.join("bursar"))
        };
        let state_home = under_home("XDG_STATE_HOME", ".local/state");
        Self {
            root,
            system_config: SYSTEM_CONFIG.into(),
            config_home: under_home("XDG_CONFIG_HOME", ".config"),
            runtime_dir: absolute("XDG_RUNTIME_DIR").map(|dir| dir.join("bursar")).or_else(|| state_home.clone()),
            state_home,
        }
    }

    /// The `bursar.toml` to read: the one that was asked for, else the system's, else the user's. None if there is
    /// none: then the built-in defaults hold.
    pub fn daemon_file(&self, asked: Option<&Path>) -> Option<PathBuf> {
        let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
        asked.map(Path::to_path_buf).or_else(|| {
            [Some(self.system_config.as_path()), self.config_home.as_deref()]
                .into_iter()
                .flatten()
                .map(|dir| dir.join("bursar.toml"))
                .find(is_there)
        })
    }

    /// The directories for what `file` leaves open. A file in the system's directory means the system's daemon, which
    /// seldom runs as root; what lies beside a file is looked for beside it.
    pub(super) fn directories(&self, file: Option<&Path>) -> Directories {
        let beside = file.and_then(Path::parent).map(Path::to_path_buf);
        if self.root || beside.as_ref() == Some(&self.system_config) {
            Directories {
                config: beside.or_else(|| Some(self.system_config.clone())),
                state: Some(SYSTEM_STATE.into()),
                run: Some(SYSTEM_RUN.into()),
            }
        } else {
            Directories {
                config: beside.or_else(|| self.config_home.clone()),
                state: self.state_home.clone(),
                run: self.runtime_dir.clone(),
            }
        }
    }
}
