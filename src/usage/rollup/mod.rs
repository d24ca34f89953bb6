//! What records amount to, kept: by minute, hour and day, so that a question reads sums and not records.
//!
//! What must stay true: the rollups of a day are those of its records, all of them and no others. A record's commit has a
//! [`Position`](crate::store::Position) in its day, and so has what was counted; so nothing is counted twice, and what a
//! crash left uncounted is found and counted at the next start. Rollups that are damaged or missing are counted anew from
//! the records, where those exist.
//!
//! Only the writer's thread counts. Others may look, and may have a day counted anew after they changed its records.

mod change;
mod day;
mod groups;
mod labels;
mod pack;
mod plan;
mod recover;
mod retain;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use change::{Change, Changes};

use self::day::Day;
use self::labels::Mask;
use crate::api::UsageRecord;
use crate::api::usage::Dimension;
use crate::bounds;
use crate::store::{Position, RecordError, Store, StoreError, Tier, Usage, span_of};

pub(super) use self::groups::report;
pub(super) use self::labels::{Label, labels};

/// Beside all dimensions together, the sums by these alone: most questions ask for one.
const SECTIONS: &[Mask] = &[
    Mask::of(&[Dimension::Provider, Dimension::Connection]),
    Mask::of(&[Dimension::Model]),
    Mask::of(&[Dimension::Feature]),
    Mask::of(&[Dimension::App]),
    Mask::of(&[Dimension::Outcome]),
];

/// The sums of all records, on the disk and on their way there.
pub struct Rollups {
    pub(super) store: Arc<Store>,
    state: Mutex<State>,
    /// Held while a day is counted anew.
    anew: Mutex<()>,
}

#[derive(Default)]
struct State {
    recovered: bool,
    /// The days that are counted.
    days: BTreeMap<i64, Day>,
    /// Days whose rollups are not to be believed until they are counted anew: questions read their records.
    stale: BTreeSet<i64>,
    /// Days that could not be counted anew; there is no use in trying at once.
    given_up: BTreeSet<i64>,
    /// Whether it was said that rollups cannot be written.
    complained: bool,
}

impl Rollups {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, state: Mutex::default(), anew: Mutex::default() }
    }

    /// Makes ready to count records of these days, before they are stored. That it fails is no reason not to store them:
    /// they are counted later.
    pub(super) fn prepare(&self, records: &[UsageRecord]) {
        let days: BTreeSet<_> = records.iter().map(Usage::day_of).collect();
        let mut state = self.state();
        for day in days {
            if !state.days.contains_key(&day)
                && !state.stale.contains(&day)
                && let Err(error) = self.open_day(&mut state, day)
            {
                self.distrust(&mut state, day, &error);
            }
        }
    }

    /// Counts records that were stored; what was counted before is passed over. Tells how long it is until what is
    /// counted should be written.
    pub(super) fn add(&self, records: &[UsageRecord], positions: &[(i64, Position)]) -> Duration {
        let mut state = self.state();
        let mut due = bounds::ROLLUP_INTERVAL;
        for &(day, position) in positions {
            // It may have been closed since it was made ready: what is stored is found again.
            if !state.days.contains_key(&day)
                && !state.stale.contains(&day)
                && let Err(error) = self.open_day(&mut state, day)
            {
                self.distrust(&mut state, day, &error);
            }
            let Some(counting) = state.days.get_mut(&day).filter(|one| one.position() < Some(position)) else {
                continue;
            };
            let of_day = records.iter().filter(|record| positions.len() == 1 || Usage::day_of(record) == day);
            of_day.for_each(|record| counting.add(record));
            counting.reached(position);
            due = due.min(counting.due_in().unwrap_or(due));
            self.tell_beyond(counting);
        }
        due
    }

    /// Writes what is due, closes days that are over, and counts anew what has to be; one day a call. Tells how long it
    /// is until it should be called again.
    pub(super) fn keep(&self, now_ms: i64) -> Option<Duration> {
        let mut state = self.state();
        let mut failed = None;
        for day in state.days.values_mut() {
            failed = day.write_due().err().or(failed);
        }
        self.close_days(&mut state, now_ms);
        self.say(&mut state, failed.as_ref());
        let next = state.days.values().filter_map(Day::due_in).min();
        let anew = self.next_anew(&state);
        drop(state);
        match anew {
            Some(day) => {
                self.count_anew(day, now_ms);
                Some(Duration::ZERO)
            }
            // What could not be written is tried again after a while.
            None => next.map(|left| if failed.is_some() { bounds::USAGE_RETRY_PAUSE.max(left) } else { left }),
        }
    }

    /// Writes what there is before the end, so that the next start has little to count.
    pub(super) fn close(&self) {
        let mut state = self.state();
        for day in state.days.values_mut() {
            if let Err(error) = day.write_minutes() {
                tracing::warn!(%error, "rollups of usage were not written; the next start counts the records again");
            }
        }
    }

    /// Completes days that are over, and those beyond the bound that were not counted in for the longest time.
    fn close_days(&self, state: &mut State, now_ms: i64) {
        let slack = i64::try_from(bounds::ROLLUP_DAY_SLACK.as_millis()).unwrap_or(i64::MAX);
        let is_over = |day: i64| span_of(day).end.saturating_add(slack) < now_ms;
        let mut oldest: Vec<_> = state.days.iter().map(|(&day, one)| (one.touched, day)).collect();
        oldest.sort_unstable();
        let too_many = oldest.len().saturating_sub(bounds::ROLLUP_DAYS_MAX);
        for (n, (touched, day)) in oldest.into_iter().enumerate() {
            if n < too_many || (is_over(day) && touched.elapsed() > bounds::ROLLUP_INTERVAL) {
                self.complete(state, day);
            }
        }
    }

    /// Writes all of a day; it stays where it is if that fails.
    fn complete(&self, state: &mut State, day: i64) {
        let Some(counting) = state.days.get_mut(&day) else { return };
        let rollups = self.store.rollups();
        let done = counting
            .write_all()
            // What is damaged is complete as it is: the question that meets it has the day counted anew.
            .and_then(|()| {
                counting.gather(rollups).or_else(|error| if is_damage(&error) { Ok(()) } else { Err(error) })
            })
            .and_then(|()| rollups.complete(&counting.log));
        if done.is_ok() {
            state.days.remove(&day);
        }
        self.say(state, done.as_ref().err());
    }

    /// Says once that rollups cannot be written, and once that they are again.
    fn say(&self, state: &mut State, error: Option<&StoreError>) {
        match error {
            Some(error) if !std::mem::replace(&mut state.complained, true) => {
                tracing::warn!(%error, "rollups of usage cannot be written; they wait in memory");
            }
            None if std::mem::take(&mut state.complained) => tracing::info!("rollups of usage are written again"),
            _ => {}
        }
    }

    /// Tells operators of apps that made up more labels than are told apart.
    fn tell_beyond(&self, day: &mut Day) {
        while let Some(app) = day.labels.next_beyond() {
            let (labels, sets) = (bounds::ROLLUP_LABELS_PER_APP_MAX, bounds::ROLLUP_SETS_PER_APP_MAX);
            self.store.notice(format!(
                "the app {app} uses more than {labels} features or models in a day, or {sets} combinations: reports \
                 count the further ones as \"other\"; its records have them as they were"
            ));
        }
    }

    /// Leaves a day's rollups out until they are counted anew.
    fn distrust(&self, state: &mut State, day: i64, error: &StoreError) {
        tracing::warn!(%error, day, "the rollups of a day cannot be gone on with; its records are counted later");
        state.days.remove(&day);
        state.stale.insert(day);
        if let Err(error) = self.store.rollups().mark_stale(day) {
            tracing::warn!(%error, day, "the rollups of a day could not be marked");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.recovered, true) {
            self.recover(&mut state);
        }
        state
    }
}

/// The begin of the bucket that a time is in.
fn begin_of(tier: Tier, at_ms: i64) -> i64 {
    at_ms.div_euclid(tier.width_ms()).saturating_mul(tier.width_ms())
}

fn malformed() -> StoreError {
    RecordError::body("rollup section", "its sums cannot be read").into()
}

/// Whether it is what is stored that makes no sense, and not the system that refused.
fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { .. } | StoreError::Record(_))
}

impl std::fmt::Debug for Rollups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rollups")
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(super) mod tests;
