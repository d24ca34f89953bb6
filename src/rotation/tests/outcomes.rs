//! The design's table of outcomes, row by row.

use super::*;
use crate::config::OnTimeout;
use crate::connection::health::{Effect, effect};
use crate::connection::{Against, HealthState, Stand};

/// A row: the outcome, what the table says of now and of the state, and what the program does.
struct Row {
    outcome: Outcome,
    now: &'static str,
    kept: &'static str,
    /// The step after a first failure, after one more on the same connection, and at a later provider.
    steps: [Step; 3],
    effect: Effect,
}

const fn row(outcome: Outcome, now: &'static str, kept: &'static str, steps: [Step; 3], effect: Effect) -> Row {
    Row { outcome, now, kept, steps, effect }
}

use Step::{Again, Next, Stop};

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(Outcome::Ok, "(success is `ok`)", "a later success clears", [Stop; 3], Effect::Served),
    row(Outcome::Transient, "same connection once more, then the next", "breaker", [Again, Next, Again], Effect::Failed),
    row(Outcome::Timeout, "an error; the next once if `on_timeout = \"fallback\"`", "breaker", [Stop; 3], Effect::Failed),
    row(Outcome::RateShort, "next at once", "cool group×model for the hint, ≥ 1 s; no hint: 15 s doubling to 120 s", [Next; 3], Effect::CoolShort),
    row(Outcome::RateDay, "next", "cool group×model until the provider's reset", [Next; 3], Effect::CoolDay),
    row(Outcome::Quota, "next, raise an event", "park the group; probe hourly", [Next; 3], Effect::Park),
    row(Outcome::Credential, "next, raise an event", "connection rejected until a new secret, a passed test or an operator", [Next; 3], Effect::Reject),
    row(Outcome::NotForKey, "next", "connection×model unusable for 1 h", [Next; 3], Effect::Bar),
    row(Outcome::TooLarge, "candidates with more room, else 413", "none: one app's giant must not cool the others", [Next; 3], Effect::None),
    row(Outcome::Caller, "on the first provider tried: back to the app unchanged; on a later one: next", "none", [Stop, Stop, Next], Effect::None),
    row(Outcome::InBand, "as the class it names; `in_band` if it names none", "as that class", [Next; 3], Effect::Failed),
    row(Outcome::Cut, "error event, end; never replay", "breaker; usage partial, marked", [Stop; 3], Effect::Failed),
    row(Outcome::ClientGone, "cancel upstream within 1 s", "usage partial; no penalty", [Stop; 3], Effect::None),
    row(Outcome::Unavailable, "wait if the earliest return is within the request's wait", "", [Stop; 3], Effect::None),
];

#[test]
fn every_row_is_decided_as_it_says() {
    assert_eq!(TABLE.iter().map(|row| row.outcome).collect::<Vec<_>>(), Outcome::ALL);
    for Row { outcome, now, kept, steps, effect: kept_as } in TABLE {
        let step = |retries, first| decide(*outcome, retries, first, OnTimeout::Error);
        assert_eq!([step(0, true), step(1, true), step(0, false)], *steps, "{outcome}: {now}");
        assert_eq!(effect(*outcome), *kept_as, "{outcome}: {kept}");
    }
    assert_eq!(decide(Outcome::Timeout, 0, true, OnTimeout::Fallback), Next);
}

/// What is left of one attempt that ended so: what stands against its model, against another one, and its health.
fn left(outcome: Outcome, hint: Option<u64>) -> (Option<Against>, Option<Against>, HealthState, Instant) {
    let (house, begin) = (house(1, ""), Instant::now());
    ended(&house, "one:c00", outcome, hint.map(Duration::from_secs), wall(begin, begin));
    let one = house.connections.values().next().unwrap();
    (one.against("m", begin), one.against("n", begin), one.health.state(), begin)
}

#[test]
fn what_is_kept_is_kept_where_it_belongs() {
    for row in TABLE {
        let (m, n, state, begin) = left(row.outcome, None);
        let after = |seconds| begin + Duration::from_secs(seconds);
        let (expected, elsewhere) = match row.effect {
            Effect::CoolShort => (Some(Against::Cooling { until: after(15), said: false }), None),
            // 2026-11-22T08:00:00Z: sixteen hours to midnight.
            Effect::CoolDay => (Some(Against::Cooling { until: after(16 * 3_600), said: true }), None),
            Effect::Park => (Some(Against::Parked), Some(Against::Parked)),
            Effect::Bar => (Some(Against::NotForKey { until: after(3_600) }), None),
            Effect::Served | Effect::Failed | Effect::Reject | Effect::None => (None, None),
        };
        assert_eq!((m, n), (expected, elsewhere), "{}: {}", row.outcome, row.kept);
        let rejected = row.effect == Effect::Reject;
        assert_eq!(state == HealthState::Rejected, rejected, "{}: {}", row.outcome, row.kept);
    }
}

#[test]
fn a_short_hint_ends_no_day_and_a_long_one_lengthens_it() {
    let until = |outcome, hint| match left(outcome, Some(hint)) {
        (Some(Against::Cooling { until, said: true }), .., begin) => (until - begin).as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(until(Outcome::RateDay, 22), 16 * 3_600);
    assert_eq!(until(Outcome::RateDay, 20 * 3_600), 20 * 3_600);
    assert_eq!((until(Outcome::RateShort, 22), until(Outcome::RateShort, 0)), (22, 1));
    assert_eq!(until(Outcome::RateShort, 365 * 86_400), 86_400, "a hint of a year is a mistake");
}

#[test]
fn only_what_the_table_says_opens_a_breaker_and_a_429_never_disables() {
    for row in TABLE {
        let (house, begin) = (house(1, ""), Instant::now());
        for _ in 0..20 {
            ended(&house, "one:c00", row.outcome, None, wall(begin, begin));
        }
        let one = house.connections.values().next().unwrap();
        let open = matches!(one.health.stand(begin), Stand::Open { .. });
        assert_eq!(open, row.effect == Effect::Failed, "{}: {}", row.outcome, row.kept);
        if matches!(row.outcome, Outcome::RateShort | Outcome::RateDay) {
            assert_eq!((one.enabled, one.health.state()), (true, HealthState::Ok), "a 429 never disables");
        }
    }
}
