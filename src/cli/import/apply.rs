//! Carrying out a plan: the tables into a file, if one was named, and the connections through the socket.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use super::found::FoundSecret;
use super::plan::{Fate, Plan, Planned};
use super::{Import, show};
use crate::adapter;
use crate::api::ConnectionId;
use crate::api::admin::{
    Connection, ConnectionStatus, CreateConnection, Limits, PatchConnection, PutSecret, Reload, SecretText,
};
use crate::cli::client::{Client, ClientError};
use crate::cli::connections::path;
use crate::cli::exit::{Exit, Failed, Outcome};
use crate::cli::output::{self, Format, Output};
use crate::config::{Source, check_change, fragments_directory};

/// Asks whether the plan is to be carried out. Where nobody can be asked, whoever runs this says --yes.
pub(super) fn confirmed() -> Result<bool, Failed> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failed::new(Exit::Usage, "nobody can be asked here: say --yes, or --dry-run; nothing was changed"));
    }
    output::ask("Do this? [y/N] ");
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Carries out a plan.
pub(super) async fn run(client: &Client, out: &Output, import: &Import, plan: &Plan, providers_file: &Path) -> Outcome {
    let mut left = Vec::new();
    if let (false, Some(file)) = (plan.fragment.is_empty(), &import.write) {
        if !write(file, &plan.fragment, providers_file)? {
            out.remark(&format!(
                "{} is written, and the daemon does not read it: it reads {} and {}/*.toml",
                file.display(),
                providers_file.display(),
                fragments_directory(providers_file).display()
            ));
        }
        let reload: Reload = client.at_work().ask("/admin/v1/reload").await?;
        if let Some(error) = reload.errors.first() {
            return Err(Failed::state(format!(
                "{} was written, and the daemon does not take it: {error}",
                file.display()
            )));
        }
    }
    let mut added = Vec::new();
    for one in plan.connections.iter().filter(|one| one.fate == Fate::Add) {
        let id = ConnectionId::new(one.found.provider.clone(), one.found.name.clone());
        match add(client, one).await {
            Ok(()) => {
                out_line(out, &format!("{id} is added"));
                added.push(id.to_string());
            }
            // One that is refused, for want of a table that is not in force too, is no reason to leave out the others.
            Err(error @ ClientError::Refused { .. }) => left.push(format!("{id} ({error})")),
            Err(error) => return Err(error.into()),
        }
    }
    if out.format != Format::Table {
        out.rows(&show::object(&import.file, plan, Some(&added)), || show_added(&added));
    }
    if !plan.fragment.is_empty() && import.write.is_none() {
        out.remark(&format!(
            "the tables above belong into {file}: add them there, or run this again with --write {file}",
            file = providers_file.display()
        ));
    }
    if left.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failed::state(format!("not added: {}", left.join(", "))))
}

fn out_line(out: &Output, line: &str) {
    if out.format == Format::Table {
        out.text(&format!("{line}\n"));
    }
}

fn show_added(added: &[String]) -> output::Table {
    let mut table = output::Table::new(["connection"], "nothing was added");
    added.iter().for_each(|id| table.row([output::Cell::text(id)]));
    table
}

/// Makes a connection. One that is to be off has no secret until it is off, so that no request ever goes to it.
async fn add(client: &Client, planned: &Planned) -> Result<(), ClientError> {
    let found = &planned.found;
    let id = ConnectionId::new(found.provider.clone(), found.name.clone());
    let secret = match &found.secret {
        FoundSecret::Given(secret) => Some(secret.clone()),
        FoundSecret::Missing(_) | FoundSecret::Unneeded => None,
    };
    let now: Option<SecretText> = secret.clone().filter(|_| found.enabled);
    let create = CreateConnection {
        secret: now,
        priority: found.priority,
        weight: found.weight,
        limits: (found.limits != Limits::default()).then_some(found.limits),
        limit_group: planned.limit_group.clone(),
        settings: (!found.settings.is_empty()).then(|| found.settings.clone()),
        ..CreateConnection::new(found.provider.clone(), found.name.clone())
    };
    client.post::<Connection>("/admin/v1/connections", &create).await?;
    if !found.enabled {
        let off = PatchConnection { status: Some(ConnectionStatus::Disabled), ..PatchConnection::default() };
        client.patch::<Connection>(&path(&id), &off).await?;
        if let Some(secret) = secret {
            let put = PutSecret { secret, test: false };
            client.put::<Connection>(&format!("{}/secret", path(&id)), &put).await?;
        }
    }
    Ok(())
}

/// Adds tables to a file, as a whole or not at all, once the daemon's own code takes all of it, together with the files
/// that are read with it. Tells whether it is one of those.
fn write(file: &Path, fragment: &str, providers_file: &Path) -> Result<bool, Failed> {
    let failed =
        |what: &str| Failed::data(format!("{} cannot be written: {what}; nothing was changed", file.display()));
    let before = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(&error.to_string())),
    };
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    let text = format!("{before}{gap}{fragment}");
    let checked = check_change(providers_file, &Source::from_text(file, text.clone()), &adapter::kinds())
        .map_err(|report| failed(&format!("with these tables there would be errors:\n{report}")))?;
    let is_read = checked.sources.iter().any(|source| *source.file == *providers_file);
    // Through a symbolic link, so that the file that it leads to is replaced, and not the link.
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let dir = real.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The first fragment brings the directory along.
    if dir.file_name() == fragments_directory(providers_file).file_name() && !dir.exists() {
        std::fs::create_dir(dir).map_err(|error| failed(&error.to_string()))?;
    }
    let replaced = tempfile::NamedTempFile::new_in(dir).and_then(|mut fresh| {
        fresh.write_all(text.as_bytes())?;
        let mode = match std::fs::metadata(&real) {
            Ok(meta) => meta.permissions(),
            Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
        };
        fresh.as_file().set_permissions(mode)?;
        fresh.as_file().sync_all()?;
        fresh.persist(&real).map_err(|error| error.error)
    });
    replaced.map(|_| is_read).map_err(|error| failed(&error.to_string()))
}
