//! How connections and accounts have fared: what was observed, apart from what the operator switched.
//!
//! A small state machine, fed by classified outcomes and providers' hints alone ([`Ended`]), in three scopes:
//!
//! - the **account** (a limit group's, or a connection's own): a model cools after a rate limit ([`Cooldown`]); all of it
//!   parks when money or quota is spent;
//! - the **connection**: its credential is rejected, by generation; a model is not for its key; its [`Breaker`] opens;
//! - and nothing at all for what is the app's own fault.
//!
//! The machines are pure and take the time as an argument: `breaker.rs`, `cooldown.rs`, `standing.rs`, and the table in
//! `effect.rs`. [`Account`] and [`Health`] are the same behind short locks, with an atomic in front so that a look at a
//! connection against which nothing stands takes none.

mod account;
mod breaker;
mod cooldown;
mod effect;
mod ended;
mod registry;
mod standing;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

pub use account::{Account, Changes};
pub use breaker::{Breaker, Entry, Stand};
pub use cooldown::{Cooldown, Length};
pub use effect::{Effect, effect};
pub use ended::{Ended, News};
pub use registry::Registry;
pub use standing::{Against, Standing};

use crate::api::Outcome;
use crate::clock::Instant;
use crate::store::Scope;
use account::Soon;

/// What is observed of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// Nothing speaks against it.
    Ok,
    /// The provider refused the credential; a new secret or a passed test clears it.
    Rejected,
    /// It has no credential, and needs one.
    NeedsSecret,
}

impl HealthState {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::NeedsSecret => "needs_secret",
        }
    }
}

/// The last failure of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its class.
    pub outcome: Outcome,
    /// Its text, sanitised.
    pub message: String,
}

/// Which of a connection's credentials an attempt was made with: each new secret raises it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generation(u64);

/// Counters and the last error of one connection. Attempts write here without waiting for anybody.
#[doc(alias = "ConnectionHealthService")]
#[derive(Debug, Default)]
pub struct Health {
    successes: AtomicU64,
    errors: AtomicU64,
    consecutive_failures: AtomicU32,
    in_flight: AtomicU32,
    last_used_ms: AtomicI64,
    last_error: Mutex<Option<LastError>>,
    /// Twice the credential's generation, and one more while that credential is rejected. In one place, so that no late
    /// word on an old credential can fall on a new one.
    credential: AtomicU64,
    breaker: Mutex<Breaker>,
    /// Whether the breaker is anything but closed.
    shut: AtomicBool,
    /// Wakes whoever waits for the breaker: it closed, or its probe is over.
    turned: Notify,
    /// What stands against the connection itself; where it is in no limit group, its account too.
    own: Account,
}

/// What operators see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Attempts that were answered.
    pub successes: u64,
    /// Attempts that failed through the provider or the way to it.
    pub errors: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Attempts that run now.
    pub in_flight: u32,
    /// The last attempt's begin, in milliseconds since 1970.
    pub last_used_ms: Option<i64>,
    /// The last failure.
    pub last_error: Option<LastError>,
}

impl Health {
    /// One whose changes are stored.
    fn kept(scope: Scope, changes: &Arc<Changes>) -> Self {
        Self { own: Account::kept(scope, changes), ..Self::default() }
    }

    /// Notes that an attempt begins. The permit ends with it, however it ends.
    pub fn begin(self: &Arc<Self>, now_ms: i64) -> InFlight {
        self.last_used_ms.store(now_ms, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// The credential that is in force.
    pub fn generation(&self) -> Generation {
        Generation(self.credential.load(Ordering::Relaxed) >> 1)
    }

    /// Takes in how an attempt with a credential ended. The caller's own faults and hang-ups say nothing about the
    /// connection, and what is said of an old credential rejects no newer one. Tells whether the credential is now
    /// rejected, and was not before.
    pub(super) fn observe(&self, with: Generation, outcome: Outcome, now_ms: i64, message: Option<&str>) -> bool {
        match outcome {
            Outcome::Ok => {
                self.successes.fetch_add(1, Ordering::Relaxed);
                self.consecutive_failures.store(0, Ordering::Relaxed);
            }
            Outcome::Caller | Outcome::TooLarge | Outcome::ClientGone | Outcome::Unavailable => {}
            _ => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                self.consecutive_failures.fetch_add(1, Ordering::Relaxed);
                let message = message.unwrap_or(outcome.name()).to_owned();
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(LastError { at_ms: now_ms, outcome, message });
            }
        }
        let accepted = with.0 << 1;
        let reject = || self.credential.compare_exchange(accepted, accepted | 1, Ordering::Relaxed, Ordering::Relaxed);
        outcome == Outcome::Credential && reject().is_ok()
    }

    /// Forgives everything that was said of the connection: an operator says so.
    pub(super) fn clear(&self) {
        self.forgive();
        self.breaker(|breaker| *breaker = Breaker::default());
        self.own.change(|own| *own = Standing::default());
        self.own.report(Soon::Now);
    }

    /// Forgives a rejection, if it was of the credential that has passed a test.
    fn passed(&self, with: Generation) {
        if self.generation() == with && self.forgive() {
            self.own.report(Soon::Now);
        }
    }

    /// Forgives a rejection. Tells whether there was one.
    fn forgive(&self) -> bool {
        self.consecutive_failures.store(0, Ordering::Relaxed);
        self.credential.fetch_and(!1, Ordering::Relaxed) & 1 == 1
    }

    /// The same rejection as before a restart, of the credential that is in force.
    pub fn reject_again(&self, since_ms: i64, reason: &str) {
        self.credential.fetch_or(1, Ordering::Relaxed);
        let error = LastError { at_ms: since_ms, outcome: Outcome::Credential, message: reason.to_owned() };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Lets a request in as far as the breaker goes: it passes, or passes as the one probe of a half-open breaker, or comes
    /// too early.
    ///
    /// # Errors
    /// When one may try, for a request that does not pass.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Result<Option<Arc<Pass>>, Instant> {
        if !self.shut.load(Ordering::Acquire) {
            return Ok(None);
        }
        match self.breaker(|breaker| breaker.enter(now)) {
            Entry::Free => Ok(None),
            Entry::Probe => Ok(Some(Arc::new(Pass(Arc::clone(self))))),
            Entry::Shut { until } => Err(until),
        }
    }

    /// Whether a request would be let in now. Nobody's pass is taken.
    ///
    /// # Errors
    /// As [`Health::enter`].
    pub fn would_enter(&self, now: Instant) -> Result<(), Instant> {
        match self.breaker(|breaker| breaker.entry(now)) {
            Entry::Free | Entry::Probe => Ok(()),
            Entry::Shut { until } => Err(until),
        }
    }

    /// Waits, where a request would not be let in now, until its breaker closes or the probe that is under way is over.
    pub async fn turned(&self, now: Instant) {
        // From here on none is missed.
        let turned = self.turned.notified();
        if self.would_enter(now).is_err() {
            turned.await;
        }
    }

    /// How its breaker stands.
    pub fn stand(&self, now: Instant) -> Stand {
        if self.shut.load(Ordering::Acquire) { self.breaker(|breaker| breaker.stand(now)) } else { Stand::Closed }
    }

    /// What stands against the connection itself.
    pub fn own(&self) -> &Account {
        &self.own
    }

    fn breaker<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let done = change(&mut breaker);
        let was_shut = self.shut.swap(!breaker.is_closed(), Ordering::AcqRel);
        let closed = was_shut && breaker.is_closed();
        drop(breaker);
        if closed {
            self.turned.notify_waiters();
        }
        done
    }

    /// Begins anew with a new secret: what is still said of the one before counts no more.
    pub fn renew(&self) {
        let next = |state: u64| Some(((state >> 1) + 1) << 1);
        let _ = self.credential.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        self.clear();
    }

    /// The state of a connection that has its secret, if it needs one.
    pub fn state(&self) -> HealthState {
        if self.credential.load(Ordering::Relaxed) & 1 == 1 { HealthState::Rejected } else { HealthState::Ok }
    }

    /// Attempts that run now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Everything that operators see.
    pub fn observed(&self) -> Observed {
        let last_used_ms = self.last_used_ms.load(Ordering::Relaxed);
        Observed {
            successes: self.successes.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            consecutive_failures: self.consecutive_failures.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            last_used_ms: (last_used_ms != 0).then_some(last_used_ms),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// An attempt that runs.
#[derive(Debug)]
pub struct InFlight(Arc<Health>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Leave to be the one probe of a half-open breaker. It ends with its last holder, whether the probe said anything or not.
#[derive(Debug)]
pub struct Pass(Arc<Health>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.breaker(Breaker::leave);
        self.0.turned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_a_run_of_failures_and_a_callers_fault_is_none() {
        let health = Arc::new(Health::default());
        for outcome in [Outcome::Transient, Outcome::Timeout, Outcome::Caller, Outcome::ClientGone] {
            health.observe(health.generation(), outcome, 5, Some("why"));
        }
        assert_eq!((health.observed().errors, health.observed().consecutive_failures), (2, 2));
        health.observe(health.generation(), Outcome::Ok, 6, None);
        assert_eq!((health.observed().successes, health.observed().consecutive_failures), (1, 0));
        assert_eq!(health.observed().last_error.unwrap().outcome, Outcome::Timeout);
    }

    #[test]
    fn a_refused_credential_rejects_until_it_is_cleared() {
        let health = Health::default();
        health.observe(health.generation(), Outcome::Credential, 1, None);
        health.observe(health.generation(), Outcome::Ok, 2, None);
        assert_eq!(health.state(), HealthState::Rejected);
        health.clear();
        assert_eq!(health.state(), HealthState::Ok);
    }

    #[test]
    fn a_late_word_on_an_old_credential_says_nothing_of_the_new_one() {
        let health = Health::default();
        let old = health.generation();
        health.observe(old, Outcome::Credential, 1, None);
        health.renew();
        assert_eq!(health.state(), HealthState::Ok);
        health.observe(old, Outcome::Credential, 2, None);
        assert_eq!(health.state(), HealthState::Ok);
        health.observe(health.generation(), Outcome::Credential, 3, None);
        health.passed(old);
        assert_eq!(health.state(), HealthState::Rejected, "a test of the old one forgives nothing");
        health.passed(health.generation());
        assert_eq!(health.state(), HealthState::Ok);
    }

    #[test]
    fn permits_count_themselves_down() {
        let health = Arc::new(Health::default());
        let (first, second) = (health.begin(1), health.begin(2));
        assert_eq!(health.observed().in_flight, 2);
        drop((first, second));
        assert_eq!((health.observed().in_flight, health.observed().last_used_ms), (0, Some(2)));
    }
}
