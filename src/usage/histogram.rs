//! How long things took, as counts by length: small, mergeable, within a known error.
//!
//! Lengths below 128 ms are kept as they are; above, each doubling is cut into 64 equal parts, and a length is shown as
//! the middle of its part. So what is shown is never further than 1 part in 128 (0.8 %) from a length that was
//! recorded, whatever is merged with whatever and in which order.
//!
//! Few lengths are a list of parts with their counts. As soon as a quarter of the parts between the first and the last
//! count something, it is a run of counts instead, one a part: that is no larger than the list may be, and merging two of
//! them is adding numbers that lie side by side, which is what makes a report over a month cheap.

use std::ops::Range;

/// Longer lengths count as this one, a day: it bounds the parts.
const LENGTH_MS_MAX: u64 = 86_400_000;
/// Each doubling is cut into two to the power of this many parts.
const PART_BITS: u32 = 6;
const PARTS: u64 = 1 << PART_BITS;

/// Fewer parts than this are always a list.
const RUN_PARTS_MIN: usize = 16;
/// A run has at most so many times as many parts as count something.
const RUN_THINNESS_MAX: usize = 4;
/// How many counts are summed up at a time where a percentile is looked for.
const STRIDE: usize = 32;
/// Of a run of all parts.
const STRIDES_MAX: usize = 1_363_usize.div_ceil(STRIDE);

/// Counts of lengths in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Counts);

#[derive(Debug, Clone)]
enum Counts {
    /// Each part that counts something, in order, with its count.
    List(Vec<(u16, u32)>),
    /// The counts of all parts from the first that counts something to the last.
    Run { first: u16, counts: Vec<u32> },
}

/// A histogram's counts, wherever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View<'c> {
    /// Each part that counts something, in order, with its count.
    List(&'c [(u16, u32)]),
    /// The counts of some parts in a row.
    Run { first: u16, counts: &'c [u32] },
    /// The same as bytes: of all counts the lowest byte, then of all the next one, and so on.
    Bytes { first: u16, length: usize, bytes: &'c [u8] },
}

impl Default for Histogram {
    fn default() -> Self {
        Self(Counts::List(Vec::new()))
    }
}

impl Histogram {
    /// Counts a length.
    pub(super) fn add(&mut self, length_ms: u64) {
        self.add_to(part_of(length_ms), 1);
    }

    /// The counts.
    pub(super) fn view(&self) -> View<'_> {
        match &self.0 {
            Counts::List(parts) => View::List(parts),
            Counts::Run { first, counts } => View::Run { first: *first, counts },
        }
    }

    /// The parts that count something, in order, with their counts.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        let (list, first, run) = match &self.0 {
            Counts::List(parts) => (parts.as_slice(), 0, &[][..]),
            Counts::Run { first, counts } => (&[][..], *first, counts.as_slice()),
        };
        list.iter().copied().chain((first..).zip(run.iter().copied()).filter(|&(_, count)| count > 0))
    }

    /// Counts what another counted too.
    pub(super) fn absorb(&mut self, other: View<'_>) {
        match other {
            View::List(parts) => self.absorb_list(parts),
            View::Run { first, counts } => match self.slots(first, counts.len()) {
                Some(slots) => slots.iter_mut().zip(counts).for_each(|(own, more)| *own = own.saturating_add(*more)),
                None => (first..).zip(counts).for_each(|(part, &more)| self.add_to(part, more)),
            },
            View::Bytes { first, length, bytes } => match self.slots(first, length) {
                Some(slots) => add_bytes(slots, bytes),
                None => {
                    let mut counts = vec![0; length];
                    add_bytes(&mut counts, bytes);
                    (first..).zip(counts).for_each(|(part, more)| self.add_to(part, more));
                }
            },
        }
    }

    fn absorb_list(&mut self, parts: &[(u16, u32)]) {
        match &mut self.0 {
            Counts::List(own) if own.is_empty() => own.extend_from_slice(parts),
            Counts::List(own) => merge(own, parts),
            Counts::Run { .. } => return parts.iter().for_each(|&(part, more)| self.add_to(part, more)),
        }
        self.settle();
    }

    fn add_to(&mut self, part: u16, more: u32) {
        match &mut self.0 {
            Counts::Run { first, counts } => {
                let place = usize::from(part).checked_sub(usize::from(*first));
                match place.and_then(|place| counts.get_mut(place)) {
                    Some(count) => *count = count.saturating_add(more),
                    None if more == 0 => {}
                    None => match self.slots(part, 1) {
                        Some(slots) => slots.iter_mut().for_each(|count| *count = more),
                        None => self.add_to(part, more),
                    },
                }
            }
            Counts::List(_) if more == 0 => {}
            Counts::List(parts) => match parts.binary_search_by_key(&part, |&(part, _)| part) {
                Ok(place) => {
                    if let Some((_, count)) = parts.get_mut(place) {
                        *count = count.saturating_add(more);
                    }
                }
                Err(place) => {
                    parts.insert(place, (part, more));
                    self.settle();
                }
            },
        }
    }

    /// The counts of some parts in a row, to be added to; none if that would make a run that is too thin, and then it is
    /// a list.
    fn slots(&mut self, part: u16, length: usize) -> Option<&mut [u32]> {
        let wanted = usize::from(part)..usize::from(part) + length;
        let own = self.range();
        let is_list = matches!(self.0, Counts::List(_));
        if is_list || wanted.start < own.start || wanted.end > own.end {
            let counting = self.parts().count();
            let all = if counting == 0 { wanted.clone() } else { own.start.min(wanted.start)..own.end.max(wanted.end) };
            if all.len() > RUN_THINNESS_MAX * (counting + length) {
                self.list();
                return None;
            }
            self.run(&all);
        }
        let Counts::Run { first, counts } = &mut self.0 else { return None };
        let begin = wanted.start.checked_sub(usize::from(*first))?;
        counts.get_mut(begin..begin + length)
    }

    /// All parts from the first to the last.
    fn range(&self) -> Range<usize> {
        match &self.0 {
            Counts::List(parts) => range_of(parts),
            Counts::Run { first, counts } => usize::from(*first)..usize::from(*first) + counts.len(),
        }
    }

    /// Makes a list a run, if it is one at heart.
    fn settle(&mut self) {
        let Counts::List(parts) = &self.0 else { return };
        let range = range_of(parts);
        if parts.len() >= RUN_PARTS_MIN && range.len() <= RUN_THINNESS_MAX * parts.len() {
            self.run(&range);
        }
    }

    /// Makes it a run of these parts, with all that count something among them.
    fn run(&mut self, range: &Range<usize>) {
        let mut counts = vec![0; range.len()];
        for (part, count) in self.parts() {
            let place = usize::from(part).checked_sub(range.start);
            if let Some(slot) = place.and_then(|place| counts.get_mut(place)) {
                *slot = count;
            }
        }
        self.0 = Counts::Run { first: u16::try_from(range.start).unwrap_or(u16::MAX), counts };
    }

    fn list(&mut self) {
        self.0 = Counts::List(self.parts().collect());
    }

    /// For each of these, in order, the length that so many in a hundred do not exceed; none if nothing was counted.
    pub(super) fn percentiles<const N: usize>(&self, percents: [u64; N]) -> [Option<u64>; N] {
        match &self.0 {
            Counts::List(parts) => {
                let all: u64 = parts.iter().map(|&(_, count)| u64::from(count)).sum();
                let (mut seen, mut parts) = (0, parts.iter().peekable());
                percents.map(|percent| {
                    while let Some(&&(part, count)) = parts.peek() {
                        if seen + u64::from(count) >= rank(all, percent) {
                            return Some(middle_of(part));
                        }
                        seen += u64::from(count);
                        parts.next();
                    }
                    None
                })
            }
            Counts::Run { first, counts } => {
                let mut strides = [0; STRIDES_MAX];
                strides.iter_mut().zip(counts.chunks(STRIDE)).for_each(|(own, some)| *own = sum(some));
                let all = strides.iter().sum();
                let (mut seen, mut stride) = (0, 0);
                percents.map(|percent| {
                    let rank = rank(all, percent);
                    while let Some(more) = strides.get(stride).filter(|more| seen + **more < rank) {
                        (seen, stride) = (seen + more, stride + 1);
                    }
                    let (place, mut up_to) = (stride * STRIDE, seen);
                    let some = counts.get(place..).unwrap_or_default();
                    let within = some.iter().position(|&count| {
                        up_to += u64::from(count);
                        up_to >= rank
                    });
                    let part = u16::try_from(usize::from(*first) + place + within?).ok()?;
                    Some(middle_of(part))
                })
            }
        }
    }
}

/// Which of so many, in order, is the one that so many in a hundred do not exceed.
fn rank(all: u64, percent: u64) -> u64 {
    all.saturating_mul(percent).div_ceil(100).max(1)
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.parts().eq(other.parts())
    }
}

impl Eq for Histogram {}

/// Whether parts in a row can be those of a histogram.
pub(super) fn is_run(first: u64, length: u64) -> bool {
    length > 0 && first.saturating_add(length) <= u64::from(part_of(LENGTH_MS_MAX)) + 1
}

fn range_of(parts: &[(u16, u32)]) -> Range<usize> {
    match (parts.first(), parts.last()) {
        (Some(&(first, _)), Some(&(last, _))) => usize::from(first)..usize::from(last) + 1,
        _ => 0..0,
    }
}

/// Merges two ordered lists.
fn merge(own: &mut Vec<(u16, u32)>, parts: &[(u16, u32)]) {
    let mut fresh = 0;
    let mut places = own.iter_mut().peekable();
    for &(part, more) in parts {
        while places.next_if(|(own, _)| *own < part).is_some() {}
        match places.peek_mut() {
            Some((own, count)) if *own == part => *count = count.saturating_add(more),
            _ => fresh += 1,
        }
    }
    if fresh == 0 {
        return;
    }
    let mut both = Vec::with_capacity(own.len() + fresh);
    let mut own_ones = own.iter().copied().peekable();
    for &(part, more) in parts {
        while let Some(one) = own_ones.next_if(|(own, _)| *own < part) {
            both.push(one);
        }
        match own_ones.next_if(|(own, _)| *own == part) {
            // It was counted above.
            Some(one) => both.push(one),
            None => both.push((part, more)),
        }
    }
    both.extend(own_ones);
    *own = both;
}

fn add_bytes(slots: &mut [u32], bytes: &[u8]) {
    for (shift, plane) in (0..u32::BITS).step_by(8).zip(bytes.chunks_exact(slots.len().max(1))) {
        for (own, &byte) in slots.iter_mut().zip(plane) {
            *own = own.saturating_add(u32::from(byte) << shift);
        }
    }
}

/// Few enough that they do not overflow.
fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|&count| u64::from(count)).sum()
}

fn part_of(length_ms: u64) -> u16 {
    let length = length_ms.min(LENGTH_MS_MAX);
    let shift = length.checked_ilog2().unwrap_or_default().saturating_sub(PART_BITS);
    u16::try_from(u64::from(shift) * PARTS + (length >> shift)).unwrap_or(u16::MAX)
}

fn middle_of(part: u16) -> u64 {
    let part = u64::from(part);
    if part < 2 * PARTS {
        return part;
    }
    let shift = part / PARTS - 1;
    let low = (PARTS + part % PARTS) << shift;
    low + ((1 << shift) - 1) / 2
}

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod tests;
