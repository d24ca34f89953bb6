//! Budgets under many hands at once, across their ends, and across the lives of processes.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::api::NanoUsd;
use crate::config::{Most, OnExceed, Per};
use crate::connection::admission::{Admission, Leased as _};

const NOON_MS: i64 = 20_000 * 86_400_000 + 43_200_000;
const DAY_MS: i64 = 86_400_000;

fn declared(name: &str, most: Most, on_exceed: OnExceed) -> config::Budget {
    config::Budget {
        name: name.parse().unwrap(),
        of: Spender::App("shop".parse().unwrap()),
        per: Per::Day,
        zone: TimeZone::UTC,
        most,
        on_exceed,
    }
}

fn requests(limit: u64) -> Most {
    Most { requests: Some(limit), ..Most::default() }
}

fn budgets(admission: &Admission, declared: &[config::Budget]) -> Budgets {
    Budgets::new(&admission.purses, &admission.leases, declared)
}

struct Shop(AppName, Feature, ConnectionId);

impl Shop {
    fn new() -> Self {
        Self("shop".parse().unwrap(), "writing".parse().unwrap(), "one:a".parse().unwrap())
    }

    fn caller(&self) -> Caller<'_> {
        Caller { app: Some(&self.0), feature: Some(&self.1), connection: &self.2 }
    }
}

fn at(wall_ms: i64) -> Now {
    Now { at: Instant::now(), wall_ms }
}

fn need(requests: u64, tokens: u64, nano_usd: u64) -> Amounts {
    Amounts { requests, tokens, nano_usd }
}

fn take(budgets: &Budgets, need: Amounts, now: Now) -> Result<Charge, Box<Spent>> {
    budgets.charge(Shop::new().caller(), need, (true, false), now).map(|(charge, _)| charge)
}

fn spent(budgets: &Budgets, now: Now) -> Amounts {
    budgets.all()[0].purse.spent(now).0
}

#[test]
fn of_a_thousand_at_once_one_gets_the_last_unit() {
    let admission = Admission::default();
    let budgets = budgets(&admission, &[declared("b", requests(11), OnExceed::Deny)]);
    for _ in 0..10 {
        take(&budgets, need(1, 0, 0), at(NOON_MS)).unwrap().settle(None, None, at(NOON_MS));
    }
    let (got, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    match take(&budgets, need(1, 0, 0), at(NOON_MS)) {
                        Ok(_) => got.fetch_add(1, Ordering::SeqCst),
                        Err(_) => refused.fetch_add(1, Ordering::SeqCst),
                    };
                }
            });
        }
    });
    assert_eq!((got.into_inner(), refused.into_inner()), (1, 999));
    assert_eq!(spent(&budgets, at(NOON_MS)).requests, 11);
}

#[test]
fn who_is_refused_learns_which_budget_how_much_and_until_when() {
    let admission = Admission::default();
    let most = Most { usd: Some(NanoUsd(2_000_000_000)), ..requests(1) };
    let budgets = budgets(&admission, &[declared("shop-day", most, OnExceed::Deny)]);
    take(&budgets, need(1, 5, 7_000_000), at(NOON_MS)).unwrap().settle(Some(5), Some(NanoUsd(7_000_000)), at(NOON_MS));
    let refused = take(&budgets, need(1, 0, 0), at(NOON_MS)).unwrap_err();
    assert_eq!(
        refused.message,
        "the budget \"shop-day\" of app shop is spent (1 of 1 requests, 0.007 of 2.00 USD used in this day): it begins \
         anew at 2024-10-05T00:00:00.000Z"
    );
    assert_eq!(refused.resets_ms, NOON_MS + DAY_MS / 2);
    assert!(refused.news);
    assert!(!take(&budgets, need(1, 0, 0), at(NOON_MS)).unwrap_err().news, "once a day is enough");
    assert_eq!(
        budgets.would_stop(Shop::new().caller(), need(1, 0, 0), at(NOON_MS)).unwrap().budget.as_str(),
        "shop-day"
    );
    let other: AppName = "other".parse().unwrap();
    let shop = Shop::new();
    let caller = Caller { app: Some(&other), ..shop.caller() };
    assert!(budgets.charge(caller, need(1, 0, 0), (true, false), at(NOON_MS)).is_ok());
}

#[test]
fn a_budget_that_warns_or_was_gone_around_counts_and_stops_nobody() {
    let admission = Admission::default();
    let route = OnExceed::Route("cheap".parse().unwrap());
    let all = [declared("warns", requests(1), OnExceed::Warn), declared("goes", requests(1), route)];
    let budgets = budgets(&admission, &all);
    let shop = Shop::new();
    let charge = |diverted| budgets.charge(shop.caller(), need(1, 0, 0), (true, diverted), at(NOON_MS));
    assert!(charge(false).unwrap().1.is_empty());
    assert_eq!(charge(false).unwrap_err().route.unwrap().as_str(), "cheap");
    let (_, over) = charge(true).unwrap();
    let names: Vec<_> = over.iter().map(|over| (over.budget.as_str(), over.news)).collect();
    assert_eq!(names, [("warns", true), ("goes", false)], "what was told of the second was told when it was spent");
}

#[test]
fn a_further_call_of_a_request_is_none_more() {
    let admission = Admission::default();
    let most = Most { tokens: Some(100), ..requests(1) };
    let budgets = budgets(&admission, &[declared("b", most, OnExceed::Deny)]);
    let shop = Shop::new();
    let charge = |first| budgets.charge(shop.caller(), need(1, 40, 0), (first, false), at(NOON_MS)).map(|(it, _)| it);
    charge(true).unwrap().settle(Some(0), None, at(NOON_MS));
    charge(false).unwrap().settle(Some(70), None, at(NOON_MS));
    assert_eq!(spent(&budgets, at(NOON_MS)), need(1, 70, 0));
    assert!(charge(false).is_err(), "30 tokens are left, and 40 are needed");
}

#[test]
fn a_period_takes_nothing_over_and_no_clock_opens_it_again() {
    let admission = Admission::default();
    let budgets = budgets(&admission, &[declared("b", requests(2), OnExceed::Deny)]);
    let under_way = take(&budgets, need(1, 0, 0), at(NOON_MS)).unwrap();
    drop(take(&budgets, need(1, 0, 0), at(NOON_MS)).unwrap());
    let tomorrow = NOON_MS + DAY_MS;
    drop(take(&budgets, need(1, 0, 0), at(tomorrow)).unwrap());
    under_way.give_back(at(tomorrow));
    assert_eq!(spent(&budgets, at(tomorrow)).requests, 1, "what was taken yesterday is not given back today");
    drop(take(&budgets, need(1, 0, 0), at(NOON_MS)).unwrap());
    assert!(take(&budgets, need(1, 0, 0), at(NOON_MS)).is_err(), "the clock was put back, and it is still tomorrow");
    assert!(take(&budgets, need(1, 0, 0), at(tomorrow)).is_err());
}

#[test]
fn a_reload_resets_nothing() {
    let admission = Admission::default();
    let before = budgets(&admission, &[declared("b", requests(5), OnExceed::Deny)]);
    drop(take(&before, need(1, 0, 0), at(NOON_MS)).unwrap());
    let gone = budgets(&admission, &[]);
    drop(before);
    assert!(take(&gone, need(1, 0, 0), at(NOON_MS)).unwrap().is_empty());
    let after = budgets(&admission, &[declared("b", requests(1), OnExceed::Deny)]);
    assert!(take(&after, need(1, 0, 0), at(NOON_MS)).is_err());
}

/// What a crash leaves behind: everything that was written down, and nothing else.
fn crashed(admission: &Admission, now: Now) -> Admission {
    let leases = admission.leased().iter().filter_map(|one| one.lease(now)).collect();
    Admission::default().restored(leases, now.wall_ms)
}

#[test]
fn after_a_crash_no_less_is_spent_and_on_the_next_day_nothing_but_what_was_allowed_ahead() {
    let admission = Admission::default();
    let all = [declared("b", Most { usd: Some(NanoUsd(1_000_000)), ..Most::default() }, OnExceed::Deny)];
    let first = budgets(&admission, &all);
    for _ in 0..9 {
        drop(take(&first, need(1, 0, 100_000), at(NOON_MS)).unwrap());
    }
    let next = budgets(&crashed(&admission, at(NOON_MS)), &all);
    let used = spent(&next, at(NOON_MS)).nano_usd;
    assert!((900_000..=1_100_000).contains(&used), "{used}");
    let morning = budgets(&crashed(&admission, at(NOON_MS)), &all);
    assert!(spent(&morning, at(NOON_MS + DAY_MS)).nano_usd <= 200_000);
}

#[test]
fn no_more_is_spent_than_is_written_down() {
    let admission = Admission::default();
    let all = [declared("b", requests(1_000), OnExceed::Deny)];
    let budgets = budgets(&admission, &all);
    admission.leases.begin();
    let write = || {
        let now = at(NOON_MS);
        let mut written = 0;
        for one in admission.leased() {
            let lease = one.lease(now).unwrap();
            written = lease.requests;
            one.leased(&lease);
        }
        written
    };
    let mut written = write();
    let (mut taken, mut waits) = (0, 0);
    while taken < 300 {
        match take(&budgets, need(1, 0, 0), at(NOON_MS)) {
            Ok(_) => taken += 1,
            Err(spent) => {
                assert!(spent.soon, "{spent:?}");
                waits += 1;
                written = write();
            }
        }
        assert!(taken <= written, "{taken} of {written}");
    }
    assert!(waits > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is taken, settled, given back and dropped, in whichever order: at rest, what is spent is what was used.
    #[test]
    fn at_rest_what_is_spent_is_what_was_used(
        calls in proptest::collection::vec((1..500_u64, 1..9_000_u64, 0..700_u64, 0..9_000_u64, 0..3_u8), 1..60),
    ) {
        let admission = Admission::default();
        let most = Most { requests: Some(40), tokens: Some(20_000), usd: Some(NanoUsd(90_000)) };
        let budgets = budgets(&admission, &[declared("b", most, OnExceed::Deny)]);
        let (mut held, mut used) = (Vec::new(), Amounts::default());
        for (tokens, nano_usd, used_tokens, used_usd, end) in calls {
            let Ok(charge) = take(&budgets, need(1, tokens, nano_usd), at(NOON_MS)) else { continue };
            held.push((charge, used_tokens, used_usd, end));
            let now = spent(&budgets, at(NOON_MS));
            prop_assert!(now.requests <= 40);
            if held.len() > 5 {
                finish(held.swap_remove(2), &mut used);
            }
        }
        held.into_iter().for_each(|one| finish(one, &mut used));
        prop_assert_eq!(spent(&budgets, at(NOON_MS)), used);
    }
}

fn finish((charge, tokens, nano_usd, end): (Charge, u64, u64, u8), used: &mut Amounts) {
    if end == 0 {
        return charge.give_back(at(NOON_MS));
    }
    charge.settle(Some(tokens), Some(NanoUsd(nano_usd)), at(NOON_MS));
    used.requests += 1;
    used.tokens += tokens;
    used.nano_usd += nano_usd;
}

/// What nobody was let through with must not spend a budget when the process is killed.
#[test]
fn what_was_refused_is_not_written_down_ahead() {
    let most = Most { tokens: Some(1_000_000), ..Most::default() };
    let admission = Admission::default();
    admission.leases.begin();
    let (budgets, now) = (budgets(&admission, &[declared("b", most, OnExceed::Deny)]), at(NOON_MS));
    let purse = &budgets.all()[0].purse;
    let write = || Arc::clone(purse).leased(&purse.lease(now).unwrap());
    write();
    take(&budgets, need(1, 50, 0), now).unwrap().settle(Some(50), None, now);
    assert!(take(&budgets, need(1, 2_000_000, 0), now).is_err());
    write();
    let written = purse.lease(now).unwrap();
    assert!(written.tokens <= 1_000_000 / 5, "{written:?}");
    // One that is let through is written down, and no more than there is.
    assert!(take(&budgets, need(1, 900_000, 0), now).is_err(), "it waits for that");
    write();
    take(&budgets, need(1, 900_000, 0), now).unwrap().settle(None, None, now);
    assert_eq!(purse.lease(now).unwrap().tokens, 1_000_000);
}
