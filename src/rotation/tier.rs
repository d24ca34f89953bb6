//! Connections of one provider that have the same priority, and the order among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::connection::Connection;

/// The longest round that weights may make: longer ones are scaled down.
const ROUND_MAX: u64 = 1_024;

/// Connections of equal priority. Its round is worked out once, so that choosing takes no lock and allocates nothing.
#[derive(Debug)]
pub struct Tier {
    /// The priority that they have.
    pub priority: u32,
    /// The connections, by name.
    pub connections: Vec<Arc<Connection>>,
    /// One round of a smooth weighted round robin, as places in `connections`.
    round: Vec<usize>,
    turn: AtomicUsize,
}

impl Tier {
    /// A tier whose order begins anew. The default connection, where one is named, is always tried first.
    pub fn new(priority: u32, connections: Vec<Arc<Connection>>, default: Option<&str>) -> Self {
        let first = connections.iter().position(|one| Some(one.id.name.as_str()) == default);
        let round = match first {
            Some(first) => vec![first],
            None => smooth_round(&connections.iter().map(|one| one.weight).collect::<Vec<_>>()),
        };
        Self { priority, connections, round, turn: AtomicUsize::new(0) }
    }

    /// The place in the round at which the next request begins.
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// The turn that the next request will have, which stays its own.
    pub fn coming_turn(&self) -> usize {
        self.turn.load(Ordering::Relaxed)
    }

    /// The connection at a step of a walk that began at `turn`: first the round from there, then those whose turn did
    /// not come in it. A connection may come more than once; the walk skips what it has had.
    pub fn at(&self, turn: usize, step: usize) -> Option<&Arc<Connection>> {
        if step < self.round.len() {
            let place = *self.round.get(turn.wrapping_add(step) % self.round.len())?;
            return self.connections.get(place);
        }
        self.connections.get(step - self.round.len())
    }
}

/// One round of the smooth weighted round robin that nginx made known: each step every connection gains its weight, the
/// richest is chosen and pays the sum of all. A weight of 0 takes part only when the others are gone.
fn smooth_round(weights: &[u32]) -> Vec<usize> {
    let scaled = scale(weights);
    let total: i64 = scaled.iter().sum();
    let mut wealth = vec![0_i64; scaled.len()];
    (0..total)
        .filter_map(|_| {
            for (one, weight) in wealth.iter_mut().zip(&scaled) {
                *one += weight;
            }
            // Of equals the first: max_by_key would take the last.
            let richest = wealth.iter().enumerate().rev().max_by_key(|(_, one)| **one).map(|(place, _)| place)?;
            *wealth.get_mut(richest)? -= total;
            Some(richest)
        })
        .collect()
}

/// Weights by their greatest common divisor, and below the longest round.
fn scale(weights: &[u32]) -> Vec<i64> {
    let divisor = weights.iter().copied().filter(|&weight| weight > 0).fold(0, gcd).max(1);
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
    weights
        .iter()
        .map(|&weight| {
            let weight = u64::from(weight / divisor);
            let scaled = if sum > ROUND_MAX { (weight * ROUND_MAX / sum).max(u64::from(weight > 0)) } else { weight };
            i64::try_from(scaled).unwrap_or(1)
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_and_spread() {
        assert_eq!(smooth_round(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(smooth_round(&[10, 10]), [0, 1]);
        assert_eq!(smooth_round(&[0, 3]), [1]);
        assert!(smooth_round(&[0, 0]).is_empty());
    }

    #[test]
    fn great_weights_make_no_great_round() {
        let round = smooth_round(&[999, 1_000_000, 1]);
        assert!(round.len() <= 1_026 && round.contains(&2), "{}", round.len());
    }
}
