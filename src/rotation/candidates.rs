//! The walk over a request's candidates: each at most once, and a reason for each that is passed over.

use std::sync::Arc;

use super::pool::{Pool, Skip, Wanted, usable};
use crate::api::{ConnectionId, ProviderSlug};
use crate::clock::Instant;
use crate::config::Model;
use crate::connection::health::Pass;
use crate::connection::{Against, Connection, ManagedBy};
use crate::provider::Provider;

/// A connection to try, with the model to ask it for.
#[derive(Clone)]
pub struct Candidate {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The connection.
    pub connection: Arc<Connection>,
    /// The model's id at this provider.
    pub model: Arc<str>,
    /// What is known of the model, where it is listed.
    pub facts: Option<Arc<Model>>,
    /// Leave to be the one probe of a breaker that is half open; it ends with the candidate.
    pub pass: Option<Arc<Pass>>,
}

/// A connection that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub connection: ConnectionId,
    /// Who may change it.
    pub managed_by: ManagedBy,
    /// Why.
    pub why: Skip,
}

/// The candidates of one request, in order.
#[doc(alias = "ConnectionRotationService")]
pub struct Candidates {
    pools: Arc<[Pool]>,
    wanted: Wanted,
    pool: usize,
    /// Where this request began in the present pool's round, and how far it has come.
    turn: Option<usize>,
    step: usize,
    /// Connections of the present pool that have come up.
    had: Vec<ConnectionId>,
    skipped: Vec<Skipped>,
    /// Whether any was given out.
    given: bool,
    /// Of those that cool by a guess, or are shut by their breaker, the one whose return is earliest.
    last_resort: Option<(Instant, Candidate)>,
}

impl Candidates {
    pub(super) fn new(pools: Arc<[Pool]>, wanted: Wanted) -> Self {
        let (had, skipped) = (Vec::new(), Vec::new());
        Self { pools, wanted, pool: 0, turn: None, step: 0, had, skipped, given: false, last_resort: None }
    }

    /// What was passed over so far.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The providers of all pools, tried or not.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderSlug> {
        self.pools.iter().map(|pool| &pool.provider.slug)
    }

    fn why_not(&self, pool: &Pool, connection: &Connection) -> Option<Skip> {
        if self.wanted.pin.as_ref().is_some_and(|pin| *pin != connection.id) {
            return Some(Skip::NotPinned);
        }
        if let Err(why) = usable(&pool.provider, connection) {
            return Some(why);
        }
        if let Some(operation) = self.wanted.operation.filter(|operation| !pool.provider.has(*operation)) {
            return operation.capability().map(Skip::Lacks);
        }
        let facts = pool.facts.as_ref()?;
        if let Some(lacking) = facts.capabilities.and_then(|has| has.missing(self.wanted.needs).next()) {
            return Some(Skip::Lacks(lacking));
        }
        let too_large = facts.context_window.zip(self.wanted.tokens).is_some_and(|(window, tokens)| tokens > window);
        too_large.then_some(Skip::TooLarge)
    }

    /// The next candidate, at this moment.
    ///
    /// When there was none at all, the **last resort** is one that would be back soonest, once: a breaker is no reason to
    /// refuse a request that nobody else can serve, and a cooldown whose length is Bursar's own guess is none either. Where
    /// the provider said when it is back, or a day or a quota is used up, trying earlier is known to be in vain.
    pub fn next(&mut self, now: Instant) -> Option<Candidate> {
        let found = self.walk(now);
        let found = found.or_else(|| self.last_resort.take().filter(|_| !self.given).map(|(_, candidate)| candidate));
        self.given |= found.is_some();
        found
    }

    fn walk(&mut self, now: Instant) -> Option<Candidate> {
        loop {
            let pool = self.pools.get(self.pool)?.clone();
            let turn = *self.turn.get_or_insert_with(|| pool.tier.turn());
            let Some(connection) = pool.tier.at(turn, self.step) else {
                self.pool += 1;
                self.turn = None;
                self.step = 0;
                self.had.clear();
                continue;
            };
            self.step += 1;
            if self.had.contains(&connection.id) {
                continue;
            }
            self.had.push(connection.id.clone());
            let candidate = |pass| Candidate {
                provider: Arc::clone(&pool.provider),
                connection: Arc::clone(connection),
                model: Arc::clone(&pool.model),
                facts: pool.facts.clone(),
                pass,
            };
            let lasting = self.why_not(&pool, connection).map_or(Ok(()), Err);
            let (why, guessed) = match lasting.map_err(|why| (why, false)).and_then(|()| ready(&pool, connection, now))
            {
                Ok(pass) => return Some(candidate(pass)),
                Err(why) => why,
            };
            if let Some(until) = why.returns().filter(|_| guessed)
                && self.last_resort.as_ref().is_none_or(|(earliest, _)| until < *earliest)
            {
                self.last_resort = Some((until, candidate(None)));
            }
            let managed_by = connection.managed_by;
            self.skipped.push(Skipped { connection: connection.id.clone(), managed_by, why });
        }
    }
}

/// Whether a connection may be tried with a model at this moment. The breaker is asked last, because it may give out the
/// one pass that it has. With the reason comes whether its end is Bursar's own guess.
fn ready(pool: &Pool, connection: &Connection, now: Instant) -> Result<Option<Arc<Pass>>, (Skip, bool)> {
    match connection.against(&pool.model, now) {
        Some(Against::Parked) => Err((Skip::Parked, false)),
        Some(Against::NotForKey { until }) => Err((Skip::NotForKey { until }, false)),
        Some(Against::Cooling { until, said }) => Err((Skip::Cooling { until }, !said)),
        None => connection.health.enter(now).map_err(|until| (Skip::Open { until }, true)),
    }
}
