//! From what an app asked for to pools of connections: routes, `provider/model`, bare model ids.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;

use super::candidates::Candidates;
use super::pool::{Pool, Wanted, usable};
use super::tier::Tier;
use crate::api::{Capabilities, Capability, Operation, ProviderSlug, RouteName};
use crate::config::{Model, Route};
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
}

/// What there is to choose from, worked out once a snapshot.
#[doc(alias = "ModelSelectionService")]
#[derive(Default)]
pub struct Selection {
    providers: BTreeMap<ProviderSlug, Arc<Provider>>,
    tiers: HashMap<ProviderSlug, Vec<Arc<Tier>>>,
    routes: BTreeMap<RouteName, Arc<[Pool]>>,
    bare: BTreeMap<Arc<str>, Arc<[Pool]>>,
}

impl Selection {
    /// Works out the pools of every route and listed model.
    pub fn new(
        providers: BTreeMap<ProviderSlug, Arc<Provider>>,
        connections: &[Arc<Connection>],
        routes: &BTreeMap<RouteName, Route>,
    ) -> Self {
        let tiers =
            providers.values().map(|provider| (provider.slug.clone(), tiers_of(provider, connections))).collect();
        let mut selection = Self { providers, tiers, ..Self::default() };
        selection.routes = routes
            .iter()
            .map(|(name, route)| {
                let pools = route.targets.iter().flat_map(|target| selection.pools(&target.provider, &target.model));
                (name.clone(), pools.collect())
            })
            .collect();
        selection.bare = selection.bare_ids();
        selection
    }

    /// The candidates for a request, in order, as yet untried.
    ///
    /// # Errors
    /// When nobody knows the model.
    pub fn candidates(&self, wanted: Wanted) -> Result<Candidates, SelectionError> {
        let pools = self.pools_for(&wanted.model)?;
        Ok(Candidates::new(pools, wanted))
    }

    fn pools_for(&self, model: &str) -> Result<Arc<[Pool]>, SelectionError> {
        if let Some(pools) = self.routes.get(model) {
            return Ok(Arc::clone(pools));
        }
        if let Some((slug, rest)) = model.split_once('/')
            && let Some(provider) = self.providers.get(slug)
        {
            if provider.model(rest).is_none() && !provider.unlisted_models {
                return Err(SelectionError::Unlisted { provider: provider.slug.clone(), model: rest.into() });
            }
            return Ok(self.pools(&provider.slug, rest).collect());
        }
        self.bare.get(model).map(Arc::clone).ok_or_else(|| SelectionError::UnknownModel { asked: model.into() })
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
            })
        })
    }

    /// A bare id goes to all who list it, by priority, then provider; within a pool the tier decides.
    fn bare_ids(&self) -> BTreeMap<Arc<str>, Arc<[Pool]>> {
        let mut all: BTreeMap<Arc<str>, Vec<Pool>> = BTreeMap::new();
        for provider in self.providers.values().filter(|provider| provider.adapter.facts().kind.bare_models) {
            for id in provider.known() {
                all.entry(Arc::clone(id)).or_default().extend(self.pools(&provider.slug, id));
            }
        }
        all.into_iter()
            .map(|(id, mut pools)| {
                pools.sort_by(|a, b| (a.tier.priority, &a.provider.slug).cmp(&(b.tier.priority, &b.provider.slug)));
                (id, pools.into())
            })
            .collect()
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

    /// Providers that could take a call that needs this.
    #[doc(alias = "getAvailableProviders")]
    pub fn available_providers(&self, needs: Capabilities) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values().filter(move |provider| {
            let able = |model: &Arc<Model>| model.capabilities.is_none_or(|has| has.missing(needs).next().is_none());
            self.is_provider_available(&provider.slug)
                && (provider.unlisted_models || provider.models.values().any(able))
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
        self.tiers.get(slug)?.iter().find_map(|tier| {
            (0..).map_while(|step| tier.at(0, step)).find(|connection| usable(provider, connection).is_ok())
        })
    }
}

fn tiers_of(provider: &Provider, connections: &[Arc<Connection>]) -> Vec<Arc<Tier>> {
    let mut by_priority: BTreeMap<u32, Vec<Arc<Connection>>> = BTreeMap::new();
    for connection in connections.iter().filter(|connection| connection.id.provider == provider.slug) {
        by_priority.entry(connection.priority).or_default().push(Arc::clone(connection));
    }
    let default = provider.default_connection.as_ref().map(crate::api::ConnectionName::as_str);
    by_priority
        .into_iter()
        .map(|(priority, mut connections)| {
            connections.sort_by(|a, b| a.id.cmp(&b.id));
            Arc::new(Tier::new(priority, connections, default))
        })
        .collect()
}
