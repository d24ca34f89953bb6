//! `bursar serve`.

use clap::Args;

use super::Global;
use super::exit::{Exit, Failed, Outcome};
use super::locate;
use crate::daemon;

/// Run the daemon in the foreground
///
/// Reads its configuration, opens the store with the master key, and serves until SIGTERM or SIGINT; SIGHUP makes it
/// read the configuration again. `bursar keys init` writes a first master key.
#[derive(Debug, Args)]
pub(super) struct Serve {}

impl Serve {
    pub(super) fn run(self, global: &Global) -> Outcome {
        daemon::init_log(global.verbose);
        match daemon::serve(global.config.clone(), locate::environment()) {
            Ok(()) => Ok(Exit::Ok),
            Err(error) => Err(Failed { message: error.to_string(), exit: Exit::of(error.exit_code()) }),
        }
    }
}
