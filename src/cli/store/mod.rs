//! `bursar store`: through the daemon where one runs, else on the state directory itself.

mod backup;
pub(super) mod offline;
mod passphrase;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::ClientError;
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Output, Table, Tone};
use super::{Global, runtime};
use crate::admin;
use crate::api::admin::{StoreInfo, StoreVerified};
use crate::store::Store as Opened;

/// Look after the store: its format, backups, whether it is whole
#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Show what the store holds, its format, and what should be looked at
    Status,
    /// Read everything that is stored, and tell what is wrong with it; ends with 78 if anything is
    Verify,
    Backup(backup::Backup),
    Restore(backup::Restore),
    Migrate(Migrate),
}

/// Bring the store to another format; the daemon must not run
///
/// A newer version does this by itself when it starts, after a backup into the store's own directory. This is the way
/// back, before an older version is installed again.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The format [default: the newest that this version knows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Opened::FORMAT)))]
    to: Option<u32>,
}

impl Store {
    pub(super) fn run(self, global: &Global, out: &Output) -> Outcome {
        match self {
            Self::Status => status(global, out),
            Self::Verify => verify(global, out),
            Self::Backup(backup) => backup.run(global, out),
            Self::Restore(restore) => restore.run(global, out),
            Self::Migrate(migrate) => migrate.run(global, out),
        }
    }
}

/// What the daemon says; none where no daemon runs, and the directory is to be asked itself.
pub(super) fn asked<T>(answer: Result<T, ClientError>) -> Result<Option<T>, Failed> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Unreachable { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn status(global: &Global, out: &Output) -> Outcome {
    let info = match asked(runtime()?.block_on(global.admin()?.get("/admin/v1/store")))? {
        Some(info) => info,
        None => {
            let dir = offline::directory(global)?;
            let failed = |error: std::io::Error| match error.kind() {
                std::io::ErrorKind::NotFound => offline::none(&dir),
                _ => Failed::state(format!("the store in {} cannot be read: {error}", dir.display())),
            };
            admin::offline(&dir).map_err(failed)?
        }
    };
    out.pairs(&info, || pairs(&info));
    Ok(Exit::Ok)
}

fn pairs(info: &StoreInfo) -> Table {
    let mut table = Table::new(["what", "value"], "");
    let mut row = |what: &str, value: Cell| table.row([Cell::text(what), value]);
    row("path", Cell::text(&info.path));
    let known = info.format_known;
    row(
        "format",
        match info.format {
            Some(format) if format == known => Cell::text(format!("{format}, the newest that this version knows")),
            Some(format) => Cell::text(format!("{format}; this version knows formats up to {known}")).tone(Tone::Warn),
            None => Cell::text("nothing that says so").tone(Tone::Warn),
        },
    );
    row("changes so far", Cell::maybe(info.generation, Cell::number));
    for part in &info.parts {
        row(&part.name, Cell::text(format!("{:>8} KiB  {}", part.bytes.div_ceil(1_024), part.holds)));
    }
    row("free on the disk", Cell::text(format!("{:>8} MiB", info.free_bytes >> 20)));
    for warning in &info.warnings {
        row("look at", Cell::text(warning).tone(Tone::Warn));
    }
    table
}

fn verify(global: &Global, out: &Output) -> Outcome {
    let found = match asked(runtime()?.block_on(global.admin()?.at_work().ask("/admin/v1/store/verify")))? {
        Some(found) => found,
        None => {
            let store = offline::open(global)?;
            let mut found = admin::summary(store.verify().map_err(|error| Failed::state(error.to_string()))?);
            found.problems.splice(0..0, store.notices());
            found.ok = found.problems.is_empty();
            found
        }
    };
    out.pairs(&found, || walked(&found));
    match found.problems.len() {
        0 => Ok(Exit::Ok),
        1 => Err(Failed::state("one thing is not as it should be")),
        count => Err(Failed::state(format!("{count} things are not as they should be"))),
    }
}

fn walked(found: &StoreVerified) -> Table {
    let mut table = Table::new(["what", "value"], "");
    let mut row = |what: &str, value: Cell| table.row([Cell::text(what), value]);
    let well = if found.ok { Cell::text("yes").tone(Tone::Good) } else { Cell::text("no").tone(Tone::Bad) };
    row("whole", well);
    row("changes so far", Cell::number(found.generation));
    row("records", Cell::number(found.records));
    row("credentials that open", Cell::number(found.credentials));
    row("cooldowns and counters", Cell::number(found.volatile));
    row("segments of usage", Cell::number(found.segments));
    row("usage records", Cell::number(found.usage_records));
    for problem in &found.problems {
        row("problem", Cell::text(problem).tone(Tone::Bad));
    }
    table
}

impl Migrate {
    fn run(self, global: &Global, out: &Output) -> Outcome {
        let (dir, masters) = offline::place(global)?;
        offline::become_owner(&dir)?;
        let migrated = Opened::migrate(&dir, &masters, self.to.unwrap_or(Opened::FORMAT)).map_err(offline::failed)?;
        let said = match &migrated.backup {
            None => format!("the store in {} has format {} already", dir.display(), migrated.to),
            Some(backup) => format!(
                "the store in {} went from format {} to format {}; what it was before is in {}, sealed under the master \
                 key",
                dir.display(),
                migrated.from,
                migrated.to,
                backup.display()
            ),
        };
        let backup: Option<&PathBuf> = migrated.backup.as_ref();
        out.done(&json!({ "from": migrated.from, "to": migrated.to, "backup": backup }), &said);
        Ok(Exit::Ok)
    }
}
