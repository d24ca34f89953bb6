//! `bursar keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Output, Table};
use super::store::{asked, offline};
use super::{Global, locate, runtime};
use crate::admin::{self, keys};
use crate::api::admin::{KeyInfo, KeysRotated, RotateKeys};

/// Manage the keys that seal what is stored
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Write a new master key
    Init(Init),
    /// Change the master key, and the data keys if asked, while the daemon goes on
    Rotate(Rotate),
    /// Show which key seals what
    Status,
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

/// Change the master key, and the data keys if asked, while the daemon goes on
///
/// With a key file: a new key is written beside it (FILE.next), the daemon takes it over, and it gets the file's name; the
/// old one is kept as FILE.old. With a systemd credential: give the service a second one, named like the first with -next
/// after it, restart it, and run this; then put the new one in the first one's place. Whatever interrupts it, either key
/// opens the store until the end, and running it again goes on.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Replace the data keys too, and seal every stored credential anew
    #[arg(long)]
    data_keys: bool,
    /// Leave the master key as it is
    #[arg(long, requires = "data_keys")]
    keep_master: bool,
}

impl Keys {
    pub(super) fn run(self, global: &Global, out: &Output) -> Outcome {
        match self {
            Self::Init(init) => init.run(global, out),
            Self::Rotate(rotate) => rotate.run(global, out),
            Self::Status => {
                let info: KeyInfo = match asked(runtime()?.block_on(global.admin()?.get("/admin/v1/keys")))? {
                    Some(info) => info,
                    None => {
                        admin::key_info(&offline::open(global)?).map_err(|error| Failed::state(error.to_string()))?
                    }
                };
                out.rows(&info, || table(&info));
                if info.resealing {
                    out.remark(
                        "credentials are being sealed anew: `bursar keys rotate --data-keys --keep-master` goes on",
                    );
                }
                Ok(Exit::Ok)
            }
        }
    }
}

impl Init {
    fn run(self, global: &Global, out: &Output) -> Outcome {
        let mut daemon = locate::daemon(global.config.as_deref(), &locate::environment())?;
        daemon.keys.file = self.file.or(daemon.keys.file);
        let write = if self.force { keys::replace } else { keys::init };
        let file = write(&daemon.keys, &daemon.store_path).map_err(|error| Failed::state(error.to_string()))?;
        let said = format!("a new master key is in {}: keep a copy in a safe place", file.display());
        out.done(&json!({ "file": file }), &said);
        Ok(Exit::Ok)
    }
}

impl Rotate {
    fn run(self, global: &Global, out: &Output) -> Outcome {
        let client = global.admin()?;
        let daemon = locate::daemon(global.config.as_deref(), &locate::environment())?;
        let failed = |error: keys::KeyError| Failed::state(error.to_string());
        let of_file = !self.keep_master && keys::is_of_file(&daemon.keys);
        if of_file {
            // What the daemon would refuse is refused before anything is written.
            keys::load(&daemon.keys, keys::daemon_uid(&daemon.store_path)).map_err(failed)?;
            keys::write_next(&daemon.keys).map_err(failed)?;
        }
        let asked = RotateKeys { data_keys: self.data_keys, keep_master: self.keep_master };
        let rotated: KeysRotated = runtime()?.block_on(client.at_work().post("/admin/v1/keys/rotate", &asked))?;
        let mut said = Vec::new();
        if let Some(before) = &rotated.master_before {
            said.push(format!("the master key {} took the place of {before}", rotated.keys.master));
        } else if !self.keep_master {
            said.push(format!("the master key {} was in force already", rotated.keys.master));
        }
        if let Some(count) = rotated.resealed {
            said.push(format!("the data keys are new, and {count} credentials are sealed anew"));
        }
        if of_file {
            let old = keys::put_next_in_place(&daemon.keys).map_err(failed)?;
            said.push(format!("the old key is kept in {}: remove it when no backup needs it", old.display()));
        } else if !self.keep_master {
            said.push("put the new credential in the first one's place before the next restart but one".into());
        }
        out.done(&rotated, &said.join("\n"));
        Ok(Exit::Ok)
    }
}

fn table(info: &KeyInfo) -> Table {
    let mut table = Table::new(["key", "seals", "credentials"], "");
    table.row([Cell::text(&info.master), Cell::text("the data keys (this is the master key)"), Cell::text("-")]);
    for key in &info.data_keys {
        table.row([Cell::text(&key.id), Cell::text(&key.seals), Cell::maybe(key.credentials, Cell::number)]);
    }
    table
}
