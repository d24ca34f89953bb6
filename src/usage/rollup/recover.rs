//! Going on after a start, and counting days anew.

use super::day::Day;
use super::{Rollups, State, is_damage};
use crate::bounds;
use crate::store::{StoreError, span_of};

impl Rollups {
    /// Goes on with the days that were counted when the process before this one ended.
    pub(super) fn recover(&self, state: &mut State) {
        for (day, complete) in self.store.rollups().days() {
            if !complete && let Err(error) = self.open_day(state, day) {
                self.distrust(state, day, &error);
            }
        }
    }

    /// Begins to count a day, or goes on with it: what was stored and not counted is counted now.
    pub(super) fn open_day(&self, state: &mut State, day: i64) -> Result<(), StoreError> {
        let (usage, rollups) = (self.store.usage(), self.store.rollups());
        if rollups.days().contains_key(&day) && !usage.has_day(day) && rollups.lengths(day)?.is_some() {
            // Its records were forgotten; the few that come so late are kept, and no longer counted.
            return Ok(());
        }
        let mut counting = match self.resumed(day)? {
            Some(counting) => counting,
            None if usage.has_day(day) => self.counted_anew(day)?,
            None => {
                let mut log = rollups.begin(day)?;
                rollups.publish(&mut log)?;
                Day::new(log)
            }
        };
        self.catch_up(day, &mut counting)?;
        state.days.insert(day, counting);
        Ok(())
    }

    /// A day as its files tell it; none if there are none, or they are not to be believed.
    fn resumed(&self, day: i64) -> Result<Option<Day>, StoreError> {
        let rollups = self.store.rollups();
        let resumed = rollups.resume(day).and_then(|log| match log {
            Some(log) => Day::resume(rollups, log),
            None => Ok(None),
        });
        match resumed {
            Err(error) if is_damage(&error) => {
                rollups.set_aside(day, &error);
                Ok(None)
            }
            resumed => resumed,
        }
    }

    /// Counts what was stored after what was counted.
    pub(super) fn catch_up(&self, day: i64, counting: &mut Day) -> Result<(), StoreError> {
        self.store.usage().replay(day, counting.position(), |records, position| {
            records.iter().for_each(|record| counting.add(record));
            counting.reached(position);
            Ok(())
        })
    }

    /// Counts all records of a day into new rollups, which then take the place of the old ones.
    pub(super) fn counted_anew(&self, day: i64) -> Result<Day, StoreError> {
        let mut counting = self.counted_beside(day)?;
        self.store.rollups().publish(&mut counting.log)?;
        Ok(counting)
    }

    /// Counts all records of a day into new rollups beside the old ones.
    pub(super) fn counted_beside(&self, day: i64) -> Result<Day, StoreError> {
        let mut counting = Day::new(self.store.rollups().begin(day)?);
        self.store.usage().replay(day, None, |records, position| {
            records.iter().for_each(|record| counting.add(record));
            counting.reached(position);
            counting.write_due()
        })?;
        // Parts of a commit may have been written with its position. All of it is, from here on.
        counting.write_minutes()?;
        counting.write_hours()?;
        Ok(counting)
    }

    /// A day that is to be counted anew: it has records, and no rollups that can be believed.
    pub(super) fn next_anew(&self, state: &State) -> Option<i64> {
        let rolled_up = self.store.rollups().days();
        let stale = |day: &i64| state.stale.contains(day);
        let missing = |day: &i64| !rolled_up.contains_key(day) && !state.days.contains_key(day);
        let days = self.store.usage().days_with_records();
        days.into_iter().find(|day| (stale(day) || missing(day)) && !state.given_up.contains(day))
    }

    /// Counts a day anew. Questions read its records meanwhile, and the writer may go on.
    pub(super) fn count_anew(&self, day: i64, now_ms: i64) {
        let slack = i64::try_from(bounds::ROLLUP_DAY_SLACK.as_millis()).unwrap_or(i64::MAX);
        let is_over = span_of(day).end.saturating_add(slack) < now_ms;
        if let Err(error) = self.replace(day, is_over) {
            tracing::warn!(%error, day, "the usage of a day cannot be counted anew; reports read its records");
            self.state().given_up.insert(day);
        }
    }

    /// Counts a day anew, and puts that in the place of what there was.
    pub(super) fn replace(&self, day: i64, is_over: bool) -> Result<(), StoreError> {
        let _one_at_a_time = self.anew.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut counting = self.counted_beside(day)?;
        let mut state = self.state();
        // Few came since, and none come now.
        self.catch_up(day, &mut counting)?;
        self.store.rollups().publish(&mut counting.log)?;
        let was_counting = state.days.insert(day, counting).is_some();
        state.stale.remove(&day);
        // One that the writer made ready is the writer's to close: it may be about to store more.
        if is_over && !was_counting {
            self.complete(&mut state, day);
        }
        Ok(())
    }
}
