//! A day while it is counted: what is not yet on the disk, and when it goes there.
//!
//! Records are added up by the minute. Every minute these sums go to the day's file of minutes, and into the sums by the
//! hour; a little after each hour those go to the file of hours, and into the sums of the day, which go to their file
//! when the day is over. So a record is in exactly one place of each tier: in its file, or in what waits for it here or
//! in a finer tier. Memory holds a minute, an hour and a day, whatever there was before.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::labels::{Labels, Mask, Set};
use super::pack::{self, Cell, Section};
use super::{SECTIONS, begin_of, malformed};
use crate::api::UsageRecord;
use crate::bounds;
use crate::store::{Frame, Head, Log, Position, Rollups, StoreError, Tier};
use crate::usage::tally::Tally;

/// Sums by time bucket and combination.
pub(super) type Waiting = HashMap<(i64, Set), Tally>;

/// A day that is counted.
pub(super) struct Day {
    pub(super) log: Log,
    pub(super) labels: Labels,
    minutes: Waiting,
    hours: Waiting,
    days: Waiting,
    /// The records that have been added up; none if none were.
    position: Option<Position>,
    /// Records that are in no file.
    records: usize,
    /// When the first of those came.
    since: Option<Instant>,
    /// When the last one came.
    pub(super) touched: Instant,
    /// The latest begin of an attempt that was counted.
    pub(super) newest_ms: i64,
}

impl Day {
    /// A day of which nothing was counted.
    pub(super) fn new(log: Log) -> Self {
        Self {
            log,
            labels: Labels::default(),
            minutes: Waiting::default(),
            hours: Waiting::default(),
            days: Waiting::default(),
            position: None,
            records: 0,
            since: None,
            touched: Instant::now(),
            newest_ms: i64::MIN,
        }
    }

    /// Goes on where the files end; none if they do not fit together, and all must be counted anew.
    ///
    /// # Errors
    /// When they cannot be read, or are damaged.
    pub(super) fn resume(store: &Rollups, log: Log) -> Result<Option<Self>, StoreError> {
        let [minutes, hours, days] = Tier::ALL.map(|tier| log.position(tier));
        if !(days <= hours && hours <= minutes) {
            return Ok(None);
        }
        let mut day = Self::new(log);
        day.position = minutes;
        day.load(store, Tier::Days, |_| true)?;
        day.load(store, Tier::Hours, |position| Some(position) > days)?;
        day.load(store, Tier::Minutes, |position| Some(position) > hours)?;
        Ok(Some(day))
    }

    /// Reads frames of a tier's file: the labels that they know; and their sums wait for the next coarser tier, whose
    /// file does not have them.
    fn load(&mut self, store: &Rollups, tier: Tier, wanted: impl Fn(Position) -> bool) -> Result<(), StoreError> {
        let choose = |head: &Head| wanted(head.position).then_some(Mask::ALL.0);
        let (day, length) = (self.log.day(), self.log.length(tier));
        store.frames(day, tier, length)?.read(choose, |head, sums| {
            // Not before the newest there is; how much after it does not matter.
            self.newest_ms = self.newest_ms.max(head.last_ms.saturating_add(tier.width_ms() - 1));
            let section = Section::read(sums, Mask::ALL).map_err(|_| malformed())?;
            let sets = section.known_to(&mut self.labels.texts);
            sets.iter().for_each(|&set| self.labels.know(set));
            let waiting = match tier {
                Tier::Minutes => Some((Tier::Hours, &mut self.hours)),
                Tier::Hours => Some((Tier::Days, &mut self.days)),
                Tier::Days => None,
            };
            let read = match waiting {
                Some((coarser, waiting)) => section.each(|cell| {
                    if let Some(&set) = sets.get(cell.set) {
                        cell.add_to(waiting.entry((begin_of(coarser, cell.at_ms), set)).or_default());
                    }
                }),
                None => Ok(()),
            };
            read.map_err(|_| malformed())
        })
    }

    /// The records that have been added up; none if none were.
    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }

    /// Adds a record up. All of a commit come before [`Day::reached`].
    pub(super) fn add(&mut self, record: &UsageRecord) {
        let set = self.labels.take(record);
        self.minutes.entry((begin_of(Tier::Minutes, record.at_ms), set)).or_default().add(record);
        self.newest_ms = self.newest_ms.max(record.at_ms);
        self.records += 1;
    }

    /// Says that all records up to a position were added.
    pub(super) fn reached(&mut self, position: Position) {
        self.position = Some(position);
        self.touched = Instant::now();
        self.since.get_or_insert(self.touched);
    }

    /// How long it is until something is to be written; none while nothing is.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let left = bounds::ROLLUP_INTERVAL.saturating_sub(self.since?.elapsed());
        Some(if self.records >= bounds::ROLLUP_RECORDS_MAX { Duration::ZERO } else { left })
    }

    /// Writes what is due.
    ///
    /// # Errors
    /// When it cannot be written: it waits on.
    pub(super) fn write_due(&mut self) -> Result<(), StoreError> {
        if self.due_in().is_some_and(|left| left.is_zero()) {
            self.write_minutes()?;
            let slack = i64::try_from(bounds::ROLLUP_HOUR_SLACK.as_millis()).unwrap_or(i64::MAX);
            let over = self.newest_ms.saturating_sub(slack).saturating_sub(Tier::Hours.width_ms());
            if self.hours.keys().any(|&(at_ms, _)| at_ms <= over) {
                self.write_hours()?;
            }
        }
        Ok(())
    }

    /// Writes the sums by the minute, which from then on wait for the next hour's end.
    ///
    /// # Errors
    /// When they cannot be written: they wait on.
    pub(super) fn write_minutes(&mut self) -> Result<(), StoreError> {
        self.write(Tier::Minutes)?;
        (self.records, self.since) = (0, None);
        Ok(())
    }

    /// Writes the sums by the hour, after those by the minute.
    ///
    /// # Errors
    /// When they cannot be written: they wait on.
    pub(super) fn write_hours(&mut self) -> Result<(), StoreError> {
        self.write(Tier::Hours)
    }

    /// Writes all that waits: the day is over.
    ///
    /// # Errors
    /// When something cannot be written: it waits on.
    pub(super) fn write_all(&mut self) -> Result<(), StoreError> {
        self.write_minutes()?;
        self.write_hours()?;
        self.write(Tier::Days)
    }

    fn write(&mut self, tier: Tier) -> Result<(), StoreError> {
        let Some(position) = self.position else { return Ok(()) };
        let waiting = match tier {
            Tier::Minutes => &mut self.minutes,
            Tier::Hours => &mut self.hours,
            Tier::Days => &mut self.days,
        };
        if waiting.is_empty() {
            return Ok(());
        }
        self.log.append(tier, &frames(waiting, tier, &self.labels), position)?;
        let written = std::mem::take(waiting);
        let (coarser, waiting) = match tier {
            Tier::Minutes => (Tier::Hours, &mut self.hours),
            Tier::Hours => (Tier::Days, &mut self.days),
            Tier::Days => return Ok(()),
        };
        for ((at_ms, set), tally) in written {
            waiting.entry((begin_of(coarser, at_ms), set)).or_default().merge(&tally);
        }
        Ok(())
    }

    /// Writes the sums by the hour anew if an hour stands in more than one frame, as the begin of each does: a report over
    /// a month then reads each hour once, in a few frames a day. One hour after the other, so that memory holds the sums
    /// of one.
    ///
    /// # Errors
    /// When they cannot be read or written: they stay as they were.
    pub(super) fn gather(&mut self, store: &Rollups) -> Result<(), StoreError> {
        let (day, tier) = (self.log.day(), Tier::Hours);
        let frames = store.frames(day, tier, self.log.length(tier))?;
        let (mut hours, mut places) = (BTreeSet::new(), 0);
        let see = |head: &Head| {
            let all = (head.first_ms..=head.last_ms).step_by(usize::try_from(tier.width_ms()).unwrap_or(1));
            places += all.clone().count();
            hours.extend(all);
            None
        };
        frames.read(see, |_, _| Ok(()))?;
        if places == hours.len() {
            return Ok(());
        }
        let Some(mut rewrite) = self.log.rewrite(tier)? else { return Ok(()) };
        let mut some = Waiting::default();
        for hour in hours {
            let touched = |head: &Head| (head.first_ms <= hour && hour <= head.last_ms).then_some(Mask::ALL.0);
            frames.read(touched, |_, sums| {
                let section = Section::read(sums, Mask::ALL).map_err(|_| malformed())?;
                let sets = section.known_to(&mut self.labels.texts);
                let read = section.each(|cell| {
                    if let Some(&set) = sets.get(cell.set).filter(|_| cell.at_ms == hour) {
                        cell.add_to(some.entry((hour, set)).or_default());
                    }
                });
                read.map_err(|_| malformed())
            })?;
            if bytes(&some) >= bounds::ROLLUP_SECTION_BYTES {
                self::frames(&std::mem::take(&mut some), tier, &self.labels)
                    .into_iter()
                    .try_for_each(|frame| rewrite.push(frame))?;
            }
        }
        self::frames(&some, tier, &self.labels).into_iter().try_for_each(|frame| rewrite.push(frame))?;
        self.log.replace(rewrite)
    }

    /// What waits, of which a tier's file has nothing.
    pub(super) fn waiting_for(&self, tier: Tier) -> impl Iterator<Item = (i64, &Set, &Tally)> {
        let places = match tier {
            Tier::Minutes => [Some(&self.minutes), None, None],
            Tier::Hours => [Some(&self.minutes), Some(&self.hours), None],
            Tier::Days => [Some(&self.minutes), Some(&self.hours), Some(&self.days)],
        };
        places.into_iter().flatten().flatten().map(|((at_ms, set), tally)| (*at_ms, set, tally))
    }
}

/// What sums take when they are packed, roughly.
fn bytes(waiting: &Waiting) -> usize {
    waiting.iter().map(|(&(at_ms, set), tally)| Cell { at_ms, set, tally }.bytes()).sum()
}

/// Packs sums into frames of a bounded size.
fn frames(waiting: &Waiting, tier: Tier, labels: &Labels) -> Vec<Frame> {
    let mut cells: Vec<_> = waiting.iter().map(|(&(at_ms, set), tally)| Cell { at_ms, set, tally }).collect();
    cells.sort_unstable_by_key(|cell| (cell.at_ms, cell.set));
    let mut frames = Vec::new();
    let mut rest = cells.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|cell| {
            bytes += cell.bytes();
            bytes <= bounds::ROLLUP_SECTION_BYTES
        });
        let (some, others) = rest.split_at(fits.count().max(1));
        rest = others;
        let times = || some.iter().map(|cell| cell.at_ms);
        frames.push(Frame {
            first_ms: times().min().unwrap_or_default(),
            last_ms: times().max().unwrap_or_default(),
            sections: sections(some, tier, labels),
        });
    }
    frames
}

/// The same cells by all dimensions, and for the coarser tiers by few.
fn sections(cells: &[Cell<'_>], tier: Tier, labels: &Labels) -> Vec<(u8, Vec<u8>)> {
    let mut sections = vec![(Mask::ALL.0, pack::pack(cells, Mask::ALL, &labels.texts))];
    let fewer = if tier == Tier::Minutes { &[][..] } else { SECTIONS };
    for &mask in fewer {
        let mut sums: Waiting = HashMap::default();
        for cell in cells {
            sums.entry((cell.at_ms, mask.cut(&cell.set))).or_default().merge(cell.tally);
        }
        let mut sums: Vec<_> = sums.iter().map(|(&(at_ms, set), tally)| Cell { at_ms, set, tally }).collect();
        sums.sort_unstable_by_key(|cell| (cell.at_ms, cell.set));
        sections.push((mask.0, pack::pack(&sums, mask, &labels.texts)));
    }
    sections
}
