//! What is old is forgotten: records by whole segments, sums by whole files, each after its own time.

use std::time::Duration;

use super::{Rollups, is_damage};
use crate::config::Retention;
use crate::store::{StoreError, Tier, first_day_kept};

impl Rollups {
    /// Forgets what is older than its time; its room on the disk is free when this returns. What fails is said, and tried
    /// again the next time.
    pub(crate) fn retain(&self, retention: &Retention, now_ms: i64) {
        // What could not be counted anew may find room now.
        self.state().given_up.clear();
        if let Err(error) = self.retain_records(retention, now_ms) {
            tracing::warn!(%error, "old usage could not be removed");
        }
        let from = |kept: Duration| first_day_kept(before(now_ms, kept));
        let tiers = [retention.minutes, retention.hours, retention.days].map(from);
        let complete = self.store.rollups().days().into_iter().filter(|&(_, complete)| complete);
        for day in complete.map(|(day, _)| day) {
            for (tier, first) in Tier::ALL.into_iter().zip(tiers) {
                if day < first {
                    self.forget(day, tier);
                }
            }
        }
        let oldest = tiers.into_iter().min().unwrap_or_default();
        if let Err(error) = self.store.rollups().remove_set_aside_before(oldest) {
            tracing::warn!(%error, "old usage could not be removed");
        }
    }

    fn retain_records(&self, retention: &Retention, now_ms: i64) -> Result<(), StoreError> {
        let usage = self.store.usage();
        let mut removed = usage.retain_from(before(now_ms, retention.records))?;
        if let Some(bytes_max) = retention.size {
            removed += usage.retain_bytes(bytes_max)?;
        }
        if removed > 0 {
            tracing::info!(removed, "old segments of usage were removed");
        }
        Ok(())
    }

    fn forget(&self, day: i64, tier: Tier) {
        match self.store.rollups().forget(day, tier) {
            Err(error) if is_damage(&error) => self.store.rollups().set_aside(day, &error),
            Err(error) => tracing::warn!(%error, "old rollups could not be removed"),
            Ok(_) => {}
        }
    }
}

fn before(now_ms: i64, kept: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "retain_tests.rs"]
mod tests;
