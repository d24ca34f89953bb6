//! Providers: what operators see of them, and the switches that are theirs.

use super::control::Admin;
use super::{failure, view};
use crate::api::admin::{PatchProvider, Provider, ProviderList};
use crate::api::{Code, ConnectionId, Failure, ProviderSlug};
use crate::snapshot::Snapshot;
use crate::store::ProviderSwitch;

impl Admin {
    /// All providers. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn providers(&self) -> Result<ProviderList, Failure> {
        let switches: std::collections::HashMap<_, _> = self.store.provider_switches().list()?.into_iter().collect();
        let snapshot = self.engine.snapshot.load();
        let shown = snapshot.selection.providers().map(|provider| {
            let ui_preferences = switches.get(&provider.slug).map_or("", |switch| &switch.ui_preferences);
            Ok(view::provider(&snapshot, provider, ui_preferences, self.models_fetched_at(provider)?))
        });
        Ok(ProviderList { providers: shown.collect::<Result<_, Failure>>()? })
    }

    /// One provider. Blocks.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn provider(&self, slug: &ProviderSlug) -> Result<Provider, Failure> {
        let snapshot = self.engine.snapshot.load();
        let provider = declared(&snapshot, slug)?;
        let switch = self.store.provider_switches().get(slug)?;
        Ok(view::provider(&snapshot, provider, &switch.ui_preferences, self.models_fetched_at(provider)?))
    }

    /// Changes what operators switch on a provider. Durable and in force when this returns. Blocks.
    ///
    /// # Errors
    /// When there is no such provider or default connection, or the store does not take the change.
    pub fn change_provider(&self, slug: &ProviderSlug, patch: PatchProvider) -> Result<Provider, Failure> {
        self.change(|store| {
            let snapshot = self.engine.snapshot.load();
            declared(&snapshot, slug)?;
            let before = store.provider_switches().get(slug)?;
            let switch = switched(&snapshot, slug, before, patch)?;
            Ok::<_, Failure>(store.provider_switches().put(slug, &switch)?)
        })?;
        self.provider(slug)
    }
}

fn switched(
    snapshot: &Snapshot,
    slug: &ProviderSlug,
    before: ProviderSwitch,
    patch: PatchProvider,
) -> Result<ProviderSwitch, Failure> {
    let mut switch = before;
    if let Some(enabled) = patch.enabled {
        switch.enabled = enabled;
    }
    if let Some(default) = patch.default_connection {
        let id = default.clone().map(|name| ConnectionId::new(slug.clone(), name));
        if let Some(id) = id.filter(|id| !snapshot.connections.contains_key(id)) {
            return Err(failure::at("default_connection", &format!("there is no connection {id}")));
        }
        switch.default_connection = default;
    }
    if let Some(preferences) = patch.ui_preferences {
        switch.ui_preferences = serde_json::Value::Object(preferences).to_string();
    }
    Ok(switch)
}

/// A declared provider.
///
/// # Errors
/// When there is none.
pub(super) fn declared<'s>(
    snapshot: &'s Snapshot,
    slug: &ProviderSlug,
) -> Result<&'s std::sync::Arc<crate::provider::Provider>, Failure> {
    snapshot.selection.provider(slug.as_str()).ok_or_else(|| {
        let known: Vec<_> = snapshot.selection.providers().map(|provider| provider.slug.to_string()).collect();
        let message =
            format!("there is no provider {slug}: there are {}, and providers.toml declares others", known.join(", "));
        Failure::new(Code::NotFound, message)
    })
}
