//! Budgets: what an app, a feature or a connection may spend in an hour, a day or a month.
//!
//! They are limits of the operator's own, and calls go through them as they go through those of providers: what a call
//! will take is estimated and reserved before it, in all of its budgets or in none, and what it took is put in that place
//! when it ends. What must stay true:
//! - However many calls come at once, no two take the same last unit.
//! - At rest, what is spent is what was used: nothing that was reserved is left over.
//! - A call counts in the period in which it began. No clock that is put back opens a period that is over.
//! - Counters belong to a budget's name: a reload resets nothing. They are written down ahead, as day counters are
//!   (`admission/lease.rs`): what a crash leaves behind may be too much, and never too little.
//! - A price that nobody knows costs nothing here; requests and tokens of such calls count all the same.

mod charge;
mod period;
mod purse;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

pub use charge::{Charge, Over, Spent};
pub use purse::{Amounts, Purse};

use crate::api::{AppName, ConnectionId, Feature};
use crate::clock::Now;
use crate::config::{self, Spender};
use crate::connection::admission::Leases;
use crate::store::Lease;

/// What keys of budgets begin with in the table of counters.
pub(in crate::connection) const STORED: &str = "b/";

/// A budget with its counters.
#[derive(Debug)]
pub struct Budget {
    /// What the configuration says.
    pub declared: config::Budget,
    /// What has been spent.
    pub purse: Arc<Purse>,
}

/// The counters of all budgets, by name: one for the process.
#[derive(Debug, Default)]
pub struct Purses(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    purses: BTreeMap<String, Arc<Purse>>,
    /// The number of the last one: none is given twice.
    last: u64,
    before: HashMap<String, (Lease, i64)>,
}

impl Purses {
    /// Goes on from what a process before this one wrote down.
    pub(in crate::connection) fn restore(&self, leases: HashMap<String, (Lease, i64)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).before = leases;
    }

    /// All counters that there are. Those of a budget that is gone stay until the process ends, in case it comes back.
    pub(in crate::connection) fn all(&self) -> Vec<Arc<Purse>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).purses.values().map(Arc::clone).collect()
    }

    fn of(&self, declared: &config::Budget, leases: &Arc<Leases>) -> Arc<Purse> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{STORED}{}", declared.name);
        if let Some(purse) = all.purses.get(&name) {
            purse.set(&declared.most, declared.per, &declared.zone);
            return Arc::clone(purse);
        }
        all.last += 1;
        let purse = Purse::new(name.clone(), all.last, Arc::clone(leases));
        purse.set(&declared.most, declared.per, &declared.zone);
        if let Some((lease, now_ms)) = all.before.remove(&name) {
            purse.restore(&lease, now_ms);
        }
        let purse = Arc::new(purse);
        all.purses.insert(name, Arc::clone(&purse));
        purse
    }
}

/// The budgets that are in force.
#[derive(Debug, Default)]
pub struct Budgets {
    /// In the order of the configuration.
    all: Vec<Arc<Budget>>,
    by_spender: HashMap<Spender, Vec<Arc<Budget>>>,
}

/// Who makes a call, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The app; none where nobody asked as one.
    pub app: Option<&'a AppName>,
    /// What for.
    pub feature: Option<&'a Feature>,
    /// The connection that it goes to.
    pub connection: &'a ConnectionId,
}

impl Budgets {
    /// The budgets that are declared, with what has been spent of them.
    pub fn new(purses: &Purses, leases: &Arc<Leases>, declared: &[config::Budget]) -> Self {
        let with = |declared: &config::Budget| {
            Arc::new(Budget { declared: declared.clone(), purse: purses.of(declared, leases) })
        };
        let all: Vec<_> = declared.iter().map(with).collect();
        let mut by_spender: HashMap<Spender, Vec<Arc<Budget>>> = HashMap::new();
        for budget in &all {
            by_spender.entry(budget.declared.of.clone()).or_default().push(Arc::clone(budget));
        }
        Self { all, by_spender }
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Budget>] {
        &self.all
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that a call counts in, in the order in which all lock them.
    fn of(&self, caller: Caller<'_>) -> Vec<&Arc<Budget>> {
        let spenders = [
            caller.app.map(|app| Spender::App(app.clone())),
            caller.feature.map(|feature| Spender::Feature(feature.clone())),
            Some(Spender::Connection(caller.connection.clone())),
        ];
        let mut all: Vec<_> = spenders.iter().flatten().filter_map(|one| self.by_spender.get(one)).flatten().collect();
        all.sort_unstable_by_key(|budget| budget.purse.number);
        all
    }

    /// Takes what a call needs from all of its budgets; with it come those that it is made in spite of.
    ///
    /// # Errors
    /// When one of them has nothing left for it.
    pub fn charge(
        &self,
        caller: Caller<'_>,
        need: Amounts,
        (first, diverted): (bool, bool),
        now: Now,
    ) -> Result<(Charge, Vec<Over>), Box<Spent>> {
        if self.is_empty() {
            return Ok((Charge::default(), Vec::new()));
        }
        charge::charge(&self.of(caller), need, first, diverted, now)
    }

    /// Which of its budgets would stop a call now. Nothing is taken.
    pub fn would_stop(&self, caller: Caller<'_>, need: Amounts, now: Now) -> Option<Spent> {
        if self.is_empty() { None } else { charge::would_stop(&self.of(caller), need, now) }
    }
}

#[cfg(test)]
mod tests;
