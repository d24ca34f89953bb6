//! Requests, attempts, tokens and costs, as the usage writer has summed them up.

use super::text::{Kind, Millis, Text};
use crate::api::{Operation, Outcome};
use crate::usage::meter::{Bound, CallNames, Histogram, OTHER, OfCall, Outcomes, SECONDS, Sums, TOKENS, TTFT};

const TOKEN_KINDS: [&str; 4] = ["input", "output", "cached", "reasoning"];

pub(super) fn put(text: &mut Text, sums: &Sums) {
    text.family("bursar_requests", Kind::Counter, "", "Requests that ended, by how they did.");
    for (app, feature, of_app) in sums.by_app() {
        for (outcome, count) in that_came(&of_app.requests) {
            text.sample("_total", &[("app", app), ("feature", feature), ("outcome", outcome.name())], count);
        }
    }
    text.family("bursar_attempts", Kind::Counter, "", "Calls to providers that ended, by how they did.");
    for (connection, outcomes) in sums.by_connection() {
        for (outcome, count) in that_came(outcomes) {
            text.sample("_total", &[("connection", connection), ("outcome", outcome.name())], count);
        }
    }
    let help = "Tokens; cached ones are part of the input, those of reasoning part of the output.";
    text.family("bursar_tokens", Kind::Counter, "", help);
    for (app, feature, of_app) in sums.by_app() {
        for (kind, count) in TOKEN_KINDS.iter().zip(of_app.tokens) {
            text.sample("_total", &[("app", app), ("feature", feature), ("type", kind)], count);
        }
    }
    text.family("bursar_cost_usd", Kind::Counter, "usd", "What it cost, as far as that is known.");
    for (app, feature, of_app) in sums.by_app() {
        text.sample("_total", &[("app", app), ("feature", feature)], of_app.cost);
    }
    let help = "Calls whose cost is not known, and in no sum.";
    text.family("bursar_cost_unknown", Kind::Counter, "", help);
    for (app, feature, of_app) in sums.by_app() {
        text.sample("_total", &[("app", app), ("feature", feature)], of_app.cost_unknown);
    }
    text.one("bursar_usage_records", Kind::Counter, "", "Usage records that were made.", sums.records);
    put_conventional(text, sums);
}

/// The metrics that OpenTelemetry names.
fn put_conventional(text: &mut Text, sums: &Sums) {
    let help = "Input and output tokens of one call (gen_ai.client.token.usage).";
    text.family("gen_ai_client_token_usage", Kind::Histogram, "", help);
    for (names, call) in sums.calls() {
        put_histogram(text, names, Some(("gen_ai_token_type", "input")), TOKENS, &call.input, Sum::Count);
        put_histogram(text, names, Some(("gen_ai_token_type", "output")), TOKENS, &call.output, Sum::Count);
    }
    let help = "How long one call took (gen_ai.client.operation.duration).";
    text.family("gen_ai_client_operation_duration_seconds", Kind::Histogram, "seconds", help);
    for (names, OfCall { durations, .. }) in sums.calls() {
        for (outcome, durations) in durations {
            let error = (*outcome != Outcome::Ok).then_some(("error_type", outcome.name()));
            put_histogram(text, names, error, SECONDS, durations, Sum::Millis);
        }
    }
    let help = "The time to the first token of a stream (gen_ai.server.time_to_first_token).";
    text.family("gen_ai_server_time_to_first_token_seconds", Kind::Histogram, "seconds", help);
    for (names, call) in sums.calls() {
        put_histogram(text, names, None, TTFT, &call.ttft, Sum::Millis);
    }
}

/// What a histogram's sum counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    Count,
    Millis,
}

fn put_histogram<const N: usize>(
    text: &mut Text,
    names: CallNames<'_>,
    also: Option<(&'static str, &'static str)>,
    bounds: &[Bound],
    histogram: &Histogram<N>,
    sum: Sum,
) {
    if histogram.count() == 0 {
        return;
    }
    let mut labels = vec![
        ("gen_ai_operation_name", operation(names.operation)),
        ("gen_ai_provider_name", names.provider),
        ("gen_ai_request_model", names.asked),
        ("gen_ai_response_model", names.served),
    ];
    labels.extend(also);
    labels.push(("le", ""));
    let ends = bounds.iter().map(|bound| bound.label).zip(histogram.up_to()).chain([("+Inf", histogram.count())]);
    for (le, count) in ends {
        if let Some(last) = labels.last_mut() {
            last.1 = le;
        }
        text.sample("_bucket", &labels, count);
    }
    labels.pop();
    text.sample("_count", &labels, histogram.count());
    match sum {
        Sum::Count => text.sample("_sum", &labels, histogram.sum()),
        Sum::Millis => text.sample("_sum", &labels, Millis(i64::try_from(histogram.sum()).unwrap_or(i64::MAX))),
    }
}

/// The name of an operation. `chat` and `embeddings` are OpenTelemetry's words too; it has none for the others.
fn operation(operation: Option<Operation>) -> &'static str {
    operation.map_or(OTHER, Operation::name)
}

/// The outcomes that there were.
fn that_came(outcomes: &Outcomes) -> impl Iterator<Item = (Outcome, u64)> + '_ {
    Outcome::ALL.iter().copied().zip(outcomes.iter().copied()).filter(|(_, count)| *count > 0)
}
