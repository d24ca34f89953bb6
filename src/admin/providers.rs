//! Providers: what operators see of them, and the switches that are theirs.

use std::collections::HashMap;
use std::sync::Arc;

use super::control::Admin;
use super::stored::Draft;
use super::{failure, notes, view};
use crate::api::admin::{Change, Object, PatchProvider, Provider, ProviderList, RemovedProvider, TestResult};
use crate::api::{Code, ConnectionId, Failure, ProviderSlug};
use crate::bounds;
use crate::snapshot::Snapshot;
use crate::store::{Check, ProviderSwitch};

impl Admin {
    /// All providers. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn providers(&self) -> Result<ProviderList, Failure> {
        let switches: HashMap<_, _> = self.store.provider_switches().list()?.into_iter().collect();
        let checks: HashMap<_, _> = self.store.checks().list()?.into_iter().collect();
        let snapshot = self.engine.snapshot.load();
        let mut connections: HashMap<&ProviderSlug, usize> = HashMap::new();
        for id in snapshot.connections.keys() {
            *connections.entry(&id.provider).or_default() += 1;
        }
        let shown = snapshot.selection.providers().map(|provider| {
            let kept = view::Kept {
                ui_preferences: switches.get(&provider.slug).map_or("", |switch| &switch.ui_preferences),
                models_fetched_at: self.models_fetched_at(provider)?,
                last_check: checks.get(&provider.slug),
                connections: connections.get(&provider.slug).copied().unwrap_or_default(),
                usage_count: None,
            };
            Ok(view::provider(&snapshot, provider, kept))
        });
        Ok(ProviderList { providers: shown.collect::<Result<_, Failure>>()? })
    }

    /// One provider. Blocks.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn provider(&self, slug: &ProviderSlug) -> Result<Provider, Failure> {
        declared(&self.engine.snapshot.load(), slug)?;
        // Every record that is kept is looked at, which one provider is worth and a list of hundreds is not.
        let used = self.usage([("from", "1970-01-01"), ("provider", slug.as_str())].into_iter())?;
        self.described(slug, Some(used.totals.requests))
    }

    fn described(&self, slug: &ProviderSlug, usage_count: Option<u64>) -> Result<Provider, Failure> {
        let snapshot = self.engine.snapshot.load();
        let provider = declared(&snapshot, slug)?;
        let switch = self.store.provider_switches().get(slug)?;
        let checks = self.store.checks().list()?;
        let kept = view::Kept {
            ui_preferences: &switch.ui_preferences,
            models_fetched_at: self.models_fetched_at(provider)?,
            last_check: checks.iter().find(|(of, _)| of == slug).map(|(_, check)| check),
            connections: snapshot.connections.keys().filter(|id| id.provider == *slug).count(),
            usage_count,
        };
        Ok(view::provider(&snapshot, provider, kept))
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
        self.described(slug, None)
    }

    /// What a user interface keeps with a provider. Blocks.
    ///
    /// # Errors
    /// When there is no such provider, or the store cannot be read.
    pub fn ui_preferences(&self, slug: &ProviderSlug) -> Result<Object, Failure> {
        declared(&self.engine.snapshot.load(), slug)?;
        Ok(view::object(&self.store.provider_switches().get(slug)?.ui_preferences))
    }

    /// Changes what a user interface keeps with a provider, and gives what is kept then. Blocks.
    ///
    /// # Errors
    /// When there is no such provider, the object is not fit to be kept, or the store does not take it.
    pub fn change_ui_preferences(&self, slug: &ProviderSlug, change: NotesChange) -> Result<Object, Failure> {
        self.change(|store| {
            declared(&self.engine.snapshot.load(), slug)?;
            let before = store.provider_switches().get(slug)?;
            let kept = change.applied_to(view::object(&before.ui_preferences));
            let ui_preferences = notes::checked("ui_preferences", &kept)?;
            store.provider_switches().put(slug, &ProviderSwitch { ui_preferences, ..before })?;
            Ok::<_, Failure>(kept)
        })
    }

    /// Removes everything that the store keeps of a provider: connections with their secrets, switches, lists. Durable and
    /// in force when this returns. Blocks.
    ///
    /// # Errors
    /// When nothing is kept of such a provider; when something is, and `cascade` does not say that it may go: then it is
    /// named; or when the store does not take the change.
    pub fn remove_provider(&self, slug: &ProviderSlug, cascade: bool) -> Result<RemovedProvider, Failure> {
        let catalogue = Arc::clone(&self.engine.snapshot.load().catalogue);
        let declared = catalogue.places.0.get(slug).map(|place| place.table.to_string());
        let removed = self.change(|store| {
            let catalogue = Arc::clone(&self.engine.snapshot.load().catalogue);
            let mut draft = Draft::begin(store)?;
            draft.remove_provider(slug, &catalogue)?;
            let (removed, gone) = (draft.changes.clone(), draft.gone.clone());
            if removed.is_empty() && declared.is_none() {
                let message = format!("nothing is kept of a provider {slug}, and no file declares one");
                return Err(Failure::new(Code::NotFound, message));
            }
            if !removed.is_empty() && !cascade {
                let names: Vec<_> = removed.iter().take(bounds::REMOVED_NAMED_MAX).map(named).collect();
                let more = removed.len() - names.len();
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                let names = names.join("; ");
                let message = format!("with {slug} would go: {names}{more}. Say --cascade (?cascade=true) if it may");
                return Err(Failure::new(Code::Conflict, message).at("cascade"));
            }
            draft.commit()?;
            // Before others of their names can be added.
            self.forget(&gone);
            Ok::<_, Failure>(removed)
        })?;
        self.store.checks().put(&[(slug.clone(), None)])?;
        Ok(RemovedProvider { slug: slug.clone(), declared, removed })
    }

    /// Keeps how checks of providers went: the last of each counts. Blocks.
    ///
    /// # Errors
    /// When the store does not take it.
    pub fn note_checks(&self, results: &[TestResult]) -> Result<(), Failure> {
        let at_ms = self.engine.clock.wall_ms();
        let check = |result: &TestResult| {
            let check = Check {
                at_ms,
                connection: result.connection.name.clone(),
                outcome: result.outcome,
                status: result.status,
                ms: result.ms,
                error: result.error.clone(),
            };
            (result.connection.provider.clone(), Some(check))
        };
        Ok(self.store.checks().put(&results.iter().map(check).collect::<Vec<_>>())?)
    }
}

/// A change of what a user interface keeps.
pub enum NotesChange {
    /// Takes the place of what was there.
    Replace(Object),
    /// Changes it member by member, as RFC 7396 has it.
    Merge(Object),
}

impl NotesChange {
    /// What is kept after the change.
    pub(super) fn applied_to(self, mut before: Object) -> Object {
        match self {
            Self::Replace(after) => after,
            Self::Merge(patch) => {
                notes::merge(&mut before, patch);
                before
            }
        }
    }
}

fn named(change: &Change) -> String {
    let note = change.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{} {}{note}", change.kind.name(), change.name)
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
        switch.ui_preferences = notes::checked("ui_preferences", &preferences)?;
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
) -> Result<&'s Arc<crate::provider::Provider>, Failure> {
    snapshot.selection.provider(slug.as_str()).ok_or_else(|| {
        let known: Vec<_> = snapshot.selection.providers().map(|provider| provider.slug.to_string()).collect();
        let message =
            format!("there is no provider {slug}: there are {}, and providers.toml declares others", known.join(", "));
        Failure::new(Code::NotFound, message)
    })
}
