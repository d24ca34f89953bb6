//! The retry budget: retries are a small part of a provider's requests, so that an outage is not amplified.

use std::sync::{Mutex, PoisonError};

use crate::api::{Outcome, ProviderSlug};
use crate::bounds;
use crate::clock::Instant;

/// One provider's budget. Each request pays a fifth of a retry in, each retry takes a whole one out, and what was paid in
/// longer ago than the window is gone. A few retries are free, so that small traffic has its retries too
/// (Finagle, `RetryBudget`; Linkerd, "Retry budgets").
#[derive(Debug, Default)]
pub struct RetryBudget(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// When the newest second began; none before the first request.
    began: Option<Instant>,
    /// What was paid in, less what was taken out, second by second, the newest first. In hundredths of a retry.
    seconds: [i64; bounds::RETRY_WINDOW_S],
}

impl RetryBudget {
    /// A request comes to the provider for the first time.
    pub fn request(&self, now: Instant) {
        self.at(now).add(bounds::RETRY_PERCENT);
    }

    /// Takes a retry out. Returns whether there was one.
    pub fn take(&self, now: Instant) -> bool {
        let mut window = self.at(now);
        let there = window.seconds.iter().sum::<i64>() + bounds::RETRIES_FREE * 100 >= 100;
        if there {
            window.add(-100);
        }
        there
    }

    /// Retries that could be taken out now.
    pub fn left(&self, now: Instant) -> u64 {
        let hundredths = self.at(now).seconds.iter().sum::<i64>() + bounds::RETRIES_FREE * 100;
        u64::try_from(hundredths / 100).unwrap_or_default()
    }

    fn at(&self, now: Instant) -> std::sync::MutexGuard<'_, Window> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.turn(now);
        window
    }
}

impl Window {
    fn add(&mut self, hundredths: i64) {
        if let Some(newest) = self.seconds.first_mut() {
            *newest += hundredths;
        }
    }

    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_secs();
        if passed > 0 {
            let gone = usize::try_from(passed).unwrap_or(usize::MAX).min(self.seconds.len());
            self.seconds.rotate_right(gone);
            self.seconds.iter_mut().take(gone).for_each(|second| *second = 0);
            self.began = Some(began + std::time::Duration::from_secs(passed));
        }
    }
}

/// How a request fares with the provider that it is at, where that looks like the provider's own trouble.
#[derive(Debug, Default)]
pub struct Trouble {
    at: Option<ProviderSlug>,
    connections: u32,
}

impl Trouble {
    /// Whether a connection of a provider may be tried. A first and a second one always may. Where both failed in the same
    /// way, all may: then each further one is a retry like any other, and no outage makes a call with each of a hundred keys.
    pub fn allows(&mut self, provider: &ProviderSlug, budget: Option<&RetryBudget>, now: Instant) -> bool {
        let Some(budget) = budget else { return true };
        if self.at.as_ref() == Some(provider) {
            return self.connections < 2 || budget.take(now);
        }
        budget.request(now);
        *self = Self { at: Some(provider.clone()), connections: 0 };
        true
    }

    /// Notes how it failed.
    pub fn note(&mut self, outcome: Outcome) {
        self.connections = if outcome == Outcome::Transient { self.connections + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(budget: &RetryBudget, tries: usize, now: Instant) -> usize {
        (0..tries).filter(|_| budget.take(now)).count()
    }

    #[test]
    fn retries_are_a_fifth_of_the_requests_of_the_window() {
        let (budget, began) = (RetryBudget::default(), Instant::now());
        (0..1_000).for_each(|_| budget.request(began));
        let free = usize::try_from(bounds::RETRIES_FREE).unwrap();
        assert_eq!(budget.left(began), 200 + free as u64);
        assert_eq!(taken(&budget, 1_000, began), 200 + free);
        assert_eq!(budget.left(began), 0);
        assert!(!budget.take(began + Duration::from_secs(bounds::RETRY_WINDOW_S as u64 - 1)));
        assert_eq!(taken(&budget, 1_000, began + Duration::from_secs(bounds::RETRY_WINDOW_S as u64)), free);
    }

    #[test]
    fn what_was_paid_in_long_ago_is_gone() {
        let (budget, began) = (RetryBudget::default(), Instant::now());
        (0..1_000).for_each(|_| budget.request(began));
        let later = began + Duration::from_secs(3_600);
        assert!(taken(&budget, 1_000, later) < 200);
    }

    #[test]
    fn an_outage_under_steady_traffic_is_amplified_by_no_more_than_the_budget() {
        let (budget, began) = (RetryBudget::default(), Instant::now());
        let mut retries = 0;
        // 100 requests a second for a minute, each of which would retry.
        for ms in (0..60_000).step_by(10) {
            let now = began + Duration::from_millis(ms);
            budget.request(now);
            retries += usize::from(budget.take(now));
        }
        assert!((1_200..=1_200 + 60 + 20).contains(&retries), "{retries} of 6,000");
    }

    #[test]
    fn rotation_is_limited_where_every_connection_of_a_provider_fails_alike() {
        let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
        let (budget, now, mut trouble) = (RetryBudget::default(), Instant::now(), Trouble::default());
        while budget.take(now) {}
        let mut allowed = |outcome: Option<Outcome>, provider| {
            outcome.into_iter().for_each(|outcome| trouble.note(outcome));
            trouble.allows(provider, Some(&budget), now)
        };
        assert!(allowed(None, &one));
        assert!(allowed(Some(Outcome::Transient), &one), "the second connection is always tried");
        assert!(!allowed(Some(Outcome::Transient), &one));
        assert!(allowed(None, &two) && allowed(Some(Outcome::RateShort), &two));
        assert!(allowed(Some(Outcome::Transient), &two) && !allowed(Some(Outcome::Transient), &two));
        assert!(allowed(Some(Outcome::RateShort), &two), "a full connection says nothing of the next");
        // Two requests to begin with, and three more: the fifth pays a whole retry.
        (0..3).for_each(|_| budget.request(now));
        assert!(budget.take(now) && !budget.take(now));
    }
}
