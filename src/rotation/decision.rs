//! What the class of an attempt's end means for the request: the design's table of outcomes, as one function.

use std::time::Duration;

use crate::api::Outcome;
use crate::bounds;
use crate::config::OnTimeout;

/// The next step after an attempt that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The same connection once more, after a pause.
    Again,
    /// The next candidate, at once.
    Next,
    /// No more: the app is told.
    Stop,
}

/// Decides the next step, before any content has gone out. `retries` were made on this connection already; `first` tells
/// whether this is the first provider that was tried.
pub fn decide(outcome: Outcome, retries: u32, first: bool, on_timeout: OnTimeout) -> Step {
    match outcome {
        Outcome::Transient if retries < bounds::RETRIES_PER_CONNECTION => Step::Again,
        Outcome::Transient | Outcome::RateShort | Outcome::RateDay | Outcome::Quota => Step::Next,
        Outcome::Credential | Outcome::NotForKey | Outcome::TooLarge | Outcome::InBand => Step::Next,
        // It may have done, and charged, the work.
        Outcome::Timeout if on_timeout == OnTimeout::Error => Step::Stop,
        Outcome::Timeout => Step::Next,
        // Another provider may see less than the first: only the first one's word counts as the app's fault.
        Outcome::Caller if first => Step::Stop,
        Outcome::Caller => Step::Next,
        Outcome::Ok | Outcome::Cut | Outcome::ClientGone | Outcome::Unavailable => Step::Stop,
    }
}

/// The pause before a retry: full jitter over 250 ms · 2ⁿ, at most 5 s. `chance` is uniform over all of `u64`.
pub fn pause(retries: u32, chance: u64) -> Duration {
    let ceiling = bounds::RETRY_PAUSE.saturating_mul(2_u32.saturating_pow(retries)).min(bounds::RETRY_PAUSE_MAX);
    let millis = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(chance % (millis + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_outcomes() {
        let step = |outcome, retries, first| decide(outcome, retries, first, OnTimeout::Error);
        assert_eq!(step(Outcome::Transient, 0, true), Step::Again);
        assert_eq!(step(Outcome::Transient, 1, true), Step::Next);
        assert_eq!(step(Outcome::Caller, 0, true), Step::Stop);
        assert_eq!(step(Outcome::Caller, 0, false), Step::Next);
        assert_eq!(step(Outcome::Timeout, 0, true), Step::Stop);
        assert_eq!(decide(Outcome::Timeout, 0, true, OnTimeout::Fallback), Step::Next);
        for outcome in [Outcome::RateShort, Outcome::RateDay, Outcome::Quota, Outcome::Credential, Outcome::NotForKey] {
            assert_eq!(step(outcome, 0, true), Step::Next, "{outcome}");
        }
        assert_eq!(step(Outcome::Cut, 0, true), Step::Stop);
    }

    #[test]
    fn pauses_are_jittered_and_bounded() {
        assert_eq!(pause(0, 250), Duration::from_millis(250));
        assert_eq!(pause(0, 251), Duration::ZERO);
        assert!((0..64).all(|n| pause(n, u64::MAX - 3) <= bounds::RETRY_PAUSE_MAX));
    }
}
