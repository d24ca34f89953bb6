//! Histograms against plain lists of lengths.

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

/// Near each other or all over, few or many, and often enough that lists become runs and runs lists.
fn any_lengths() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        proptest::collection::vec(0..1_000_u64, 0..60),
        proptest::collection::vec(100..300_u64, 0..200),
        proptest::collection::vec(0..LENGTH_MS_MAX, 0..60),
        (proptest::collection::vec(0..64_u64, 40..80), proptest::collection::vec(0..LENGTH_MS_MAX, 1..4))
            .prop_map(|(near, far)| [near, far].concat()),
    ]
}

fn bytes_of(all: &Histogram) -> usize {
    match all.view() {
        View::List(parts) => 8 * parts.len(),
        View::Run { counts, .. } => 4 * counts.len(),
        View::Bytes { bytes, .. } => bytes.len(),
    }
}

#[test]
fn a_run_of_all_parts_has_its_percentiles() {
    assert!(usize::from(part_of(LENGTH_MS_MAX)) < STRIDES_MAX * STRIDE);
    let mut all = Histogram::default();
    (0..=part_of(LENGTH_MS_MAX)).for_each(|part| all.add(middle_of(part)));
    assert!(matches!(all.view(), View::Run { first: 0, .. }));
    assert_eq!(all.percentiles([100]), [Some(middle_of(part_of(LENGTH_MS_MAX)))]);
}

#[test]
fn lengths_side_by_side_are_a_run_and_one_far_away_makes_them_a_list_again() {
    let mut all = of(&(0..64).collect::<Vec<_>>());
    assert!(matches!(all.view(), View::Run { first: 0, counts } if counts.len() == 64));
    all.add(LENGTH_MS_MAX);
    assert!(matches!(all.view(), View::List(parts) if parts.len() == 65));
    assert_eq!(all.percentiles([50, 98]), [Some(32), Some(63)]);
}

proptest! {
    /// However long a call of an app lasts, a histogram takes no more than its calls pay for.
    #[test]
    fn memory_grows_with_what_is_counted(lengths in any_lengths()) {
        let all = of(&lengths);
        let most = 4 * RUN_THINNESS_MAX * all.parts().count();
        prop_assert!(bytes_of(&all) <= most, "{} bytes", bytes_of(&all));
    }

    #[test]
    fn what_is_shown_is_within_1_part_in_128(length in 0..=LENGTH_MS_MAX) {
        let shown = of(&[length]).percentiles([50])[0].unwrap();
        prop_assert!(shown.abs_diff(length) * 128 <= length, "{length} is shown as {shown}");
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_lengths(
        lengths in any_lengths().prop_filter("some", |some| !some.is_empty()),
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
        one in any_lengths(),
        other in any_lengths(),
    ) {
        let mut merged = of(&one);
        merged.absorb(of(&other).view());
        prop_assert_eq!(&merged, &of(&[other.clone(), one.clone()].concat()));
        let mut reversed = of(&other);
        reversed.absorb(of(&one).view());
        prop_assert_eq!(reversed, merged);
    }
}
