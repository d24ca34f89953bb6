//! What is in force: providers, connections, routes, apps and roles, as one immutable value.
//!
//! A request takes the snapshot once and sees it to its end. A new one is built completely before it is published;
//! health is shared between them, so that publishing resets nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::tz::TimeZone;

use crate::access::Access;
use crate::api::{ConnectionId, LimitGroup};
use crate::config::{self, Catalogue, Limits, OnExceed};
use crate::connection::admission::Admission;
use crate::connection::health::Registry;
use crate::connection::{Budgets, Connection, ManagedBy, Quotas};
use crate::credential::SealedSecret;
use crate::provider::{Provider, ProviderError};
use crate::rotation::{Memory, Selection};
use crate::store::{ConnectionSwitch, ModelList, ProviderSwitch, StoredConnection};
use crate::upstream::sandbox::Fault;

/// What is in force.
pub struct Snapshot {
    /// Counts up with every snapshot of this process.
    pub generation: u64,
    /// What the files say, checked.
    pub catalogue: Arc<Catalogue>,
    /// Who may do what.
    pub access: Access,
    /// All connections, by id.
    pub connections: BTreeMap<ConnectionId, Arc<Connection>>,
    /// What there is to choose from.
    pub selection: Selection,
    /// What may be spent.
    pub budgets: Budgets,
}

/// A declared connection's secret: sealed, or the reason why it could not be had.
pub type DeclaredSecret = Result<SealedSecret, String>;

/// Everything that a snapshot is made of.
pub struct Parts<'a> {
    /// The files.
    pub catalogue: Arc<Catalogue>,
    /// The secrets that the files refer to.
    pub secrets: &'a HashMap<ConnectionId, DeclaredSecret>,
    /// Who may do what.
    pub access: Access,
    /// The budgets that are declared.
    pub budgets: &'a [config::Budget],
    /// The store's connections.
    pub stored: &'a BTreeMap<ConnectionId, StoredConnection>,
    /// The operators' switches of providers.
    pub provider_switches: &'a BTreeMap<crate::api::ProviderSlug, ProviderSwitch>,
    /// The operators' switches of declared connections.
    pub connection_switches: &'a BTreeMap<ConnectionId, ConnectionSwitch>,
    /// The models that providers list, as they were last fetched.
    pub model_lists: &'a [ModelList],
    /// How connections have fared.
    pub health: &'a Registry,
    /// What is used of their quotas.
    pub admission: &'a Admission,
    /// Whose turn it is, and what else choosing has to remember.
    pub memory: &'a Memory,
}

impl Snapshot {
    /// Puts a snapshot together.
    ///
    /// # Errors
    /// When a declared provider cannot be used.
    pub fn build(generation: u64, parts: Parts<'_>) -> Result<Self, ProviderError> {
        let providers = providers(&parts)?;
        let connections: Vec<Arc<Connection>> = declared(&parts)
            .chain(stored(&parts, &providers))
            .map(|connection| Arc::new(with_kind(connection, &providers)))
            .collect();
        let selection = Selection::new(providers, &connections, &parts.catalogue, parts.memory);
        let connections = connections.into_iter().map(|connection| (connection.id.clone(), connection)).collect();
        parts.memory.sweep();
        let budgets: Vec<_> = parts.budgets.iter().map(|budget| with_route(budget, &selection)).collect();
        let budgets = Budgets::new(&parts.admission.purses, &parts.admission.leases, &budgets);
        Ok(Self { generation, catalogue: parts.catalogue, access: parts.access, connections, selection, budgets })
    }
}

/// A budget that sends requests by a route that is not there refuses them.
fn with_route(budget: &config::Budget, selection: &Selection) -> config::Budget {
    let mut budget = budget.clone();
    if let OnExceed::Route(route) = &budget.on_exceed
        && !selection.routes().any(|known| known == route)
    {
        budget.on_exceed = OnExceed::Deny;
    }
    budget
}

type Providers = BTreeMap<crate::api::ProviderSlug, Arc<Provider>>;

fn providers(parts: &Parts<'_>) -> Result<Providers, ProviderError> {
    parts
        .catalogue
        .providers
        .values()
        .map(|declared| {
            let switch = parts.provider_switches.get(&declared.slug);
            let provider = Provider::new(
                declared,
                parts.catalogue.default_timeouts,
                switch.and_then(|switch| switch.enabled),
                switch.and_then(|switch| switch.default_connection.clone()),
            )?;
            let list = parts.model_lists.iter().find(|list| list.provider == declared.slug);
            Ok((declared.slug.clone(), Arc::new(provider.with_list(list))))
        })
        .collect()
}

/// The connections that files declare.
fn declared<'a>(parts: &'a Parts<'_>) -> impl Iterator<Item = Connection> + 'a {
    parts.catalogue.connections.iter().map(|declared| {
        let health = parts.health.of(&declared.id);
        let switch = parts.connection_switches.get(&declared.id);
        let (secret, secret_problem) = match parts.secrets.get(&declared.id) {
            Some(Ok(sealed)) => (Some(sealed.clone()), None),
            Some(Err(problem)) => (None, Some(problem.clone())),
            None => (None, None),
        };
        Connection {
            id: declared.id.clone(),
            secret,
            secret_problem,
            enabled: declared.enabled && switch.and_then(|switch| switch.enabled).unwrap_or(true),
            priority: declared.priority,
            weight: declared.weight,
            limits: declared.limits,
            limit_group: declared.limit_group.clone(),
            quotas: quotas(parts, &declared.id, (&declared.limits, &declared.models), declared.limit_group.as_ref()),
            account: declared.limit_group.as_ref().map(|group| parts.health.group(group)),
            day_resets: day_resets(parts, &declared.id, declared.limit_group.as_ref()),
            headers: declared.settings.headers.iter().cloned().collect(),
            timeouts: declared.settings.timeouts,
            fault: declared.settings.fault.as_ref().map(fault).unwrap_or_default(),
            words: declared.settings.words.clone(),
            settings: serde_json::to_string(&declared.settings.words).unwrap_or_default(),
            ui_metadata: String::from("{}"),
            expires_ms: declared.expires_at.map(|at| at.as_millisecond()),
            managed_by: ManagedBy::Toml,
            generation: health.generation(),
            health,
            pace: parts.memory.paces.of(&declared.id),
        }
    })
}

/// The store's connections. One whose provider is no longer declared is kept, and cannot be chosen; one that a file
/// declares too is the file's.
fn stored<'a>(parts: &'a Parts<'_>, providers: &'a Providers) -> impl Iterator<Item = Connection> + 'a {
    let in_file: HashSet<_> = parts.catalogue.connections.iter().map(|declared| &declared.id).collect();
    parts.stored.values().filter(move |stored| !in_file.contains(&stored.id)).map(|stored| {
        let provider = providers.get(&stored.id.provider);
        let (settings, health) = (settings(stored), parts.health.of(&stored.id));
        let origin = provider.map(|provider| &provider.origin);
        let (secret, secret_problem) = match (&stored.secret, origin) {
            (Some(sealed), Some(origin)) if sealed.origin != *origin => {
                let (given, id) = (&sealed.origin, &stored.id);
                let problem = format!(
                    "the secret was given for {given}, and the provider is now at {origin}: `bursar credentials set {id}` \
                     gives it for there"
                );
                (None, Some(problem))
            }
            (sealed, _) => (sealed.clone(), None),
        };
        Connection {
            id: stored.id.clone(),
            secret,
            secret_problem,
            enabled: stored.enabled,
            priority: stored.priority,
            weight: stored.weight,
            limits: stored.limits,
            limit_group: stored.limit_group.clone(),
            // Without its provider nobody knows where its days begin: what it used waits for it as it is.
            quotas: provider.map_or_else(Quotas::default, |_| {
                quotas(parts, &stored.id, (&stored.limits, &BTreeMap::new()), stored.limit_group.as_ref())
            }),
            account: stored.limit_group.as_ref().map(|group| parts.health.group(group)),
            day_resets: day_resets(parts, &stored.id, stored.limit_group.as_ref()),
            headers: settings.headers.iter().cloned().collect(),
            timeouts: settings.timeouts,
            fault: settings.fault.as_ref().map(fault).unwrap_or_default(),
            words: settings.words,
            settings: stored.settings.clone(),
            ui_metadata: stored.ui_metadata.clone(),
            expires_ms: stored.expires_ms,
            managed_by: ManagedBy::Store,
            generation: health.generation(),
            health,
            pace: parts.memory.paces.of(&stored.id),
        }
    })
}

/// A connection's quotas and its group's. Its days begin where its provider's do.
fn quotas(
    parts: &Parts<'_>,
    id: &ConnectionId,
    (limits, models): (&Limits, &BTreeMap<String, Limits>),
    group: Option<&LimitGroup>,
) -> Quotas {
    let zone = day_resets(parts, id, group);
    let group = group.and_then(|group| parts.catalogue.limit_groups.get_key_value(group));
    Quotas::new(parts.admission, (id, limits, models), group, &zone)
}

/// Where the days of a connection's account begin: as its limit group says, else its provider.
fn day_resets(parts: &Parts<'_>, id: &ConnectionId, group: Option<&LimitGroup>) -> TimeZone {
    let group = group.and_then(|group| parts.catalogue.limit_groups.get(group)?.day_resets.clone());
    let provider = || Some(parts.catalogue.providers.get(&id.provider)?.day_resets.clone());
    group.or_else(provider).unwrap_or(TimeZone::UTC)
}

/// A stored connection's settings. They were checked when they were taken; what this version no longer takes is left out,
/// and said.
fn settings(stored: &StoredConnection) -> config::Settings {
    config::Settings::from_json(&stored.settings).unwrap_or_else(|report| {
        for problem in &report.errors {
            tracing::warn!(connection = %stored.id, "a stored setting is not taken: {problem}");
        }
        config::Settings::default()
    })
}

/// Settings that become headers, by the table of the connection's kind.
fn with_kind(mut connection: Connection, providers: &Providers) -> Connection {
    let facts = providers.get(&connection.id.provider).map(|provider| provider.adapter.facts());
    let mut headers = HeaderMap::new();
    for (setting, header) in facts.into_iter().flat_map(|facts| facts.setting_headers) {
        if let Some(value) = connection.words.get(*setting).and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(HeaderName::from_static(header), value);
        }
    }
    connection.headers.extend(headers);
    connection
}

fn fault(declared: &config::Fault) -> Fault {
    Fault {
        status: declared.status,
        retry_after_s: declared.retry_after_s,
        latency_ms: declared.latency.map_or(0, |latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        hang: declared.hang,
        cut_after: declared.cut_after.map(|chunks| usize::try_from(chunks).unwrap_or(usize::MAX)),
    }
}
