//! What an import would do: what is missing of what was found, beside what the files declare and the daemon holds.

use std::collections::BTreeMap;

use super::found::{Found, FoundConnection, FoundProvider, FoundRoute, FoundSecret, Note, is_private, slug};
use crate::api::admin::{Connection, Limits};
use crate::api::{LimitGroup, ProviderSlug, RouteName};
use crate::bounds;
use crate::config::{Catalogue, Target, quoted};

/// What is to be done.
pub(super) struct Plan {
    /// Tables for `providers.toml`; empty where nothing is missing there.
    pub(super) fragment: String,
    /// Each connection that was found, and what becomes of it.
    pub(super) connections: Vec<Planned>,
    /// Routes that are in the fragment.
    pub(super) routes: Vec<String>,
    /// Providers that are in the fragment.
    pub(super) providers: Vec<String>,
    pub(super) notes: Vec<Note>,
}

/// A connection, and what becomes of it.
pub(super) struct Planned {
    pub(super) found: FoundConnection,
    /// The limit group that holds the limits of single models, in the fragment.
    pub(super) limit_group: Option<LimitGroup>,
    pub(super) fate: Fate,
}

/// What becomes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is made.
    Add,
    /// It is there, and has this secret, as far as can be told.
    There,
    /// It is there with another secret, or as another file says; nothing is done.
    Differs(String),
    /// Its secret is not known.
    NoSecret(String),
}

impl Plan {
    /// Whether there is anything to do.
    pub(super) fn changes(&self) -> bool {
        !self.fragment.is_empty() || self.connections.iter().any(|one| one.fate == Fate::Add)
    }

    /// Compares what was found with what there is.
    pub(super) fn new(found: Found, catalogue: &Catalogue, there: &[Connection]) -> Self {
        let Found { providers, connections, routes, notes } = found;
        let mut plan =
            Self { fragment: String::new(), connections: Vec::new(), routes: Vec::new(), providers: Vec::new(), notes };
        let renamed = plan.put_providers(&providers, catalogue);
        plan.put_routes(routes, catalogue, &renamed);
        for mut connection in connections {
            connection.provider = renamed.get(&connection.provider).cloned().unwrap_or(connection.provider);
            let limit_group = plan.put_group(&connection, catalogue);
            let fate = fate(&connection, there);
            plan.connections.push(Planned { found: connection, limit_group, fate });
        }
        plan
    }

    /// Declares providers that are not there. Tells which have another name there.
    fn put_providers(
        &mut self,
        providers: &[FoundProvider],
        catalogue: &Catalogue,
    ) -> BTreeMap<ProviderSlug, ProviderSlug> {
        let mut renamed = BTreeMap::new();
        for one in providers {
            let same = |there: &&crate::config::Provider| is_same(one, there);
            if let Some(there) = catalogue.providers.values().find(same) {
                renamed.insert(one.slug.clone(), there.slug.clone());
            } else {
                self.fragment.push_str(&declared(one));
                self.providers.push(one.slug.to_string());
            }
        }
        renamed
    }

    fn put_routes(
        &mut self,
        routes: Vec<FoundRoute>,
        catalogue: &Catalogue,
        renamed: &BTreeMap<ProviderSlug, ProviderSlug>,
    ) {
        for route in routes {
            let FoundRoute { line, name, targets, order } = route;
            let new_name = |slug: ProviderSlug| renamed.get(&slug).cloned().unwrap_or(slug);
            let targets: Vec<Target> =
                targets.into_iter().map(|(provider, model)| Target { provider: new_name(provider), model }).collect();
            let (targets, others): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| is_id(&target.model));
            if !others.is_empty() {
                self.notes.push(Note { line, text: "a target that is no model's id is left out".into() });
            }
            if targets.is_empty() {
                continue;
            }
            let listed = |target: &Target| {
                let provider = catalogue.providers.get(&target.provider);
                target.model == name && provider.is_some_and(|provider| provider.models.contains_key(&name))
            };
            if targets.len() == 1 && targets.iter().all(listed) {
                // The bare id of a model that is listed: apps may go on asking for it.
                continue;
            }
            let Some(route) = self.route_name(line, &name, catalogue) else { continue };
            if let Some(there) = catalogue.routes.get(&route) {
                if there.targets != targets {
                    self.notes
                        .push(Note { line, text: format!("route {route} is there with other targets, and stays") });
                }
                continue;
            }
            let quoted: Vec<String> = targets.iter().map(|target| quoted(&target.to_string())).collect();
            self.fragment.push_str(&format!("[routes.{}]\ntargets = [{}]\n", key(route.as_str()), quoted.join(", ")));
            if let Some(order) = order {
                self.fragment.push_str(&format!("order = {}\n", crate::config::quoted(order)));
            }
            self.fragment.push('\n');
            self.routes.push(route.to_string());
        }
    }

    /// The name of a route: as apps ask for it today, unless it can be none.
    fn route_name(&mut self, line: u32, name: &str, catalogue: &Catalogue) -> Option<RouteName> {
        if name.contains('*') {
            let text = "a name with * is for any model: apps ask for provider/model here, without a route";
            self.notes.push(Note { line, text: text.into() });
            return None;
        }
        let is_model = catalogue.providers.values().any(|provider| provider.models.contains_key(name));
        let is_provider = catalogue.providers.keys().any(|slug| slug.as_str() == name);
        let mut new = if name.parse::<RouteName>().is_ok() { name.to_owned() } else { slug(name) };
        if is_model || is_provider {
            new = format!("{new}-route");
        }
        while self.routes.contains(&new) {
            new.push_str("-2");
        }
        if new != name {
            let why =
                if is_model { "is a model's id, and a route cannot be named so" } else { "cannot be a route's name" };
            let asked: String = name.chars().take(64).collect();
            self.notes.push(Note { line, text: format!("{asked:?} {why}: apps must ask for {new:?}") });
        }
        new.parse().ok()
    }

    /// A limit group for a connection whose models have limits of their own.
    fn put_group(&mut self, connection: &FoundConnection, catalogue: &Catalogue) -> Option<LimitGroup> {
        if connection.model_limits.is_empty() {
            return None;
        }
        let name = slug(&format!("{}-{}", connection.provider, connection.name));
        let group: LimitGroup = name.parse().ok()?;
        if !catalogue.limit_groups.contains_key(&group) {
            self.fragment.push_str(&format!("[limit_groups.{}]\n", key(&name)));
            for (model, limits) in &connection.model_limits {
                let (name, model) = (key(&name), quoted(model));
                self.fragment.push_str(&format!("[limit_groups.{name}.models.{model}]\nlimits = {}\n", table(limits)));
            }
            self.fragment.push('\n');
        }
        Some(group)
    }
}

/// Whether a text can be a model's id.
fn is_id(model: &str) -> bool {
    (1..=bounds::MODEL_BYTES_MAX).contains(&model.len()) && !model.contains(char::is_whitespace)
}

/// Whether a declared provider is the one that was found.
fn is_same(found: &FoundProvider, there: &crate::config::Provider) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    match (&found.base_url, found.known) {
        (Some(url), _) => plain(url) == plain(there.base_url.as_str()),
        (None, Some(known)) if known.preset => {
            there.preset.as_deref() == Some(known.slug) && there.slug.as_str() == known.slug
        }
        (None, Some(known)) => there.slug.as_str() == known.slug,
        (None, None) => false,
    }
}

/// A provider's table.
fn declared(one: &FoundProvider) -> String {
    let mut text = format!("[providers.{}]\n", key(one.slug.as_str()));
    match one.known {
        Some(known) if known.preset => text.push_str(&format!("preset = {}\n", quoted(known.slug))),
        known => text.push_str(&format!("kind = {}\n", quoted(known.map_or("openai", |known| known.slug)))),
    }
    if let Some(url) = &one.base_url {
        text.push_str(&format!("base_url = {}\n", quoted(url)));
        if is_private(url) {
            text.push_str("allow_private = true\n");
        }
    }
    text.push('\n');
    text
}

/// A key of a table: bare where it can be.
fn key(name: &str) -> String {
    let bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { name.to_owned() } else { quoted(name) }
}

fn table(limits: &Limits) -> String {
    let some = limits.figures().into_iter().filter_map(|(name, figure)| Some(format!("{name} = {}", figure?)));
    format!("{{ {} }}", some.collect::<Vec<_>>().join(", "))
}

/// What becomes of a connection, beside those that there are.
fn fate(found: &FoundConnection, there: &[Connection]) -> Fate {
    let same = there.iter().find(|one| one.provider == found.provider && one.name == found.name);
    match (same, &found.secret) {
        (Some(one), FoundSecret::Given(secret)) if one.secret.hint != hint(secret) => {
            Fate::Differs(format!("it has another secret: `bursar credentials rotate {}` takes the new one", one.id))
        }
        (Some(_), _) => Fate::There,
        (None, FoundSecret::Missing(why)) => Fate::NoSecret(why.clone()),
        (None, FoundSecret::Given(secret)) => match crate::credential::Secret::new(secret.expose().as_bytes().to_vec())
        {
            Ok(_) => Fate::Add,
            Err(error) => Fate::NoSecret(error.to_string()),
        },
        (None, FoundSecret::Unneeded) => Fate::Add,
    }
}

/// The end of a secret, as the daemon tells it.
fn hint(secret: &crate::api::admin::SecretText) -> Option<String> {
    crate::credential::Secret::new(secret.expose().as_bytes().to_vec()).ok()?.hint()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
