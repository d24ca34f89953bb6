//! What has been used of limits, across the lives of processes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Admin;
use crate::api::{ConnectionId, ProviderSlug, UsageRecord};
use crate::bounds;
use crate::clock::Now;
use crate::connection::admission::{Carried, Holder, Leased};
use crate::snapshot::Snapshot;
use crate::store::{Lease, Store, StoreError};

/// Old names of providers, and their new ones.
type Map = BTreeMap<ProviderSlug, ProviderSlug>;

impl Admin {
    /// Writes down what is about to be used of daily limits. Where the store takes nothing, calls go on all the same: a
    /// full disk is no reason to refuse what the provider would serve.
    pub fn write_leases(&self, leased: &[Arc<dyn Leased>]) {
        let now = self.engine.clock.both();
        let leases: Vec<_> = leased.iter().filter_map(|one| Some((one, one.lease(now)?))).collect();
        self.put(leases.iter().map(|(_, lease)| lease.clone()).collect());
        for (one, lease) in &leases {
            Arc::clone(one).leased(lease);
        }
    }

    /// Begins to write down what is used of daily limits: from here on no more is used than was written down.
    pub fn begin_leases(&self) {
        let admission = &self.engine.admission;
        admission.leases.begin();
        self.write_leases(&admission.leased());
    }

    /// Writes down what has been used of daily limits, now that nothing more will be.
    pub fn end_leases(&self) {
        let now = self.engine.clock.both();
        self.put(self.engine.admission.leased().iter().filter_map(|one| one.last_lease(now)).collect());
    }

    /// Lets go what is remembered of connections and limit groups that are no more. What comes back
    /// is for [`Admin::forget_leases`], which blocks.
    pub fn sweep(&self) -> Vec<String> {
        self.health.sweep();
        self.engine.admission.sweep(self.engine.clock.both())
    }

    /// Removes what was written down of scopes that are no more. Blocks.
    pub fn forget_leases(&self, scopes: &[String]) {
        if scopes.is_empty() {
            return;
        }
        if let Err(error) = self.store.counters().remove(scopes) {
            tracing::warn!(%error, "old counters of daily limits cannot be removed from the store");
        }
    }

    /// Forgets connections that are gone for good: how they fared, and what was used of their limits. Blocks.
    pub(super) fn forget(&self, gone: &[ConnectionId]) {
        gone.iter().for_each(|id| self.health.forget(id));
        let holders = gone.iter().cloned().map(Holder::Connection).collect();
        self.forget_leases(&self.engine.admission.forget(&holders));
    }

    /// Writes down what will have been used under new names, before anything has one: a crash between the two counts too
    /// much, and never too little. Blocks.
    pub(super) fn foresee_moves(&self, map: &Map) -> Result<(), StoreError> {
        let now = self.engine.clock.both();
        let foreseen: Vec<_> =
            map.iter().flat_map(|(from, to)| self.engine.admission.foreseen(from, to, now)).collect();
        if foreseen.is_empty() { Ok(()) } else { self.store.counters().put(&foreseen) }
    }

    /// Lets what was used of limits count under the names that connections have now. Blocks.
    pub(super) fn carry_counters(&self, map: &Map) {
        let now = self.engine.clock.both();
        for (from, to) in map {
            let Carried { grown, leases, gone } = self.engine.admission.carry(from, to, now);
            self.put(leases);
            self.write_leases(&grown);
            self.forget_leases(&gone);
        }
    }

    fn put(&self, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        if let Err(error) = self.store.counters().put(&leases) {
            tracing::error!(%error, "what is used of daily limits cannot be stored: a crash would forget it");
        }
    }
}

/// Counts the calls of the last minute, as they were recorded before this process began.
pub(super) fn restore_minute(store: &Store, snapshot: &Snapshot, now: Now) -> Result<(), StoreError> {
    let ms = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let from_ms = now.wall_ms - ms(bounds::LIMIT_WINDOW + bounds::LIMIT_WINDOW_GUARD);
    let ended = |record: &UsageRecord| record.at_ms.saturating_add_unsigned(record.duration_ms).min(now.wall_ms);
    let mut calls = Vec::new();
    store.usage().scan(from_ms - ms(bounds::LIMIT_REBUILD_CALLS), i64::MAX, |record| {
        let quotas = record.connection.as_ref().and_then(|id| Some(&snapshot.connections.get(id)?.quotas));
        if let Some(quotas) = quotas.filter(|quotas| ended(record) > from_ms && quotas.all().next().is_some()) {
            calls.push((ended(record), quotas, record.clone()));
        }
        ControlFlow::Continue(())
    })?;
    // A window takes in what happened in the order of time.
    calls.sort_by_key(|(ended, ..)| *ended);
    for (ended, quotas, record) in calls {
        let asked = record.model.split_once('/').map_or(record.model.as_str(), |(_, model)| model);
        let served = record.model_served.as_deref().unwrap_or(asked);
        let sent = record.model_sent.as_deref().unwrap_or(asked);
        let tokens = record.tokens.total();
        let ago = std::time::Duration::from_millis(now.wall_ms.abs_diff(ended));
        quotas.restore(&[sent, asked, served], tokens, now.at.checked_sub(ago).unwrap_or(now.at));
    }
    Ok(())
}
