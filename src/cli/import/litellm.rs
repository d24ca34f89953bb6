//! LiteLLM's `config.yaml`: deployments become connections and routes
//! (<https://docs.litellm.ai/docs/proxy/configs>, "Overview").

use std::collections::BTreeMap;

use super::found::{Found, FoundConnection, FoundRoute, FoundSecret, slug};
use super::known::{KNOWN, Known, by_name};
use super::node::Node;
use crate::api::ProviderSlug;
use crate::api::admin::{Limits, Object, SecretText};

/// Parameters of a deployment that have a place.
const TAKEN: &[&str] = &[
    "model",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "organization",
    "rpm",
    "tpm",
    "weight",
    "order",
    "max_parallel_requests",
];

/// How one of several is chosen, in their words and in Bursar's.
const ORDERS: &[(&str, &str)] = &[
    ("least-busy", "least_in_flight"),
    ("latency-based-routing", "lowest_latency"),
    ("cost-based-routing", "cheapest"),
];

/// What variables hold, and which bare model ids are whose.
pub(super) struct Around<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<SecretText>,
    /// The provider that lists a model.
    pub(super) lists: &'a dyn Fn(&str) -> Option<ProviderSlug>,
}

/// Whether a tree is such a file.
pub(super) fn is(root: &Node) -> bool {
    root.get("model_list").is_some()
}

/// Finds everything in it.
pub(super) fn read(root: &Node, around: &Around<'_>) -> Found {
    let own = own_variables(root);
    let variable = |name: &str| own.get(name).cloned().or_else(|| (around.variable)(name));
    let mut reading = Reading { found: Found::default(), variable: &variable, around, models: BTreeMap::new() };
    for deployment in root.get("model_list").map(Node::items).unwrap_or_default() {
        reading.deployment(deployment);
    }
    reading.settle_limits();
    for settings in [root.get("router_settings"), root.get("litellm_settings")].into_iter().flatten() {
        reading.fallbacks(settings);
    }
    if let Some(router) = root.get("router_settings") {
        reading.aliases(router);
        reading.strategy(router);
    }
    reading.rest(root);
    reading.found
}

/// `environment_variables` of the file itself.
fn own_variables(root: &Node) -> BTreeMap<String, SecretText> {
    let entries = root.get("environment_variables").map(Node::entries).unwrap_or_default();
    let text = |node: &Node| node.text().map(|text| SecretText::new(text.to_owned()));
    entries.iter().filter_map(|(name, node)| Some((name.clone(), text(node)?))).collect()
}

struct Reading<'a> {
    found: Found,
    variable: &'a dyn Fn(&str) -> Option<SecretText>,
    around: &'a Around<'a>,
    /// The models of each connection, by its place, with the limits that each has there.
    models: BTreeMap<usize, BTreeMap<String, Limits>>,
}

impl Reading<'_> {
    fn deployment(&mut self, deployment: &Node) {
        let line = deployment.line;
        let (Some(name), Some(params)) =
            (deployment.get("model_name").and_then(Node::text), deployment.get("litellm_params"))
        else {
            return self.found.note(line, "an entry without model_name or litellm_params: left out");
        };
        let Some(model) = params.get("model").and_then(Node::text) else {
            return self.found.note(params.line, "litellm_params without a model: left out");
        };
        let Some((known, provider, model)) = self.provider(model, params) else { return };
        let secret = self.secret(params, known);
        let Ok(main) = "main".parse() else { return };
        let mut connection = FoundConnection::new(line, provider.clone(), main, secret);
        let wish =
            params.get("api_key").and_then(Node::text).and_then(variable_of).map(|name| connection_name(name, known));
        connection.weight = number(params, "weight").and_then(|weight| u32::try_from(weight).ok());
        connection.priority = number(params, "order").and_then(|order| u32::try_from(order).ok());
        connection.limits.concurrent = number(params, "max_parallel_requests").filter(|most| *most > 0);
        connection.settings = self.settings(line, params, &provider);
        for (key, node) in params.entries().iter().filter(|(key, _)| !TAKEN.contains(&key.as_str())) {
            self.found.note(node.line, format!("{key} of a deployment has no counterpart: left out"));
        }
        if let Some(place) = self.found.connection(&wish.unwrap_or_default(), connection) {
            self.models.entry(place).or_default().entry(model.clone()).or_insert(limits_of(params));
        }
        self.target(line, name, provider, model);
    }

    fn settings(&mut self, line: u32, params: &Node, provider: &ProviderSlug) -> Object {
        let mut settings = Object::new();
        if let Some(version) = params.get("api_version").and_then(Node::text) {
            if provider.as_str().starts_with("azure") {
                settings.insert("api_version".into(), version.into());
            } else {
                self.found.note(line, "api_version means something at Azure only: left out");
            }
        }
        if let Some(organization) = params.get("organization").and_then(Node::text) {
            settings.insert("organization".into(), organization.into());
        }
        settings
    }

    /// The provider of a deployment, and the model's name there.
    fn provider(&mut self, model: &str, params: &Node) -> Option<(Option<&'static Known>, ProviderSlug, String)> {
        let address = params.get("api_base").or_else(|| params.get("base_url"));
        let line = params.get("model").map_or(params.line, |node| node.line);
        let address_text = match address.and_then(Node::text) {
            Some(text) => match variable_of(text) {
                Some(name) => match (self.variable)(name) {
                    Some(value) => Some(value.expose().to_owned()),
                    None => {
                        let line = address.map_or(line, |node| node.line);
                        self.found.note(line, format!("{name} is not set, and holds the address: left out"));
                        return None;
                    }
                },
                None => Some(text.to_owned()),
            },
            None => None,
        };
        let (known, rest) = match model.split_once('/') {
            Some((prefix, rest)) if by_name(prefix).is_some() => (by_name(prefix), rest),
            // A model's own name may hold a slash, at an endpoint of one's own.
            _ if address_text.is_some() => (by_name("openai"), model.strip_prefix("openai/").unwrap_or(model)),
            Some((prefix, _)) => {
                self.found.note(line, format!("{prefix:?} is a provider that Bursar does not speak to: left out"));
                return None;
            }
            None => match (self.around.lists)(model).and_then(|slug| by_name(slug.as_str())) {
                Some(known) => (Some(known), model),
                None => {
                    self.found.note(line, "the model does not say whose it is (write provider/model there): left out");
                    return None;
                }
            },
        };
        let slug = self.found.provider(known, address_text.as_deref(), line)?;
        Some((known, slug, rest.to_owned()))
    }

    fn secret(&mut self, params: &Node, known: Option<&'static Known>) -> FoundSecret {
        let given = params.get("api_key").and_then(Node::text);
        let name = match given {
            Some(text) => match variable_of(text) {
                Some(name) => name.to_owned(),
                None if matches!(text.trim(), "" | "none" | "None" | "fake-key" | "anything") => {
                    return FoundSecret::Unneeded;
                }
                None => return FoundSecret::Given(SecretText::new(text.trim().to_owned())),
            },
            None if known.is_some_and(|known| known.keyless) => return FoundSecret::Unneeded,
            // LiteLLM looks into the provider's usual variable then.
            None => {
                let keys = known.map(|known| known.keys).unwrap_or_default();
                let set = keys.iter().find(|name| (self.variable)(name).is_some()).or_else(|| keys.first());
                set.map_or_else(|| String::from("the key's variable"), |name| (*name).to_owned())
            }
        };
        match (self.variable)(&name).filter(|secret| !secret.expose().trim().is_empty()) {
            Some(secret) => FoundSecret::Given(SecretText::new(secret.expose().trim().to_owned())),
            None => FoundSecret::Missing(format!("{name} is not set: --env-file names the file that sets it")),
        }
    }

    fn target(&mut self, line: u32, name: &str, provider: ProviderSlug, model: String) {
        let target = (provider, model);
        match self.found.routes.iter_mut().find(|route| route.name == name) {
            Some(route) if route.targets.contains(&target) => {}
            Some(route) => route.targets.push(target),
            None => {
                let (name, targets) = (name.to_owned(), vec![target]);
                self.found.routes.push(FoundRoute { line, name, targets, order: None });
            }
        }
    }

    /// A deployment's limits are those of one model with one key: where a key serves one model, they are the key's.
    fn settle_limits(&mut self) {
        for (place, models) in std::mem::take(&mut self.models) {
            let Some(connection) = self.found.connections.get_mut(place) else { continue };
            match models.iter().next() {
                Some((_, limits)) if models.len() == 1 => {
                    let concurrent = connection.limits.concurrent;
                    connection.limits = Limits { concurrent, ..*limits };
                }
                _ => {
                    let limited = models.into_iter().filter(|(_, limits)| *limits != Limits::default());
                    connection.model_limits = limited.collect();
                }
            }
        }
    }

    /// `fallbacks: [{name: [others]}]`: what is tried after a route's own targets.
    fn fallbacks(&mut self, settings: &Node) {
        for one in settings.get("fallbacks").map(Node::items).unwrap_or_default() {
            for (name, others) in one.entries() {
                let mut more = Vec::new();
                for other in others.items() {
                    let known =
                        other.text().and_then(|other| self.found.routes.iter().find(|route| route.name == other));
                    match known {
                        Some(route) => more.extend(route.targets.clone()),
                        None => self.found.note(other.line, "this fallback is in no model_list: left out"),
                    }
                }
                match self.found.routes.iter_mut().find(|route| route.name == *name) {
                    Some(route) => {
                        more.retain(|target| !route.targets.contains(target));
                        route.targets.extend(more);
                    }
                    None => self.found.note(others.line, "fallbacks of a model that is in no model_list: left out"),
                }
            }
        }
        for key in ["context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"] {
            if let Some(node) = settings.get(key) {
                self.found.note(node.line, format!("{key}: write such targets behind a route's others"));
            }
        }
    }

    /// `model_group_alias: {alias: name}`: another name of a route.
    fn aliases(&mut self, router: &Node) {
        for (alias, of) in router.get("model_group_alias").map(Node::entries).unwrap_or_default() {
            let name = of.text().or_else(|| of.get("model").and_then(Node::text));
            let route = name.and_then(|name| self.found.routes.iter().find(|route| route.name == name));
            match route.map(|route| route.targets.clone()) {
                Some(targets) => {
                    self.found.routes.push(FoundRoute { line: of.line, name: alias.clone(), targets, order: None });
                }
                None => self.found.note(of.line, "an alias of a model that is in no model_list: left out"),
            }
        }
    }

    fn strategy(&mut self, router: &Node) {
        let Some(node) = router.get("routing_strategy") else { return };
        let strategy = node.text().unwrap_or_default();
        match ORDERS.iter().find(|(theirs, _)| *theirs == strategy) {
            Some((_, order)) => self.found.routes.iter_mut().for_each(|route| route.order = Some(order)),
            None if matches!(strategy, "simple-shuffle" | "usage-based-routing" | "usage-based-routing-v2") => {}
            None => self.found.note(node.line, "this routing_strategy has no counterpart: each takes its turn"),
        }
    }

    /// What is left of the file.
    fn rest(&mut self, root: &Node) {
        let told = ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"];
        let taken = ["model_group_alias", "routing_strategy"];
        for table in ["router_settings", "litellm_settings", "general_settings"] {
            let entries = root.get(table).map(Node::entries).unwrap_or_default();
            for (key, node) in
                entries.iter().filter(|(key, _)| !told.contains(&key.as_str()) && !taken.contains(&key.as_str()))
            {
                let text = match key.as_str() {
                    "master_key" => {
                        "master_key: apps need no key here, because the kernel says who they are".to_owned()
                    }
                    "database_url" => "database_url: records of usage are the daemon's own".to_owned(),
                    "timeout" | "request_timeout" => format!("{key}: [defaults.timeouts] says how long calls may take"),
                    "num_retries" | "allowed_fails" | "cooldown_time" => {
                        format!("{key}: health and retries are built in")
                    }
                    "drop_params" => "drop_params: name parameters under drop of a provider".to_owned(),
                    _ => format!("{table}.{key} has no counterpart: left out"),
                };
                self.found.note(node.line, text);
            }
        }
        let sections =
            ["model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables"];
        for (key, node) in root.entries().iter().filter(|(key, _)| !sections.contains(&key.as_str())) {
            self.found.note(node.line, format!("{key} has no counterpart: left out"));
        }
    }
}

/// The variable that a text refers to.
fn variable_of(text: &str) -> Option<&str> {
    text.trim().strip_prefix("os.environ/")
}

/// A connection's name out of its key's variable: what tells it from the usual one.
fn connection_name(variable: &str, known: Option<&'static Known>) -> String {
    let usual = known.map(|known| known.keys).unwrap_or(&[]);
    let all = usual.iter().copied().chain(KNOWN.iter().flat_map(|known| known.keys.iter().copied()));
    let rest = all.clone().find_map(|key| variable.strip_prefix(key));
    match rest {
        Some(rest) => slug_or_main(rest.trim_start_matches('_')),
        None => slug_or_main(variable.trim_end_matches("_API_KEY").trim_end_matches("_KEY")),
    }
}

fn slug_or_main(text: &str) -> String {
    if text.is_empty() { "main".into() } else { slug(&text.replace('_', "-")) }
}

/// The limits of a deployment.
fn limits_of(params: &Node) -> Limits {
    Limits {
        requests_per_minute: number(params, "rpm").filter(|most| *most > 0),
        tokens_per_minute: number(params, "tpm").filter(|most| *most > 0),
        ..Limits::default()
    }
}

fn number(params: &Node, key: &str) -> Option<u64> {
    params.get(key).and_then(Node::whole)
}

#[cfg(test)]
#[path = "litellm_tests.rs"]
mod tests;
