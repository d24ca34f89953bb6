//! `bursar import`: moving in from LiteLLM, from a `.env` file, or from an application's table of keys.
//!
//! Everything is planned first, and shown: tables for `providers.toml`, which an operator owns, and connections, whose
//! secrets go through the socket and are sealed on arrival. No secret is ever printed, nor written anywhere by this command.
//! What is there already stays as it is, so a second run finds nothing to do.

mod apply;
mod env_file;
mod found;
mod json;
mod known;
mod list;
mod litellm;
mod node;
mod plan;
mod show;
mod yaml;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use thiserror::Error;
use zeroize::Zeroizing;

use super::client::{Client, ClientError};
use super::exit::{Exit, Failed, Outcome};
use super::output::{Format, Output};
use super::{Global, locate};
use crate::adapter;
use crate::api::admin::{ConnectionList, SecretText};
use crate::bounds;
use crate::config::{self, Catalogue};
use env_file::Variable;
use found::Found;
use plan::Plan;

/// Take over providers, keys and routes from LiteLLM, a .env file, or a table of keys
///
/// Shows what would be made, asks, and makes it: connections in the daemon's store, with their secrets sealed. Providers
/// and routes are tables for providers.toml, to be looked over; --write adds them to a file. What is there already stays as
/// it is, so it can be run again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar import config.yaml --dry-run            what LiteLLM's configuration comes to; ends with 3 if anything is new\n  \
    bursar import .env                             keys such as OPENAI_API_KEY\n  \
    bursar import ai_connections.csv --write /etc/bursar/providers.toml\n  \
    bursar import config.yaml --env-file .env --yes")]
pub(super) struct Import {
    /// The file: LiteLLM's config.yaml, a .env file, or a JSON or CSV list of providers and keys
    file: PathBuf,
    /// What the file is, where its name and content do not tell
    #[arg(long = "as", value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// A file that sets the variables which a configuration refers to [default: this command's own environment]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Add the tables for providers and routes to this file, and let the daemon read it
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Only show what would be done; ends with 3 if there is anything
    #[arg(long)]
    dry_run: bool,
    /// Do not ask first
    #[arg(long, short)]
    yes: bool,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// LiteLLM's configuration
    Litellm,
    /// Variables, a line each
    Env,
    /// A JSON list of providers and keys
    Json,
    /// A CSV table of providers and keys
    Csv,
}

/// A file that cannot be read as what it is. It never repeats what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub(super) struct Unread {
    /// The line, from 1.
    line: u32,
    what: &'static str,
}

impl Unread {
    fn new(line: u32, what: &'static str) -> Self {
        Self { line, what }
    }
}

impl Import {
    pub(super) async fn run(self, client: &Client, global: &Global, out: &Output) -> Outcome {
        let providers_file = self.providers_file(client, global).await?;
        let catalogue = catalogue(&providers_file)?;
        let found = self.read(&catalogue)?;
        let there = match client.get::<ConnectionList>("/admin/v1/connections").await {
            Ok(list) => list.connections,
            Err(ClientError::Unreachable { .. }) if self.dry_run => {
                out.remark("no daemon answers, so what it holds is not known: this is planned as if it held nothing");
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let plan = Plan::new(found, &catalogue, &there);
        if out.format == Format::Table || self.dry_run {
            show::plan(out, &self.file, &plan);
        }
        if self.dry_run {
            return Ok(if plan.changes() { Exit::Changes } else { Exit::Ok });
        }
        if !plan.changes() {
            show::nothing(out, &self.file, &plan);
            return Ok(Exit::Ok);
        }
        if !self.yes && !apply::confirmed()? {
            out.remark("nothing was changed");
            return Ok(Exit::Ok);
        }
        apply::run(client, out, &self, &plan, &providers_file).await
    }

    /// The daemon's own word on which file declares providers, else what the configuration says.
    async fn providers_file(&self, client: &Client, global: &Global) -> Result<PathBuf, Failed> {
        if let Ok(status) = client.get::<crate::api::admin::Status>("/admin/v1/status").await {
            return Ok(PathBuf::from(status.config.providers_file));
        }
        Ok(locate::daemon(global.config.as_deref(), &locate::environment())?.providers_file)
    }

    /// What the file says.
    fn read(&self, catalogue: &Catalogue) -> Result<Found, Failed> {
        let text = read(&self.file)?;
        let unread = |error: Unread| Failed::data(format!("{}: {error}; nothing was changed", self.file.display()));
        let variables = match &self.env_file {
            Some(file) => {
                let text = read(file)?;
                let all = env_file::variables(&text);
                all.map_err(|error| Failed::data(format!("{}: {error}; nothing was changed", file.display())))?
            }
            None => Vec::new(),
        };
        let variable = |name: &str| variable(&variables, name);
        let lists = |model: &str| {
            let lists = |provider: &&config::Provider| provider.builtin && provider.models.contains_key(model);
            catalogue.providers.values().find(lists).map(|provider| provider.slug.clone())
        };
        let around = litellm::Around { variable: &variable, lists: &lists };
        let found = match self.kind.unwrap_or_else(|| kind_of(&self.file, &text)) {
            Kind::Env => env_file::read(&text).map_err(unread)?,
            Kind::Csv => list::read(&list::csv_rows(&text).map_err(unread)?),
            Kind::Json => list::read(&list::json_rows(&json::read(&text).map_err(unread)?)),
            Kind::Litellm => {
                let root = yaml::read(&text).map_err(unread)?;
                if !litellm::is(&root) {
                    let file = self.file.display();
                    let help = "it has no model_list, as LiteLLM's configuration has; --as says what else it is";
                    return Err(Failed::data(format!("{file}: {help}; nothing was changed")));
                }
                litellm::read(&root, &around)
            }
        };
        Ok(found)
    }
}

/// What a file is, by its name, else by how it begins.
fn kind_of(file: &Path, text: &str) -> Kind {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let ending = name.rsplit('.').next().unwrap_or_default();
    let first = text.trim_start();
    match ending {
        "yaml" | "yml" => Kind::Litellm,
        "json" => Kind::Json,
        "csv" | "tsv" => Kind::Csv,
        "env" => Kind::Env,
        _ if name.starts_with(".env") => Kind::Env,
        _ if first.starts_with(['[', '{']) => Kind::Json,
        _ if first.lines().any(|line| line.starts_with("model_list:")) => Kind::Litellm,
        _ if first.lines().next().is_some_and(|head| head.contains(',') && !head.contains('=')) => Kind::Csv,
        _ => Kind::Env,
    }
}

/// A variable of the file that was named, else of this process.
fn variable(variables: &[Variable], name: &str) -> Option<SecretText> {
    let of_file = variables.iter().rev().find(|one| one.name == name).map(|one| one.value.clone());
    let value = of_file.or_else(|| std::env::var(name).ok().map(Zeroizing::new))?;
    Some(SecretText::new(value))
}

/// What the files declare.
fn catalogue(file: &Path) -> Result<Catalogue, Failed> {
    match config::load_catalogue(file, &adapter::kinds(), None) {
        Ok(loaded) => Ok(loaded.value),
        Err(report) => Err(locate::bad(&report)),
    }
}

/// A file's text, which may hold secrets.
fn read(file: &Path) -> Result<Zeroizing<String>, Failed> {
    let unread = |why: String| Failed::data(format!("{} cannot be read: {why}; nothing was changed", file.display()));
    let mut text = Zeroizing::new(String::new());
    let opened = std::fs::File::open(file).map_err(|error| unread(error.to_string()))?;
    let most = bounds::IMPORT_FILE_BYTES_MAX;
    opened.take(most + 1).read_to_string(&mut text).map_err(|error| unread(error.to_string()))?;
    if text.len() as u64 > most {
        return Err(unread(format!("it has more than {most} bytes")));
    }
    // Editors of some systems begin a file with a mark.
    let bare = text.strip_prefix('\u{feff}').map(|bare| Zeroizing::new(bare.to_owned()));
    Ok(bare.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_or_its_beginning() {
        for (name, text, kind) in [
            ("config.yaml", "", Kind::Litellm),
            (".env", "", Kind::Env),
            (".env.production", "", Kind::Env),
            ("prod.env", "", Kind::Env),
            ("dump.json", "", Kind::Json),
            ("dump", " [{}]", Kind::Json),
            ("dump", "id,provider,api_key\n", Kind::Csv),
            ("config", "# c\nmodel_list:\n", Kind::Litellm),
            ("keys", "OPENAI_API_KEY=a,b\n", Kind::Env),
        ] {
            assert_eq!(kind_of(Path::new(name), text), kind, "{name}");
        }
    }
}
