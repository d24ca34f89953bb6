//! The rows of an answer while it is made: a sum for each time bucket and group.

use foldhash::HashMap;

use super::labels::{Mask, NONE, Set};
use crate::api::usage::{Dimension, UsageFigures, UsageRow, timestamp};
use crate::bounds;
use crate::texts::Texts;
use crate::usage::query::Query;
use crate::usage::tally::Tally;

/// Sums by time bucket and group. What is beyond the bound of rows is summed up in one.
pub(super) struct Rows {
    width_ms: Option<i64>,
    shown: Mask,
    texts: Texts,
    groups: HashMap<Set, u32>,
    /// The groups by number.
    sets: Vec<Set>,
    rows: Vec<Row>,
    places: HashMap<(i64, u32), u32>,
    /// The bucket that was asked for last, and by number where its groups are: sums come bucket by bucket.
    bucket_ms: i64,
    of_bucket: Vec<u32>,
    /// The rows that are not settled.
    open: Vec<u32>,
    /// What belongs to rows that are settled, or not shown.
    rest: Tally,
    truncated: bool,
}

struct Row {
    at_ms: i64,
    group: u32,
    sum: Sum,
}

/// A row's sum. One that nothing can come to any more is only its figures, so that however long the time, memory holds
/// the histograms of a day or two.
enum Sum {
    Open(Tally),
    Settled(Box<UsageFigures>),
}

/// How texts of somebody else's become groups of the answer.
pub(super) struct Groups<'q> {
    query: &'q Query,
    /// For each of the other's texts, the place of the answer's.
    texts: Vec<u32>,
    /// For each of the other's combinations, its group's number.
    numbers: Vec<Group>,
}

#[derive(Clone, Copy)]
enum Group {
    Unseen,
    /// It does not pass the filters.
    Out,
    /// [`NONE`] where there is no room for one more.
    Number(u32),
}

impl Rows {
    pub(super) fn new(query: &Query, shown: Mask) -> Self {
        Self {
            width_ms: query.step.ms(),
            shown,
            texts: Texts::default(),
            groups: HashMap::default(),
            sets: Vec::new(),
            rows: Vec::new(),
            places: HashMap::default(),
            bucket_ms: i64::MIN,
            of_bucket: Vec::new(),
            open: Vec::new(),
            rest: Tally::default(),
            truncated: false,
        }
    }

    /// How many there are; one more if some are not shown.
    pub(super) fn count(&self) -> usize {
        self.rows.len() + usize::from(self.truncated)
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// All of them together.
    pub(super) fn totals(&self) -> Tally {
        let mut totals = self.rest.clone();
        for row in &self.rows {
            if let Sum::Open(tally) = &row.sum {
                totals.merge(tally);
            }
        }
        totals
    }

    /// Settles the rows of all buckets that end before this time or at it: nothing is to come to them.
    pub(super) fn settle(&mut self, end_ms: i64) {
        let Some(width_ms) = self.width_ms else { return };
        let Self { open, rows, rest, .. } = self;
        open.retain(|&row| {
            let row = usize::try_from(row).ok().and_then(|row| rows.get_mut(row));
            let Some(row) = row.filter(|row| row.at_ms.saturating_add(width_ms) <= end_ms) else { return true };
            if let Sum::Open(tally) = &row.sum {
                rest.merge(tally);
                row.sum = Sum::Settled(Box::new(tally.figures()));
            }
            false
        });
    }

    /// The sum for a time and a combination of somebody else's, if it passes the filters.
    pub(super) fn sum<'t>(
        &mut self,
        at_ms: i64,
        set: &Set,
        known: &mut Groups<'_>,
        number: usize,
        text: impl Fn(u32) -> Option<&'t str>,
    ) -> Option<&mut Tally> {
        match known.group(number) {
            Group::Out => None,
            Group::Number(group) => Some(self.of_group(at_ms, group)),
            Group::Unseen => {
                let label = |n: usize| set.get(n).and_then(|&place| text(place));
                let group =
                    if known.query.passes(label) { Group::Number(self.number(set, known, text)) } else { Group::Out };
                known.remember(number, group);
                match group {
                    Group::Number(group) => Some(self.of_group(at_ms, group)),
                    Group::Out | Group::Unseen => None,
                }
            }
        }
    }

    /// The number of a combination's group.
    fn number<'t>(&mut self, set: &Set, known: &mut Groups<'_>, text: impl Fn(u32) -> Option<&'t str>) -> u32 {
        let mut own = self.shown.cut(set);
        for place in own.iter_mut().filter(|place| **place != NONE) {
            *place = known.text(*place, || text(*place).map_or(NONE, |text| self.texts.place(text)));
        }
        if let Some(&group) = self.groups.get(&own) {
            return group;
        }
        if self.sets.len() >= bounds::USAGE_ROWS_MAX {
            return NONE;
        }
        let group = u32::try_from(self.sets.len()).unwrap_or(NONE);
        self.sets.push(own);
        self.groups.insert(own, group);
        group
    }

    fn of_group(&mut self, at_ms: i64, group: u32) -> &mut Tally {
        let at_ms = self.width_ms.map_or(0, |width| at_ms.div_euclid(width).saturating_mul(width));
        if at_ms != self.bucket_ms {
            self.of_bucket.clear();
            self.bucket_ms = at_ms;
        }
        let slot = usize::try_from(group).unwrap_or(usize::MAX);
        let known = self.of_bucket.get(slot).copied().filter(|&row| row != NONE);
        let row = match known {
            Some(row) => row,
            None => self.find(at_ms, group, slot),
        };
        match usize::try_from(row).ok().and_then(|row| self.rows.get_mut(row)) {
            Some(Row { sum: Sum::Open(tally), .. }) => tally,
            _ => {
                self.truncated = true;
                &mut self.rest
            }
        }
    }

    /// Where a row is; a new one if there is none, and room for it.
    fn find(&mut self, at_ms: i64, group: u32, slot: usize) -> u32 {
        let row = match self.places.get(&(at_ms, group)) {
            Some(&row) => row,
            None if group == NONE || self.rows.len() >= bounds::USAGE_ROWS_MAX => return NONE,
            None => {
                let row = u32::try_from(self.rows.len()).unwrap_or(NONE);
                self.rows.push(Row { at_ms, group, sum: Sum::Open(Tally::default()) });
                self.open.push(row);
                self.places.insert((at_ms, group), row);
                row
            }
        };
        if self.of_bucket.len() <= slot {
            self.of_bucket.resize(slot + 1, NONE);
        }
        self.of_bucket.iter_mut().skip(slot).take(1).for_each(|place| *place = row);
        row
    }

    /// As they are shown: by time, then by labels.
    pub(super) fn shown(&self, query: &Query) -> Vec<UsageRow> {
        let labels: Vec<Vec<(Dimension, Option<&str>)>> = self.sets.iter().map(|set| self.labels(set, query)).collect();
        let mut order: Vec<_> = labels.iter().enumerate().collect();
        order.sort_by_key(|&(_, labels)| labels);
        let mut ranks = vec![0; order.len()];
        for (rank, (group, _)) in order.into_iter().enumerate() {
            ranks.iter_mut().skip(group).take(1).for_each(|slot| *slot = rank);
        }
        let of = |group: u32| usize::try_from(group).unwrap_or(usize::MAX);
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| (row.at_ms, ranks.get(of(row.group))));
        let mut last = (i64::MIN, String::new());
        rows.into_iter()
            .map(|row| {
                if last.0 != row.at_ms {
                    last = (row.at_ms, timestamp(row.at_ms));
                }
                let labels = labels.get(of(row.group)).into_iter().flatten();
                UsageRow {
                    at: self.width_ms.map(|_| last.1.clone()),
                    figures: match &row.sum {
                        Sum::Open(tally) => tally.figures(),
                        Sum::Settled(figures) => **figures,
                    },
                    labels: labels.map(|(dimension, label)| (*dimension, label.map(str::to_owned))).collect(),
                }
            })
            .collect()
    }

    fn labels(&self, set: &Set, query: &Query) -> Vec<(Dimension, Option<&str>)> {
        let label = |dimension: &Dimension| set.get(*dimension as usize).and_then(|&place| self.texts.text(place));
        query.by.iter().map(|dimension| (*dimension, label(dimension))).collect()
    }
}

impl<'q> Groups<'q> {
    /// Nothing is known yet of somebody's texts and combinations.
    pub(super) fn new(query: &'q Query) -> Self {
        Self { query, texts: Vec::new(), numbers: Vec::new() }
    }

    fn group(&self, number: usize) -> Group {
        self.numbers.get(number).copied().unwrap_or(Group::Unseen)
    }

    fn remember(&mut self, number: usize, group: Group) {
        if self.numbers.len() <= number {
            self.numbers.resize(number + 1, Group::Unseen);
        }
        self.numbers.iter_mut().skip(number).take(1).for_each(|slot| *slot = group);
    }

    fn text(&mut self, place: u32, find: impl FnOnce() -> u32) -> u32 {
        let slot = usize::try_from(place).unwrap_or_default();
        if let Some(&own) = self.texts.get(slot).filter(|&&own| own != NONE) {
            return own;
        }
        if self.texts.len() <= slot {
            self.texts.resize(slot + 1, NONE);
        }
        let own = find();
        self.texts.iter_mut().skip(slot).take(1).for_each(|text| *text = own);
        own
    }
}
