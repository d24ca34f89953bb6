//! The breaker and the last resort, as requests meet them.

use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn fail(house: &Snapshot, id: &str, times: usize, now: Now) {
    (0..times).for_each(|_| ended(house, id, Outcome::Transient, None, now));
}

#[test]
fn an_open_connection_is_skipped_and_then_tried_by_one_request_at_a_time() {
    let (house, begin) = (house(2, ""), Instant::now());
    let at = |seconds| wall(begin, begin + s(seconds));
    fail(&house, "one:c00", 5, at(0));
    assert_eq!(offered(&house, begin + s(14)), ["one:c01"]);
    // Half open: the first request gets it, and the others do not until that one has ended.
    let mut first = candidates(&house);
    let held = tried(&mut first, begin + s(15));
    assert_eq!(held.len(), 2);
    assert_eq!(offered(&house, begin + s(16)), ["one:c01"]);
    drop(held);
    assert_eq!(offered(&house, begin + s(16)), ["one:c00", "one:c01"], "a probe that came to nothing");
    ended(&house, "one:c00", Outcome::Timeout, None, at(17));
    assert_eq!(offered(&house, begin + s(46)), ["one:c01"], "twice as long");
    assert_eq!(offered(&house, begin + s(47)), ["one:c00", "one:c01"]);
    ended(&house, "one:c00", Outcome::Ok, None, at(48));
    fail(&house, "one:c00", 4, at(49));
    assert_eq!(offered(&house, begin + s(49)), ["one:c00", "one:c01"], "it begins anew");
}

#[test]
fn a_probe_whose_answer_has_begun_keeps_nobody_else_away() {
    let (house, begin) = (house(2, ""), Instant::now());
    fail(&house, "one:c00", 5, wall(begin, begin));
    let mut first = candidates(&house);
    let held = tried(&mut first, begin + s(15));
    assert_eq!(offered(&house, begin + s(16)), ["one:c01"]);
    let probe = held.iter().find(|candidate| candidate.pass.is_some()).unwrap();
    probe.connection.answers(begin + s(15));
    assert_eq!(offered(&house, begin + s(16)), ["one:c00", "one:c01"], "though it goes on");
}

#[test]
fn nobody_else_to_serve_is_a_reason_to_try_an_open_connection() {
    let (lone, begin) = (house(1, ""), Instant::now());
    let at = |seconds| wall(begin, begin + s(seconds));
    fail(&lone, "one:c00", 50, at(0));
    assert_eq!(offered(&lone, begin), ["one:c00"]);
    let two = house(2, "");
    fail(&two, "one:c00", 5, at(3));
    fail(&two, "one:c01", 5, at(1));
    assert_eq!(offered(&two, begin + s(4)), ["one:c01"], "the one that is back first, and once");
    // The other one is out of the question altogether: the open one is as good as alone.
    let two = house(2, "");
    ended(&two, "one:c01", Outcome::Credential, None, at(0));
    fail(&two, "one:c00", 5, at(0));
    assert_eq!(offered(&two, begin), ["one:c00"]);
}

#[test]
fn a_guessed_cooldown_may_be_tried_and_a_known_one_may_not() {
    let begin = Instant::now();
    let now = wall(begin, begin);
    for (outcome, hint, tried) in [
        (Outcome::RateShort, None, true),
        (Outcome::RateShort, Some(s(30)), false),
        (Outcome::RateDay, None, false),
        (Outcome::Quota, None, false),
        (Outcome::NotForKey, None, false),
        (Outcome::Credential, None, false),
    ] {
        let house = house(1, "");
        ended(&house, "one:c00", outcome, hint, now);
        assert_eq!(offered(&house, begin).len(), usize::from(tried), "{outcome}");
    }
}

#[test]
fn a_limit_group_cools_and_parks_as_one() {
    let (house, begin) = (house(3, "limit_group = \"acme\""), Instant::now());
    let now = wall(begin, begin);
    ended(&house, "one:c00", Outcome::RateShort, Some(s(5)), now);
    assert!(offered(&house, begin).is_empty());
    assert_eq!(offered(&house, begin + s(5)).len(), 3);
    ended(&house, "one:c01", Outcome::Quota, None, now);
    assert!(offered(&house, begin + s(86_400)).is_empty());
    let one = house.connections.values().next_back().unwrap();
    one.passed(wall(begin, begin + s(3_600)));
    assert_eq!(offered(&house, begin + s(3_600)).len(), 3);
}

#[test]
fn choosing_among_many_of_which_one_stands_is_quick_and_right() {
    let (house, begin) = (house(20, ""), Instant::now());
    let now = wall(begin, begin);
    for n in 0..19 {
        ended(&house, &format!("one:c{n:02}"), Outcome::RateShort, None, now);
    }
    assert_eq!(offered(&house, begin), ["one:c19"]);
}

#[test]
fn an_impatient_app_shuts_no_connection_and_what_never_went_out_opens_none() {
    let (house, begin) = (house(2, ""), Instant::now());
    let (now, hints) = (wall(begin, begin), Hints::default());
    let one = house.connections.values().next().unwrap();
    let attempt = |outcome, reached, cut_short| {
        one.observe(
            &Ended { model: Some("m"), sent_at: begin, outcome, message: None, reached, cut_short, hints: &hints },
            now,
        );
    };
    (0..20).for_each(|_| attempt(Outcome::Timeout, false, true));
    assert_eq!(offered(&house, begin).len(), 2);
    (0..20).for_each(|_| attempt(Outcome::Timeout, false, false));
    attempt(Outcome::Caller, false, false);
    assert_eq!(offered(&house, begin), ["one:c01"], "a request that could not be said reached nobody");
    attempt(Outcome::Caller, true, false);
    assert_eq!(offered(&house, begin).len(), 2, "whoever refuses is there");
}
