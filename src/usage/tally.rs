//! Adds records up: what a group of them amounts to, in a form that can be added up further.

use super::histogram::Histogram;
use crate::api::usage::UsageFigures;
use crate::api::{NanoUsd, Outcome, UsageRecord};

/// The running sum of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) sums: Sums,
    /// How long requests took that reached a provider.
    pub(super) durations: Histogram,
    /// How long their first content took, where that is known.
    pub(super) ttfts: Histogram,
}

/// What is only counted and summed, each saturating. The cost is in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    requests: u64,
    attempts: u64,
    errors: u64,
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    reasoning_tokens: u64,
    cost: u64,
    cost_unknown: u64,
    estimated: u64,
}

impl Tally {
    /// Counts a record.
    pub(super) fn add(&mut self, record: &UsageRecord) {
        let sums = &mut self.sums;
        let attempted = record.connection.is_some();
        if attempted {
            sums.attempts += 1;
            sums.cost_unknown += u64::from(record.cost.is_none() && record.may_cost());
            sums.estimated += u64::from(record.estimated);
        }
        let tokens = &record.tokens;
        for (sum, count) in [
            (&mut sums.input_tokens, tokens.input),
            (&mut sums.output_tokens, tokens.output),
            (&mut sums.cached_tokens, tokens.cached),
            (&mut sums.reasoning_tokens, tokens.reasoning),
            (&mut sums.cost, record.cost.map(|cost| cost.0)),
        ] {
            *sum = sum.saturating_add(count.unwrap_or_default());
        }
        if record.is_final {
            sums.requests += 1;
            sums.errors += u64::from(record.outcome != Outcome::Ok);
            if attempted {
                self.durations.add(record.duration_ms);
                if let Some(ttft_ms) = record.ttft_ms {
                    self.ttfts.add(ttft_ms);
                }
            }
        }
    }

    /// Counts what another counted too.
    pub(super) fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
        self.durations.absorb(other.durations.view());
        self.ttfts.absorb(other.ttfts.view());
    }

    /// What the records amount to.
    pub(super) fn figures(&self) -> UsageFigures {
        let sums = &self.sums;
        let [p50_ms, p90_ms, p99_ms] = self.durations.percentiles([50, 90, 99]);
        let [ttft_p50_ms, ttft_p90_ms, ttft_p99_ms] = self.ttfts.percentiles([50, 90, 99]);
        UsageFigures {
            requests: sums.requests,
            attempts: sums.attempts,
            errors: sums.errors,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            cached_tokens: sums.cached_tokens,
            reasoning_tokens: sums.reasoning_tokens,
            cost_usd: NanoUsd(sums.cost),
            cost_unknown: sums.cost_unknown,
            estimated: sums.estimated,
            p50_ms,
            p90_ms,
            p99_ms,
            ttft_p50_ms,
            ttft_p90_ms,
            ttft_p99_ms,
        }
    }
}

impl Sums {
    /// How many there are.
    pub(super) const COUNT: usize = 10;

    /// All of them, in the order in which they are stored: a new one comes last.
    pub(super) fn all(&self) -> [u64; Self::COUNT] {
        let mut copy = *self;
        copy.all_mut().map(|sum| *sum)
    }

    /// All of them, in the same order.
    pub(super) fn all_mut(&mut self) -> [&mut u64; Self::COUNT] {
        [
            &mut self.requests,
            &mut self.attempts,
            &mut self.errors,
            &mut self.input_tokens,
            &mut self.output_tokens,
            &mut self.cached_tokens,
            &mut self.reasoning_tokens,
            &mut self.cost,
            &mut self.cost_unknown,
            &mut self.estimated,
        ]
    }

    /// Counts what another counted too.
    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.all_mut().into_iter().zip(other.all()) {
            *sum = sum.saturating_add(more);
        }
    }
}
