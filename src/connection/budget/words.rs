//! What apps and operators are told of a budget.

use super::purse::{Amounts, limits};
use crate::api::NanoUsd;
use crate::api::usage::timestamp;
use crate::config::Budget;

/// `the budget "translator-day" of app translator is spent: 5.00 of 5.00 USD this day; it begins anew at …`.
pub(super) fn spent(budget: &Budget, spent: Amounts, resets_ms: i64) -> String {
    let shown = |place: usize, amount: u64| match place {
        0 => amount.to_string(),
        1 => amount.to_string(),
        _ => NanoUsd(amount).to_string(),
    };
    let units = ["requests", "tokens", "USD"];
    let figures = limits(&budget.most).into_iter().zip(spent.each()).zip(units).enumerate();
    let figures: Vec<String> = figures
        .filter_map(|(place, ((limit, spent), unit))| {
            let limit = limit?;
            Some(format!("{} of {} {unit}", shown(place, spent), shown(place, limit)))
        })
        .collect();
    let (name, of, per) = (&budget.name, &budget.of, budget.per.name());
    format!(
        "the budget {:?} of {of} is spent ({} used in this {per}): it begins anew at {}",
        name.as_str(),
        figures.join(", "),
        timestamp(resets_ms)
    )
}
