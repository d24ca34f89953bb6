//! `bursar credentials`: the secrets of connections. A secret is read, sealed by the daemon, and never shown again.

use clap::{Args, Subcommand};

use super::client::Client;
use super::connections::{self, path, remark};
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Output, Table, Tone, ahead};
use super::{health, secret};
use crate::api::admin::{Connection, ConnectionList, CreateConnection, PutSecret, SecretText, TestResult};
use crate::api::{Code, ConnectionId, ConnectionName, ProviderSlug};

/// Set, replace and remove the secrets of connections
#[derive(Debug, Subcommand)]
pub(super) enum Credentials {
    /// Set a provider's key, in a new connection or in place of the old key
    Set(Set),
    /// List which connections have a secret
    List,
    /// Put a new secret in place of the old one, once the provider takes it
    Rotate(Which),
    Confirm(Confirm),
    /// Remove a connection and its secret
    Remove(Remove),
}

/// Let a secret that a file refers to go to where its provider is now
///
/// A secret is accepted for the address that its provider has then. When the file gives the provider another address and
/// the secret is the same, it waits for this command: nobody but an operator says that a key may go elsewhere. A secret
/// that is changed together with the address needs none.
#[derive(Debug, Args)]
pub(super) struct Confirm {
    #[command(flatten)]
    which: Which,
}

/// A connection, by its provider and name.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The provider, such as openai, or a connection's whole id, such as openai:second
    #[arg(value_name = "PROVIDER")]
    target: Target,
    /// The connection's name [default: main]
    #[arg(long)]
    name: Option<ConnectionName>,
}

/// Set a provider's key, in a new connection or in place of the old key
///
/// The key is read from the terminal without showing it, or from standard input: never from an argument.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar credentials set openai\n  \
    bursar credentials set openai --name second < key.txt")]
pub(super) struct Set {
    #[command(flatten)]
    which: Which,
    /// Ask the provider afterwards whether it takes the key; ends with 76 if not
    #[arg(long)]
    test: bool,
}

/// Remove a connection and its secret
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    which: Which,
    /// Do not ask first
    #[arg(long, short)]
    yes: bool,
}

/// `provider` or `provider:name`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    provider: ProviderSlug,
    name: Option<ConnectionName>,
}

impl std::str::FromStr for Target {
    type Err = crate::api::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            let ConnectionId { provider, name } = text.parse()?;
            return Ok(Self { provider, name: Some(name) });
        }
        Ok(Self { provider: text.parse()?, name: None })
    }
}

impl Which {
    fn id(self) -> Result<ConnectionId, Failed> {
        let name = match (self.target.name, self.name) {
            (Some(one), Some(other)) if one != other => {
                return Err(Failed::new(Exit::Usage, format!("the name is given twice: {one} and {other}")));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => "main".parse().map_err(|error| Failed::data(format!("{error}")))?,
        };
        Ok(ConnectionId::new(self.target.provider, name))
    }
}

impl Credentials {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        match self {
            Self::Set(Set { which, test }) => set(client, out, &which.id()?, test).await,
            Self::List => list(client, out).await,
            Self::Confirm(Confirm { which }) => confirm(client, out, &which.id()?).await,
            Self::Rotate(which) => rotate(client, out, &which.id()?).await,
            Self::Remove(Remove { which, yes }) => connections::remove(client, out, &which.id()?, yes).await,
        }
    }
}

async fn set(client: &Client, out: &Output, id: &ConnectionId, test: bool) -> Outcome {
    let secret = secret::read(&format!("Secret of {id}"))?;
    let (connection, said) = create_or_replace(client, id, secret).await?;
    if !test {
        out.done(&connection, &said);
        remark(out, &connection);
        return Ok(Exit::Ok);
    }
    out.remark(&said);
    let result: TestResult = client.at_work().ask(&format!("{}/test", path(id))).await?;
    health::show_results(out, &result, std::slice::from_ref(&result))
}

/// Replaces the secret of a connection, or adds the connection where there is none.
async fn create_or_replace(
    client: &Client,
    id: &ConnectionId,
    secret: SecretText,
) -> Result<(Connection, String), Failed> {
    let put = PutSecret { secret: secret.clone(), test: false };
    match client.put::<Connection>(&format!("{}/secret", path(id)), &put).await {
        Ok(connection) => {
            let said = format!("{id} has a new secret{}", hint(&connection));
            Ok((connection, said))
        }
        Err(error) if error.code() == Some(Code::NotFound) => {
            let ConnectionId { provider, name } = id.clone();
            let create = CreateConnection { secret: Some(secret), ..CreateConnection::new(provider, name) };
            let connection: Connection = client.post("/admin/v1/connections", &create).await?;
            let said = format!("{id} is added, with its secret{}", hint(&connection));
            Ok((connection, said))
        }
        Err(error) => Err(error.into()),
    }
}

fn hint(connection: &Connection) -> String {
    connection.secret.hint.as_ref().map(|hint| format!(" {hint}")).unwrap_or_default()
}

async fn rotate(client: &Client, out: &Output, id: &ConnectionId) -> Outcome {
    let before: Connection = client.get(&path(id)).await?;
    let put = PutSecret { secret: secret::read(&format!("New secret of {id}"))?, test: true };
    let connection: Connection = client.at_work().put(&format!("{}/secret", path(id)), &put).await?;
    let was = before.secret.hint.map(|hint| format!(", in place of {hint}")).unwrap_or_default();
    out.done(&connection, &format!("{id} has the new secret{}, which the provider takes{was}", hint(&connection)));
    Ok(Exit::Ok)
}

async fn confirm(client: &Client, out: &Output, id: &ConnectionId) -> Outcome {
    let connection: Connection = client.ask(&format!("{}/confirm", path(id))).await?;
    out.done(&connection, &format!("the secret of {id} may go to where {} is now", id.provider));
    remark(out, &connection);
    Ok(Exit::Ok)
}

async fn list(client: &Client, out: &Output) -> Outcome {
    let list: ConnectionList = client.get("/admin/v1/connections").await?;
    out.rows(&list, || table(&list.connections, out.now_ms));
    Ok(Exit::Ok)
}

fn table(connections: &[Connection], now_ms: i64) -> Table {
    let columns = ["connection", "provider_status", "status", "secret", "health", "expires", "managed_by"];
    let mut table = Table::new(columns, "no secrets yet: `bursar credentials set openai` sets the first");
    for one in connections {
        let provider = if one.provider_enabled {
            Cell::text("enabled").tone(Tone::Good)
        } else {
            Cell::text("disabled").tone(Tone::Warn)
        };
        table.row([
            Cell::text(&one.id),
            provider,
            Cell::text(one.status.name()),
            connections::secret(&one.secret),
            health::state(one.health.state),
            ahead(one.expires_at, now_ms),
            Cell::text(one.managed_by.name()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::connections::connection;

    fn which(target: &str, name: Option<&str>) -> Result<String, Failed> {
        Which { target: target.parse().unwrap(), name: name.map(|name| name.parse().unwrap()) }
            .id()
            .map(|id| id.to_string())
    }

    #[test]
    fn a_credential_is_named_by_its_provider_its_id_or_both() {
        assert_eq!(which("openai", None).unwrap(), "openai:main");
        assert_eq!(which("openai", Some("second")).unwrap(), "openai:second");
        assert_eq!(which("openai:second", None).unwrap(), "openai:second");
        assert_eq!(which("openai:second", Some("second")).unwrap(), "openai:second");
        assert_eq!(which("openai:second", Some("third")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn the_list_shows_whether_the_provider_is_enabled() {
        let mut off = connection("gemini:main");
        off.provider_enabled = false;
        insta::assert_snapshot!(table(&[connection("openai:main"), off], 1_700_000_000_000).to_text(false), @r"
        CONNECTION   PROVIDER STATUS  STATUS   SECRET  HEALTH  EXPIRES  MANAGED BY
        openai:main  enabled          enabled  …9876   ok      -        store
        gemini:main  disabled         enabled  …9876   ok      -        store
        ");
    }
}
