//! What stands against connections and accounts, kept beyond the process: put back at start, and stored as it changes.

use super::control::Admin;
use crate::connection::{Connection, HealthState};
use crate::credential::Fingerprint;
use crate::store::{Facts, RejectedFact, Scope, StoreError};

impl Admin {
    /// Puts back what was stored, as far as it still holds. A rejection holds while the secret and its origin are the same.
    /// What belongs to nobody any more is dropped.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn restore_facts(&self) -> Result<(), StoreError> {
        let (snapshot, now) = (self.engine.snapshot.load(), self.engine.clock.both());
        let mut gone = Vec::new();
        for (scope, facts) in self.store.facts().list()? {
            let connection = match &scope {
                Scope::Connection(id) => snapshot.connections.get(id),
                Scope::Group(_) => None,
            };
            let declared =
                |one: &Scope| matches!(one, Scope::Group(group) if snapshot.catalogue.limit_groups.contains_key(group));
            if connection.is_none() && !declared(&scope) {
                gone.push((scope, Facts::default()));
                continue;
            }
            self.health.restore(&scope, &facts, now);
            if let (Some(one), Some(rejected)) = (connection, facts.rejected)
                && self.print(one) == Some(rejected.print)
            {
                one.health.reject_again(rejected.since_ms, &rejected.reason);
            }
        }
        if gone.is_empty() { Ok(()) } else { self.store.facts().put(&gone) }
    }

    /// Stores what changes, until [`Admin::close_facts`]. Blocks: the caller gives it a thread.
    pub fn keep_facts(&self) {
        let (changes, mut complained) = (self.health.changes(), false);
        while let Some(scopes) = changes.next() {
            let all: Vec<_> = scopes.iter().map(|scope| (scope.clone(), self.facts(scope))).collect();
            match self.store.facts().put(&all) {
                Ok(()) => {
                    complained = false;
                    tracing::debug!(count = all.len(), "health is stored");
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        tracing::error!(%error, "cooldowns, parks and rejections cannot be stored; it is tried again");
                    }
                    if !changes.again(scopes) {
                        return;
                    }
                }
            }
        }
    }

    /// Lets [`Admin::keep_facts`] store what is left and end.
    pub fn close_facts(&self) {
        self.health.changes().close();
    }

    fn facts(&self, scope: &Scope) -> Facts {
        let facts = self.health.facts(scope, self.engine.clock.both());
        let snapshot = self.engine.snapshot.load();
        let connection = match scope {
            Scope::Connection(id) => snapshot.connections.get(id),
            Scope::Group(_) => None,
        };
        Facts { rejected: connection.and_then(|one| self.rejected(one)), ..facts }
    }

    fn rejected(&self, one: &Connection) -> Option<RejectedFact> {
        let is_rejected = one.health.state() == HealthState::Rejected && one.generation == one.health.generation();
        let print = is_rejected.then(|| self.print(one)).flatten()?;
        let said = one.health.observed().last_error;
        let (since_ms, reason) = said.map_or((0, String::new()), |said| (said.at_ms, said.message));
        Some(RejectedFact { since_ms, print, reason })
    }

    /// By what a connection's secret is told from another one.
    fn print(&self, one: &Connection) -> Option<Fingerprint> {
        let sealed = one.secret.as_ref()?;
        let secret = self.engine.vault.open(&one.id, &sealed.origin, sealed).ok()?;
        Some(self.engine.vault.fingerprint(&sealed.origin, &secret))
    }
}
