//! Providers as the running daemon holds them: what TOML declares, put together with the adapter that speaks to them.

mod address;
pub mod price;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;
use url::Url;

use crate::adapter::{self, Adapter, Asked, Auth};
use crate::api::{ConnectionName, Operation, ProviderSlug};
use crate::config::{self, Model, OnTimeout, RateLimitHeader, StreamUsage, Timeouts};
use crate::credential::{Origin, OriginError};
use crate::store::ModelList;
use crate::upstream::Transport;
use address::Addresses;

/// An AI vendor or endpoint.
#[doc(alias = "AiProvider")]
#[doc(alias = "ProviderConfig")]
pub struct Provider {
    /// Its slug.
    pub slug: ProviderSlug,
    /// The preset that it was made of.
    pub preset: Option<String>,
    /// What speaks its format.
    pub adapter: &'static dyn Adapter,
    /// Whether TOML and the operator's switch both say so.
    pub enabled: bool,
    /// Whether TOML says so.
    pub declared_enabled: bool,
    /// The connection that the operator made the default one.
    pub default_connection: Option<ConnectionName>,
    /// The base URL, without a slash at its end.
    pub base_url: Url,
    addresses: Addresses,
    /// The header that holds the credential, and what stands before it there; none: it wants none.
    pub credential_header: Option<(HeaderName, &'static str)>,
    needs_secret: bool,
    /// The kinds of calls that it has.
    pub operations: Vec<Operation>,
    /// The words that a connection may set.
    pub settings: Vec<String>,
    /// The origin that secrets may be sent to.
    pub origin: Origin,
    /// How to connect.
    pub transport: Transport,
    /// Listed models, by id.
    pub models: BTreeMap<Arc<str>, Arc<Model>>,
    /// Ids of models that the provider itself lists, and TOML does not.
    pub fetched: Vec<Arc<str>>,
    /// Whether the provider's own list is fetched and kept.
    pub fetch_models: bool,
    /// Whether a model that is not listed is sent all the same.
    pub unlisted_models: bool,
    /// What its rate-limit headers count.
    pub rate_limits: Vec<RateLimitHeader>,
    /// How usage is got from its streams.
    pub stream_usage: StreamUsage,
    /// What follows a timeout.
    pub on_timeout: OnTimeout,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// Headers that go with every call.
    pub headers: HeaderMap,
    /// Parameters that are left out of a body.
    pub drop: Vec<String>,
    /// Parameters that go by another name.
    pub rename: Vec<(String, String)>,
    /// Whether it is one of those that come with the program.
    pub builtin: bool,
}

/// A declared provider that cannot be used.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// No adapter has this kind.
    #[error("provider {0} has the kind {1:?}, which no adapter speaks")]
    Kind(ProviderSlug, String),
    /// Its base URL has no origin.
    #[error("provider {0}: {1}")]
    Origin(ProviderSlug, OriginError),
    /// Its kind has no such calls.
    #[error("provider {0} names operations that its kind {1:?} has not: {2}")]
    Operations(ProviderSlug, String, String),
}

impl Provider {
    /// Puts a declared provider together with its adapter and the operator's switches.
    ///
    /// # Errors
    /// When no adapter speaks its kind or has its operations, or its base URL has no origin.
    pub fn new(
        declared: &config::Provider,
        defaults: Timeouts,
        enabled: Option<bool>,
        default_connection: Option<ConnectionName>,
    ) -> Result<Self, ProviderError> {
        let slug = declared.slug.clone();
        let adapter = adapter::for_kind(&declared.kind)
            .ok_or_else(|| ProviderError::Kind(slug.clone(), declared.kind.clone()))?;
        let facts = adapter.facts();
        let timeouts = defaults.with(&declared.timeouts);
        Ok(Self {
            adapter,
            enabled: declared.enabled && enabled.unwrap_or(true),
            declared_enabled: declared.enabled,
            default_connection,
            addresses: Addresses::new(adapter, &declared.base_url, &declared.paths, &declared.settings),
            credential_header: credential_header(facts.auth, declared.auth.as_ref()),
            needs_secret: declared.needs_secret.unwrap_or(facts.kind.needs_secret && !declared.allow_private),
            operations: operations(declared, facts.operations)?,
            settings: declared.setting_words(&facts.kind).map(str::to_owned).collect(),
            preset: declared.preset.clone(),
            base_url: declared.base_url.clone(),
            origin: Origin::of(&declared.base_url).map_err(|error| ProviderError::Origin(slug.clone(), error))?,
            transport: Transport {
                tls: declared.base_url.scheme() == "https"
                    || declared.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https"),
                allow_private: declared.allow_private,
                ca_file: declared.ca_file.clone(),
                proxy: declared.proxy.as_ref().map(Url::to_string),
                connect_timeout: timeouts.connect,
            },
            models: declared
                .models
                .iter()
                .map(|(id, model)| (Arc::from(id.as_str()), Arc::new(model.clone())))
                .collect(),
            fetched: Vec::new(),
            // Where only what TOML lists is taken, there is nothing to learn; the sandbox has no more than that.
            fetch_models: declared.fetch_models && declared.unlisted_models && !facts.in_process,
            unlisted_models: declared.unlisted_models,
            rate_limits: declared.rate_limits.clone(),
            stream_usage: declared.stream_usage,
            on_timeout: declared.on_timeout,
            timeouts,
            headers: constant(adapter).chain(declared.headers.iter().cloned()).collect(),
            drop: declared.drop.clone(),
            rename: declared.rename.clone(),
            builtin: declared.builtin,
            slug,
        })
    }

    /// The same provider with the list that was last fetched from it. One from another address says nothing.
    #[must_use]
    pub fn with_list(mut self, list: Option<&ModelList>) -> Self {
        let list = list.filter(|list| self.fetch_models && self.gave(list));
        let ids = list.into_iter().flat_map(|list| &list.ids).filter(|id| !self.models.contains_key(id.as_str()));
        self.fetched = ids.map(|id| Arc::from(id.as_str())).collect();
        self
    }

    /// Whether a list of models was fetched where the provider is now.
    pub fn gave(&self, list: &ModelList) -> bool {
        list.base_url == self.base_url.as_str()
    }

    /// The ids of all models that are known: those that TOML lists, then those that only the provider itself does.
    pub fn known(&self) -> impl Iterator<Item = &Arc<str>> {
        self.models.keys().chain(&self.fetched)
    }

    /// The facts of a listed model.
    pub fn model(&self, id: &str) -> Option<&Arc<Model>> {
        self.models.get(id)
    }

    /// Whether a call of this provider needs a credential. A host of one's own often asks for none, whatever its kind.
    pub fn needs_secret(&self) -> bool {
        self.needs_secret
    }

    /// The URL of a call by a connection with these settings; none where a name makes none.
    pub fn url(&self, asked: &Asked, words: &BTreeMap<String, String>) -> Option<Url> {
        self.addresses.of(self.adapter, asked, words)
    }

    /// Whether it has a kind of call.
    pub fn has(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }
}

/// The headers that every request of a wire format carries. What an operator declares under the same name wins.
fn constant(adapter: &dyn Adapter) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let pairs = adapter.facts().headers.iter();
    pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
}

/// Where the credential goes, as the provider says, or else its wire format.
fn credential_header(auth: Auth, declared: Option<&HeaderName>) -> Option<(HeaderName, &'static str)> {
    match (auth, declared) {
        (Auth::None, _) => None,
        (_, Some(name)) => Some((name.clone(), "")),
        (Auth::Bearer, None) => Some((AUTHORIZATION, "Bearer ")),
        (Auth::Header(name), None) => Some((HeaderName::from_static(name), "")),
    }
}

/// The kinds of calls that a provider has, of those that its wire format has. Every one has its list of models.
fn operations(declared: &config::Provider, all: &[Operation]) -> Result<Vec<Operation>, ProviderError> {
    let Some(named) = &declared.operations else { return Ok(all.to_vec()) };
    let unknown: Vec<_> = named.iter().filter(|one| !all.contains(one)).map(|one| one.name()).collect();
    if !unknown.is_empty() {
        return Err(ProviderError::Operations(declared.slug.clone(), declared.kind.clone(), unknown.join(", ")));
    }
    Ok(all.iter().copied().filter(|one| *one == Operation::Models || named.contains(one)).collect())
}

#[cfg(test)]
mod tests;
