//! Answering a question: the groups of a report, and how sums and records come into them.

use std::collections::HashMap;
use std::ops::Range;

use super::day::Day;
use super::labels::{DIMENSIONS, Labels, Mask, NONE, Set, Strings};
use super::pack::Section;
use super::plan::{Has, Plan};
use super::{Rollups, SECTIONS, is_damage, malformed};
use crate::api::UsageRecord;
use crate::api::usage::{Dimension, Step, UsageReport, UsageRow, timestamp};
use crate::bounds;
use crate::store::{Head, StoreError, Tier, days_of, span_of, touches};
use crate::usage::query::Query;
use crate::usage::tally::Tally;

/// How often an answer is begun again, when it met rollups that are damaged and had to be set aside.
const TRIES: usize = 8;

/// Answers a question about usage. Blocks.
pub(in crate::usage) fn report(rollups: &Rollups, query: &Query) -> Result<UsageReport, StoreError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match Groups::new(query).answer(rollups) {
            Err(Problem::Damaged(day, tier, error)) if tries > 0 => rollups.drop_damaged(day, tier, &error),
            Err(Problem::Damaged(_, _, error) | Problem::Other(error)) => return Err(error),
            Ok(report) => return Ok(report),
        }
    }
}

/// Why there is no answer.
enum Problem {
    /// A day's rollups are damaged: all, or a tier.
    Damaged(i64, Option<Tier>, StoreError),
    Other(StoreError),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

/// The groups of an answer while it is made.
struct Groups<'q> {
    query: &'q Query,
    strings: Strings,
    groups: HashMap<(i64, Set), Tally>,
    /// What belongs to groups that are not shown.
    rest: Tally,
    truncated: bool,
    /// What the question tells apart and filters by.
    asked: Mask,
    shown: Mask,
    /// The time that the answer covers, where that is more than was asked for.
    covered: Range<i64>,
}

/// What is read of a day once its plan is made.
struct Work {
    day: i64,
    plan: Plan,
    ends: [u64; 3],
    span: Range<i64>,
}

impl<'q> Groups<'q> {
    fn new(query: &'q Query) -> Self {
        let filtered: Vec<_> = query.filters.iter().map(|&(dimension, _)| dimension).collect();
        let shown = Mask::of(&query.by);
        Self {
            query,
            strings: Strings::default(),
            groups: HashMap::new(),
            rest: Tally::default(),
            truncated: false,
            asked: shown.with(Mask::of(&filtered)),
            shown,
            covered: query.from_ms..query.to_ms,
        }
    }

    fn answer(mut self, rollups: &Rollups) -> Result<UsageReport, Problem> {
        let span = self.query.from_ms..self.query.to_ms;
        for work in self.plan(rollups, &span)? {
            let widened = work.plan.covers().filter(|_| work.plan.records.is_empty());
            let before = self.groups.len();
            self.read(rollups, &work)?;
            if let Some(covers) = widened.filter(|_| before < self.groups.len() || self.truncated) {
                self.widen(&covers, &work.span);
            }
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
                None => on_disk.lengths(day).map_err(|error| problem(day, None, error))?.unwrap_or_default(),
            };
            let has = Has {
                sums: if counting.is_some() { [true; 3] } else { ends.map(|end| end > 0) },
                records: with_records.contains(&day),
            };
            let span = span_in(asked, day, counting);
            let plan = Plan::of(span.clone(), self.query.step.coarsest(), has);
            if let Some(counting) = counting {
                self.take_waiting(counting, &plan);
            }
            works.push(Work { day, plan, ends, span });
        }
        Ok(works)
    }

    fn take_waiting(&mut self, day: &Day, plan: &Plan) {
        let mut known: HashMap<Set, Option<Set>> = HashMap::new();
        for (tier, span) in &plan.sums {
            for (at_ms, set, tally) in day.waiting_for(*tier).filter(|(at_ms, ..)| span.contains(at_ms)) {
                let group = *known.entry(*set).or_insert_with(|| {
                    let text = |n: usize| day.labels.strings.text(set.get(n).copied().unwrap_or(NONE));
                    self.query.passes(text).then(|| {
                        let mut own = [NONE; DIMENSIONS];
                        for n in self.shown.places() {
                            let place = text(n).map(|text| self.strings.place(text));
                            own.iter_mut().skip(n).take(1).for_each(|own| *own = place.unwrap_or(NONE));
                        }
                        own
                    })
                });
                if let Some(group) = group {
                    self.group(at_ms, group).merge(tally);
                }
            }
        }
    }

    fn read(&mut self, rollups: &Rollups, work: &Work) -> Result<(), Problem> {
        for (tier, span) in &work.plan.sums {
            let end = Tier::ALL.iter().zip(work.ends).find(|(one, _)| *one == tier).map_or(0, |(_, end)| end);
            self.read_sums(rollups, work.day, *tier, span, end)
                .map_err(|error| problem(work.day, Some(*tier), error))?;
        }
        if work.plan.records.is_empty() {
            return Ok(());
        }
        let mut labels = if work.ends == [0; 3] {
            Labels::default()
        } else {
            known_labels(rollups, work).map_err(|error| problem(work.day, None, error))?
        };
        for span in &work.plan.records {
            rollups.store.usage().scan_day(work.day, span.clone(), |record| self.take_record(record, &mut labels))?;
        }
        Ok(())
    }

    /// Takes the sums of a tier's file, by as few dimensions as will do.
    fn read_sums(
        &mut self,
        rollups: &Rollups,
        day: i64,
        tier: Tier,
        span: &Range<i64>,
        end: u64,
    ) -> Result<(), StoreError> {
        let fits = |mask: &&Mask| tier != Tier::Minutes && mask.covers(self.asked);
        let mask = SECTIONS.iter().find(fits).copied().unwrap_or(Mask::ALL);
        let choose = |head: &Head| touches(head, span).then_some(mask.0);
        rollups.store.rollups().read(day, tier, end, choose, |_, bytes| {
            let section = Section::read(bytes, mask, &mut self.strings).map_err(|_| malformed())?;
            let groups: Vec<_> = section.sets.iter().map(|set| self.group_of(set)).collect();
            let read = section.each(|cell| {
                if let Some(Some(group)) = groups.get(cell.set)
                    && span.contains(&cell.at_ms)
                {
                    cell.add_to(self.group(cell.at_ms, *group));
                }
            });
            read.map_err(|_| malformed())
        })
    }

    fn take_record(&mut self, record: &UsageRecord, labels: &mut Labels) {
        let found = labels.find(record);
        let text = |n: usize| labels.strings.text(found.get(n).copied().unwrap_or(NONE));
        if !self.query.passes(text) {
            return;
        }
        let mut own = [NONE; DIMENSIONS];
        for n in self.shown.places() {
            let place = text(n).map(|text| self.strings.place(text));
            own.iter_mut().skip(n).take(1).for_each(|own| *own = place.unwrap_or(NONE));
        }
        self.group(record.at_ms, own).add(record);
    }

    /// The group of a combination of the answer's own strings; none if it does not pass the filters.
    fn group_of(&self, set: &Set) -> Option<Set> {
        let text = |n: usize| self.strings.text(set.get(n).copied().unwrap_or(NONE));
        self.query.passes(text).then(|| self.shown.cut(set))
    }

    /// The sum of a group in the time bucket of a time.
    fn group(&mut self, at_ms: i64, group: Set) -> &mut Tally {
        let width = self.query.step.ms();
        let at_ms = width.map_or(0, |width| at_ms.div_euclid(width).saturating_mul(width));
        let full = self.groups.len() >= bounds::USAGE_ROWS_MAX;
        if full && !self.groups.contains_key(&(at_ms, group)) {
            self.truncated = true;
            return &mut self.rest;
        }
        self.groups.entry((at_ms, group)).or_default()
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
        let mut totals = self.rest;
        self.groups.values().for_each(|tally| totals.merge(tally));
        let query = self.query;
        let labelled = |set: &Set| -> Vec<(Dimension, Option<&str>)> {
            let label =
                |dimension: &Dimension| set.get(*dimension as usize).and_then(|&place| self.strings.text(place));
            query.by.iter().map(|dimension| (*dimension, label(dimension))).collect()
        };
        let mut rows: Vec<_> = self.groups.iter().map(|((at, set), tally)| (*at, labelled(set), tally)).collect();
        rows.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let row = |(at, labels, tally): (i64, Vec<(Dimension, Option<&str>)>, &Tally)| UsageRow {
            at: (query.step != Step::None).then(|| timestamp(at)),
            figures: tally.figures(),
            labels: labels.into_iter().map(|(dimension, label)| (dimension, label.map(str::to_owned))).collect(),
        };
        UsageReport {
            from: timestamp(self.covered.start),
            to: timestamp(self.covered.end),
            step: query.step,
            rows: rows.into_iter().map(row).collect(),
            totals: totals.figures(),
            truncated: self.truncated,
        }
    }
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
    rollups.store.rollups().read(
        work.day,
        tier,
        end,
        |_| Some(Mask::ALL.0),
        |_, bytes| {
            let section = Section::read(bytes, Mask::ALL, &mut labels.strings).map_err(|_| malformed())?;
            section.sets.iter().for_each(|&set| labels.know(set));
            Ok(())
        },
    )?;
    Ok(labels)
}

fn problem(day: i64, tier: Option<Tier>, error: StoreError) -> Problem {
    if is_damage(&error) { Problem::Damaged(day, tier, error) } else { Problem::Other(error) }
}

impl Rollups {
    /// Sets rollups aside that a question found damaged; they are counted anew if the day's records are there, and else
    /// only what is damaged goes.
    fn drop_damaged(&self, day: i64, tier: Option<Tier>, error: &StoreError) {
        let mut state = self.state();
        let was_counting = state.days.remove(&day).is_some();
        let on_disk = self.store.rollups();
        match tier.filter(|_| !was_counting && !self.store.usage().has_day(day)) {
            Some(tier) if on_disk.set_tier_aside(day, tier, error).is_ok() => {}
            _ => on_disk.set_aside(day, error),
        }
        if was_counting && let Err(error) = self.open_day(&mut state, day) {
            self.distrust(&mut state, day, &error);
        }
    }
}
