//! `bursar connections`.

mod options;
mod tables;

use clap::{Args, Subcommand};

use super::client::Client;
use super::exit::{Exit, Failed, Outcome};
use super::health;
use super::notes::Notes;
use super::output::Output;
use crate::api::ConnectionId;
use crate::api::ProviderSlug;
use crate::api::admin::{Connection, ConnectionList, ConnectionStatus, CreateConnection, PatchConnection, TestResult};
use options::{Changes, Settings};
use tables::{details, list_of};

pub(super) use tables::secret;
#[cfg(test)]
pub(super) use tables::tests::connection;

/// Manage connections: accounts and keys at providers
#[derive(Debug, Subcommand)]
pub(super) enum Connections {
    /// List connections
    List(List),
    /// Add a connection; its secret is asked for
    Add(Add),
    /// Show all of one connection, except its secret
    Show(Id),
    /// Change a connection's settings
    Edit(Edit),
    /// Let a connection be used
    Enable(Id),
    /// Let a connection be used no more; it keeps its secret
    Disable(Id),
    /// Ask the provider whether a connection works; this costs nothing
    Test(Id),
    Metadata(Metadata),
    /// Remove a connection and its secret
    Remove(Remove),
}

/// Show or change what a user interface keeps with a connection
///
/// It is a JSON object of at most 16 KiB. What looks like a secret is refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar connections metadata openai:main\n  \
    bursar connections metadata openai:main --merge '{\"owner\": \"team a\", \"old\": null}'")]
pub(super) struct Metadata {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    notes: Notes,
}

/// A connection's id.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// The connection, such as openai:main
    #[arg(value_name = "CONNECTION")]
    id: ConnectionId,
}

/// List connections
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this provider
    #[arg(long)]
    provider: Option<ProviderSlug>,
    /// Only those with this status: enabled or disabled
    #[arg(long, value_parser = ["enabled", "disabled"])]
    status: Option<String>,
    /// Only those in this state of health, such as ok or rejected
    #[arg(long)]
    health: Option<String>,
}

/// Add a connection
///
/// The secret is read from the terminal without showing it, or from standard input: never from an argument.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    bursar connections add openai:second --priority 2 --requests-per-minute 500 < key.txt")]
pub(super) struct Add {
    #[command(flatten)]
    id: Id,
    /// Add it without a secret: for providers that need none, or to set it later
    #[arg(long)]
    no_secret: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Change a connection's settings
///
/// What is not named stays as it is. Connections that providers.toml declares are changed there.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bursar connections edit openai:main --weight 3 --requests-per-day none")]
pub(super) struct Edit {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    changes: Changes,
}

/// Remove a connection and its secret
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    id: Id,
    /// Do not ask first
    #[arg(long, short)]
    yes: bool,
}

impl Connections {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        match self {
            Self::List(list) => list.run(client, out).await,
            Self::Add(add) => add.run(client, out).await,
            Self::Show(Id { id }) => {
                let connection: Connection = client.get(&path(&id)).await?;
                out.pairs(&connection, || details(&connection, out.now_ms));
                Ok(Exit::Ok)
            }
            Self::Edit(edit) => edit.run(client, out).await,
            Self::Enable(Id { id }) => switch(client, out, &id, ConnectionStatus::Enabled).await,
            Self::Disable(Id { id }) => switch(client, out, &id, ConnectionStatus::Disabled).await,
            Self::Test(Id { id }) => {
                let result: TestResult = client.at_work().ask(&format!("{}/test", path(&id))).await?;
                health::show_results(out, &result, std::slice::from_ref(&result))
            }
            Self::Metadata(Metadata { id: Id { id }, notes }) => {
                notes.run(client, out, &format!("{}/ui_metadata", path(&id))).await
            }
            Self::Remove(Remove { id: Id { id }, yes }) => remove(client, out, &id, yes).await,
        }
    }
}

/// The path of one connection.
pub(super) fn path(id: &ConnectionId) -> String {
    format!("/admin/v1/connections/{id}")
}

impl List {
    async fn run(self, client: &Client, out: &Output) -> Outcome {
        let mut query = url::form_urlencoded::Serializer::new(String::from("/admin/v1/connections?"));
        query.append_pair("sort", "priority");
        let filters = [
            ("provider", self.provider.map(|slug| slug.to_string())),
            ("status", self.status),
            ("health", self.health),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        let list: ConnectionList = client.get(&query.finish()).await?;
        out.rows(&list, || list_of(&list.connections, out.now_ms));
        Ok(Exit::Ok)
    }
}

impl Add {
    async fn run(self, client: &Client, out: &Output) -> Outcome {
        let ConnectionId { provider, name } = self.id.id.clone();
        let secret =
            if self.no_secret { None } else { Some(super::secret::read(&format!("Secret of {}", self.id.id))?) };
        let create = CreateConnection { secret, ..self.settings.create(provider, name)? };
        let connection: Connection = client.post("/admin/v1/connections", &create).await?;
        out.done(&connection, &format!("{} is added", connection.id));
        remark(out, &connection);
        Ok(Exit::Ok)
    }
}

impl Edit {
    async fn run(self, client: &Client, out: &Output) -> Outcome {
        let path = path(&self.id.id);
        let before: Connection = client.get(&path).await?;
        let patch = self.changes.patch(&before)?;
        let connection: Connection = client.patch(&path, &patch).await?;
        out.done(&connection, &format!("{} is changed", connection.id));
        Ok(Exit::Ok)
    }
}

async fn switch(client: &Client, out: &Output, id: &ConnectionId, status: ConnectionStatus) -> Outcome {
    let patch = PatchConnection { status: Some(status), ..PatchConnection::default() };
    let connection: Connection = client.patch(&path(id), &patch).await?;
    out.done(&connection, &format!("{id} is {}", connection.status.name()));
    if connection.status.is_enabled() {
        remark(out, &connection);
    }
    if connection.status == status {
        return Ok(Exit::Ok);
    }
    Err(Failed::state(format!(
        "{id} stays {}, because providers.toml says enabled = false: change that line, and it follows",
        connection.status.name()
    )))
}

/// Removes a connection, once it is sure that this is meant.
pub(super) async fn remove(client: &Client, out: &Output, id: &ConnectionId, yes: bool) -> Outcome {
    if !yes && !confirmed(&format!("Remove {id} and its secret?"))? {
        out.remark("nothing was removed");
        return Ok(Exit::Ok);
    }
    client.delete(&path(id)).await?;
    out.done(&serde_json::json!({ "id": id, "removed": true }), &format!("{id} is removed"));
    Ok(Exit::Ok)
}

/// Asks on the terminal. Where there is none, whoever runs this says --yes.
fn confirmed(question: &str) -> Result<bool, Failed> {
    use std::io::{BufRead, IsTerminal};
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failed::new(Exit::Usage, "nobody can be asked here: say --yes; nothing was removed"));
    }
    super::output::ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What still keeps a connection from being used.
pub(super) fn remark(out: &Output, connection: &Connection) {
    let Connection { id, provider, .. } = connection;
    if !connection.provider_enabled {
        out.remark(&format!("provider {provider} is disabled: `bursar providers enable {provider}` lets it be used"));
    } else if !connection.status.is_enabled() {
        out.remark(&format!("it is disabled: `bursar connections enable {id}` lets it be used"));
    } else {
        out.remark(&format!("`bursar connections test {id}` asks the provider whether it works"));
    }
}
