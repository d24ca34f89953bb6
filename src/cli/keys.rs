//! `bursar keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{Exit, Failed, Outcome};
use super::output::Output;
use super::{Global, locate};
use crate::daemon;

/// Manage the master key
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Write a new master key
    Init(Init),
}

/// Write a new master key
///
/// The master key seals every secret that the daemon stores, and is stored nowhere else: without it they are lost. Keep a
/// copy in a safe place. A host's own daemon does better with a systemd credential than with a file.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Write over a key file that is there; refused all the same where a store was sealed under a key
    #[arg(long)]
    force: bool,
    /// Where to write it [default: as the configuration says]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Keys {
    pub(super) fn run(self, global: &Global, out: &Output) -> Outcome {
        match self {
            Self::Init(init) => init.run(global, out),
        }
    }
}

impl Init {
    fn run(self, global: &Global, out: &Output) -> Outcome {
        let mut daemon = locate::daemon(global.config.as_deref(), &locate::environment())?;
        daemon.keys.file = self.file.or(daemon.keys.file);
        let write = if self.force { daemon::replace_key } else { daemon::init_keys };
        let file = write(&daemon.keys, &daemon.store_path).map_err(|error| Failed::state(error.to_string()))?;
        let said = format!("a new master key is in {}: keep a copy in a safe place", file.display());
        out.done(&json!({ "file": file }), &said);
        Ok(Exit::Ok)
    }
}
