//! Sums as the bytes of a section: numbers of variable length, texts and combinations once each.
//!
//! Varying numbers are seven bits a byte, the lowest first; the highest bit says that there is more. What is ordered is
//! written as differences.
//!
//! A histogram that is a list is twice its length, then each part and its count. One that is a run is twice its length and
//! one more, its first part, how many bytes a count has, and those bytes: of all counts the lowest, then of all the next.
//! So it is read without looking at each, and compresses no worse. In format 1 all are lists, behind their plain length.

use foldhash::HashMap;

use super::labels::{DIMENSIONS, Mask, NONE, Set};
use crate::store::PackedSums;
use crate::texts::Texts;
use crate::usage::histogram::{View, is_run};
use crate::usage::tally::{Sums, Tally};

/// Sums of one combination in one time bucket.
pub(super) struct Cell<'t> {
    pub(super) at_ms: i64,
    pub(super) set: Set,
    pub(super) tally: &'t Tally,
}

impl Cell<'_> {
    /// What it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let histogram = |view: View<'_>| match view {
            View::List(parts) => 2 * parts.len(),
            View::Run { counts, .. } => counts.len(),
            View::Bytes { bytes, .. } => bytes.len(),
        };
        let histograms = histogram(self.tally.durations.view()) + histogram(self.tally.ttfts.view());
        2 * (Sums::COUNT + 4) + histograms
    }
}

/// Packs cells, ordered by time and combination, with the dimensions of a mask.
pub(super) fn pack(cells: &[Cell<'_>], mask: Mask, texts: &Texts) -> Vec<u8> {
    let mut out = Writer::default();
    let (places, sets, of_cells) = tables(cells, mask);
    out.number(places.len() as u64);
    for place in places {
        out.text(texts.text(place).unwrap_or_default());
    }
    out.number(sets.len() as u64);
    sets.iter().flatten().for_each(|&local| out.number(local));
    out.number(Sums::COUNT as u64);
    out.number(cells.len() as u64);
    let mut before = 0;
    for (cell, set) in cells.iter().zip(of_cells) {
        out.signed(cell.at_ms.wrapping_sub(before));
        before = cell.at_ms;
        out.number(set);
        cell.tally.sums.all().into_iter().for_each(|sum| out.number(sum));
        out.histogram(cell.tally.durations.view());
        out.histogram(cell.tally.ttfts.view());
    }
    out.0
}

/// The texts that occur, the combinations with their texts' numbers (0 for none, else one more than the place in that
/// list), and each cell's combination.
fn tables(cells: &[Cell<'_>], mask: Mask) -> (Vec<u32>, Vec<Vec<u64>>, Vec<u64>) {
    let (mut texts, mut numbers) = (Vec::new(), HashMap::default());
    let (mut sets, mut places) = (Vec::new(), HashMap::default());
    let mut of_cells = Vec::with_capacity(cells.len());
    for cell in cells {
        let place = *places.entry(cell.set).or_insert_with(|| {
            let text = |n: usize| cell.set.get(n).copied().unwrap_or(NONE);
            let mut number = |place: u32| match place {
                NONE => 0,
                place => *numbers.entry(place).or_insert_with(|| {
                    texts.push(place);
                    texts.len() as u64
                }),
            };
            sets.push(mask.places().map(|n| number(text(n))).collect());
            sets.len() as u64 - 1
        });
        of_cells.push(place);
    }
    (texts, sets, of_cells)
}

/// What is wrong with a section that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A cell as it is read: its time, its combination's number, its sums, and its histograms' parts.
pub(super) struct Packed<'b> {
    pub(super) at_ms: i64,
    pub(super) set: usize,
    pub(super) sums: Sums,
    pub(super) durations: View<'b>,
    pub(super) ttfts: View<'b>,
}

/// A section whose combinations were read.
pub(super) struct Section<'b> {
    pub(super) texts: Vec<&'b str>,
    /// The combinations, of places among these texts.
    pub(super) sets: Vec<Set>,
    format: u8,
    cells: Reader<'b>,
}

impl<'b> Section<'b> {
    pub(super) fn read(sums: PackedSums<'b>, mask: Mask) -> Result<Self, Malformed> {
        let mut from = Reader(sums.bytes);
        let mut texts = Vec::new();
        for _ in 0..from.number()? {
            texts.push(from.text()?);
        }
        let mut sets = Vec::new();
        for _ in 0..from.number()? {
            let mut set = [NONE; DIMENSIONS];
            for n in mask.places() {
                let text = usize::try_from(from.number()?).map_err(|_| Malformed)?;
                let place = match text.checked_sub(1) {
                    Some(text) if text >= texts.len() => return Err(Malformed),
                    place => place.and_then(|place| u32::try_from(place).ok()).unwrap_or(NONE),
                };
                *set.get_mut(n).ok_or(Malformed)? = place;
            }
            sets.push(set);
        }
        Ok(Self { texts, sets, format: sums.format, cells: from })
    }

    /// The combinations, with texts at the places that they have or get in somebody's texts.
    pub(super) fn known_to(&self, texts: &mut Texts) -> Vec<Set> {
        let places: Vec<_> = self.texts.iter().map(|text| texts.place(text)).collect();
        let place = |place: u32| usize::try_from(place).ok().and_then(|place| places.get(place).copied());
        self.sets.iter().map(|set| set.map(|own| place(own).unwrap_or(NONE))).collect()
    }

    /// Shows each cell.
    pub(super) fn each(self, mut visitor: impl FnMut(&Packed<'_>)) -> Result<(), Malformed> {
        let Self { sets, format, cells: mut from, .. } = self;
        let sums_count = from.number()?;
        let (mut at_ms, mut list, mut other_list) = (0_i64, Vec::new(), Vec::new());
        for _ in 0..from.number()? {
            at_ms = at_ms.wrapping_add(from.signed()?);
            let set = usize::try_from(from.number()?).ok().filter(|&set| set < sets.len()).ok_or(Malformed)?;
            let sums = from.sums(sums_count)?;
            let durations = from.histogram(format, &mut list)?;
            let ttfts = from.histogram(format, &mut other_list)?;
            visitor(&Packed { at_ms, set, sums, durations, ttfts });
        }
        if from.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

impl Packed<'_> {
    /// Counts it in a sum.
    pub(super) fn add_to(&self, tally: &mut Tally) {
        tally.sums.merge(&self.sums);
        tally.durations.absorb(self.durations);
        tally.ttfts.absorb(self.ttfts);
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn histogram(&mut self, view: View<'_>) {
        match view {
            View::List(parts) => {
                self.number(2 * parts.len() as u64);
                let mut before = 0;
                for &(part, count) in parts {
                    self.number(u64::from(part - before));
                    self.number(count.into());
                    before = part;
                }
            }
            View::Run { first, counts } => {
                let most = counts.iter().copied().max().unwrap_or_default();
                let width = most.checked_ilog2().unwrap_or_default() / 8 + 1;
                [2 * counts.len() as u64 + 1, first.into(), width.into()].into_iter().for_each(|one| self.number(one));
                for shift in (0..8 * width).step_by(8) {
                    self.0.extend(counts.iter().map(|count| (count >> shift & 0xff) as u8));
                }
            }
            View::Bytes { first, length, bytes } => {
                let width = bytes.len().checked_div(length).unwrap_or_default() as u64;
                [2 * length as u64 + 1, first.into(), width].into_iter().for_each(|one| self.number(one));
                self.0.extend_from_slice(bytes);
            }
        }
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn text(&mut self) -> Result<&'b str, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }

    fn sums(&mut self, count: u64) -> Result<Sums, Malformed> {
        let mut sums = Sums::default();
        let mut own = sums.all_mut().into_iter();
        for _ in 0..count {
            let sum = self.number()?;
            // Sums that a later version added are not known here.
            if let Some(own) = own.next() {
                *own = sum;
            }
        }
        drop(own);
        Ok(sums)
    }

    fn histogram<'p>(&mut self, format: u8, parts: &'p mut Vec<(u16, u32)>) -> Result<View<'p>, Malformed>
    where
        'b: 'p,
    {
        let head = self.number()?;
        if format < 2 || head & 1 == 0 {
            self.parts(if format < 2 { head } else { head / 2 }, parts)?;
            return Ok(View::List(parts));
        }
        let (length, first, width) = (head / 2, self.number()?, self.number()?);
        if !is_run(first, length) || !(1..=4).contains(&width) {
            return Err(Malformed);
        }
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let width = usize::try_from(width).map_err(|_| Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(length * width).ok_or(Malformed)?;
        self.0 = rest;
        Ok(View::Bytes { first: u16::try_from(first).map_err(|_| Malformed)?, length, bytes })
    }

    fn parts(&mut self, count: u64, parts: &mut Vec<(u16, u32)>) -> Result<(), Malformed> {
        parts.clear();
        let mut part = 0_u64;
        for _ in 0..count {
            part = part.saturating_add(self.number()?);
            let count = self.number()?;
            parts.push((u16::try_from(part).map_err(|_| Malformed)?, u32::try_from(count).map_err(|_| Malformed)?));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
