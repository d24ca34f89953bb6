//! `bursar serve`.

use clap::Args;

use super::Global;
use super::exit::{Exit, Failed, Outcome};
use super::locate;
use crate::daemon;
use crate::log;

/// Run the daemon in the foreground
///
/// Reads its configuration, opens the store with the master key, and serves until SIGTERM or SIGINT; SIGHUP makes it
/// read the configuration again. `bursar keys init` writes a first master key.
#[derive(Debug, Args)]
pub(super) struct Serve {}

impl Serve {
    pub(super) fn run(self, global: &Global) -> Outcome {
        let log = log::init(global.verbose);
        let served = daemon::serve(global.config.clone(), global.socket.clone(), locate::environment());
        // What is left of the log comes before the last word.
        drop(log);
        match served {
            Ok(()) => Ok(Exit::Ok),
            Err(error) => Err(Failed::new(Exit::of(error.exit_code()), error.to_string())),
        }
    }
}
