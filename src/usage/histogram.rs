//! How long things took, as counts by length: sparse, small and mergeable, within a known error.
//!
//! Lengths below 128 ms are kept as they are; above, each doubling is cut into 64 equal parts, and a length is shown as
//! the middle of its part. So what is shown is never further than 1 part in 128 (0.8 %) from a length that was
//! recorded, whatever is merged with whatever and in which order.

/// Longer lengths count as this one, a day: it bounds the parts.
const LENGTH_MS_MAX: u64 = 86_400_000;
/// Each doubling is cut into two to the power of this many parts.
const PART_BITS: u32 = 6;
const PARTS: u64 = 1 << PART_BITS;

/// Counts of lengths in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Histogram {
    /// Each part that counts something, ordered, with its count.
    parts: Vec<(u16, u32)>,
}

impl Histogram {
    /// Counts a length.
    pub(super) fn add(&mut self, length_ms: u64) {
        let part = part_of(length_ms);
        match self.parts.binary_search_by_key(&part, |&(part, _)| part) {
            Ok(place) => {
                if let Some((_, count)) = self.parts.get_mut(place) {
                    *count = count.saturating_add(1);
                }
            }
            Err(place) => self.parts.insert(place, (part, 1)),
        }
    }

    /// Counts what another counted too, given as its parts in order.
    pub(super) fn absorb(&mut self, parts: impl Iterator<Item = (u16, u32)>) {
        let mut fresh = Vec::new();
        let mut own = self.parts.iter_mut().peekable();
        for (part, more) in parts {
            while own.next_if(|(own, _)| *own < part).is_some() {}
            match own.peek_mut() {
                Some((own, count)) if *own == part => *count = count.saturating_add(more),
                _ => fresh.push((part, more)),
            }
        }
        if self.parts.is_empty() {
            self.parts = fresh;
        } else if !fresh.is_empty() {
            // Two ordered runs, which this sort merges.
            self.parts.append(&mut fresh);
            self.parts.sort_by_key(|&(part, _)| part);
        }
    }

    /// The parts that count something, in order, with their counts.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = (u16, u32)> + '_ {
        self.parts.iter().copied()
    }

    /// For each of these, in order, the length that so many in a hundred do not exceed; none if nothing was counted.
    pub(super) fn percentiles<const N: usize>(&self, percents: [u64; N]) -> [Option<u64>; N] {
        let all: u64 = self.parts.iter().map(|&(_, count)| u64::from(count)).sum();
        let (mut seen, mut parts) = (0, self.parts.iter().peekable());
        percents.map(|percent| {
            let rank = all.saturating_mul(percent).div_ceil(100).max(1);
            while let Some(&&(part, count)) = parts.peek() {
                if seen + u64::from(count) >= rank {
                    return Some(middle_of(part));
                }
                seen += u64::from(count);
                parts.next();
            }
            None
        })
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(lengths: &[u64]) -> Histogram {
        let mut all = Histogram::default();
        lengths.iter().for_each(|&length| all.add(length));
        all
    }

    #[test]
    fn small_lengths_are_exact_and_the_longest_is_a_day() {
        let all = of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 127]);
        assert_eq!(all.percentiles([50, 90, 99]), [Some(5), Some(9), Some(127)]);
        assert_eq!(of(&[u64::MAX]), of(&[LENGTH_MS_MAX]));
        assert_eq!(Histogram::default().percentiles([50, 99]), [None; 2]);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_within_1_part_in_128(length in 0..=LENGTH_MS_MAX) {
            let shown = of(&[length]).percentiles([50])[0].unwrap();
            prop_assert!(shown.abs_diff(length) * 128 <= length, "{length} is shown as {shown}");
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_lengths(
            lengths in proptest::collection::vec(0..100_000_u64, 1..80),
            percent in 2..=100_u64,
        ) {
            let mut sorted = lengths.clone();
            sorted.sort_unstable();
            let at = |percent: u64| sorted[(sorted.len() as u64 * percent).div_ceil(100) as usize - 1];
            let expected = [percent / 2 + 1, percent].map(|percent| of(&[at(percent)]).percentiles([50])[0]);
            prop_assert_eq!(of(&lengths).percentiles([percent / 2 + 1, percent]), expected);
        }

        #[test]
        fn merged_in_any_order_is_as_counted_at_once(
            one in proptest::collection::vec(0..1_000_u64, 0..60),
            other in proptest::collection::vec(0..1_000_u64, 0..60),
        ) {
            let mut merged = of(&one);
            merged.absorb(of(&other).parts());
            prop_assert_eq!(&merged, &of(&[other.clone(), one.clone()].concat()));
            let mut reversed = of(&other);
            reversed.absorb(of(&one).parts());
            prop_assert_eq!(reversed, merged);
        }
    }
}
