//! Providers as the running daemon holds them: what TOML declares, put together with the adapter that speaks to them.

pub mod price;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;
use url::Url;

use crate::adapter::{self, Adapter, Asked};
use crate::api::{ConnectionName, Operation, ProviderSlug};
use crate::config::{self, Model, OnTimeout, StreamUsage, Timeouts};
use crate::credential::{Origin, OriginError};
use crate::upstream::Transport;

/// An AI vendor or endpoint.
#[doc(alias = "AiProvider")]
#[doc(alias = "ProviderConfig")]
pub struct Provider {
    /// Its slug.
    pub slug: ProviderSlug,
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
    /// The URLs of calls in which the model does not occur.
    endpoints: Vec<((Operation, bool), Url)>,
    /// The origin that secrets may be sent to.
    pub origin: Origin,
    /// How to connect.
    pub transport: Transport,
    /// Listed models, by id.
    pub models: BTreeMap<Arc<str>, Arc<Model>>,
    /// Whether a model that is not listed is sent all the same.
    pub unlisted_models: bool,
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
}

impl Provider {
    /// Puts a declared provider together with its adapter and the operator's switches.
    ///
    /// # Errors
    /// When no adapter speaks its kind, or its base URL has no origin.
    pub fn new(
        declared: &config::Provider,
        defaults: Timeouts,
        enabled: Option<bool>,
        default_connection: Option<ConnectionName>,
    ) -> Result<Self, ProviderError> {
        let slug = declared.slug.clone();
        let adapter = adapter::for_kind(&declared.kind)
            .ok_or_else(|| ProviderError::Kind(slug.clone(), declared.kind.clone()))?;
        let timeouts = defaults.with(&declared.timeouts);
        Ok(Self {
            adapter,
            enabled: declared.enabled && enabled.unwrap_or(true),
            declared_enabled: declared.enabled,
            default_connection,
            endpoints: endpoints(adapter, &declared.base_url),
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
            unlisted_models: declared.unlisted_models,
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

    /// The facts of a listed model.
    pub fn model(&self, id: &str) -> Option<&Arc<Model>> {
        self.models.get(id)
    }

    /// Whether a call of this provider needs a credential. A host of one's own often asks for none, whatever its kind.
    pub fn needs_secret(&self) -> bool {
        self.adapter.facts().kind.needs_secret && !self.transport.allow_private
    }

    /// The URL of a call. Those that do not depend on the model were worked out beforehand.
    pub fn url(&self, asked: &Asked) -> Option<Url> {
        let same = |call: &(Operation, bool)| asked.endpoint.is_none() && *call == (asked.operation, asked.stream);
        let ready = self.endpoints.iter().find(|(call, _)| same(call));
        ready.map(|(_, url)| url.clone()).or_else(|| below(&self.base_url, &self.adapter.path(asked)))
    }
}

/// The headers that every request of a wire format carries. What an operator declares under the same name wins.
fn constant(adapter: &dyn Adapter) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let pairs = adapter.facts().headers.iter();
    pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
}

/// The URLs of calls in which the model does not occur.
fn endpoints(adapter: &dyn Adapter, base: &Url) -> Vec<((Operation, bool), Url)> {
    let calls = [Operation::Chat, Operation::Embeddings, Operation::Models].into_iter();
    calls
        .flat_map(|operation| [(operation, false), (operation, true)])
        .filter_map(|(operation, stream)| {
            let path = |model: &str| adapter.path(&Asked { operation, stream, ..Asked::for_model(model) });
            let same = path("one") == path("other");
            same.then(|| below(base, &path("one"))).flatten().map(|url| ((operation, stream), url))
        })
        .collect()
}

fn below(base: &Url, path: &str) -> Option<Url> {
    let base = base.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{path}")).ok()
}
