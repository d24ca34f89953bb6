//! The walk over a request's candidates: each at most once, and a reason for each that is passed over.

use std::sync::Arc;

use super::pool::{Pool, Skip, Wanted, usable};
use crate::api::{ConnectionId, ProviderSlug};
use crate::config::Model;
use crate::connection::{Connection, ManagedBy};
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
    /// Whether the walk only looks, and takes nobody's turn.
    looks: bool,
}

impl Candidates {
    pub(super) fn new(pools: Arc<[Pool]>, wanted: Wanted) -> Self {
        Self { pools, wanted, pool: 0, turn: None, step: 0, had: Vec::new(), skipped: Vec::new(), looks: false }
    }

    /// The same walk for a request that will not be sent: it changes nothing for those that are.
    #[must_use]
    pub fn only_looking(self) -> Self {
        Self { looks: true, ..self }
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
}

impl Iterator for Candidates {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        loop {
            let pool = self.pools.get(self.pool)?.clone();
            let looks = self.looks;
            let turn = || if looks { pool.tier.coming_turn() } else { pool.tier.turn() };
            let turn = *self.turn.get_or_insert_with(turn);
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
            match self.why_not(&pool, connection) {
                Some(why) => {
                    let managed_by = connection.managed_by;
                    self.skipped.push(Skipped { connection: connection.id.clone(), managed_by, why });
                }
                None => {
                    let connection = Arc::clone(connection);
                    return Some(Candidate {
                        provider: pool.provider,
                        connection,
                        model: pool.model,
                        facts: pool.facts,
                    });
                }
            }
        }
    }
}
