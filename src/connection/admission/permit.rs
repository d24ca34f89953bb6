//! Room for one attempt, taken in all its scopes or in none, and given back however the attempt ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use thiserror::Error;
use tokio::time::Instant;

use super::scope::{Figure, Scope, State};
use crate::bounds;
use crate::clock::Now;
use crate::config::Limits;

/// A scope, with the limits that are in force there.
#[derive(Debug, Clone)]
pub struct Limited {
    /// The counters.
    pub scope: Arc<Scope>,
    /// The limits.
    pub limits: Limits,
}

/// The scopes that an attempt counts in, in the order in which all lock them.
pub type Counted<'a> = [Option<&'a Limited>; bounds::LIMIT_SCOPES_MAX];

/// No room for an attempt.
#[derive(Debug, Clone, Error)]
#[error("{} has no room: {} is used up", .key, .what.name())]
pub struct Full {
    /// When there may be room again, at the earliest. For requests under way nobody knows: that is now.
    pub until: Instant,
    /// The figure that is used up for longest.
    pub what: Figure,
    /// Where.
    pub key: super::ScopeKey,
    /// The scopes that have no room.
    pub blocked: Vec<Blocked>,
}

impl Full {
    fn add(all: &mut Option<Self>, scope: &Arc<Scope>, until: Instant, what: Figure, now: Now) {
        let due = (until > now.at).then_some(until);
        let blocked = Blocked { scope: Arc::clone(scope), freed: scope.freed.load(Ordering::SeqCst), due };
        let all = all.get_or_insert_with(|| Self { until, what, key: scope.key().clone(), blocked: Vec::new() });
        all.blocked.push(blocked);
        if until > all.until {
            (all.until, all.what, all.key) = (until, what, scope.key().clone());
        }
    }
}

/// A scope that had no room.
#[derive(Debug, Clone)]
pub struct Blocked {
    pub(super) scope: Arc<Scope>,
    /// How often room had come free by then.
    pub(super) freed: u64,
    /// When there will be room, where time alone brings it.
    pub(super) due: Option<Instant>,
}

/// Takes room in all scopes, or in none of them. `turn` is the scope whose line the caller has come to the front of;
/// where an attempt has no part in that, requests that wait go first.
///
/// # Errors
/// When one of them has no room.
pub fn reserve(scopes: &Counted<'_>, tokens: u64, now: Now, turn: Option<&Scope>) -> Result<Permit, Full> {
    let mut states = [const { None }; bounds::LIMIT_SCOPES_MAX];
    let look = |limited: &Limited, state: &mut State| {
        state.note_unwritten(tokens);
        limited.scope.leases.look(&limited.scope, state);
    };
    room(scopes, &mut states, tokens, now, turn, look)?;
    let mut claims = [const { None }; bounds::LIMIT_SCOPES_MAX];
    for ((limited, state), claim) in scopes.iter().flatten().zip(states.iter_mut().flatten()).zip(&mut claims) {
        state.take(tokens);
        state.note_need(tokens);
        limited.scope.leases.look(&limited.scope, state);
        *claim = Some(Claim { scope: Arc::clone(&limited.scope), arrived: None, day: 0 });
    }
    Ok(Permit { claims, tokens, settled: false })
}

/// Whether there would be room for an attempt that is not made. Nothing is taken, and nothing noted of it.
///
/// # Errors
/// When one of the scopes has no room.
pub fn would_fit(scopes: &Counted<'_>, tokens: u64, now: Now) -> Result<(), Full> {
    let mut states = [const { None }; bounds::LIMIT_SCOPES_MAX];
    room(scopes, &mut states, tokens, now, None, |_, _| {})
}

/// Locks the scopes' states, and finds whether an attempt fits into all of them.
fn room<'s>(
    scopes: &Counted<'s>,
    states: &mut [Option<MutexGuard<'s, State>>; bounds::LIMIT_SCOPES_MAX],
    tokens: u64,
    now: Now,
    turn: Option<&Scope>,
    locked: impl Fn(&Limited, &mut State),
) -> Result<(), Full> {
    let called = turn.is_some_and(|turn| scopes.iter().flatten().any(|one| one.scope.number() == turn.number()));
    // Those without room, and those where others wait for it.
    let (mut full, mut behind) = (None, None);
    for (limited, place) in scopes.iter().flatten().zip(states) {
        let scope = &limited.scope;
        let mut state = scope.state();
        state.limits = limited.limits;
        state.advance(now);
        locked(limited, &mut state);
        if let Some((until, what)) = state.full(tokens, now) {
            Full::add(&mut full, scope, until, what, now);
        } else if !called && scope.queued.load(Ordering::SeqCst) > 0 {
            // Nobody can tell when it is one's turn: they are called one after the other.
            Full::add(&mut behind, scope, now.at, Figure::Concurrent, now);
        }
        *place = Some(state);
    }
    // Whoever finds no room waits for that alone: in a line of those who would find none either, they would call each
    // other for ever.
    full.or(behind).map_or(Ok(()), Err)
}

/// The room of one attempt. When it is dropped its place among those under way is free; what was reserved stays used,
/// unless it is settled or was never sent.
#[derive(Debug)]
#[must_use = "room that is not held is given back at once"]
pub struct Permit {
    claims: [Option<Claim>; bounds::LIMIT_SCOPES_MAX],
    /// The tokens that were reserved.
    tokens: u64,
    settled: bool,
}

#[derive(Debug)]
struct Claim {
    scope: Arc<Scope>,
    /// The tokens' place in the window, once the call has arrived.
    arrived: Option<Instant>,
    /// The day on which it arrived.
    day: u64,
}

impl Permit {
    /// A permit for an attempt that nothing limits.
    pub fn unlimited() -> Self {
        Self { claims: [const { None }; bounds::LIMIT_SCOPES_MAX], tokens: 0, settled: false }
    }

    /// Whether anything limits it.
    pub fn is_limited(&self) -> bool {
        self.claims.iter().any(Option::is_some)
    }

    /// The tokens that were reserved.
    pub fn reserved(&self) -> u64 {
        self.tokens
    }

    /// Notes that the call has arrived: the head of its reply came. Only the first time counts.
    pub fn head(&mut self, now: Now) {
        let tokens = self.tokens;
        for claim in self.claims.iter_mut().flatten().filter(|claim| claim.arrived.is_none()) {
            let scope = Arc::clone(&claim.scope);
            claim.arrive(tokens, &mut scope.state(), now);
        }
    }

    /// Puts the tokens that were used in the place of those that were reserved. More than those is a debt.
    pub fn settle(&mut self, used: u64, now: Now) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.head(now);
        let (more, less) = (used.saturating_sub(self.tokens), self.tokens.saturating_sub(used));
        for claim in self.claims.iter().flatten() {
            let mut state = claim.scope.state();
            state.advance(now);
            let limit = state.limits.tokens_per_minute;
            if more > 0 {
                state.tokens.overshoot(more, limit, now.at);
            }
            if let Some(place) = claim.arrived.filter(|_| less > 0) {
                state.tokens.refund(less, place);
            }
            // What was reserved on a day that is over is not taken back from the next.
            let less = if claim.day == state.today.number { less } else { 0 };
            state.today.tokens.correct(more, less);
            let awaited = state.limits.tokens_per_minute.or(state.limits.tokens_per_day).is_some();
            drop(state);
            if less > 0 && awaited {
                claim.scope.notify();
            }
        }
    }

    /// Gives everything back: the call never left.
    pub fn unsent(mut self) {
        for claim in &mut self.claims {
            let Some(Claim { scope, arrived: None, .. }) = claim else { continue };
            let mut state = scope.state();
            state.give_back(self.tokens);
            drop(state);
            scope.notify();
            *claim = None;
        }
    }

    /// Ends the attempt. What has not arrived by now may have done so just now.
    pub fn end(mut self, now: Now) {
        self.close(now);
    }

    fn close(&mut self, now: Now) {
        self.head(now);
        for claim in self.claims.iter_mut().filter_map(Option::take) {
            let mut state = claim.scope.state();
            state.running = state.running.saturating_sub(1);
            let awaited = state.limits.concurrent.is_some();
            drop(state);
            if awaited {
                claim.scope.notify();
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_limited() {
            // The day is not asked for: a day that ends meanwhile has counted what was under way already.
            self.close(Now { at: Instant::now(), wall_ms: i64::MIN });
        }
    }
}

impl Claim {
    fn arrive(&mut self, tokens: u64, state: &mut State, now: Now) {
        state.advance(now);
        state.requests.arrived(1, now.at);
        self.arrived = Some(state.tokens.arrived(tokens, now.at));
        state.today.requests.count.arrived(1);
        state.today.tokens.count.arrived(tokens);
        self.day = state.today.number;
    }
}
