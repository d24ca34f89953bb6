//! Answering a question: how sums and records come into the rows of a report.

use std::ops::Range;

use foldhash::HashMap;

use super::day::Day;
use super::labels::{Labels, Mask, Set};
use super::pack::Section;
use super::plan::{Has, Plan};
use super::rows::{Groups, Rows};
use super::{Rollups, SECTIONS, is_damage, malformed};
use crate::api::usage::{UsageReport, timestamp};
use crate::store::{Frames, Head, Lengths, StoreError, Tier, days_of, span_of};
use crate::usage::query::Query;

/// How often an answer is begun again, when it met rollups that are damaged and had to be set aside.
const TRIES: usize = 8;

/// Answers a question about usage. Blocks.
pub(in crate::usage) fn report(rollups: &Rollups, query: &Query) -> Result<UsageReport, StoreError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match Answer::new(query).of(rollups) {
            Err(Problem::Damaged(damage)) if tries > 0 => rollups.drop_damaged(&damage),
            Err(Problem::Damaged(Damage { error, .. }) | Problem::Other(error)) => return Err(error),
            Ok(report) => return Ok(report),
        }
    }
}

/// Why there is no answer.
enum Problem {
    Damaged(Damage),
    Other(StoreError),
}

/// Rollups of a day that cannot be read: all, or a tier.
struct Damage {
    day: i64,
    tier: Option<Tier>,
    /// How long the files were; none if that is what could not be read.
    ends: Option<Lengths>,
    error: StoreError,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

/// An answer while it is made.
struct Answer<'q> {
    query: &'q Query,
    rows: Rows,
    /// What the question tells apart and filters by.
    asked: Mask,
    /// The time that the answer covers, where that is more than was asked for.
    covered: Range<i64>,
}

/// What is read of a day once its plan is made.
struct Work {
    day: i64,
    plan: Plan,
    ends: Lengths,
    span: Range<i64>,
    /// The files of a day that is being counted, as they were when the plan was made.
    opened: Vec<(Tier, Frames)>,
}

impl<'q> Answer<'q> {
    fn new(query: &'q Query) -> Self {
        let filtered: Vec<_> = query.filters.iter().map(|&(dimension, _)| dimension).collect();
        let shown = Mask::of(&query.by);
        Self {
            query,
            rows: Rows::new(query, shown),
            asked: shown.with(Mask::of(&filtered)),
            covered: query.from_ms..query.to_ms,
        }
    }

    fn of(mut self, rollups: &Rollups) -> Result<UsageReport, Problem> {
        let span = self.query.from_ms..self.query.to_ms;
        for work in self.plan(rollups, &span)? {
            let widened = work.plan.covers().filter(|_| work.plan.records.is_empty());
            let before = self.rows.count();
            self.read(rollups, &work)?;
            if let Some(covers) = widened.filter(|_| before < self.rows.count() || self.rows.is_truncated()) {
                self.widen(&covers, &work.span);
            }
            // The days come in order, and the next one has nothing before its own time.
            self.rows.settle(span_of(work.day + 1).start);
        }
        Ok(self.report())
    }

    /// Takes what waits in memory, and tells what else is to be read. Both under one lock, so that nothing counts twice.
    fn plan(&mut self, rollups: &Rollups, asked: &Range<i64>) -> Result<Vec<Work>, Problem> {
        let mut works = Vec::new();
        let state = rollups.state();
        let on_disk = rollups.store.rollups();
        let with_records = rollups.store.usage().days_with_records();
        let all: std::collections::BTreeSet<i64> =
            on_disk.days().into_keys().chain(with_records.iter().copied()).collect();
        for day in all.range(days_of(asked)).copied() {
            let counting = state.days.get(&day).filter(|_| !state.stale.contains(&day));
            let ends = match counting {
                Some(counting) => counting.log.lengths(),
                None if state.stale.contains(&day) => [0; 3],
                None => on_disk.lengths(day).map_err(|error| problem(day, None, None, error))?.unwrap_or_default(),
            };
            let has = Has {
                sums: if counting.is_some() { [true; 3] } else { ends.map(|end| end > 0) },
                records: with_records.contains(&day),
            };
            let span = span_in(asked, day, counting);
            let plan = Plan::of(span.clone(), self.query.step.coarsest(), has);
            let mut opened = Vec::new();
            if let Some(counting) = counting {
                self.take_waiting(counting, &plan);
                for &(tier, _) in &plan.sums {
                    let frames = on_disk.frames(day, tier, length_of(tier, ends));
                    opened.push((tier, frames.map_err(|error| problem(day, Some(tier), Some(ends), error))?));
                }
            }
            works.push(Work { day, plan, ends, span, opened });
        }
        Ok(works)
    }

    fn take_waiting(&mut self, day: &Day, plan: &Plan) {
        let (mut numbers, mut groups) = (HashMap::default(), Groups::new(self.query));
        for (tier, span) in &plan.sums {
            for (at_ms, set, tally) in day.waiting_for(*tier).filter(|(at_ms, ..)| span.contains(at_ms)) {
                let number = number(&mut numbers, set);
                let sum = self.rows.sum(at_ms, set, &mut groups, number, |place| day.labels.texts.text(place));
                sum.into_iter().for_each(|sum| sum.merge(tally));
            }
        }
    }

    fn read(&mut self, rollups: &Rollups, work: &Work) -> Result<(), Problem> {
        for (tier, span) in &work.plan.sums {
            self.read_sums(rollups, work, *tier, span)
                .map_err(|error| problem(work.day, Some(*tier), Some(work.ends), error))?;
        }
        if work.plan.records.is_empty() {
            return Ok(());
        }
        let mut labels = if work.ends == [0; 3] {
            Labels::default()
        } else {
            known_labels(rollups, work).map_err(|error| problem(work.day, None, Some(work.ends), error))?
        };
        let (mut numbers, mut groups) = (HashMap::default(), Groups::new(self.query));
        for span in &work.plan.records {
            rollups.store.usage().scan_day(work.day, span.clone(), |record| {
                let set = labels.find(record);
                let number = number(&mut numbers, &set);
                let sum = self.rows.sum(record.at_ms, &set, &mut groups, number, |place| labels.texts.text(place));
                sum.into_iter().for_each(|sum| sum.add(record));
            })?;
        }
        Ok(())
    }

    /// Takes the sums of a tier's file, by as few dimensions as will do.
    fn read_sums(&mut self, rollups: &Rollups, work: &Work, tier: Tier, span: &Range<i64>) -> Result<(), StoreError> {
        let fits = |mask: &&Mask| tier != Tier::Minutes && mask.covers(self.asked);
        let mask = SECTIONS.iter().find(fits).copied().unwrap_or(Mask::ALL);
        let choose = |head: &Head| head.touches(span).then_some(mask.0);
        let fresh;
        let frames = match work.opened.iter().find(|(one, _)| *one == tier) {
            Some((_, frames)) => frames,
            None => {
                fresh = rollups.store.rollups().frames(work.day, tier, length_of(tier, work.ends))?;
                &fresh
            }
        };
        frames.read(choose, |_, sums| {
            let section = Section::read(sums, mask).map_err(|_| malformed())?;
            let (texts, sets, mut groups) = (section.texts.clone(), section.sets.clone(), Groups::new(self.query));
            let read = section.each(|cell| {
                if let Some(set) = sets.get(cell.set).filter(|_| span.contains(&cell.at_ms)) {
                    let text = |place| usize::try_from(place).ok().and_then(|place: usize| texts.get(place).copied());
                    let sum = self.rows.sum(cell.at_ms, set, &mut groups, cell.set, text);
                    sum.into_iter().for_each(|sum| cell.add_to(sum));
                }
            });
            read.map_err(|_| malformed())
        })
    }

    /// Says that the answer covers whole buckets where it had to.
    fn widen(&mut self, covers: &Range<i64>, asked: &Range<i64>) {
        if covers.start < asked.start && asked.start == self.query.from_ms {
            self.covered.start = self.covered.start.min(covers.start);
        }
        if covers.end > asked.end && asked.end == self.query.to_ms {
            self.covered.end = self.covered.end.max(covers.end);
        }
    }

    fn report(self) -> UsageReport {
        UsageReport {
            from: timestamp(self.covered.start),
            to: timestamp(self.covered.end),
            step: self.query.step,
            rows: self.rows.shown(self.query),
            totals: self.rows.totals().figures(),
            truncated: self.rows.is_truncated(),
        }
    }
}

/// The number of a combination, in the order in which they come.
fn number(numbers: &mut HashMap<Set, usize>, set: &Set) -> usize {
    let next = numbers.len();
    *numbers.entry(*set).or_insert(next)
}

/// The part of a time that matters for a day. Beyond what the day can hold, its edges are moved to edges of days, so that
/// no bucket is cut where there is nothing to cut off.
fn span_in(asked: &Range<i64>, day: i64, counting: Option<&Day>) -> Range<i64> {
    let (holds, day_ms) = (span_of(day), Tier::Days.width_ms());
    let newest_ms = counting.map_or(i64::MAX, |counting| counting.newest_ms);
    let begin = if asked.start <= holds.start { (day - 1) * day_ms } else { asked.start };
    let end = if asked.end >= holds.end || asked.end > newest_ms { (day + 2) * day_ms } else { asked.end };
    begin..end.max(begin)
}

/// The combinations that a day's rollups know.
fn known_labels(rollups: &Rollups, work: &Work) -> Result<Labels, StoreError> {
    let mut labels = Labels::default();
    if let Some(counting) = rollups.state().days.get(&work.day) {
        counting.labels.copy_to(&mut labels);
        return Ok(labels);
    }
    // The coarsest tier of a complete day knows them all, in the fewest frames.
    let coarsest = Tier::ALL.into_iter().zip(work.ends).rev().find(|&(_, end)| end > 0);
    let Some((tier, end)) = coarsest else { return Ok(labels) };
    let all = |_: &Head| Some(Mask::ALL.0);
    rollups.store.rollups().frames(work.day, tier, end)?.read(all, |_, sums| {
        let section = Section::read(sums, Mask::ALL).map_err(|_| malformed())?;
        section.known_to(&mut labels.texts).into_iter().for_each(|set| labels.know(set));
        Ok(())
    })?;
    Ok(labels)
}

/// How long a tier's file is.
fn length_of(tier: Tier, ends: Lengths) -> u64 {
    Tier::ALL.into_iter().zip(ends).find(|&(one, _)| one == tier).map_or(0, |(_, end)| end)
}

fn problem(day: i64, tier: Option<Tier>, ends: Option<Lengths>, error: StoreError) -> Problem {
    if is_damage(&error) { Problem::Damaged(Damage { day, tier, ends, error }) } else { Problem::Other(error) }
}

impl Rollups {
    /// Sets rollups aside that a question found damaged; they are counted anew if the day's records are there, and else
    /// only what is damaged goes.
    fn drop_damaged(&self, damage: &Damage) {
        let Damage { day, tier, ends, error } = damage;
        let (day, mut state, on_disk) = (*day, self.state(), self.store.rollups());
        let lengths = |counting: &Day| Some(counting.log.lengths());
        let now = state.days.get(&day).map_or_else(|| on_disk.lengths(day).unwrap_or_default(), lengths);
        if ends.is_some() && now != *ends {
            // Others took their place while they were read: those were never damaged.
            return;
        }
        let was_counting = state.days.remove(&day).is_some();
        match tier.filter(|_| !was_counting && !self.store.usage().has_day(day)) {
            Some(tier) if on_disk.set_tier_aside(day, tier, error).is_ok() => {}
            _ => on_disk.set_aside(day, error),
        }
        if was_counting && let Err(error) = self.open_day(&mut state, day) {
            self.distrust(&mut state, day, &error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DAY_MS, all_by, complete_all, three_days};
    use super::*;
    use crate::api::usage::Step;
    use crate::usage::testing::MIDNIGHT_MS;

    /// The files of the day that a question was about to read are written anew before it does.
    #[test]
    fn a_question_is_answered_from_what_there_was_when_it_was_asked() {
        let fixture = three_days();
        fixture.rollups.write_now(true);
        let query = all_by(Step::Hour);
        let expected = report(&fixture.rollups, &query).unwrap();
        let mut answer = Answer::new(&query);
        let works = answer.plan(&fixture.rollups, &(query.from_ms..query.to_ms)).unwrap_or_default();
        assert_eq!(works.len(), 3);
        complete_all(&fixture);
        for work in &works {
            assert!(answer.read(&fixture.rollups, work).is_ok(), "{}", work.day);
        }
        assert_eq!(answer.report(), expected);
    }

    #[test]
    fn what_took_the_place_of_what_was_read_is_not_set_aside() {
        let fixture = three_days();
        complete_all(&fixture);
        let day = MIDNIGHT_MS / DAY_MS;
        let error = || StoreError::Damaged { reason: "it was read while it was replaced".into() };
        let ends = fixture.store.rollups().lengths(day).unwrap().map(|ends| ends.map(|end| end + 1));
        fixture.rollups.drop_damaged(&Damage { day, tier: None, ends, error: error() });
        assert_eq!(fixture.store.notices(), Vec::<String>::new());
        let ends = fixture.store.rollups().lengths(day).unwrap();
        fixture.rollups.drop_damaged(&Damage { day, tier: None, ends, error: error() });
        assert_eq!(fixture.store.notices().len(), 1);
    }
}
