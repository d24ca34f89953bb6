//! What one call takes from its budgets: from all of them or from none, and settled however the call ends.

use std::sync::{Arc, MutexGuard};

use tokio::time::Instant;

use super::purse::{Amounts, Lack, Purse, State};
use super::{Budget, words};
use crate::api::{BudgetName, NanoUsd, RouteName};
use crate::bounds;
use crate::clock::Now;
use crate::config::{OnExceed, Spender};

/// A budget that has nothing left for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Which.
    pub budget: BudgetName,
    /// When there is more.
    pub until: Instant,
    /// When that is on the wall, in milliseconds since 1970.
    pub resets_ms: i64,
    /// A sentence that names it, how much there was, and when there is more.
    pub message: String,
    /// Where calls go instead.
    pub route: Option<RouteName>,
    /// Whether it has something left, which is not written down yet.
    pub soon: bool,
    /// Whether nobody was told so before in this period.
    pub news: bool,
}

/// What was taken for a call. Dropped without being settled it stays spent.
#[derive(Debug, Default)]
#[must_use = "what is not held cannot be settled"]
pub struct Charge {
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Claim {
    purse: Arc<Purse>,
    /// The period in which it was taken.
    turn: u64,
    reserved: Amounts,
}

/// A budget that a call was made in spite of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Which.
    pub budget: BudgetName,
    /// When it begins anew, in milliseconds since 1970.
    pub resets_ms: i64,
    /// As [`Spent::message`].
    pub message: String,
    /// As [`Spent::news`].
    pub news: bool,
}

/// Takes what a call needs from its budgets. `first` tells whether this is the request's first call: apps and features
/// count requests, connections calls. `diverted` are calls of a request that goes by another route because a budget was
/// spent: it no longer stops them.
pub(super) fn charge(
    budgets: &[&Arc<Budget>],
    need: Amounts,
    first: bool,
    diverted: bool,
    now: Now,
) -> Result<(Charge, Vec<Over>), Box<Spent>> {
    let needs = |budget: &Budget| match budget.declared.of {
        Spender::App(_) | Spender::Feature(_) if !first => Amounts { requests: 0, ..need },
        _ => need,
    };
    let mut states: Vec<(&Arc<Budget>, MutexGuard<'_, State>)> = Vec::with_capacity(budgets.len());
    let mut spent: Option<Box<Spent>> = None;
    for &budget in budgets {
        let mut state = budget.purse.state();
        let need = needs(budget);
        state.advance(now.wall_ms);
        let lack = stops(budget, &state, need, diverted);
        if lack == Some(Lack::Unwritten) {
            state.note_need(need);
        }
        budget.purse.look(&mut state);
        if let Some(lack) = lack {
            let news = lack == Lack::Spent && !std::mem::replace(&mut state.told, true);
            let one = Spent { news, ..Spent::of(budget, &state, lack, now) };
            // What lasts longest is what there is to tell.
            if spent.as_ref().is_none_or(|other| other.until < one.until) {
                spent = Some(Box::new(one));
            }
        }
        states.push((budget, state));
    }
    if let Some(spent) = spent {
        return Err(spent);
    }
    let (mut claims, mut over) = (Vec::with_capacity(states.len()), Vec::new());
    for (budget, state) in &mut states {
        let reserved = needs(budget);
        state.take(reserved);
        budget.purse.look(state);
        if state.is_over() {
            over.push(Over::of(budget, state));
        }
        claims.push(Claim { purse: Arc::clone(&budget.purse), turn: state.turn, reserved });
    }
    Ok((Charge { claims }, over))
}

/// Which of the budgets would stop a request's first call now. Nothing is taken.
pub(super) fn would_stop(budgets: &[&Arc<Budget>], need: Amounts, now: Now) -> Option<Spent> {
    budgets.iter().find_map(|budget| {
        let mut state = budget.purse.state();
        state.advance(now.wall_ms);
        let lack = stops(budget, &state, need, false)?;
        Some(Spent::of(budget, &state, lack, now))
    })
}

/// Whether a budget stops a call, and why. One that only warns, or has been gone around, never does.
fn stops(budget: &Budget, state: &State, need: Amounts, diverted: bool) -> Option<Lack> {
    let only_counts = match budget.declared.on_exceed {
        OnExceed::Deny => false,
        OnExceed::Warn => true,
        OnExceed::Route(_) => diverted,
    };
    if only_counts { None } else { state.lacks(need) }
}

impl Spent {
    fn of(budget: &Budget, state: &State, lack: Lack, now: Now) -> Self {
        let soon = lack == Lack::Unwritten;
        let route = match &budget.declared.on_exceed {
            OnExceed::Route(route) if !soon => Some(route.clone()),
            _ => None,
        };
        Self {
            budget: budget.declared.name.clone(),
            until: if soon { now.at + bounds::LIMIT_LEASE_INTERVAL } else { state.ends(now) },
            resets_ms: state.period.ends_ms,
            message: words::spent(&budget.declared, state.spent(), state.period.ends_ms),
            route,
            soon,
            news: false,
        }
    }
}

impl Over {
    fn of(budget: &Budget, state: &mut State) -> Self {
        Self {
            budget: budget.declared.name.clone(),
            resets_ms: state.period.ends_ms,
            message: words::spent(&budget.declared, state.spent(), state.period.ends_ms),
            news: !std::mem::replace(&mut state.told, true),
        }
    }
}

impl Charge {
    /// Whether anything was taken.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Puts what was used in the place of what was taken; what is not known of it stays as it was taken. What was taken in
    /// a period that is over is not put right in the next.
    pub fn settle(self, tokens: Option<u64>, cost: Option<NanoUsd>, now: Now) {
        for Claim { purse, turn, reserved } in self.claims {
            let mut state = purse.state();
            state.advance(now.wall_ms);
            if state.turn == turn {
                let used = Amounts {
                    tokens: tokens.unwrap_or(reserved.tokens),
                    nano_usd: cost.map_or(reserved.nano_usd, |cost| cost.0),
                    ..reserved
                };
                state.settle(reserved, used);
                purse.look(&mut state);
            }
        }
    }

    /// Gives everything back: the call was not made.
    pub fn give_back(self, now: Now) {
        for Claim { purse, turn, reserved } in self.claims {
            let mut state = purse.state();
            state.advance(now.wall_ms);
            if state.turn == turn {
                state.settle(reserved, Amounts::default());
            }
        }
    }
}
