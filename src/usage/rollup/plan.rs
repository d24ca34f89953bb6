//! Which sums of a day answer for which part of a time: the coarsest that fit, and finer ones at the edges.

use std::ops::Range;

use super::begin_of;
use crate::store::Tier;

/// Where a day's part of an answer comes from. The parts do not overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Sums, and the times that they are taken of: whole buckets.
    pub(super) sums: Vec<(Tier, Range<i64>)>,
    /// Times whose records are read.
    pub(super) records: Vec<Range<i64>>,
}

/// What a day has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Has {
    /// Sums, by tier from the finest up.
    pub(super) sums: [bool; 3],
    pub(super) records: bool,
}

impl Plan {
    /// Plans for a time, which ends at edges of days or where it was asked to; with sums that are no coarser than
    /// `coarsest`, as far as there are any.
    pub(super) fn of(span: Range<i64>, coarsest: Tier, has: Has) -> Self {
        let mut plan = Self::default();
        let tiers: Vec<_> = Tier::ALL.into_iter().zip(has.sums).filter(|&(_, has)| has).map(|(tier, _)| tier).collect();
        let fine: Vec<_> = tiers.iter().copied().filter(|&tier| tier <= coarsest).collect();
        plan.cover(span, &fine, tiers.first().copied().filter(|_| !has.records));
        plan
    }

    /// Covers a time from the last of these tiers, and its edges from those before. `whole` are the sums that stand in
    /// where there are no records.
    fn cover(&mut self, span: Range<i64>, tiers: &[Tier], whole: Option<Tier>) {
        if span.is_empty() {
            return;
        }
        let Some((&tier, finer)) = tiers.split_last() else {
            match whole {
                Some(tier) => self.sums.push((tier, begin_of(tier, span.start)..end_of(tier, span.end))),
                None => self.records.push(span),
            }
            return;
        };
        let (begin, end) = (end_of(tier, span.start), begin_of(tier, span.end));
        if begin >= end {
            return self.cover(span, finer, whole);
        }
        self.cover(span.start..begin, finer, whole);
        self.sums.push((tier, begin..end));
        self.cover(end..span.end, finer, whole);
    }

    /// The time that it covers.
    pub(super) fn covers(&self) -> Option<Range<i64>> {
        let all = || self.sums.iter().map(|(_, span)| span).chain(&self.records);
        Some(all().map(|span| span.start).min()?..all().map(|span| span.end).max()?)
    }
}

/// The begin of the first bucket that begins at a time or after it.
fn end_of(tier: Tier, at_ms: i64) -> i64 {
    begin_of(tier, at_ms.saturating_add(tier.width_ms() - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const ALL: Has = Has { sums: [true; 3], records: true };

    #[test]
    fn the_coarsest_sums_that_fit_are_taken_and_finer_ones_at_the_edges() {
        let day = 20_000 * 24 * HOUR;
        let plan = Plan::of(day - 90_500..day + 25 * HOUR + 60_000, Tier::Days, ALL);
        let expected = [
            (Tier::Minutes, day - 60_000..day),
            (Tier::Days, day..day + 24 * HOUR),
            (Tier::Hours, day + 24 * HOUR..day + 25 * HOUR),
            (Tier::Minutes, day + 25 * HOUR..day + 25 * HOUR + 60_000),
        ];
        let before = day - 90_500..day - 60_000;
        assert_eq!((plan.sums, plan.records), (expected.to_vec(), Vec::from([before])));
        let by_hour = Plan::of(day..day + 24 * HOUR, Tier::Hours, ALL);
        assert_eq!(by_hour.sums, [(Tier::Hours, day..day + 24 * HOUR)]);
    }

    #[test]
    fn where_nothing_finer_is_kept_a_bucket_counts_whole() {
        let has = Has { sums: [false, true, true], records: false };
        let plan = Plan::of(HOUR / 2..2 * HOUR + 1, Tier::Minutes, has);
        assert_eq!(plan, Plan { sums: vec![(Tier::Hours, 0..3 * HOUR)], records: vec![] });
        assert_eq!(plan.covers(), Some(0..3 * HOUR));
        let none = Plan::of(0..HOUR, Tier::Hours, Has { sums: [false; 3], records: false });
        assert_eq!(none.sums, []);
    }

    proptest! {
        #[test]
        fn the_parts_cover_the_time_once(
            from in 0..50 * HOUR,
            length in 1..80 * HOUR,
            sums: [bool; 3],
            coarsest in 0..3_usize,
        ) {
            let plan = Plan::of(from..from + length, Tier::ALL[coarsest], Has { sums, records: true });
            let mut parts: Vec<_> = plan.sums.iter().map(|(_, span)| span.clone()).chain(plan.records.clone()).collect();
            parts.sort_by_key(|span| span.start);
            prop_assert_eq!(parts[0].start, from);
            prop_assert_eq!(parts[parts.len() - 1].end, from + length);
            prop_assert!(parts.windows(2).all(|two| two[0].end == two[1].start));
            for (tier, span) in plan.sums {
                prop_assert!(tier <= Tier::ALL[coarsest]);
                prop_assert_eq!((span.start % tier.width_ms(), span.end % tier.width_ms()), (0, 0));
            }
        }
    }
}
