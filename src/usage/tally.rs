//! Adds records up.

use hdrhistogram::Histogram;

use crate::api::usage::UsageFigures;
use crate::api::{Outcome, UsageRecord};

/// Percentiles are within one part in a hundred.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Longer durations count as this one, a day: it bounds the histogram.
const DURATION_MS_MAX: u64 = 86_400_000;

/// The running sum of a group. The histogram is made with the first request: most groups of a long report are small.
#[derive(Debug, Default)]
pub(super) struct Tally {
    figures: UsageFigures,
    durations: Option<Histogram<u32>>,
}

impl Tally {
    /// Counts a record.
    pub(super) fn add(&mut self, record: &UsageRecord) {
        let figures = &mut self.figures;
        let attempted = record.connection.is_some();
        if attempted {
            figures.attempts += 1;
            figures.cost_unknown += u64::from(record.cost.is_none() && may_cost(record.outcome));
        }
        let tokens = &record.tokens;
        for (sum, count) in [
            (&mut figures.input_tokens, tokens.input),
            (&mut figures.output_tokens, tokens.output),
            (&mut figures.cached_tokens, tokens.cached),
            (&mut figures.reasoning_tokens, tokens.reasoning),
        ] {
            *sum = sum.saturating_add(count.unwrap_or_default());
        }
        figures.cost_usd = figures.cost_usd.plus(record.cost.unwrap_or_default());
        if record.is_final {
            figures.requests += 1;
            figures.errors += u64::from(record.outcome != Outcome::Ok);
            if attempted {
                self.time(record.duration_ms);
            }
        }
    }

    fn time(&mut self, duration_ms: u64) {
        if self.durations.is_none() {
            self.durations = Histogram::new(SIGNIFICANT_DIGITS).ok();
        }
        if let Some(durations) = &mut self.durations {
            // It grows by itself up to the bound, so this cannot fail.
            let _ = durations.record(duration_ms.min(DURATION_MS_MAX));
        }
    }

    /// What the records amount to.
    pub(super) fn figures(&self) -> UsageFigures {
        let at = |quantile| self.durations.as_ref().map(|durations| durations.value_at_quantile(quantile));
        UsageFigures { p50_ms: at(0.5), p99_ms: at(0.99), ..self.figures }
    }
}

/// Whether a provider may charge an attempt that ended so: it answered, began to, or may have worked unseen.
fn may_cost(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Cut | Outcome::ClientGone | Outcome::Timeout)
}
