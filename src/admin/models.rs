//! Providers' own lists of models: which are to be fetched, and how they are kept.
//!
//! A kept list makes its ids known: a bare id of it means the provider, with capabilities and a price that nobody knows.
//! What TOML lists goes before it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::control::Admin;
use crate::api::admin::{Event, EventKind, TestResult};
use crate::api::{Failure, Moment, ProviderSlug};
use crate::bounds;
use crate::provider::Provider;
use crate::rotation::Candidate;
use crate::store::ModelList;

/// A provider whose list is kept up to date, and with what it is fetched.
#[derive(Clone)]
pub struct Listing {
    /// The provider and the connection that its checks use.
    pub candidate: Candidate,
    /// How old the kept list is; none where there is none, or it is from the future.
    pub age: Option<Duration>,
}

impl Admin {
    /// The providers whose lists are kept up to date and can be fetched now. The lists of others are forgotten where
    /// their provider is gone. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read, or does not take the change.
    pub fn listings(&self) -> Result<Vec<Listing>, Failure> {
        let snapshot = self.engine.snapshot.load_full();
        let kept = self.store.model_lists().list()?;
        for list in &kept {
            let provider = snapshot.selection.provider(list.provider.as_str());
            if !provider.is_some_and(|provider| provider.fetch_models) {
                self.store.model_lists().remove(&list.provider)?;
                tracing::info!(provider = %list.provider, "the list of models is forgotten: nobody keeps it any more");
            }
        }
        let now_ms = self.engine.clock.wall_ms();
        let age = |provider: &Provider| {
            let list = kept.iter().find(|list| list.provider == provider.slug && provider.gave(list))?;
            u64::try_from(now_ms - list.fetched_ms).ok().map(Duration::from_millis)
        };
        let fetched = snapshot.selection.providers().filter(|provider| provider.fetch_models);
        let listings = fetched.filter_map(|provider| {
            let connection = snapshot.selection.active_connection(&provider.slug)?;
            Some(Listing { candidate: Candidate::trial(provider, connection), age: age(provider) })
        });
        Ok(listings.collect())
    }

    /// When a provider's list was fetched; none where none is kept. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn models_fetched_at(&self, provider: &Provider) -> Result<Option<Moment>, Failure> {
        let list = self.store.model_lists().get(&provider.slug)?;
        Ok(list.filter(|list| provider.fetch_models && provider.gave(list)).map(|list| Moment(list.fetched_ms)))
    }

    /// Keeps a list that was fetched from a provider. Durable, and its ids known, when this returns. Blocks.
    ///
    /// # Errors
    /// When the store does not take it.
    pub fn keep_models(&self, provider: &Provider, fetched: Vec<String>) -> Result<(), Failure> {
        if !provider.fetch_models {
            return Ok(());
        }
        let message = format!("{} lists {} models", provider.slug, fetched.len());
        let fetched_list = Event::new(EventKind::ListFetched, message).of_provider(&provider.slug);
        let list = ModelList {
            provider: provider.slug.clone(),
            base_url: provider.base_url.to_string(),
            fetched_ms: self.engine.clock.wall_ms(),
            ids: bounded(&provider.slug, fetched),
        };
        let before = self.store.model_lists().get(&provider.slug)?;
        if before.is_some_and(|before| before.ids == list.ids && provider.gave(&before)) {
            // Nothing that a request could see: what is in force stays.
            self.store.model_lists().put(&list)?;
        } else {
            self.change(|store| Ok::<_, Failure>(store.model_lists().put(&list)?))?;
        }
        self.engine.events.emit(fetched_list);
        Ok(())
    }
}

/// Keeps the list that a test fetched.
pub(super) async fn keep(admin: &Arc<Admin>, provider: &Arc<Provider>, tested: &TestResult) -> Result<(), Failure> {
    let (admin, provider, models) = (Arc::clone(admin), Arc::clone(provider), tested.models.clone());
    super::off_the_worker(move || admin.keep_models(&provider, models)).await
}

/// What of a list is kept: names that a model can have, each once, in order, within the bounds.
fn bounded(provider: &ProviderSlug, fetched: Vec<String>) -> Vec<String> {
    let fits = |id: &String| {
        (1..=bounds::MODEL_BYTES_MAX).contains(&id.len()) && !id.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    let (count, mut bytes, mut ids) = (fetched.len(), 0, BTreeSet::new());
    for id in fetched.into_iter().filter(fits) {
        if ids.contains(&id) {
            continue;
        }
        bytes += id.len();
        if ids.len() >= bounds::MODEL_LIST_IDS_MAX || bytes > bounds::MODEL_LIST_BYTES_MAX {
            tracing::warn!(%provider, count, kept = ids.len(), "the provider lists more models than are kept");
            break;
        }
        ids.insert(id);
    }
    ids.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_names_are_kept_within_the_bounds() {
        let slug: ProviderSlug = "one".parse().unwrap();
        let text = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let long = "x".repeat(bounds::MODEL_BYTES_MAX + 1);
        assert_eq!(bounded(&slug, text(&["b", "a", "b", "", "a b", "a\n", &long])), text(&["a", "b"]));
        let many: Vec<_> = (0..=bounds::MODEL_LIST_IDS_MAX).map(|n| format!("{n}")).collect();
        assert_eq!(bounded(&slug, many).len(), bounds::MODEL_LIST_IDS_MAX);
        let wide: Vec<_> = (0..1_000).map(|n| format!("{n:0200}")).collect();
        assert_eq!(bounded(&slug, wide).len(), bounds::MODEL_LIST_BYTES_MAX / 200);
    }
}
