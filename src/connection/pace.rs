//! How fast a connection answers: a moving average that rises at once and falls slowly.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::bounds;
use crate::clock::Instant;

/// The time from sending to the reply's first byte, as a peak-sensitive moving average: a slower reply counts whole at
/// once, and is forgotten by half with each [`bounds::PACE_HALF_LIFE`] (Finagle, "Aperture load balancers", peak EWMA).
#[derive(Debug, Default)]
pub struct Pace(Mutex<Option<(f64, Instant)>>);

impl Pace {
    /// Takes in one attempt's time. One that failed counts as slow, so that nobody shines by refusing fast.
    pub fn observe(&self, took: Duration, failed: bool, now: Instant) {
        let took = if failed { took.max(bounds::PACE_OF_FAILURE) } else { took }.as_secs_f64();
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let average = match *pace {
            Some((average, at)) if took < average => {
                let kept = kept(now.saturating_duration_since(at));
                average * kept + took * (1.0 - kept)
            }
            _ => took,
        };
        *pace = Some((average, now));
    }

    /// What choosing it would cost: its average, for each that would wait there, in microseconds. Not measured lately is
    /// as good as fast, so that it comes to be measured.
    pub fn score(&self, in_flight: u32, now: Instant) -> u64 {
        let pace = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let average = pace.map_or(0.0, |(average, at)| average * kept(now.saturating_duration_since(at)));
        let micros = u64::try_from(Duration::try_from_secs_f64(average).unwrap_or_default().as_micros());
        micros.unwrap_or(u64::MAX).max(1).saturating_mul(u64::from(in_flight) + 1)
    }
}

/// How much of an average is left after a time: half of it with each half-life, in a straight line between. An exponential
/// would be no truer, and would keep the library of mathematics in memory for this one line.
fn kept(time: Duration) -> f64 {
    let half_life = bounds::PACE_HALF_LIFE;
    let halvings = time.as_nanos() / half_life.as_nanos();
    let Ok(halvings) = i32::try_from(halvings) else { return 0.0 };
    let rest = time.saturating_sub(half_life.saturating_mul(halvings.cast_unsigned()));
    0.5_f64.powi(halvings) * (1.0 - rest.as_secs_f64() / half_life.as_secs_f64() / 2.0)
}

/// Values by key that outlive snapshots. What no snapshot holds any more is let go with the next one.
#[derive(Debug)]
pub struct Kept<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone, V: Default> Kept<K, V> {
    /// The value of a key, new where it has none yet.
    pub fn of(&self, key: &K) -> Arc<V> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default())
    }

    /// Lets go what nobody holds.
    pub fn sweep(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, value| Arc::strong_count(value) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reply_counts_at_once_and_is_forgotten_slowly() {
        let (pace, began) = (Pace::default(), Instant::now());
        let at = |s: u64| began + Duration::from_secs(s);
        assert_eq!(pace.score(0, began), 1, "not measured yet");
        pace.observe(Duration::from_millis(100), false, began);
        assert_eq!((pace.score(0, began), pace.score(3, began)), (100_000, 400_000));
        pace.observe(Duration::from_secs(2), false, at(0));
        assert_eq!(pace.score(0, at(0)), 2_000_000);
        pace.observe(Duration::from_millis(100), false, at(1));
        assert!((1_500_000..2_000_000).contains(&pace.score(0, at(1))), "{}", pace.score(0, at(1)));
        assert!(pace.score(0, at(300)) < 1_000, "{}", pace.score(0, at(300)));
    }

    #[test]
    fn half_is_forgotten_with_each_half_life() {
        let s = Duration::from_secs;
        assert_eq!([0, 5, 10, 20].map(|time| kept(s(time))), [1.0, 0.75, 0.5, 0.25]);
        assert!((0..600).all(|time| kept(s(time)) > kept(s(time + 1))), "it never rises");
        assert_eq!(kept(Duration::MAX), 0.0);
    }

    #[test]
    fn nobody_shines_by_failing_fast() {
        let (pace, now) = (Pace::default(), Instant::now());
        pace.observe(Duration::from_millis(1), true, now);
        assert!(pace.score(0, now) >= 1_000_000);
    }

    #[test]
    fn what_is_held_is_kept_and_the_rest_is_let_go() {
        let kept: Kept<u8, Pace> = Kept::default();
        let held = kept.of(&1);
        kept.of(&2).observe(Duration::from_secs(1), false, Instant::now());
        kept.sweep();
        assert!(Arc::ptr_eq(&held, &kept.of(&1)));
        assert_eq!(kept.of(&2).score(0, Instant::now()), 1);
    }
}
