//! Room for attempts: reserved in every limit that concerns a candidate, and waited for where none has any.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::spending::Spending;
use super::{Call, Worker, attempt};
use crate::api::Operation;
use crate::bounds;
use crate::config::Timeouts;
use crate::connection::admission::{Admission, Blocked, Counted, Full, Permit, Waiter, reserve};
use crate::connection::budget::Charge;
use crate::rotation::{Candidate, Skip, Skipped, Trouble};
use crate::snapshot::Snapshot;

/// Room for one attempt.
pub(super) struct Room {
    pub(super) permit: Permit,
    pub(super) charge: Charge,
}

/// One request's way to room.
pub(super) struct Admit<'a> {
    pub(super) worker: &'a Worker,
    pub(super) call: &'a Call,
    pub(super) snapshot: &'a Snapshot,
    /// How it fares with the provider that it is at.
    pub(super) trouble: Trouble,
    /// The tokens that the request is taken for.
    input: u64,
    /// The scopes that had no room in the present walk.
    blocked: Vec<Blocked>,
    /// How long a request may wait for those that had none, and take in all.
    timeouts: Option<Timeouts>,
    waiter: Option<Waiter>,
    /// What it spends of budgets.
    pub(super) spending: Spending,
    /// When waiting is over.
    until: Option<Instant>,
}

impl<'a> Admit<'a> {
    pub(super) fn new(worker: &'a Worker, call: &'a Call, snapshot: &'a Snapshot, input: u64) -> Self {
        let (trouble, spending) = (Trouble::default(), Spending::default());
        let (blocked, timeouts, waiter, until) = (Vec::new(), None, None, None);
        Self { worker, call, snapshot, trouble, input, blocked, timeouts, waiter, spending, until }
    }

    /// Whether a candidate may be tried, for what its provider has been asked for in vain.
    pub(super) fn allows(&mut self, candidate: &Candidate) -> bool {
        let slug = &candidate.provider.slug;
        self.trouble.allows(slug, self.snapshot.selection.retries(slug), self.worker.engine.clock.now())
    }

    /// Reserves room for an attempt, in every limit and every budget. Who waits behind the request may come now, wherever
    /// it is that it goes.
    pub(super) fn reserve(&mut self, candidate: &Candidate) -> Result<Room, Skip> {
        let room = self.room(candidate)?;
        self.waiter = None;
        Ok(room)
    }

    fn room(&mut self, candidate: &Candidate) -> Result<Room, Skip> {
        let scopes = candidate.connection.quotas.of(&candidate.model);
        let budgets = &self.snapshot.budgets;
        let limited = scopes.iter().any(Option::is_some);
        if !limited && budgets.is_empty() {
            return Ok(Room { permit: Permit::unlimited(), charge: Charge::default() });
        }
        let expected = self.tokens(candidate);
        let tokens = expected.0.saturating_add(expected.1);
        let permit = if limited { self.reserve_in(candidate, &scopes, tokens)? } else { Permit::unlimited() };
        let (engine, now) = (&self.worker.engine, self.worker.engine.clock.both());
        match self.spending.charge((engine, budgets), (self.call, candidate), expected, now) {
            Ok(charge) => Ok(Room { permit, charge }),
            Err(spent) => {
                permit.unsent();
                Err(Skip::Budget { until: spent.until })
            }
        }
    }

    fn reserve_in(&mut self, candidate: &Candidate, scopes: &Counted<'_>, tokens: u64) -> Result<Permit, Skip> {
        let turn = self.waiter.as_ref().and_then(Waiter::turn);
        match reserve(scopes, tokens, self.worker.engine.clock.both(), turn.as_deref()) {
            Ok(permit) => Ok(permit),
            Err(full) => Err(self.refused(candidate, full)),
        }
    }

    /// Begins another walk, which has nothing to do with who had no room in the last one.
    pub(super) fn walks_anew(&mut self) {
        self.blocked.clear();
        self.waiter = None;
    }

    fn refused(&mut self, candidate: &Candidate, full: Full) -> Skip {
        let here = attempt::timeouts(self.call, candidate);
        let longest = self.timeouts.map_or(here, |before| Timeouts {
            wait: before.wait.max(here.wait),
            total: before.total.max(here.total),
            ..before
        });
        self.timeouts = Some(longest);
        let room = bounds::WAITING_SCOPES_MAX.saturating_sub(self.blocked.len());
        self.blocked.extend(full.blocked.into_iter().take(room));
        Skip::OutOfRoom { until: full.until }
    }

    /// The tokens that an attempt will take, in and out, as far as anybody can tell.
    fn tokens(&self, candidate: &Candidate) -> (u64, u64) {
        let (call, scan, input) = (self.call, &self.call.said.scan, self.input);
        if !matches!(call.operation, Operation::Chat | Operation::Responses) {
            return (input, 0);
        }
        let of_model = candidate.facts.as_ref().and_then(|facts| facts.max_output_tokens);
        let most = scan.max_output_tokens.into_iter().chain(of_model).min();
        let averages = &self.admission().averages;
        (input, averages.output_tokens(&call.feature, &candidate.model, most))
    }

    fn admission(&self) -> &'a Admission {
        &self.worker.engine.admission
    }

    /// After a walk that found nobody to answer: waits, where one of those that were passed over is back soon enough.
    /// Whether another walk is worth it; how long was waited comes back too.
    pub(super) async fn wait(&mut self, skipped: &[Skipped]) -> Option<Duration> {
        let now = self.worker.engine.clock.now();
        let until = self.until.unwrap_or_else(|| patience(&self.timeouts_or_default(), self.call, now));
        self.until = Some(until);
        let earliest = skipped.iter().filter_map(|one| one.why.returns()).min()?;
        if earliest > until || now >= until {
            return None;
        }
        let alone = skipped.iter().filter_map(|one| comes_alone(one.why, now)).min();
        let blocked = std::mem::take(&mut self.blocked);
        if self.waiter.is_none() {
            self.waiter = Some(self.admission().waiting.join(&self.call.app)?);
        }
        let waiter = self.waiter.as_ref()?;
        if waiter.line_up(&blocked) {
            return Some(Duration::ZERO);
        }
        tokio::select! {
            () = waiter.called() => {}
            () = turned(self.snapshot, skipped, now) => {}
            () = sleep_until(alone.unwrap_or(until)), if alone.is_some() => {}
            () = sleep_until(until) => {
                self.waiter = None;
                return None;
            }
        }
        Some(now.elapsed())
    }

    fn timeouts_or_default(&self) -> Timeouts {
        self.timeouts.unwrap_or_else(|| self.worker.engine.snapshot.load().catalogue.default_timeouts)
    }
}

/// When one comes back with time alone, for which no line is kept. What came back during the walk is back at once.
fn comes_alone(why: Skip, now: Instant) -> Option<Instant> {
    match why {
        Skip::Cooling { until } | Skip::Budget { until } => Some(until.max(now + bounds::WAIT_LEAST)),
        // Whose probe is under way is back when that ends: see `turned`.
        Skip::Open { until } => Some(until).filter(|until| *until > now),
        _ => None,
    }
}

/// Waits until one of those that their breakers shut out may be tried: nobody can tell when a probe is over.
async fn turned(snapshot: &Snapshot, skipped: &[Skipped], now: Instant) {
    let shut = skipped.iter().filter(|one| matches!(one.why, Skip::Open { .. })).take(bounds::WAITING_SCOPES_MAX);
    let shut = shut.filter_map(|one| snapshot.connections.get(&one.connection));
    let turns: Vec<_> = shut.map(|connection| Box::pin(connection.health.turned(now))).collect();
    if turns.is_empty() {
        return std::future::pending().await;
    }
    futures_util::future::select_all(turns).await;
}

/// When a request that begins to wait now has waited long enough.
fn patience(timeouts: &Timeouts, call: &Call, now: Instant) -> Instant {
    let deadline = call.began + call.timeout.unwrap_or(timeouts.total);
    deadline.min(now + call.wait.unwrap_or(timeouts.wait))
}
