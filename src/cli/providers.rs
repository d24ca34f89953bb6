//! `bursar providers`.

use clap::{Args, Subcommand};

use super::client::Client;
use super::exit::{Exit, Failed, Outcome};
use super::notes::Notes;
use super::output::{Cell, Output, Table, Tone, ago};
use super::{health, status};
use crate::api::admin::{
    self, CheckReport, HealthCheck, Model, PatchProvider, Plan, Price, Provider, ProviderList, Reload, RemovedProvider,
};
use crate::api::{ConnectionName, ProviderSlug};

/// See and switch providers
#[derive(Debug, Subcommand)]
pub(super) enum Providers {
    /// List all providers
    List,
    /// Show one provider and its models
    Show(Slug),
    /// Let a provider be used
    Enable(Slug),
    /// Let a provider be used no more; its connections and their secrets are kept
    Disable(Slug),
    /// Ask a provider for its models, with its default connection
    Check(Slug),
    /// Choose the connection that goes first among equals, and that checks use
    Default(Default),
    Preferences(Preferences),
    Remove(Remove),
    Sync(Sync),
}

/// A provider's slug.
#[derive(Debug, Args)]
pub(super) struct Slug {
    /// The provider, such as openai
    #[arg(value_name = "PROVIDER")]
    slug: ProviderSlug,
}

/// Choose the connection that goes first among equals, and that checks use
#[derive(Debug, Args)]
pub(super) struct Default {
    #[command(flatten)]
    slug: Slug,
    /// The connection, such as main or openai:main; none for none
    #[arg(value_name = "NAME|none")]
    name: String,
}

/// Show or change what a user interface keeps with a provider
///
/// It is a JSON object of at most 16 KiB. What looks like a secret is refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar providers preferences openai\n  \
    bursar providers preferences openai --merge '{\"colour\": \"blue\", \"old\": null}'")]
pub(super) struct Preferences {
    #[command(flatten)]
    slug: Slug,
    #[command(flatten)]
    notes: Notes,
}

/// Remove everything that the store keeps of a provider
///
/// Its connections with their secrets, its switches, its list of models. Without --cascade nothing is removed that holds
/// anything, and what would go is named. A provider that a file declares is taken out there.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    slug: Slug,
    /// Let its connections and their secrets go too
    #[arg(long)]
    cascade: bool,
}

/// Take in what providers.toml and its fragments say now
///
/// The daemon notices changes by itself; this does it at once and shows what changed. What the store keeps of providers and
/// connections that are no longer declared is never lost by an edit: it is kept, used for nothing and named as an orphan,
/// until it is mapped to a new name or pruned. All of it happens in one step, or nothing does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar providers sync --dry-run\n  \
    bursar providers sync --map open-ai=openai     the provider was renamed in the file\n  \
    bursar providers sync --prune")]
pub(super) struct Sync {
    /// Only show what would change; ends with 3 if anything would
    #[arg(long)]
    dry_run: bool,
    /// Remove what the store keeps of things that are no longer declared, secrets too
    #[arg(long)]
    prune: bool,
    /// Move what the store keeps of a provider that was renamed; more than once for more
    #[arg(long, value_name = "OLD=NEW")]
    map: Vec<Rename>,
}

/// A provider's old name and its new one.
#[derive(Debug, Clone)]
struct Rename {
    old: ProviderSlug,
    new: ProviderSlug,
}

impl std::str::FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (old, new) = text.split_once('=').ok_or("write OLD=NEW, such as open-ai=openai")?;
        let slug = |text: &str| text.parse().map_err(|error: crate::api::IdError| error.to_string());
        Ok(Self { old: slug(old)?, new: slug(new)? })
    }
}

impl Sync {
    async fn run(self, client: &Client, out: &Output) -> Outcome {
        if self.dry_run {
            let mut query = url::form_urlencoded::Serializer::new(String::from("/admin/v1/config/plan?"));
            query.append_pair("prune", if self.prune { "true" } else { "false" });
            for Rename { old, new } in &self.map {
                query.append_pair("map", &format!("{old}={new}"));
            }
            return plan(client, out, &query.finish()).await;
        }
        let map = self.map.into_iter().map(|Rename { old, new }| (old, new)).collect();
        let wanted = admin::Sync { prune: self.prune, map };
        let reload: Reload = client.at_work().post("/admin/v1/config/sync", &wanted).await?;
        status::reloaded(out, &reload)
    }
}

impl Providers {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        match self {
            Self::List => list(client, out).await,
            Self::Show(Slug { slug }) => show(client, out, &slug).await,
            Self::Enable(Slug { slug }) => switch(client, out, &slug, true).await,
            Self::Disable(Slug { slug }) => switch(client, out, &slug, false).await,
            Self::Check(Slug { slug }) => {
                let report: CheckReport = client.at_work().ask(&format!("{}/check", path(&slug))).await?;
                health::show_results(out, &report, &report.results)
            }
            Self::Default(default) => default.run(client, out).await,
            Self::Preferences(Preferences { slug: Slug { slug }, notes }) => {
                notes.run(client, out, &format!("{}/ui_preferences", path(&slug))).await
            }
            Self::Remove(Remove { slug: Slug { slug }, cascade }) => remove(client, out, &slug, cascade).await,
            Self::Sync(sync) => sync.run(client, out).await,
        }
    }
}

impl Default {
    /// The connection's name; none for none. Its id, which it has elsewhere, says it too.
    fn connection(&self) -> Result<Option<ConnectionName>, Failed> {
        let slug = &self.slug.slug;
        let name = match self.name.split_once(':') {
            Some((provider, name)) if provider == slug.as_str() => name,
            Some(_) => return Err(Failed::data(format!("{} is no connection of {slug}", self.name))),
            None if self.name == "none" => return Ok(None),
            None => &self.name,
        };
        name.parse().map(Some).map_err(|error: crate::api::IdError| Failed::data(error.to_string()))
    }

    async fn run(self, client: &Client, out: &Output) -> Outcome {
        let default = self.connection()?;
        let slug = self.slug.slug;
        let patch = PatchProvider { default_connection: Some(default), ..PatchProvider::default() };
        let provider: Provider = client.patch(&path(&slug), &patch).await?;
        let said = match &provider.default_connection {
            Some(name) => format!("{slug}:{name} goes first among equals"),
            None => format!("{slug} has no default connection"),
        };
        out.done(&provider, &said);
        Ok(Exit::Ok)
    }
}

async fn remove(client: &Client, out: &Output, slug: &ProviderSlug, cascade: bool) -> Outcome {
    let removed: RemovedProvider = client.take(&format!("{}?cascade={cascade}", path(slug))).await?;
    out.rows(&removed, || status::changes(&removed.removed, "the store kept nothing of it"));
    if let Some(place) = &removed.declared {
        out.remark(&format!(
            "{slug} is still declared, in {place}, and can be given keys again: `bursar providers disable {slug}` shuts it"
        ));
    }
    Ok(Exit::Ok)
}

fn path(slug: &ProviderSlug) -> String {
    format!("/admin/v1/providers/{slug}")
}

async fn list(client: &Client, out: &Output) -> Outcome {
    let list: ProviderList = client.get("/admin/v1/providers").await?;
    out.rows(&list, || table(&list.providers));
    Ok(Exit::Ok)
}

fn table(providers: &[Provider]) -> Table {
    let columns = ["provider", "kind", "status", "connections", "default", "models", "base_url"];
    let mut table = Table::new(columns, "no providers: providers.toml says builtin = false and declares none");
    for provider in providers {
        table.row([
            Cell::text(&provider.slug),
            Cell::text(&provider.kind),
            state(provider),
            Cell::number(provider.connections),
            Cell::maybe(provider.default_connection.as_ref(), Cell::text),
            Cell::number(provider.models.len()),
            Cell::text(&provider.base_url),
        ]);
    }
    table
}

fn state(provider: &Provider) -> Cell {
    match (provider.enabled, provider.declared_enabled) {
        (true, _) if provider.available && provider.sandbox => {
            Cell::text("enabled (plays)").raw("enabled").tone(Tone::Warn)
        }
        (true, _) if provider.available => Cell::text("enabled").tone(Tone::Good),
        (true, _) => Cell::text("enabled, no usable connection").raw("enabled").tone(Tone::Warn),
        (false, true) => Cell::text("disabled").tone(Tone::Faint),
        (false, false) => Cell::text("disabled in the file").raw("disabled").tone(Tone::Faint),
    }
}

async fn show(client: &Client, out: &Output, slug: &ProviderSlug) -> Outcome {
    let provider: Provider = client.get(&path(slug)).await?;
    let mut pairs = Table::new(["name", "value"], "");
    let mut row = |name: &str, value: Cell| pairs.row([Cell::text(name), value]);
    row("provider", Cell::text(&provider.slug));
    row("kind", Cell::text(&provider.kind));
    row("preset", Cell::maybe(provider.preset.as_ref(), Cell::text));
    row("calls", Cell::text(names(&provider.operations)));
    row("status", state(&provider));
    row("built in", Cell::text(if provider.builtin { "yes" } else { "no" }));
    row("base URL", Cell::text(&provider.base_url));
    row("connections", Cell::text(provider.connections));
    row("default", Cell::maybe(provider.default_connection.as_ref(), Cell::text));
    row("capabilities", Cell::text(names(&provider.capabilities)));
    row("requests", Cell::maybe(provider.usage_count, Cell::text));
    row("last check", Cell::maybe(provider.last_health_check.as_ref(), |check| last_check(check, out.now_ms)));
    row("list fetched", ago(provider.models_fetched_at, out.now_ms));
    out.pairs(&provider, || pairs);
    if out.format == super::output::Format::Table {
        out.text("\n");
        out.rows(&provider.models, || models(&provider.models));
    }
    Ok(Exit::Ok)
}

/// How the last check went.
fn last_check(check: &HealthCheck, now_ms: i64) -> Cell {
    let ago = super::output::span(now_ms.saturating_sub(check.at.0) / 1_000);
    let said = format!("{ago} ago with {}: {} in {} ms", check.connection, check.outcome, check.ms);
    match &check.error {
        None => Cell::text(said).tone(Tone::Good),
        Some(error) => Cell::text(format!("{said}: {error}")).tone(Tone::Bad),
    }
}

/// Words in one cell.
fn names(words: &[impl ToString]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn models(models: &[Model]) -> Table {
    let columns = ["model", "context", "input_per_million", "output_per_million", "capabilities"];
    let mut table =
        Table::new(columns, "no models are listed: any that the provider has can be called as provider/model");
    for model in models {
        let rates = model.price.as_ref().map(|Price { rates, .. }| rates);
        table.row([
            Cell::text(&model.id),
            Cell::maybe(model.context_window, Cell::number),
            Cell::maybe(rates.and_then(|rates| rates.input), Cell::number),
            Cell::maybe(rates.and_then(|rates| rates.output), Cell::number),
            Cell::maybe(model.capabilities.as_ref().map(|all| names(all)), Cell::text),
        ]);
    }
    table
}

async fn switch(client: &Client, out: &Output, slug: &ProviderSlug, enabled: bool) -> Outcome {
    let patch = PatchProvider { enabled: Some(Some(enabled)), ..PatchProvider::default() };
    let provider: Provider = client.patch(&path(slug), &patch).await?;
    let word = if provider.enabled { "enabled" } else { "disabled" };
    out.done(&provider, &format!("{slug} is {word}"));
    if enabled && !provider.declared_enabled {
        return Err(Failed::state(format!(
            "{slug} stays disabled, because its declaration says so: write [providers.{slug}] with enabled = true into \
             providers.toml, and it follows at once"
        )));
    }
    if enabled && !provider.available {
        out.remark(&format!("it has no usable connection yet: `bursar credentials set {slug}` adds one"));
    }
    Ok(Exit::Ok)
}

/// Shows what a sync would do.
async fn plan(client: &Client, out: &Output, path: &str) -> Outcome {
    let plan: Plan = client.get(path).await?;
    if plan.errors.is_empty() {
        out.rows(&plan, || status::changes(&plan.changes, "nothing would change"));
        status::orphans(out, &plan.orphans);
    } else {
        out.rows(&plan, || status::problems(&plan.errors));
    }
    status::warn(out, &plan.warnings);
    status::refused(&plan.errors, "a sync would take nothing")?;
    Ok(if plan.changes.is_empty() { Exit::Ok } else { Exit::Changes })
}

#[cfg(test)]
#[path = "providers_tests.rs"]
mod tests;
