//! Rounds: in which order connections take turns, worked out once a snapshot.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// The least number of slots that weights may make; longer rounds are scaled down to this, or to a few slots for each
/// connection where there are many.
const SLOTS_MAX: u64 = 1_024;
/// Slots for each connection of a round that is scaled down.
const SLOTS_EACH: u64 = 4;

/// Places of a tier in the order of their turns. A place with a greater weight comes more often.
#[derive(Debug, Default)]
pub(super) struct Round {
    slots: Vec<u32>,
    /// For each slot, the steps back to where the same place stood before, around the end.
    back: Vec<u32>,
}

impl Round {
    /// A smooth weighted round: of those that are owed a turn, the one whose turn is due first. No place is ever a whole
    /// turn ahead of its share or behind it (Stoica and Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995).
    /// A weight of 0 has no turns.
    pub(super) fn smooth(weights: &[u32]) -> Self {
        let shares = shares(weights);
        let total: u64 = shares.iter().sum();
        let mut owed: BinaryHeap<Reverse<(u64, u32, u64)>> = BinaryHeap::new();
        let mut later: BinaryHeap<Reverse<(u64, u32, u64)>> =
            (0_u32..).zip(&shares).filter(|(_, share)| **share > 0).map(|(place, _)| Reverse((0, place, 0))).collect();
        let when = |turns: u64, place: u32| {
            let share = shares.get(place as usize).copied().unwrap_or(1);
            (turns * total).div_ceil(share.max(1))
        };
        let mut slots = Vec::new();
        for slot in 0..total {
            while let Some(&Reverse((_, place, had))) = later.peek().filter(|next| next.0.0 <= slot) {
                later.pop();
                owed.push(Reverse((when(had + 1, place), place, had)));
            }
            let Some(Reverse((_, place, had))) = owed.pop() else { break };
            slots.push(place);
            later.push(Reverse((when(had + 1, place), place, had + 1)));
        }
        Self::of(slots)
    }

    pub(super) fn of(slots: Vec<u32>) -> Self {
        let len = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let places = slots.iter().max().map_or(0, |most| *most as usize + 1);
        let mut last: Vec<Option<u32>> = vec![None; places];
        let mut back = vec![len; slots.len()];
        // Twice around, so that each slot's distance across the end is known.
        for (slot, place) in (0..len).zip(&slots).chain((len..len.saturating_mul(2)).zip(&slots)) {
            let Some(last) = last.get_mut(*place as usize) else { continue };
            if let (Some(before), Some(back)) = (*last, back.get_mut((slot % len) as usize)) {
                *back = slot - before;
            }
            *last = Some(slot);
        }
        Self { slots, back }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The place at a step of a walk that began at `start`, unless the walk has had it already.
    pub(super) fn at(&self, start: usize, step: usize) -> Option<u32> {
        let slot = start.wrapping_add(step) % self.slots.len().max(1);
        let anew = self.back.get(slot).is_some_and(|back| *back as usize > step);
        self.slots.get(slot).copied().filter(|_| anew)
    }
}

impl Round {
    /// Another slot's place, anywhere: the second of two choices.
    pub(super) fn other(&self, start: usize) -> Option<u32> {
        let others = (self.slots.len() as u64).checked_sub(1).filter(|others| *others > 0)?;
        let far = usize::try_from(mixed(start as u64) % others).ok()?;
        self.slots.get(start.wrapping_add(1 + far) % self.slots.len()).copied()
    }
}

/// Bits well mixed, so that neighbours lie far apart (Steele, Lea and Flood, "SplitMix", 2014).
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Places on a circle of hashes: a key's connection is the first at or behind it, and those that follow take over in
/// their order. Who comes or goes moves only the keys that are theirs.
#[derive(Debug, Default)]
pub(super) struct Circle {
    hashes: Vec<u64>,
    pub(super) round: Round,
}

impl Circle {
    /// A circle of the named, in which a greater weight has more of the keys.
    pub(super) fn new<'a>(named: impl Iterator<Item = (u32, &'a str, u32)>) -> Self {
        let (named, weights): (Vec<_>, Vec<_>) = named.map(|(place, name, weight)| ((place, name), weight)).unzip();
        let shares = shares(&weights);
        let total = shares.iter().sum::<u64>().max(1);
        let wanted = SLOTS_MAX.max(weights.len() as u64 * 2 * SLOTS_EACH);
        let mut points: Vec<(u64, u32)> = named
            .iter()
            .zip(shares)
            .flat_map(|((place, name), share)| {
                let points = (share * wanted / total).max(u64::from(share > 0));
                (0..points).map(move |point| (hash(&(name, point)), *place))
            })
            .collect();
        points.sort_unstable();
        let (hashes, slots) = points.into_iter().unzip();
        Self { hashes, round: Round::of(slots) }
    }

    /// Where a key's walk begins.
    pub(super) fn start(&self, key: u64) -> usize {
        self.hashes.partition_point(|hash| *hash < key)
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Weights by their greatest common divisor, and below the longest round.
fn shares(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().copied().filter(|&weight| weight > 0).fold(0, gcd).max(1);
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
    let most = SLOTS_MAX.max(weights.len() as u64 * SLOTS_EACH);
    let scaled = |weight: u32| {
        let share = u64::from(weight / divisor);
        if sum > most { (share * most / sum).max(u64::from(share > 0)) } else { share }
    };
    weights.iter().copied().map(scaled).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn weights_are_kept_and_spread() {
        assert_eq!(Round::smooth(&[5, 1, 1]).slots, [0, 1, 0, 0, 2, 0, 0]);
        assert_eq!(Round::smooth(&[10, 10]).slots, [0, 1]);
        assert_eq!(Round::smooth(&[0, 3]).slots, [1]);
        assert!(Round::smooth(&[0, 0]).slots.is_empty());
    }

    #[test]
    fn nobody_is_a_whole_turn_ahead_or_behind() {
        for weights in [vec![3, 1], vec![7, 5, 2, 1, 1], vec![100, 1, 50, 49], (1..40).collect()] {
            let round = Round::smooth(&weights);
            let total: u32 = weights.iter().sum();
            assert_eq!(round.len(), total as usize);
            let mut had = vec![0_u32; weights.len()];
            for (slot, place) in (1_u32..).zip(&round.slots) {
                had[*place as usize] += 1;
                for (had, weight) in had.iter().zip(&weights) {
                    let owed = f64::from(slot) * f64::from(*weight) / f64::from(total);
                    assert!((f64::from(*had) - owed).abs() < 1.0 + 1e-9, "{weights:?} at {slot}");
                }
            }
            assert_eq!(had, weights);
        }
    }

    #[test]
    fn great_weights_and_many_connections_make_no_great_round() {
        let round = Round::smooth(&[999, 1_000_000, 1]);
        assert!(round.len() <= 1_026 && round.slots.contains(&2), "{}", round.len());
        let weights: Vec<u32> = (0..10_000).map(|n| 1 + n * 7_919 % 1_000).collect();
        let round = Round::smooth(&weights);
        assert!(round.len() <= 50_000, "{}", round.len());
        assert_eq!(round.slots.iter().collect::<BTreeSet<_>>().len(), 10_000);
    }

    #[test]
    fn a_walk_has_every_place_once_wherever_it_begins() {
        let round = Round::smooth(&[5, 1, 3, 0, 2]);
        for start in 0..30 {
            let mut had: Vec<u32> = (0..round.len()).filter_map(|step| round.at(start, step)).collect();
            had.sort_unstable();
            assert_eq!(had, [0, 1, 2, 4], "from {start}");
        }
    }

    #[test]
    fn a_circle_keeps_most_keys_where_they_were_and_falls_over_in_order() {
        let names: Vec<String> = (0..10).map(|n| format!("one:c{n}")).collect();
        let circle = |without: usize| {
            let named = (0_u32..).zip(&names).filter(|(place, _)| *place as usize != without);
            Circle::new(named.map(|(place, name)| (place, name.as_str(), 1)))
        };
        let (all, fewer) = (circle(99), circle(4));
        let walk = |circle: &Circle, key: u64| -> Vec<u32> {
            let start = circle.start(key);
            (0..circle.round.len()).filter_map(|step| circle.round.at(start, step)).collect()
        };
        let (mut moved, mut homes) = (0, [0; 10]);
        for key in (0..2_000).map(|n| hash(&n)) {
            let (before, after) = (walk(&all, key), walk(&fewer, key));
            homes[before[0] as usize] += 1;
            assert_eq!(before.len(), 10);
            if before[0] != after[0] {
                moved += 1;
            }
        }
        assert!(moved < 2_000 / 10 * 2, "{moved} keys of 2,000 moved when one of ten went");
        assert!(homes.iter().all(|keys| (120..=300).contains(keys)), "{homes:?}");
    }
}
