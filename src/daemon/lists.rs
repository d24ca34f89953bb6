//! Keeps providers' own lists of models up to date: fetched once a day, and soon after a provider can be asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admin::{self, Admin, Listing};
use crate::api::{ConnectionId, ProviderSlug};
use crate::bounds;
use crate::connection::Generation;
use crate::execute::Worker;
use crate::server;
use crate::upstream::Upstream;

/// Fetches what is due, until `stopping` turns true.
pub(super) async fn keep(admin: Arc<Admin>, mut stopping: watch::Receiver<bool>) {
    let worker = Worker { engine: Arc::clone(&admin.engine), upstream: Upstream::new() };
    let mut published = admin.published();
    let mut pace = Pace::new(getrandom::u64().unwrap_or_default());
    loop {
        // What is published from here on is seen below.
        published.mark_unchanged();
        let round = async {
            let wait = round(&admin, &worker, &mut pace).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = published.changed() => {}
            }
        };
        tokio::select! {
            () = round => {}
            () = server::turned(&mut stopping) => return,
        }
    }
}

/// Fetches what is due now, a few at a time, and says how long there will be nothing to do.
async fn round(admin: &Arc<Admin>, worker: &Worker, pace: &mut Pace) -> Duration {
    let asked = Arc::clone(admin);
    let listings = match admin::off_the_worker(move || asked.listings()).await {
        Ok(listings) => listings,
        Err(failure) => {
            tracing::warn!(error = %failure.message, "the lists of models cannot be read");
            return bounds::MODEL_LIST_LOOK_INTERVAL;
        }
    };
    let now = Instant::now();
    let due: Vec<_> = listings.iter().filter(|listing| pace.wait(listing, now).is_zero()).cloned().collect();
    let fetches = stream::iter(due).map(|listing| async move {
        let fetched = admin::fetch_models(admin, worker, &listing).await;
        (listing, fetched)
    });
    let fetched: Vec<_> = fetches.buffer_unordered(bounds::PROBES_AT_ONCE_MAX).collect().await;
    let now = Instant::now();
    for (listing, result) in &fetched {
        match result {
            Ok(()) => pace.succeeded(listing),
            Err(error) => pace.failed(listing, error, now),
        }
    }
    let fresh = |listing: &Listing| fetched.iter().any(|(one, result)| result.is_ok() && same(one, listing));
    let waits = listings.iter().filter(|listing| !fresh(listing)).map(|listing| pace.wait(listing, now));
    waits.min().unwrap_or(bounds::MODEL_LIST_LOOK_INTERVAL).min(bounds::MODEL_LIST_LOOK_INTERVAL)
}

fn same(one: &Listing, other: &Listing) -> bool {
    one.candidate.provider.slug == other.candidate.provider.slug
}

/// When each list is to be fetched.
struct Pace {
    /// How long after a day this host fetches: many hosts that started together shall not ask together.
    jitter: Duration,
    failed: HashMap<ProviderSlug, Failing>,
}

/// A provider that did not give its list.
struct Failing {
    /// With what it was asked: another connection or secret is worth a try at once.
    with: (ConnectionId, Generation),
    times: u32,
    next: Instant,
}

impl Pace {
    fn new(random: u64) -> Self {
        let most = u64::try_from(bounds::MODEL_LIST_JITTER_MAX.as_millis()).unwrap_or(u64::MAX);
        Self { jitter: Duration::from_millis(random % most), failed: HashMap::new() }
    }

    /// How long a list is not to be fetched.
    fn wait(&self, listing: &Listing, now: Instant) -> Duration {
        let interval = bounds::MODEL_LIST_INTERVAL + self.jitter;
        let old = listing.age.map_or(Duration::ZERO, |age| interval.saturating_sub(age));
        let failing = self.failed.get(&listing.candidate.provider.slug);
        match failing.filter(|failing| failing.with == with(listing)) {
            Some(failing) => old.max(failing.next.saturating_duration_since(now)),
            None => old,
        }
    }

    fn succeeded(&mut self, listing: &Listing) {
        let provider = &listing.candidate.provider.slug;
        if self.failed.remove(provider).is_some() {
            tracing::info!(%provider, "the provider's list of models is fetched again");
        }
    }

    /// Said once, however often it is tried again.
    fn failed(&mut self, listing: &Listing, error: &str, now: Instant) {
        let provider = &listing.candidate.provider.slug;
        let with = with(listing);
        let times = self.failed.get(provider).filter(|failing| failing.with == with).map_or(0, |failing| failing.times);
        if times == 0 {
            tracing::warn!(%provider, error, "the provider's list of models could not be fetched; it is tried again");
        }
        let next = now + pause(times);
        self.failed.insert(provider.clone(), Failing { with, times: times.saturating_add(1), next });
    }
}

/// How long to wait after so many failures before.
fn pause(times: u32) -> Duration {
    let pause = bounds::MODEL_LIST_RETRY_PAUSE.saturating_mul(2_u32.saturating_pow(times));
    pause.min(bounds::MODEL_LIST_INTERVAL)
}

fn with(listing: &Listing) -> (ConnectionId, Generation) {
    let connection = &listing.candidate.connection;
    (connection.id.clone(), connection.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_day_and_the_jitter_stays_within_its_bound() {
        let seconds: Vec<_> = [0, 1, 2, 10, 11, 99].map(|times| pause(times).as_secs()).into();
        assert_eq!(seconds, [60, 120, 240, 61_440, 86_400, 86_400]);
        for random in [0, 1, u64::MAX] {
            assert!(Pace::new(random).jitter < bounds::MODEL_LIST_JITTER_MAX);
        }
    }
}
