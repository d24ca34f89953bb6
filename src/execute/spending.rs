//! A request's way through its budgets: what each call takes, which budgets it goes by, and what is told of that.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Call, Engine};
use crate::api::admin::{Event, EventKind};
use crate::api::usage::timestamp;
use crate::api::{Moment, NanoUsd, Operation, Outcome, RouteName, Tokens};
use crate::clock::Now;
use crate::connection::budget::{Amounts, Budgets, Caller, Charge, Over, Spent};
use crate::provider::price;
use crate::rotation::Candidate;

use super::account::Account;

/// The header that names the budgets that are spent, and when they begin anew.
const HEADER: HeaderName = HeaderName::from_static("x-bursar-budget");

/// One request's spending.
#[derive(Default)]
pub(super) struct Spending {
    /// Whether it was counted as a request.
    counted: bool,
    /// The route that it goes by, because a budget was spent.
    diverted: Option<(RouteName, Spent)>,
    /// Of the budgets that stopped it, the one that lasts longest.
    spent: Option<Spent>,
    /// The budgets that it was carried out in spite of.
    over: Vec<Over>,
}

impl Spending {
    /// Takes what a call will need, as far as anybody can tell.
    pub(super) fn charge(
        &mut self,
        (engine, budgets): (&Engine, &Budgets),
        (call, candidate): (&Call, &Candidate),
        (input, output): (u64, u64),
        now: Now,
    ) -> Result<Charge, Spent> {
        if budgets.is_empty() {
            return Ok(Charge::default());
        }
        let caller =
            Caller { app: Some(&call.app), feature: Some(&call.feature), connection: &candidate.connection.id };
        let tokens = input.saturating_add(output);
        let nano_usd = expected_cost(call, candidate, input, output).0;
        let need = Amounts { requests: 1, tokens, nano_usd };
        match budgets.charge(caller, need, (!self.counted, self.diverted.is_some()), now) {
            Ok((charge, over)) => {
                self.counted = true;
                for one in over {
                    if one.news {
                        tell(engine, &one.message, one.resets_ms, "calls go on all the same");
                    }
                    self.over.retain(|other| other.budget != one.budget);
                    self.over.push(one);
                }
                Ok(charge)
            }
            Err(spent) => {
                if spent.news {
                    let then = match &spent.route {
                        Some(route) => format!("calls go by the route {route} until then"),
                        None => "calls are refused until then".into(),
                    };
                    tell(engine, &spent.message, spent.resets_ms, &then);
                }
                let spent = *spent;
                if !spent.soon && self.spent.as_ref().is_none_or(|other| other.until <= spent.until) {
                    self.spent = Some(spent.clone());
                }
                Err(spent)
            }
        }
    }

    /// The route to go by instead, where a budget that is spent names one. A request goes around once.
    pub(super) fn divert(&mut self) -> Option<RouteName> {
        if self.diverted.is_some() {
            return None;
        }
        let spent = self.spent.take_if(|spent| spent.route.is_some())?;
        let route = spent.route.clone()?;
        self.diverted = Some((route.clone(), spent));
        Some(route)
    }

    /// The budget that stopped the request; the one that it was sent around for, where the other way led nowhere.
    pub(super) fn spent(&self) -> Option<&Spent> {
        self.spent.as_ref().or(self.diverted.as_ref().map(|(_, spent)| spent))
    }

    /// Says in a reply's headers which budgets are spent.
    pub(super) fn describe(&self, headers: &mut HeaderMap) {
        let stopped = self.spent.iter().map(|spent| named(spent.budget.as_str(), spent.resets_ms, ""));
        let around = self
            .diverted
            .iter()
            .map(|(route, spent)| named(spent.budget.as_str(), spent.resets_ms, &format!("; route={route}")));
        let over = self.over.iter().filter(|over| !self.diverted.iter().any(|(_, spent)| spent.budget == over.budget));
        let over = over.map(|over| named(over.budget.as_str(), over.resets_ms, ""));
        let all: Vec<String> = stopped.chain(around).chain(over).collect();
        if let (false, Ok(value)) = (all.is_empty(), HeaderValue::from_str(&all.join(", "))) {
            headers.insert(HEADER, value);
        }
    }
}

/// `translator-day; resets=2026-11-30T00:00:00.000Z`.
fn named(budget: &str, resets_ms: i64, more: &str) -> String {
    format!("{budget}; resets={}{more}", timestamp(resets_ms))
}

fn tell(engine: &Engine, message: &str, resets_ms: i64, then: &str) {
    let message = format!("{message}; {then}");
    tracing::warn!("{message}");
    engine.events.emit(Event::new(EventKind::Budget, message).until(Moment(resets_ms)));
}

/// What a call will cost, from what it is taken for. What nobody knows the price of costs nothing here.
fn expected_cost(call: &Call, candidate: &Candidate, input: u64, output: u64) -> NanoUsd {
    let price = candidate.facts.as_ref().and_then(|facts| facts.price.as_ref());
    let tokens = Tokens {
        input: Some(input),
        output: Some(output),
        characters: call.said.scan.characters,
        images: (call.operation == Operation::Images).then_some(1),
        audio_ms: Some(0),
        ..Tokens::default()
    };
    price.and_then(|price| price::cost(price, &tokens).ok()).unwrap_or_default()
}

/// Settles what a call took with what it came to: the account of an attempt that was answered with this status.
pub(super) fn settle(charge: Charge, (outcome, status): (Outcome, Option<u16>), account: &Account, now: Now) {
    if charge.is_empty() {
        return;
    }
    let tokens = account.tokens.input.map(|_| account.tokens.total());
    match outcome {
        // It may have done, and charged, the work.
        Outcome::Timeout => charge.settle(None, None, now),
        _ if outcome.may_cost(status) => charge.settle(tokens, account.cost, now),
        // What was refused is not billed.
        _ => charge.settle(Some(account.tokens.total()), Some(account.cost.unwrap_or_default()), now),
    }
}
