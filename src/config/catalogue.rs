//! `providers.toml` as it is in force: checked as a whole, and never changed.

use std::collections::{BTreeMap, BTreeSet};

use super::connection::{self, Connection};
use super::consistency;
use super::document::Place;
use super::kind::KindFacts;
use super::layers::Shipped;
use super::limit::GroupLimits;
use super::provider::{self, Provider};
use super::rotation::{self, Rotation};
use super::route::{self, Route};
use super::timeout::{self, Timeouts};
use super::walk::{Cursor, Fields};
use crate::api::{Feature, LimitGroup, ProviderSlug, RouteName};
use crate::bounds;

/// Everything that `providers.toml` and the built-in providers say, together.
///
/// Every reference in it leads somewhere: a connection's provider and group, a target's provider.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// The providers.
    pub providers: BTreeMap<ProviderSlug, Provider>,
    /// The routes. None is named like a provider or like a model that a bare id may mean.
    pub routes: BTreeMap<RouteName, Route>,
    /// The limit groups.
    pub limit_groups: BTreeMap<LimitGroup, GroupLimits>,
    /// The connections, in the order of the file.
    pub connections: Vec<Connection>,
    /// The timeouts where nothing more special is said.
    pub default_timeouts: Timeouts,
    /// How connections are chosen where no route says otherwise.
    pub rotation: Rotation,
    /// The routes of features' requests that name no model.
    pub features: BTreeMap<Feature, RouteName>,
    /// Where each provider stands: what is found out about it later is told with its place.
    pub places: Places,
}

/// Where each provider stands. Moving a line changes nothing, so all are equal.
#[derive(Debug, Clone, Default)]
pub struct Places(pub BTreeMap<ProviderSlug, ProviderPlace>);

/// Where a provider stands.
#[derive(Debug, Clone)]
pub struct ProviderPlace {
    /// Its table.
    pub table: Place,
    /// Its address, which may stand with its preset; else its table.
    pub address: Place,
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Reads a whole catalogue, in which what is shipped under these names lies under the file's.
///
/// References are followed once everything that they can lead to has been read. What exists but could not be read is
/// not reported a second time as missing.
pub(super) fn read(root: &Cursor<'_>, kinds: &[&KindFacts], shipped: &Shipped) -> Option<Catalogue> {
    let fields = root.fields(&["providers", "routes", "features", "limit_groups", "connections", "defaults"])?;
    let tables = fields.entries("providers");
    let Defaults { fetch_models, timeouts: default_timeouts, rotation } = read_defaults(&fields);
    let around = provider::Surroundings { kinds, shipped, fetch_models };
    let providers: BTreeMap<_, _> = tables
        .iter()
        .filter_map(|(name, at)| Provider::read(name, at, &around))
        .map(|provider| (provider.slug.clone(), provider))
        .collect();
    let declared: BTreeSet<&str> = tables.iter().map(|&(name, _)| name).collect();
    let groups = fields.entries("limit_groups");
    let around = connection::Surroundings {
        kinds,
        declared: &declared,
        providers: &providers,
        groups: &groups.iter().map(|&(name, _)| name).collect(),
    };
    let connections = read_connections(&fields, &around);
    let around = route::Surroundings { kinds, declared: &declared, providers: &providers, rotation };
    let routes = route::read_all(&fields, &around);
    let features = rotation::read_features(&fields, &routes, &fields.entries("routes"));
    let limit_groups = read_groups(&groups, &providers);
    let places = places(&tables, &providers);
    let catalogue =
        Catalogue { limit_groups, connections, routes, default_timeouts, rotation, features, providers, places };
    consistency::check(&fields, &catalogue, kinds);
    Some(catalogue)
}

fn places(tables: &[(&str, Cursor<'_>)], providers: &BTreeMap<ProviderSlug, Provider>) -> Places {
    let place = |(name, at): &(&str, Cursor<'_>)| {
        let slug = name.parse().ok().filter(|slug| providers.contains_key(slug))?;
        let (table, address) = (at.place().clone(), at.place_of("base_url").unwrap_or(at.place()).clone());
        Some((slug, ProviderPlace { table, address }))
    };
    Places(tables.iter().filter_map(place).collect())
}

fn read_connections(fields: &Fields<'_>, around: &connection::Surroundings<'_>) -> Vec<Connection> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut places = BTreeMap::new();
    for at in fields.items("connections") {
        let Some(connection) = Connection::read(&at, around) else { continue };
        if let Some(first) = places.insert(connection.id.clone(), at.place()) {
            let first = first.from(at.place());
            at.error(format!("{} is declared twice, first in {first}: give one another name", connection.id));
        }
        connections.push(connection);
    }
    if connections.len() > bounds::CONNECTIONS_MAX {
        fields.at().error(format!("declares more than {} connections", bounds::CONNECTIONS_MAX));
    }
    connections
}

fn read_groups(
    groups: &[(&str, Cursor<'_>)],
    providers: &BTreeMap<ProviderSlug, Provider>,
) -> BTreeMap<LimitGroup, GroupLimits> {
    let listed = providers.values().flat_map(Provider::listed).collect();
    let one = |(name, at): &(&str, Cursor<'_>)| {
        let (name, limits) = (at.key_as(name), GroupLimits::read(at, &listed));
        Some((name?, limits?))
    };
    groups.iter().filter_map(one).collect()
}

/// What holds where nothing more special is said.
struct Defaults {
    /// Whether providers' lists of models are fetched.
    fetch_models: bool,
    timeouts: Timeouts,
    rotation: Rotation,
}

fn read_defaults(fields: &Fields<'_>) -> Defaults {
    let mut defaults = Defaults { fetch_models: true, timeouts: Timeouts::default(), rotation: Rotation::default() };
    let table = fields.get("defaults").and_then(|table| table.fields(&["fetch_models", "timeouts", "order", "sticky"]));
    if let Some(fields) = table {
        let timeouts = fields.get("timeouts").map(|table| timeout::read(&table)).unwrap_or_default();
        defaults.timeouts = defaults.timeouts.with(&timeouts);
        defaults.fetch_models = fields.flag_or("fetch_models", true);
        defaults.rotation = defaults.rotation.with(&fields);
    }
    defaults
}
