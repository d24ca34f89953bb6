//! Sums as the bytes of a section: numbers of variable length, texts and combinations once each.
//!
//! Varying numbers are seven bits a byte, the lowest first; the highest bit says that there is more. What is ordered is
//! written as differences.

use std::collections::HashMap;

use super::labels::{DIMENSIONS, Mask, NONE, Set, Strings};
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
        2 * (Sums::COUNT + 4 + self.tally.durations.parts().len() + self.tally.ttfts.parts().len())
    }
}

/// Packs cells, ordered by time and combination, with the dimensions of a mask.
pub(super) fn pack(cells: &[Cell<'_>], mask: Mask, strings: &Strings) -> Vec<u8> {
    let mut out = Writer::default();
    let (texts, sets, of_cells) = tables(cells, mask);
    out.number(texts.len() as u64);
    for place in texts {
        out.text(strings.text(place).unwrap_or_default());
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
        for histogram in [&cell.tally.durations, &cell.tally.ttfts] {
            out.number(histogram.parts().len() as u64);
            let mut before = 0;
            for (part, count) in histogram.parts() {
                out.number(u64::from(part - before));
                out.number(count.into());
                before = part;
            }
        }
    }
    out.0
}

/// The texts that occur, the combinations with their texts' numbers (0 for none, else one more than the place in that
/// list), and each cell's combination.
fn tables(cells: &[Cell<'_>], mask: Mask) -> (Vec<u32>, Vec<Vec<u64>>, Vec<u64>) {
    let (mut texts, mut numbers) = (Vec::new(), HashMap::new());
    let (mut sets, mut places) = (Vec::new(), HashMap::new());
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
    pub(super) durations: &'b [(u16, u32)],
    pub(super) ttfts: &'b [(u16, u32)],
}

/// A section whose combinations were read.
pub(super) struct Section<'b> {
    /// The combinations, with texts at the places that they have in the caller's strings.
    pub(super) sets: Vec<Set>,
    cells: Reader<'b>,
}

impl<'b> Section<'b> {
    pub(super) fn read(bytes: &'b [u8], mask: Mask, strings: &mut Strings) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        let mut texts = Vec::new();
        for _ in 0..from.number()? {
            texts.push(strings.place(from.text()?));
        }
        let mut sets = Vec::new();
        for _ in 0..from.number()? {
            let mut set = [NONE; DIMENSIONS];
            for n in mask.places() {
                let text = usize::try_from(from.number()?).map_err(|_| Malformed)?;
                let place = text.checked_sub(1).map_or(Some(NONE), |text| texts.get(text).copied());
                *set.get_mut(n).ok_or(Malformed)? = place.ok_or(Malformed)?;
            }
            sets.push(set);
        }
        Ok(Self { sets, cells: from })
    }

    /// Shows each cell.
    pub(super) fn each(self, mut visitor: impl FnMut(&Packed<'_>)) -> Result<(), Malformed> {
        let Self { sets, cells: mut from } = self;
        let sums_count = from.number()?;
        let (mut at_ms, mut durations, mut ttfts) = (0_i64, Vec::new(), Vec::new());
        for _ in 0..from.number()? {
            at_ms = at_ms.wrapping_add(from.signed()?);
            let set = usize::try_from(from.number()?).ok().filter(|&set| set < sets.len()).ok_or(Malformed)?;
            let sums = from.sums(sums_count)?;
            from.parts(&mut durations)?;
            from.parts(&mut ttfts)?;
            visitor(&Packed { at_ms, set, sums, durations: &durations, ttfts: &ttfts });
        }
        if from.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

impl Packed<'_> {
    /// Counts it in a sum.
    pub(super) fn add_to(&self, tally: &mut Tally) {
        tally.sums.merge(&self.sums);
        tally.durations.absorb(self.durations.iter().copied());
        tally.ttfts.absorb(self.ttfts.iter().copied());
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

    fn parts(&mut self, parts: &mut Vec<(u16, u32)>) -> Result<(), Malformed> {
        parts.clear();
        let mut part = 0_u64;
        for _ in 0..self.number()? {
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
