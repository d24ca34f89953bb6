//! Budgets: how much there is, how much is spent, and when it begins anew.

use super::text::{Kind, Millis, Text};
use crate::api::admin::BudgetStatus;
use crate::bounds;

pub(super) fn put(text: &mut Text, all: &[BudgetStatus]) {
    let some = all.get(..bounds::METRIC_BUDGETS_MAX.min(all.len())).unwrap_or_default();
    let help = "How much a budget has for its hour, day or month: requests, tokens, or USD.";
    text.family("bursar_budget_limit", Kind::Gauge, "", help);
    for one in some {
        put_figures(text, one, [one.requests.map(|of| of.limit), one.tokens.map(|of| of.limit)]);
        one.usd.iter().for_each(|usd| text.sample("", &labels(one, "usd"), usd.limit));
    }
    let help = "How much of it is spent, what calls that run now have reserved included.";
    text.family("bursar_budget_spent", Kind::Gauge, "", help);
    for one in some {
        put_figures(text, one, [one.requests.map(|of| of.used), one.tokens.map(|of| of.used)]);
        one.usd.iter().for_each(|usd| text.sample("", &labels(one, "usd"), usd.used));
    }
    let name = "bursar_budget_resets_timestamp_seconds";
    text.family(name, Kind::Gauge, "seconds", "When a budget begins anew.");
    for one in some {
        text.sample("", &[("budget", one.name.as_str())], Millis(one.resets_at.0));
    }
}

fn put_figures(text: &mut Text, one: &BudgetStatus, [requests, tokens]: [Option<u64>; 2]) {
    for (figure, value) in [("requests", requests), ("tokens", tokens)] {
        value.into_iter().for_each(|value| text.sample("", &labels(one, figure), value));
    }
}

fn labels<'a>(one: &'a BudgetStatus, figure: &'a str) -> [(&'a str, &'a str); 2] {
    [("budget", one.name.as_str()), ("figure", figure)]
}
