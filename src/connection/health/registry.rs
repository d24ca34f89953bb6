//! The health of every connection and account, by name: it outlives snapshots, so that a reload resets nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use super::Health;
use super::account::{Account, Changes, Soon};
use super::standing::Standing;
use crate::api::{ConnectionId, LimitGroup};
use crate::clock::Now;
use crate::store::{Facts, Scope};

/// All health there is.
#[derive(Debug, Default)]
pub struct Registry {
    connections: RwLock<HashMap<ConnectionId, Arc<Health>>>,
    groups: RwLock<HashMap<LimitGroup, Arc<Account>>>,
    changes: Arc<Changes>,
}

impl Registry {
    /// The health of one connection, new where it has none yet.
    pub fn of(&self, id: &ConnectionId) -> Arc<Health> {
        found_or(&self.connections, id, || Health::kept(Scope::Connection(id.clone()), &self.changes))
    }

    /// The account that a limit group shares.
    pub fn group(&self, group: &LimitGroup) -> Arc<Account> {
        found_or(&self.groups, group, || Account::kept(Scope::Group(group.clone()), &self.changes))
    }

    /// Whether anything is known of a connection.
    pub fn knows(&self, id: &ConnectionId) -> bool {
        got(&self.connections, id).is_some()
    }

    /// Forgets a connection that was removed, in the store too.
    pub fn forget(&self, id: &ConnectionId) {
        self.connections.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.changes.push(Some(Scope::Connection(id.clone())), Soon::Now);
    }

    /// Lets go what neither a snapshot nor a request holds any more, in the store too.
    pub fn sweep(&self) {
        let gone = swept(&self.connections).into_iter().map(Scope::Connection);
        let gone = gone.chain(swept(&self.groups).into_iter().map(Scope::Group));
        gone.for_each(|scope| self.changes.push(Some(scope), Soon::Tick));
    }

    /// What changed and is to be stored.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What of a scope is to outlive the process, but for a rejection; nothing of one that is gone. What changes from here
    /// on is reported anew.
    pub fn facts(&self, scope: &Scope, now: Now) -> Facts {
        match scope {
            Scope::Connection(id) => got(&self.connections, id).map(|health| facts(&health.own, now)),
            Scope::Group(group) => got(&self.groups, group).map(|account| facts(&account, now)),
        }
        .unwrap_or_default()
    }

    /// Puts what was stored of a scope back.
    pub fn restore(&self, scope: &Scope, stored: &Facts, now: Now) {
        let standing = Standing::restored(stored, now);
        match scope {
            Scope::Connection(id) => self.of(id).own.change(|own| *own = standing),
            Scope::Group(group) => self.group(group).change(|account| *account = standing),
        }
    }
}

fn facts(account: &Account, now: Now) -> Facts {
    account.taken();
    account.read().facts(now)
}

fn swept<K: Eq + Hash, V>(all: &RwLock<HashMap<K, Arc<V>>>) -> Vec<K> {
    let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
    all.extract_if(|_, value| Arc::strong_count(value) == 1).map(|(key, _)| key).collect()
}

fn got<K: Eq + Hash, V>(all: &RwLock<HashMap<K, Arc<V>>>, key: &K) -> Option<Arc<V>> {
    all.read().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)
}

fn found_or<K: Eq + Hash + Clone, V>(all: &RwLock<HashMap<K, Arc<V>>>, key: &K, new: impl FnOnce() -> V) -> Arc<V> {
    if let Some(found) = got(all, key) {
        return found;
    }
    let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(key.clone()).or_insert_with(|| Arc::new(new())))
}
