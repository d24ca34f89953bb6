//! Sections read back as they were packed, and what is not one is an error.

use proptest::prelude::*;

use super::super::labels::DIMENSIONS;
use super::*;

type Plain = (i64, [Option<String>; DIMENSIONS], Tally);

/// Few and far between, or so many and near each other that they make a run; and some so often that their counts take more
/// than a byte.
fn lengths() -> impl Strategy<Value = Vec<u64>> {
    let often = (100..110_u64, 200..800_usize).prop_map(|(length, times)| vec![length; times]);
    prop_oneof![
        proptest::collection::vec(0..10_000_u64, 0..20),
        (proptest::collection::vec(80..400_u64, 60..150), often).prop_map(|(near, often)| [near, often].concat()),
    ]
}

fn any_cells() -> impl Strategy<Value = Vec<Plain>> {
    let label = proptest::option::of("[a-c]{1,2}");
    let labels = proptest::array::uniform6(label);
    let tally = (proptest::array::uniform10(any::<u64>()), lengths());
    let tally = tally.prop_map(|(sums, lengths)| {
        let mut tally = Tally::default();
        tally.sums.all_mut().into_iter().zip(sums).for_each(|(own, sum)| *own = sum);
        lengths.iter().for_each(|&length| tally.durations.add(length));
        lengths.iter().skip(3).for_each(|&length| tally.ttfts.add(length / 3));
        tally
    });
    proptest::collection::vec((any::<i64>(), labels, tally), 0..20)
}

fn read(bytes: &[u8], mask: Mask) -> Result<Vec<Plain>, Malformed> {
    read_in(2, bytes, mask)
}

fn read_in(format: u8, bytes: &[u8], mask: Mask) -> Result<Vec<Plain>, Malformed> {
    let mut texts = Texts::default();
    texts.place("a");
    let section = Section::read(PackedSums { format, bytes }, mask)?;
    let sets = section.known_to(&mut texts);
    let mut cells = Vec::new();
    section.each(|cell| {
        let mut tally = Tally::default();
        cell.add_to(&mut tally);
        cells.push((cell.at_ms, sets[cell.set].map(|place| texts.text(place).map(str::to_owned)), tally));
    })?;
    Ok(cells)
}

fn packed(plain: &[Plain], mask: Mask) -> Vec<u8> {
    let mut texts = Texts::default();
    let set = |labels: &[Option<String>; DIMENSIONS], texts: &mut Texts| {
        mask.cut(&labels.each_ref().map(|label| label.as_deref().map_or(NONE, |label| texts.place(label))))
    };
    let cells: Vec<_> = plain
        .iter()
        .map(|(at_ms, labels, tally)| Cell { at_ms: *at_ms, set: set(labels, &mut texts), tally })
        .collect();
    pack(&cells, mask, &texts)
}

proptest! {
    #[test]
    fn cells_read_back_as_packed(plain in any_cells(), bits in 0..1_u8 << DIMENSIONS) {
        let mask = Mask(bits);
        let mut expected = plain.clone();
        for (_, labels, _) in &mut expected {
            (0..DIMENSIONS).filter(|n| bits & 1 << n == 0).for_each(|n| labels[n] = None);
        }
        prop_assert_eq!(read(&packed(&plain, mask), mask), Ok(expected));
    }

    #[test]
    fn what_is_cut_or_no_section_is_an_error_and_no_panic(plain in any_cells(), noise: Vec<u8>) {
        let bytes = packed(&plain, Mask::ALL);
        // At a few hundred places, others each time.
        for end in (0..bytes.len()).rev().step_by(1 + bytes.len() / 300) {
            prop_assert!(read(&bytes[..end], Mask::ALL).is_err());
        }
        prop_assert!(read(&[&bytes[..], &[0]].concat(), Mask::ALL).is_err());
        let _ = read(&noise, Mask::ALL);
    }
}

#[test]
fn a_sum_that_a_later_version_added_is_passed_over() {
    let mut out = Writer::default();
    // No texts, one combination of no dimensions, one sum more than are known, one cell at 5.
    for number in [0, 1, Sums::COUNT as u64 + 1, 1, 10, 0] {
        out.number(number);
    }
    (1..=Sums::COUNT as u64 + 1).for_each(|sum| out.number(sum));
    (0..2).for_each(|_| out.number(0));
    let cells = read(&out.0, Mask(0)).unwrap();
    assert_eq!((cells[0].0, cells[0].2.sums.all().last()), (5, Some(&(Sums::COUNT as u64))));
}
