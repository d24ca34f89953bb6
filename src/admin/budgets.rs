//! Budgets, as operators see them.

use std::collections::HashSet;

use super::control::Admin;
use crate::api::admin::{BudgetFigure, BudgetList, BudgetStatus, BudgetUsd};
use crate::api::{ConnectionId, Moment, NanoUsd};
use crate::clock::Now;
use crate::config::{self, Catalogue, OnExceed, Spender};
use crate::connection::budget::Budget;

impl Admin {
    /// All budgets, in the order of the configuration, with what is left of them.
    pub fn budgets(&self) -> BudgetList {
        let (snapshot, now) = (self.engine.snapshot.load(), self.engine.clock.both());
        BudgetList { budgets: snapshot.budgets.all().iter().map(|budget| shown(budget, now)).collect() }
    }
}

fn shown(budget: &Budget, now: Now) -> BudgetStatus {
    let (spent, period) = budget.purse.spent(now);
    let config::Budget { name, of, per, zone, most, on_exceed } = &budget.declared;
    let count = |limit: Option<u64>, used: u64| {
        limit.map(|limit| BudgetFigure { limit, used, left: limit.saturating_sub(used) })
    };
    let usd = most.usd.map(|limit| BudgetUsd {
        limit,
        used: NanoUsd(spent.nano_usd),
        left: NanoUsd(limit.0.saturating_sub(spent.nano_usd)),
    });
    let (requests, tokens) = (count(most.requests, spent.requests), count(most.tokens, spent.tokens));
    let is_spent = [requests, tokens].iter().flatten().any(|figure| figure.left == 0)
        || usd.is_some_and(|figure| figure.left.0 == 0);
    BudgetStatus {
        name: name.clone(),
        of: of.kind().into(),
        who: of.name(),
        per: per.name().into(),
        zone: zone.iana_name().unwrap_or("UTC").into(),
        on_exceed: on_exceed.to_string(),
        spent: is_spent,
        usd,
        tokens,
        requests,
        began_at: Moment(period.starts_ms),
        resets_at: Moment(period.ends_ms),
    }
}

/// Budgets that name what the other file does not declare. Which connections there are besides, only the store knows.
pub fn dangling(budgets: &[config::Budget], catalogue: &Catalogue) -> Vec<String> {
    let route = |budget: &config::Budget| match &budget.on_exceed {
        OnExceed::Route(route) if !catalogue.routes.contains_key(route) => Some(format!(
            "the budget {:?} leads to the route {route}, which is not declared: calls are refused when it is spent",
            budget.name.as_str()
        )),
        _ => None,
    };
    let provider = |budget: &config::Budget| match &budget.of {
        Spender::Connection(id) if !catalogue.providers.contains_key(&id.provider) => {
            Some(format!("the budget {:?} is of {id}, whose provider is not declared", budget.name.as_str()))
        }
        _ => None,
    };
    budgets.iter().flat_map(|budget| route(budget).into_iter().chain(provider(budget))).collect()
}

/// Budgets of connections that are neither declared nor among those that are known besides, with `what` is to be said of
/// them. Those of providers that are not declared are [`dangling`].
pub fn of_no_connection(
    budgets: &[config::Budget],
    catalogue: &Catalogue,
    known: impl Fn(&ConnectionId) -> bool,
    what: &str,
) -> Vec<String> {
    let declared: HashSet<_> = catalogue.connections.iter().map(|one| &one.id).collect();
    let told = |budget: &config::Budget| match &budget.of {
        Spender::Connection(id)
            if catalogue.providers.contains_key(&id.provider) && !declared.contains(id) && !known(id) =>
        {
            Some(format!("the budget {:?} is of {id}, {what}", budget.name.as_str()))
        }
        _ => None,
    };
    budgets.iter().filter_map(told).collect()
}
