//! From what an app asked for to pools of connections: routes, `provider/model`, bare model ids.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;

use super::budget::RetryBudget;
use super::candidates::Candidates;
use super::memory::Memory;
use super::pool::{AUTO, Pool, Wanted, usable};
use super::tier::Tier;
use crate::api::{Capabilities, Capability, Feature, Operation, ProviderSlug, RouteName};
use crate::config::{Catalogue, Model, Order, Rotation, Route, Sticky, Target};
use crate::connection::Connection;
use crate::provider::Provider;

/// A model that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// No route, provider or listed model has the name.
    #[error(
        "there is no route, provider or listed model {asked:?}: GET /v1/models lists what there is, and provider/model names any model of a provider"
    )]
    UnknownModel {
        /// What was asked for.
        asked: String,
    },
    /// The provider takes only models that it lists.
    #[error("provider {provider} lists no model {model:?}, and takes only listed ones (unlisted_models = false)")]
    Unlisted {
        /// The provider.
        provider: ProviderSlug,
        /// The model.
        model: String,
    },
    /// The choice was left to the feature, and that has no route.
    #[error(
        "no model is named, and {} has no route of its own: name a model, such as \"openai/gpt-4.1-mini\", or a route, or let an operator give the feature one ([features.NAME] route = \"…\" in providers.toml)",
        match .feature { Some(feature) => format!("the feature {feature}"), None => String::from("the request") }
    )]
    NoRoute {
        /// The feature.
        feature: Option<Feature>,
    },
}

/// What there is to choose from, worked out once a snapshot.
#[doc(alias = "ModelSelectionService")]
#[derive(Default)]
pub struct Selection {
    providers: BTreeMap<ProviderSlug, Arc<Provider>>,
    tiers: HashMap<ProviderSlug, Vec<Arc<Tier>>>,
    budgets: BTreeMap<ProviderSlug, Arc<RetryBudget>>,
    routes: BTreeMap<RouteName, Arc<[Pool]>>,
    features: BTreeMap<Feature, RouteName>,
    known: HashMap<ProviderSlug, HashMap<Arc<str>, Arc<[Pool]>>>,
    bare: BTreeMap<Arc<str>, Arc<[Pool]>>,
    rotation: Rotation,
}

impl Selection {
    /// Works out the pools of every route and listed model.
    pub fn new(
        providers: BTreeMap<ProviderSlug, Arc<Provider>>,
        connections: &[Arc<Connection>],
        catalogue: &Catalogue,
        memory: &Memory,
    ) -> Self {
        let rotations = catalogue.routes.values().map(|route| route.rotation).chain([catalogue.rotation]);
        let sticky = rotations.into_iter().any(|rotation| rotation.sticky == Sticky::Conversation);
        let mut selection = Self {
            tiers: tiers(&providers, connections, memory, sticky),
            budgets: providers.keys().map(|slug| (slug.clone(), memory.budgets.of(slug))).collect(),
            features: catalogue.features.clone(),
            rotation: catalogue.rotation,
            providers,
            ..Self::default()
        };
        let known = |provider: &Arc<Provider>| {
            let of = |id: &Arc<str>| (Arc::clone(id), selection.pools(&provider.slug, id).collect());
            (provider.slug.clone(), provider.known().map(of).collect())
        };
        selection.known = selection.providers.values().map(known).collect();
        selection.routes =
            catalogue.routes.iter().map(|(name, route)| (name.clone(), selection.route(route))).collect();
        selection.bare = selection.bare_ids();
        selection
    }

    /// The candidates for a request, in order, as yet untried.
    ///
    /// # Errors
    /// When nobody knows the model.
    pub fn candidates(&self, wanted: Wanted) -> Result<Candidates, SelectionError> {
        let pools = self.pools_for(&wanted)?;
        Ok(Candidates::new(pools, wanted))
    }

    fn pools_for(&self, wanted: &Wanted) -> Result<Arc<[Pool]>, SelectionError> {
        let model = wanted.model.as_str();
        if let Some(pools) = self.routes.get(model) {
            return Ok(Arc::clone(pools));
        }
        if let Some((slug, rest)) = model.split_once('/')
            && let Some(provider) = self.providers.get(slug)
        {
            if let Some(pools) = self.known.get(slug).and_then(|known| known.get(rest)) {
                return Ok(Arc::clone(pools));
            }
            if !provider.unlisted_models {
                return Err(SelectionError::Unlisted { provider: provider.slug.clone(), model: rest.into() });
            }
            return Ok(self.pools(&provider.slug, rest).collect());
        }
        if let Some(pools) = self.bare.get(model) {
            return Ok(Arc::clone(pools));
        }
        if model != AUTO {
            return Err(SelectionError::UnknownModel { asked: model.into() });
        }
        let own = wanted.feature.as_ref().and_then(|feature| self.routes.get(self.features.get(feature)?));
        own.map(Arc::clone).ok_or_else(|| SelectionError::NoRoute { feature: wanted.feature.clone() })
    }

    /// The pools of a route: its targets in order, or the cheapest first.
    fn route(&self, route: &Route) -> Arc<[Pool]> {
        let of = |target: &Target| -> Vec<Pool> { self.pools(&target.provider, &target.model).collect() };
        let mut targets: Vec<Vec<Pool>> = route.targets.iter().map(of).collect();
        if route.rotation.order == Order::Cheapest {
            targets.sort_by_key(|pools| by_price(pools.first()));
        }
        let own = |pool| Pool { rotation: route.rotation, require: route.require, ..pool };
        targets.into_iter().flatten().map(own).collect()
    }

    /// The pools of one provider's model, lowest priority number first.
    fn pools(&self, provider: &ProviderSlug, model: &str) -> impl Iterator<Item = Pool> {
        let provider = self.providers.get(provider);
        let facts = provider.and_then(|provider| provider.models.get_key_value(model));
        let id = facts.map_or_else(|| Arc::from(model), |(id, _)| Arc::clone(id));
        provider.into_iter().flat_map(move |provider| {
            let (id, facts) = (Arc::clone(&id), facts.map(|(_, facts)| Arc::clone(facts)));
            self.tiers.get(&provider.slug).into_iter().flatten().map(move |tier| Pool {
                provider: Arc::clone(provider),
                model: Arc::clone(&id),
                facts: facts.clone(),
                tier: Arc::clone(tier),
                rotation: self.rotation,
                require: Capabilities::NONE,
            })
        })
    }

    /// A bare id goes to all who list it, by priority, then provider, or the cheapest first; within a pool the tier
    /// decides.
    fn bare_ids(&self) -> BTreeMap<Arc<str>, Arc<[Pool]>> {
        let mut all: BTreeMap<Arc<str>, Vec<Pool>> = BTreeMap::new();
        for provider in self.providers.values().filter(|provider| provider.adapter.facts().kind.bare_models) {
            for id in provider.known() {
                all.entry(Arc::clone(id)).or_default().extend(self.pools(&provider.slug, id));
            }
        }
        let price = |pool: &Pool| (self.rotation.order == Order::Cheapest).then(|| by_price(Some(pool)));
        let sorted = |mut pools: Vec<Pool>| -> Arc<[Pool]> {
            let by = |pool: &Pool| (price(pool), pool.tier.priority, pool.provider.slug.clone());
            pools.sort_by_cached_key(by);
            pools.into()
        };
        all.into_iter().map(|(id, pools)| (id, sorted(pools))).collect()
    }

    /// How many retries a provider may still have.
    pub fn retries(&self, slug: &ProviderSlug) -> Option<&RetryBudget> {
        self.budgets.get(slug).map(Arc::as_ref)
    }

    /// A provider by its slug.
    pub fn provider(&self, slug: &str) -> Option<&Arc<Provider>> {
        self.providers.get(slug)
    }

    /// All providers, by slug.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// All routes, by name.
    pub fn routes(&self) -> impl Iterator<Item = &RouteName> {
        self.routes.keys()
    }

    /// Providers that could take a call that needs this: those of the feature's own route, where it has one.
    #[doc(alias = "getAvailableProviders")]
    pub fn available_providers(
        &self,
        feature: Option<&Feature>,
        needs: Capabilities,
    ) -> impl Iterator<Item = &Arc<Provider>> {
        let own = feature.and_then(|feature| self.routes.get(self.features.get(feature)?));
        let able = move |facts: &Model| facts.capabilities.is_none_or(|has| has.missing(needs).next().is_none());
        self.providers.values().filter(move |provider| {
            let fits = match own {
                Some(pools) => pools.iter().any(|pool| {
                    pool.provider.slug == provider.slug && pool.facts.as_ref().is_none_or(|facts| able(facts))
                }),
                None => provider.unlisted_models || provider.models.values().any(|facts| able(facts)),
            };
            fits && self.is_provider_available(&provider.slug)
        })
    }

    /// Providers that can be used now and are known to have a capability: the kind of call that it is, or a listed model.
    pub fn having(&self, capability: Capability) -> impl Iterator<Item = &Arc<Provider>> {
        let operation = Operation::ALL.iter().find(|operation| operation.capability() == Some(capability));
        let listed = move |model: &Arc<Model>| model.capabilities.is_some_and(|has| has.has(capability));
        self.providers.values().filter(move |provider| {
            let has = operation.map_or_else(|| provider.models.values().any(listed), |call| provider.has(*call));
            has && self.is_provider_available(&provider.slug)
        })
    }

    /// Whether a provider is enabled and has a connection that can be used now.
    #[doc(alias = "isProviderAvailable")]
    pub fn is_provider_available(&self, slug: &ProviderSlug) -> bool {
        self.active_connection(slug).is_some()
    }

    /// Whether a connection could be tried now, whatever the request.
    pub fn is_usable(&self, connection: &Connection) -> bool {
        let provider = self.providers.get(&connection.id.provider);
        provider.is_some_and(|provider| usable(provider, connection).is_ok())
    }

    /// The connection of a provider that a call would go to first: the one that checks and model lists use.
    #[doc(alias = "getActiveCredential")]
    pub fn active_connection(&self, slug: &ProviderSlug) -> Option<&Arc<Connection>> {
        let provider = self.providers.get(slug).filter(|provider| provider.enabled)?;
        let mut all = self.tiers.get(slug)?.iter().flat_map(|tier| tier.in_order());
        all.find(|connection| usable(provider, connection).is_ok())
    }
}

/// Every provider's connections by priority, lowest number first.
fn tiers(
    providers: &BTreeMap<ProviderSlug, Arc<Provider>>,
    connections: &[Arc<Connection>],
    memory: &Memory,
    sticky: bool,
) -> HashMap<ProviderSlug, Vec<Arc<Tier>>> {
    let mut sorted: BTreeMap<(&ProviderSlug, u32), Vec<Arc<Connection>>> = BTreeMap::new();
    for connection in connections {
        let key = (&connection.id.provider, connection.priority);
        sorted.entry(key).or_default().push(Arc::clone(connection));
    }
    let mut tiers: HashMap<ProviderSlug, Vec<Arc<Tier>>> = HashMap::new();
    for ((slug, priority), connections) in sorted {
        let Some(provider) = providers.get(slug) else { continue };
        let turn = memory.turns.of(&(slug.clone(), priority));
        let tier = Tier::new(priority, connections, provider, turn, sticky);
        tiers.entry(slug.clone()).or_default().push(Arc::new(tier));
    }
    tiers
}

/// Known prices first, and the lowest of them.
fn by_price(pool: Option<&Pool>) -> (bool, u128) {
    pool.and_then(Pool::price).map_or((true, 0), |price| (false, price))
}
