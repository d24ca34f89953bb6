//! The stage of the demo: a directory with a configuration, a key and a daemon.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::process::Process;
use super::real::Real;
use crate::admin::keys;
use crate::bounds;
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failed};
use crate::config::{self, Keys};

/// The demo's providers. The second one stands for a provider whose first account is out of order.
const PROVIDERS: &str = include_str!("providers.toml");

/// Bytes of the path that the demo's directory is made in: of the 107 that a socket's path may have, the rest is its own.
const PLACE_BYTES_MAX: usize = 70;

/// How often a daemon that starts or ends is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running daemon in a directory of its own. Fields go in this order: first the daemon, then the directory.
pub(super) struct Stage {
    process: Process,
    directory: TempDir,
}

/// What stays when the demo leaves.
pub(super) struct Kept {
    /// The daemon's process.
    pub(super) pid: u32,
    /// The directory.
    pub(super) path: PathBuf,
    /// The daemon's socket.
    pub(super) socket: PathBuf,
}

impl Stage {
    /// Makes the directory, and starts the daemon in it.
    pub(super) async fn start(real: &[&Real]) -> Result<Self, Failed> {
        let directory = tempfile::Builder::new().prefix("bursar-demo-").tempdir_in(place(&std::env::temp_dir()));
        let directory = directory.map_err(|error| unmade("make a temporary directory", &error))?;
        let config = furnish(directory.path(), real)?;
        let log = File::create(log(directory.path())).map_err(|error| unmade("write the daemon's log", &error))?;
        let process = Process::start(&config, log, real.iter().map(|one| one.variable));
        let process = process.map_err(|error| unmade("start the daemon", &error))?;
        let mut stage = Self { process, directory };
        stage.until_ready().await?;
        Ok(stage)
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The daemon's socket.
    pub(super) fn socket(&self) -> PathBuf {
        socket(self.path())
    }

    /// Stops the daemon, lets it write down what it must, and removes the directory.
    pub(super) async fn stop(mut self) -> Result<(), Failed> {
        self.process.ask_to_stop();
        let by = Instant::now() + bounds::DEMO_STOP_TIMEOUT;
        while !self.process.has_ended() && Instant::now() < by {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let Self { process, directory } = self;
        // Kills it if it is still there.
        drop(process);
        directory.close().map_err(|error| unmade("remove the temporary directory", &error))
    }

    /// Leaves everything as it is.
    pub(super) fn keep(self) -> Kept {
        let pid = self.process.leave();
        let path = self.directory.keep();
        Kept { pid, socket: socket(&path), path }
    }

    async fn until_ready(&mut self) -> Result<(), Failed> {
        let client = Client::new(&self.socket());
        let by = Instant::now() + bounds::DEMO_START_TIMEOUT;
        while client.get::<Value>("/readyz").await.is_err() {
            if self.process.has_ended() || Instant::now() > by {
                let log = fs::read_to_string(log(self.path())).unwrap_or_default();
                return Err(Failed::new(
                    Exit::System,
                    format!("the demo's daemon does not start:\n{}", log.trim_end()),
                ));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}

/// Where the directory is made. A socket's path has little room, and some hosts put temporary files far down.
fn place(wanted: &Path) -> &Path {
    if wanted.as_os_str().len() <= PLACE_BYTES_MAX { wanted } else { Path::new("/tmp") }
}

fn unmade(doing: &str, error: &std::io::Error) -> Failed {
    Failed::new(Exit::System, format!("failed to {doing}: {error}"))
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("bursar.sock")
}

fn log(directory: &Path) -> PathBuf {
    directory.join("bursar.log")
}

/// Writes the configuration and a master key. Files that the daemon watches have a directory to themselves.
fn furnish(directory: &Path, real: &[&Real]) -> Result<PathBuf, Failed> {
    let (key, store, config) = (directory.join("master.key"), directory.join("store"), directory.join("config"));
    let (daemon, providers) = (config.join("bursar.toml"), config.join("providers.toml"));
    let text = format!(
        "[server]\nsocket = {}\n[store]\npath = {}\n[keys]\nfile = {}\n[config]\nproviders = {}\n\
         # The demo shows at once what was used: no reply ends before its record is written.\n\
         [usage]\ndurability = \"each\"\n",
        quoted(&socket(directory)),
        quoted(&store),
        quoted(&key),
        quoted(&providers),
    );
    let write = || {
        fs::create_dir(&config)?;
        fs::write(&providers, declared(real))?;
        fs::write(&daemon, text)
    };
    write().map_err(|error| unmade("write the demo's configuration", &error))?;
    let keys = Keys { credential: String::new(), file: Some(key) };
    keys::init(&keys, &store).map_err(|error| Failed::new(Exit::System, error.to_string()))?;
    Ok(daemon)
}

fn declared(real: &[&Real]) -> String {
    let mut toml = PROVIDERS.to_owned();
    real.iter().for_each(|one| one.declare(&mut toml));
    toml
}

fn quoted(path: &Path) -> String {
    config::quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::super::real;
    use super::*;

    #[test]
    fn a_socket_fits_where_temporary_files_are_far_down() {
        let deep = PathBuf::from(format!("/{}", "x".repeat(100)));
        assert_eq!(place(&deep), Path::new("/tmp"));
        let longest = PathBuf::from("x".repeat(PLACE_BYTES_MAX)).join("bursar-demo-123456");
        assert!(socket(&longest).as_os_str().len() <= 107);
    }

    #[test]
    fn the_stage_checks_and_every_model_to_try_is_listed() {
        let directory = tempfile::tempdir().unwrap();
        let all: Vec<_> = real::ALL.iter().collect();
        let file = furnish(directory.path(), &all).unwrap();
        let environment = crate::config::Environment::new(false, |_| None);
        let daemon = crate::config::load_daemon(Some(&file), &environment, None).unwrap();
        let catalogue =
            crate::config::load_catalogue(&daemon.value.providers_file, &crate::adapter::kinds(), None).unwrap();
        assert!(daemon.warnings.is_empty() && catalogue.warnings.is_empty());
        for one in all {
            let (provider, model) = one.model.split_once('/').unwrap();
            assert!(catalogue.value.providers[provider].models.contains_key(model), "{}", one.model);
        }
    }
}
