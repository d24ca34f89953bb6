//! What an attempt used and cost: what its provider said, and what is put in its place where it said nothing.
//!
//! Unknown stays unknown but for text: a call that was sent took in what its body holds, and an answer that was read has
//! the length that was read. Such figures are estimates, and say so.

use super::labels::Labels;
use super::running::Running;
use crate::api::{CostSource, NanoUsd, Operation, Outcome, Tokens};
use crate::bounds;

/// What an attempt used and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// What it used.
    pub tokens: Tokens,
    /// What that cost.
    pub cost: Option<NanoUsd>,
    /// Who says so.
    pub source: Option<CostSource>,
    /// Whether a figure is an estimate, or as far as a reply came.
    pub estimated: bool,
}

impl Account {
    /// What an attempt used that ended so.
    pub(super) fn of(running: &Running, outcome: Outcome, labels: &Labels) -> Self {
        let (tokens, estimated) = tokens(running, outcome, labels);
        let cost = running.cost(&tokens);
        Self { tokens, cost: cost.map(|(cost, _)| cost), source: cost.map(|(_, source)| source), estimated }
    }
}

/// Whether there was more of a reply than was read.
pub(super) fn is_partial(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Cut | Outcome::ClientGone)
}

fn tokens(running: &Running, outcome: Outcome, labels: &Labels) -> (Tokens, bool) {
    let mut tokens = running.seen.tokens;
    let partial = is_partial(outcome);
    let mut estimated = partial && !tokens.is_unknown();
    if running.unsent || !(partial || outcome == Outcome::Ok) {
        return (tokens, estimated);
    }
    // What is read aloud is the request's own text.
    tokens.characters = tokens.characters.or(labels.characters);
    let (of_text, answers) = match labels.operation {
        Operation::Chat | Operation::Responses => (true, true),
        Operation::Embeddings => (true, false),
        _ => (false, false),
    };
    if of_text && tokens.input.is_none() {
        (tokens.input, estimated) = (Some(labels.input_estimate), true);
    }
    if answers && tokens.output.is_none() && running.seen.written > 0 {
        (tokens.output, estimated) = (Some(running.seen.written.div_ceil(bounds::TEXT_BYTES_PER_TOKEN)), true);
    }
    (tokens, estimated)
}
