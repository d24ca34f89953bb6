//! The attempt that runs, with the room that it holds.

use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;
use super::spending;
use crate::adapter::{Hints, Seen};
use crate::api::{CostSource, Feature, NanoUsd, Outcome, Tokens};
use crate::bounds;
use crate::clock::Now;
use crate::config::Counted;
use crate::connection::admission::{Admission, Figure, Permit};
use crate::connection::budget::Charge;
use crate::connection::health::InFlight;
use crate::provider::price;
use crate::rotation::Candidate;

/// The windows that quotas have.
const MINUTE_S: u32 = 60;
const DAY_S: u32 = 86_400;

/// The attempt that runs.
pub(super) struct Running {
    pub(super) candidate: Candidate,
    pub(super) began: Instant,
    pub(super) at_ms: i64,
    pub(super) status: Option<u16>,
    /// How long the reply's head took.
    pub(super) head_after: Option<Duration>,
    pub(super) ttft: Option<Duration>,
    pub(super) seen: Seen,
    pub(super) hints: Hints,
    /// Where the app itself set one.
    pub(super) apps_deadline: Option<Instant>,
    pub(super) permit: Permit,
    /// What it took from budgets.
    pub(super) charge: Charge,
    /// Whether the call never left.
    pub(super) unsent: bool,
    pub(super) _in_flight: InFlight,
}

impl Running {
    /// Tells the connection's pace how long this attempt took to its reply's head, or took in vain.
    pub(super) fn keep_pace(&self, failed: bool) {
        let took = self.head_after.unwrap_or_else(|| self.began.elapsed());
        self.candidate.connection.pace.observe(took, failed, Instant::now());
    }

    /// Takes in what its provider counted, but for what cannot be.
    pub(super) fn count(&mut self, seen: &Seen) {
        let tokens = seen.tokens.within(bounds::USAGE_FIGURE_MAX);
        let cost = seen.cost.filter(|cost| cost.0 <= bounds::USAGE_COST_MAX);
        if (tokens, cost) != (seen.tokens, seen.cost) {
            let connection = &self.candidate.connection.id;
            tracing::warn!(%connection, "its provider counts more than can be in one reply: that is left out");
        }
        self.seen.tokens = self.seen.tokens.updated_by(tokens);
        self.seen.cost = cost.or(self.seen.cost);
    }

    /// Notes that the answer has begun: what was the one probe of its breaker keeps nobody else away any longer.
    pub(super) fn answers(&mut self) {
        if self.candidate.pass.take().is_some() {
            self.candidate.connection.answers(self.began);
        }
    }

    pub(super) fn model(&self) -> String {
        self.seen.model.clone().unwrap_or_else(|| self.candidate.model.to_string())
    }

    /// What so much cost, and who says so. The provider's own figure wins.
    pub(super) fn cost(&self, tokens: &Tokens) -> Option<(NanoUsd, CostSource)> {
        if let Some(cost) = self.seen.cost {
            return Some((cost, CostSource::Provider));
        }
        let price = self.candidate.facts.as_ref()?.price.as_ref()?;
        price::cost(price, tokens).ok().map(|cost| (cost, CostSource::Prices))
    }

    /// Lowers what is left of the connection's own quotas to what its provider says, where that is less.
    pub(super) fn lower(&self, now: Now) {
        let candidate = &self.candidate;
        for one in &self.hints.remaining {
            let figure = match (one.counted, one.window_s) {
                (Counted::Requests, MINUTE_S) => Figure::RequestsPerMinute,
                (Counted::Requests, DAY_S) => Figure::RequestsPerDay,
                (Counted::Tokens, MINUTE_S) => Figure::TokensPerMinute,
                (Counted::Tokens, DAY_S) => Figure::TokensPerDay,
                _ => continue,
            };
            if let Some(remaining) = one.remaining {
                candidate.connection.quotas.observe_remaining(&candidate.model, figure, remaining, now);
            }
        }
    }

    /// Gives an attempt's room back. What it used takes the place of what was reserved; what is not known of it stays
    /// reserved.
    pub(super) fn give_back(
        self,
        outcome: Outcome,
        account: &Account,
        now: Now,
        admission: &Admission,
        feature: &Feature,
    ) {
        let Self { mut permit, charge, unsent, seen, candidate, status, .. } = self;
        let is_estimated = permit.is_limited() || !charge.is_empty();
        if unsent {
            charge.give_back(now);
        } else {
            spending::settle(charge, (outcome, status), account, now);
        }
        let Tokens { input, output, .. } = seen.tokens;
        if is_estimated && outcome == Outcome::Ok && input.is_some() {
            output.into_iter().for_each(|output| admission.averages.observe(feature, &candidate.model, output));
        }
        if !permit.is_limited() {
            return;
        }
        if unsent {
            return permit.unsent();
        }
        let used = input.unwrap_or(0).saturating_add(output.unwrap_or(0));
        if outcome == Outcome::Ok && input.is_some() {
            permit.settle(used, now);
        } else {
            // Of a reply that was not read to its end, the figures are as far as it came.
            permit.settle(used.max(permit.reserved()), now);
        }
        permit.end(now);
    }
}
