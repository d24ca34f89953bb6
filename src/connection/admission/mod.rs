//! Admission: limits are reserved before a call and settled after it.
//!
//! A limit stands at a connection or at a limit group, for all models together or for one. Each of those is a [`Scope`]
//! with counters of its own. [`reserve`] takes room in all scopes of an attempt or in none, and the [`Permit`] that comes
//! back is the only way to give it back: it cannot leak.
//!
//! What must stay true:
//! - Requests and concurrency never go beyond a limit *as the provider counts arrivals* (see `window.rs`).
//! - Tokens are reserved as an estimate and settled as what was used; what that is more is a debt, and later attempts pay
//!   it. What was used and is not known stays reserved.
//! - Days are calendar days where the provider's are (see `day.rs`), and are written down ahead (see `lease.rs`).
//! - Scopes outlive snapshots, so that a reload resets nothing. The engine sees no clock: time comes with each call.

pub(in crate::connection) mod count;
pub(in crate::connection) mod day;
mod estimate;
mod lease;
mod moved;
mod permit;
mod quotas;
mod scope;
mod waiting;
mod window;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use jiff::tz::TimeZone;

pub(in crate::connection) use day::DayCount;
pub use estimate::{Averages, input_tokens};
pub use lease::{Leased, Leases};
pub use moved::Carried;
pub use permit::{Blocked, Counted, Full, Limited, Permit, reserve, would_fit};
pub use quotas::Quotas;
pub use scope::{Figure, Holder, Scope, ScopeKey, Used};
pub use waiting::{Waiter, Waiting};

use super::budget::{self, Purses};
use crate::clock::Now;
use crate::config::Limits;
use crate::store::Lease;

/// The counters of all scopes, and who waits for room in them: one for the process.
#[derive(Debug, Default)]
pub struct Admission {
    scopes: RwLock<Scopes>,
    /// Requests that wait for room.
    pub waiting: Arc<Waiting>,
    /// Day counters that are to be written down.
    pub leases: Arc<Leases>,
    /// What has been spent of budgets.
    pub purses: Purses,
    /// How long replies were.
    pub averages: Averages,
}

#[derive(Debug, Default)]
struct Scopes {
    all: HashMap<ScopeKey, Arc<Scope>>,
    /// The number of the last scope: none is given twice.
    last: u64,
    /// What a process before this one wrote down, or a scope that is gone had used, and when that was read, in
    /// milliseconds since 1970.
    before: HashMap<String, (Lease, i64)>,
}

impl Admission {
    /// Goes on from what a process before this one wrote down. Only scopes that are made later look at it.
    #[must_use]
    pub fn restored(self, leases: Vec<Lease>, now_ms: i64) -> Self {
        let with_time = leases.into_iter().map(|lease| (lease.scope.clone(), (lease, now_ms)));
        let (budgets, scopes) = with_time.partition(|(name, _)| name.starts_with(budget::STORED));
        self.purses.restore(budgets);
        self.write().before = scopes;
        self
    }

    /// The counters of a scope with these limits, new where it has none yet. Its days begin at midnight in `zone`.
    pub fn scope(&self, key: &ScopeKey, limits: &Limits, zone: &TimeZone) -> Arc<Scope> {
        let mut scopes = self.write();
        if let Some(scope) = scopes.all.get(key) {
            scope.set(limits, zone);
            return Arc::clone(scope);
        }
        scopes.last += 1;
        let (waiting, leases) = (Arc::clone(&self.waiting), Arc::clone(&self.leases));
        let scope = Scope::new(key.clone(), scopes.last, zone.clone(), waiting, leases);
        if let Some((lease, now_ms)) = scopes.before.remove(&key.stored()) {
            scope.restore(&lease, now_ms);
        }
        scope.set(limits, zone);
        let scope = Arc::new(scope);
        scopes.all.insert(key.clone(), Arc::clone(&scope));
        scope
    }

    /// Lets go the scopes that neither a snapshot nor a request holds any more. What they used of a day that is not over
    /// is kept, in case they come back on it. The names of those whose day is over come back: nothing is to be stored of
    /// them any more.
    pub fn sweep(&self, now: Now) -> Vec<String> {
        let mut scopes = self.write();
        let Scopes { all, before, .. } = &mut *scopes;
        let gone = all.extract_if(|_, scope| Arc::strong_count(scope) == 1);
        let kept = gone.filter_map(|(_, scope)| scope.last_lease(now));
        before.extend(kept.map(|lease| (lease.scope.clone(), (lease, now.wall_ms))));
        before.extract_if(|_, (lease, _)| lease.ends_ms <= now.wall_ms).map(|(name, _)| name).collect()
    }

    /// Forgets holders that are gone for good. Of the scopes that come back nothing is to be stored any more.
    pub fn forget(&self, holders: &BTreeSet<Holder>) -> Vec<String> {
        let mut scopes = self.write();
        let Scopes { all, before, .. } = &mut *scopes;
        let gone = all.extract_if(|key, _| holders.contains(&key.holder)).map(|(key, _)| key.stored());
        let is_theirs = |name: &str| ScopeKey::of_stored(name).is_some_and(|key| holders.contains(&key.holder));
        let left = before.extract_if(|name, _| is_theirs(name));
        gone.chain(left.map(|(name, _)| name)).collect()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Scopes> {
        self.scopes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is written down: all scopes, and all budgets.
    pub fn leased(&self) -> Vec<Arc<dyn Leased>> {
        let scopes = self.scopes().into_iter().map(|scope| scope as Arc<dyn Leased>);
        scopes.chain(self.purses.all().into_iter().map(|purse| purse as Arc<dyn Leased>)).collect()
    }

    /// All scopes that there are.
    pub fn scopes(&self) -> Vec<Arc<Scope>> {
        self.scopes.read().unwrap_or_else(PoisonError::into_inner).all.values().map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod tests;
