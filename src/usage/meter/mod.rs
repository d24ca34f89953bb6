//! Running sums for `/metrics`, taken from records as the writer sees them: requests pay nothing for them.
//!
//! Apps name features and models, so every set of labels is bounded: what comes after the bound counts under `other`,
//! and nothing goes uncounted. The sums begin anew with the process, as counters of Prometheus do.

mod histogram;
mod names;

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;

pub use histogram::{Bound, Histogram, SECONDS, TOKENS, TTFT};
use names::Names;

use crate::api::{NanoUsd, Operation, Outcome, UsageRecord};
use crate::bounds;

/// The name of what is beyond the bounds.
pub const OTHER: &str = "other";

/// How often each outcome came.
pub type Outcomes = [u64; Outcome::ALL.len()];

/// Running sums. One thread adds, whoever scrapes reads.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Sums>);

/// What there is to read.
#[derive(Debug, Default)]
pub struct Sums {
    apps: Names,
    features: Names,
    connections: Names,
    providers: Names,
    models: Names,
    by_app: Series<[u32; 2], OfApp>,
    by_connection: Series<[u32; 1], Outcomes>,
    calls: Series<(Option<Operation>, [u32; 3]), OfCall>,
    /// Records that were seen.
    pub records: u64,
}

/// What an app did with one of its features.
#[derive(Debug, Clone, Default)]
pub struct OfApp {
    /// Requests by outcome.
    pub requests: Outcomes,
    /// Tokens of requests, of replies, and of each what was cached and what was spent on reasoning.
    pub tokens: [u64; 4],
    /// What it cost, as far as that is known.
    pub cost: NanoUsd,
    /// Attempts whose cost is unknown.
    pub cost_unknown: u64,
}

/// Calls of a provider's model.
#[derive(Debug, Clone, Default)]
pub struct OfCall {
    /// Tokens of a request.
    pub input: Histogram<{ TOKENS.len() }>,
    /// Tokens of a reply.
    pub output: Histogram<{ TOKENS.len() }>,
    /// Seconds to the first token of a stream.
    pub ttft: Histogram<{ TTFT.len() }>,
    /// Seconds of a whole call, by outcome: few outcomes ever come.
    pub durations: Vec<(Outcome, Histogram<{ SECONDS.len() }>)>,
}

/// By what a call is told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallNames<'a> {
    /// The kind of call; none: of all kinds.
    pub operation: Option<Operation>,
    /// The provider.
    pub provider: &'a str,
    /// The model that the provider was asked for.
    pub asked: &'a str,
    /// The model that the provider used.
    pub served: &'a str,
}

impl Meter {
    /// Counts records.
    pub fn add<'r>(&self, records: impl Iterator<Item = &'r UsageRecord>) {
        let mut sums = self.sums();
        records.for_each(|record| sums.add(record));
    }

    /// The sums, for as long as they are read: meanwhile the writer waits, and no request does.
    pub fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    fn add(&mut self, record: &UsageRecord) {
        self.records += 1;
        let key = [self.apps.place(record.app.as_str()), self.features.place(record.feature.as_str())];
        self.by_app.of(key).add(record);
        let (Some(connection), Some(provider)) = (&record.connection, &record.provider) else { return };
        let place = self.connections.place_of(connection);
        count(self.by_connection.of([place]), record.outcome);
        let served = record.model_served.as_deref().unwrap_or(&record.model);
        let key = [
            self.providers.place(provider.as_str()),
            self.models.place(record.model_sent.as_deref().unwrap_or(&record.model)),
            self.models.place(served),
        ];
        self.calls.of((Some(record.operation), key)).add(record);
    }

    /// What each app did with each feature: app, feature, sums.
    pub fn by_app(&self) -> impl Iterator<Item = (&str, &str, &OfApp)> {
        self.by_app.all().map(|([app, feature], sums)| (self.apps.name(*app), self.features.name(*feature), sums))
    }

    /// Attempts with each connection, by outcome.
    pub fn by_connection(&self) -> impl Iterator<Item = (&str, &Outcomes)> {
        self.by_connection.all().map(|([connection], sums)| (self.connections.name(*connection), sums))
    }

    /// Calls, by what they are told from others.
    pub fn calls(&self) -> impl Iterator<Item = (CallNames<'_>, &OfCall)> {
        self.calls.all().map(|((operation, [provider, asked, served]), sums)| {
            let names = CallNames {
                operation: *operation,
                provider: self.providers.name(*provider),
                asked: self.models.name(*asked),
                served: self.models.name(*served),
            };
            (names, sums)
        })
    }
}

impl OfApp {
    fn add(&mut self, record: &UsageRecord) {
        if record.is_final {
            count(&mut self.requests, record.outcome);
        }
        let tokens = &record.tokens;
        let counts = [tokens.input, tokens.output, tokens.cached, tokens.reasoning];
        for (sum, count) in self.tokens.iter_mut().zip(counts) {
            *sum = sum.saturating_add(count.unwrap_or_default());
        }
        self.cost = self.cost.plus(record.cost.unwrap_or_default());
        self.cost_unknown += u64::from(record.cost.is_none() && record.may_cost());
    }
}

impl OfCall {
    fn add(&mut self, record: &UsageRecord) {
        record.tokens.input.into_iter().for_each(|count| self.input.observe(TOKENS, count, 1));
        record.tokens.output.into_iter().for_each(|count| self.output.observe(TOKENS, count, 1));
        if record.stream {
            record.ttft_ms.into_iter().for_each(|ms| self.ttft.observe(TTFT, ms, 1_000));
        }
        let place = match self.durations.iter().position(|(outcome, _)| *outcome == record.outcome) {
            Some(place) => place,
            None => {
                self.durations.push((record.outcome, Histogram::default()));
                self.durations.len() - 1
            }
        };
        if let Some((_, durations)) = self.durations.get_mut(place) {
            durations.observe(SECONDS, record.duration_ms, 1_000);
        }
    }
}

fn count(outcomes: &mut Outcomes, outcome: Outcome) {
    let place = Outcome::ALL.iter().position(|one| *one == outcome);
    if let Some(count) = place.and_then(|place| outcomes.get_mut(place)) {
        *count += 1;
    }
}

/// Sums by labels; those beyond the bound together.
#[derive(Debug)]
struct Series<K, V> {
    all: HashMap<K, V>,
}

impl<K, V> Default for Series<K, V> {
    fn default() -> Self {
        Self { all: HashMap::default() }
    }
}

impl<K: Eq + Hash + Default + Copy, V: Default> Series<K, V> {
    fn of(&mut self, key: K) -> &mut V {
        let has_room = self.all.len() < bounds::METRIC_SERIES_MAX || self.all.contains_key(&key);
        // The default's names are all `other`.
        self.all.entry(if has_room { key } else { K::default() }).or_default()
    }

    fn all(&self) -> impl Iterator<Item = (&K, &V)> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Tokens;
    use crate::usage::testing::record;

    #[test]
    fn every_record_is_counted_under_its_names() {
        let meter = Meter::default();
        let retried = UsageRecord { is_final: false, outcome: Outcome::RateShort, cost: None, ..record(20) };
        let retried = UsageRecord { tokens: Tokens::default(), ..retried };
        let nowhere = UsageRecord { provider: None, connection: None, outcome: Outcome::Unavailable, ..record(1) };
        meter.add([record(10), retried, nowhere, UsageRecord { cost: None, ..record(30) }].iter());
        let sums = meter.sums();
        let (app, feature, of_app) = sums.by_app().next().unwrap();
        assert_eq!((app, feature, sums.by_app().count()), ("shop", "auto-translation", 1));
        assert_eq!((of_app.requests.iter().sum::<u64>(), of_app.requests[0], of_app.cost_unknown), (3, 2, 1));
        assert_eq!((of_app.tokens, of_app.cost), ([30, 15, 0, 0], NanoUsd(24_000)));
        let (connection, outcomes) = sums.by_connection().next().unwrap();
        assert_eq!((connection, outcomes.iter().sum::<u64>()), ("openai:main", 3), "one had no connection");
        let (names, calls) = sums.calls().next().unwrap();
        assert_eq!((names.provider, names.asked, names.served), ("openai", "gpt-4.1-mini", "gpt-4.1-mini"));
        assert_eq!((calls.input.count(), calls.durations.len(), sums.records), (2, 2, 4));
    }

    /// An app that invents features and models cannot make the daemon's memory, or a scrape, grow without bound.
    #[test]
    fn what_apps_invent_is_bounded_and_still_counted() {
        let meter = Meter::default();
        let many = u64::try_from(2 * bounds::METRIC_SERIES_MAX).unwrap();
        let invented = |n: u64| UsageRecord {
            feature: format!("f{n}").parse().unwrap(),
            model_sent: Some(format!("model-{n}")),
            connection: format!("openai:c{n}").parse().ok(),
            ..record(n)
        };
        let records: Vec<_> = (0..many).map(invented).collect();
        meter.add(records.iter());
        let sums = meter.sums();
        assert!(sums.by_app().count() <= bounds::METRIC_NAMES_MAX + 1, "{}", sums.by_app().count());
        assert!(sums.by_connection().count() <= bounds::METRIC_NAMES_MAX + 1);
        assert!(sums.calls().count() <= bounds::METRIC_SERIES_MAX + 1);
        let requests: u64 = sums.by_app().map(|(_, _, of_app)| of_app.requests.iter().sum::<u64>()).sum();
        let attempts: u64 = sums.by_connection().map(|(_, outcomes)| outcomes.iter().sum::<u64>()).sum();
        assert_eq!((requests, attempts), (many, many));
        assert!(sums.by_app().any(|(_, feature, of_app)| feature == OTHER && of_app.requests[0] > 1));
    }
}
