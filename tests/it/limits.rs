//! Limits as apps and providers feel them: where calls go, who is told to come again, and what a new start remembers.

use std::time::{Duration, Instant};

use http::StatusCode;
use rustix::process::Signal;
use serde_json::json;

use crate::fake::{FakeProvider, Gate, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Reply, Setup, key_of, until};

/// A call that waits for nothing.
fn chat() -> Call {
    Call::chat("one/m").header("x-bursar-wait-ms", "0")
}

fn calls_of(fake: &FakeProvider, id: &str) -> usize {
    let key = key_of(id);
    fake.seen().iter().filter(|seen| seen.key() == Some(&key)).count()
}

/// When an app that was refused is told to come again, in seconds.
fn retry_after(reply: &Reply) -> u64 {
    assert_refused(reply, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    reply.header("retry-after").expect("when to come again").parse().unwrap()
}

async fn answered(bursar: &Bursar, calls: usize) {
    for n in 0..calls {
        let reply = bursar.call(chat()).await;
        assert_eq!(reply.status, 200, "call {n}: {}", reply.text());
    }
}

/// One provider with connections `a` and `b`, in this order.
fn two(fake: &FakeProvider, a: &str, b: &str) -> Setup {
    fake.always(openai::chat("ok"));
    let setup = Setup::new().daemon("[usage]\ndurability = \"each\"").provider("one", &fake.url());
    setup.connection("one:a", &format!("priority = 1\n{a}")).connection("one:b", &format!("priority = 2\n{b}"))
}

fn one(fake: &FakeProvider, lines: &str) -> Setup {
    fake.always(openai::chat("ok"));
    let setup = Setup::new().daemon("[usage]\ndurability = \"each\"").provider("one", &fake.url());
    setup.connection("one:a", lines)
}

#[tokio::test]
async fn the_fourth_call_goes_to_the_next_connection_and_the_seventh_is_told_when_to_come_again() {
    let fake = FakeProvider::start().await;
    let three = "limits = { requests_per_minute = 3 }";
    let bursar = two(&fake, three, three).start().await;
    answered(&bursar, 3).await;
    assert_eq!((calls_of(&fake, "one:a"), calls_of(&fake, "one:b")), (3, 0));
    let shown = bursar.call(Call::get("/admin/v1/connections/one:a")).await.json()["quotas"].clone();
    let quota = json!([{"limit_group": null, "model": null, "figure": "requests_per_minute", "used": 3, "limit": 3}]);
    assert_eq!(shown, quota);
    answered(&bursar, 3).await;
    assert_eq!((calls_of(&fake, "one:a"), calls_of(&fake, "one:b")), (3, 3));
    let began = Instant::now();
    let reply = bursar.call(Call::chat("one/m")).await;
    assert!((50..=62).contains(&retry_after(&reply)), "{reply:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "a minute is too long to wait for");
    assert_eq!(reply.header("x-bursar-attempts").unwrap_or("0"), "0");
    assert_eq!(fake.seen().len(), 6);
    bursar.stop().await;
}

#[tokio::test]
async fn a_call_waits_for_its_place_and_no_longer_than_it_says() {
    let fake = FakeProvider::start().await;
    let setup = one(&fake, "limits = { concurrent = 1 }");
    let gate = Gate::new();
    fake.for_key(&key_of("one:a")).script([openai::chat("first").whole().held_by(&gate)]);
    let bursar = setup.start().await;
    let first = bursar.call(Call::chat("one/m"));
    let rest = async {
        until("the first call", || !fake.seen().is_empty()).await;
        assert_eq!(retry_after(&bursar.call(chat()).await), 1);
        let began = Instant::now();
        retry_after(&bursar.call(Call::chat("one/m").header("X-Bursar-Wait-Ms", "300")).await);
        assert!(began.elapsed() >= Duration::from_millis(300));
        let waits = bursar.call(Call::chat("one/m").header("x-bursar-wait-ms", "30000"));
        // It asks whatever comes first: it waits, or the place is free by then.
        let opens = async { gate.open(1) };
        futures_util::future::join(waits, opens).await.0
    };
    let (first, second) = futures_util::future::join(first, rest).await;
    assert_eq!((first.content().as_str(), second.status), ("first", 200));
    assert_eq!(fake.seen().len(), 2, "those that were refused were not sent");
    for wrong in ["-1", "soon", "86400001"] {
        let reply = bursar.call(Call::chat("one/m").header("x-bursar-wait-ms", wrong)).await;
        assert_refused(&reply, StatusCode::BAD_REQUEST, "invalid_request");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn two_connections_of_a_group_share_its_limits() {
    let fake = FakeProvider::start().await;
    let group = "limit_group = \"acme\"";
    let setup = two(&fake, group, group).providers("[limit_groups.acme]\nlimits = { requests_per_minute = 3 }");
    let bursar = setup.start().await;
    answered(&bursar, 3).await;
    retry_after(&bursar.call(chat()).await);
    assert_eq!(fake.seen().len(), 3);
    bursar.stop().await;
}

#[tokio::test]
async fn a_limit_of_one_model_leaves_the_others_alone() {
    let fake = FakeProvider::start().await;
    let bursar = one(&fake, "[connections.models.m]\nlimits = { requests_per_minute = 1 }").start().await;
    answered(&bursar, 1).await;
    retry_after(&bursar.call(chat()).await);
    let other = bursar.call(Call::chat("one/other").header("x-bursar-wait-ms", "0")).await;
    assert_eq!(other.status, 200);
    bursar.stop().await;
}

#[tokio::test]
async fn a_call_that_never_left_takes_no_room() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let limit = "priority = 1\nlimits = { requests_per_minute = 1 }";
    // Nobody listens at the first.
    let setup = Setup::new().provider("nobody", "http://127.0.0.1:1").connection("nobody:a", limit);
    let setup = setup.provider("one", &fake.url()).connection("one:a", "");
    let bursar = setup.providers("[routes.fast]\ntargets = [\"nobody/m\", \"one/m\"]").start().await;
    for _ in 0..2 {
        let reply = bursar.call(Call::chat("fast")).await;
        assert_eq!((reply.status, reply.header("x-bursar-attempts")), (200, Some("3")), "it is tried again");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn tokens_are_reserved_and_settled_as_what_was_used() {
    let fake = FakeProvider::start().await;
    let setup = one(&fake, "limits = { tokens_per_minute = 2000 }");
    fake.for_key(&key_of("one:a")).always(openai::chat_with("ok", Some((100, 500))));
    let bursar = setup.start().await;
    // The first is taken for some 500 tokens and is 600, and so are those after it.
    answered(&bursar, 3).await;
    retry_after(&bursar.call(chat()).await);
    bursar.stop().await;
}

#[tokio::test]
async fn daily_limits_outlive_a_stop_a_reload_and_a_crash() {
    let fake = FakeProvider::start().await;
    let setup = one(&fake, "limits = { requests_per_day = 8 }");
    let bursar = setup.start().await;
    answered(&bursar, 2).await;
    let bursar = bursar.stop().await.restart().await;
    answered(&bursar, 2).await;
    one(&fake, "limits = { requests_per_day = 8 }\npriority = 5").write(bursar.place());
    bursar.signal(Signal::HUP);
    bursar.until_logged("the configuration was read again").await;
    answered(&bursar, 1).await;
    // After a crash as much may be counted too much as was written down ahead: of so small a limit, one.
    let bursar = bursar.kill().await.restart().await;
    let mut more = 0;
    let refused = loop {
        let reply = bursar.call(Call::chat("one/m")).await;
        if reply.status != 200 {
            break reply;
        }
        more += 1;
    };
    assert!((2..=3).contains(&more), "5 of 8 were used, and then {more}");
    assert!(retry_after(&refused) <= 86_400);
    assert!(fake.seen().len() <= 8);
    bursar.stop().await;
}

#[tokio::test]
async fn the_last_minute_outlives_a_crash() {
    let fake = FakeProvider::start().await;
    let bursar = one(&fake, "limits = { requests_per_minute = 3 }").start().await;
    answered(&bursar, 2).await;
    let bursar = bursar.kill().await.restart().await;
    answered(&bursar, 1).await;
    let after = retry_after(&bursar.call(chat()).await);
    assert!((40..=61).contains(&after), "{after}");
    assert_eq!(fake.seen().len(), 3);
    bursar.stop().await;
}
