//! Budgets as apps and operators feel them: who is refused, warned or sent elsewhere, what they are told, and what a new
//! start remembers.

use futures_util::future::join_all;
use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fake::{FakeProvider, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Reply, Setup, key_of};

/// A call of the feature `writing`.
fn writing() -> Call {
    Call::chat("one/m").header("x-bursar-feature", "writing")
}

/// What these budgets say.
fn setup(fake: &FakeProvider, budgets: &str) -> Setup {
    fake.always(openai::chat("ok"));
    Setup::new().ranked("one", &fake.url(), &["a"]).daemon(budgets)
}

async fn budget(bursar: &Bursar, name: &str) -> Value {
    let list = bursar.call(Call::get("/admin/v1/budgets")).await.json();
    let found = list["budgets"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// When the budget of a refused call begins anew, as its header and its sentence say.
fn resets(reply: &Reply, name: &str) -> String {
    assert_refused(reply, StatusCode::TOO_MANY_REQUESTS, "budget_spent");
    let header = reply.header("x-bursar-budget").expect("which budget");
    let resets = header.strip_prefix(&format!("{name}; resets=")).unwrap_or_else(|| panic!("{header}")).to_owned();
    assert!(reply.text().contains(name) && reply.text().contains(&resets), "{}", reply.text());
    let wait: i64 = reply.header("retry-after").expect("when to come again").parse().unwrap();
    let until = resets.parse::<jiff::Timestamp>().unwrap().as_second() - jiff::Timestamp::now().as_second();
    assert!((wait - until).abs() <= 2, "{wait} and {until}");
    resets
}

#[tokio::test]
async fn of_a_thousand_calls_one_gets_the_last_unit() {
    let fake = FakeProvider::start().await;
    let lines = "[[budgets]]\nfeature = \"writing\"\nper = \"month\"\nrequests = 3";
    let bursar = setup(&fake, lines).start().await;
    for _ in 0..2 {
        assert_eq!(bursar.call(writing()).await.status, 200);
    }
    let replies = join_all((0..1_000).map(|_| bursar.call(writing().header("x-bursar-wait-ms", "0")))).await;
    let (served, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!((served.len(), refused.len(), fake.seen().len()), (1, 999, 3));
    let end = resets(refused[0], "feature-writing-month");
    assert!(end.ends_with("-01T00:00:00.000Z"), "{end}");
    assert_eq!(refused[0].header("x-should-retry"), Some("false"));
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200, "other features go on");
    let shown = budget(&bursar, "feature-writing-month").await;
    assert_eq!((&shown["requests"], &shown["spent"]), (&json!({"limit": 3, "used": 3, "left": 0}), &json!(true)));
    assert_eq!(shown["resets_at"], end);
    bursar.stop().await;
}

/// The refusal wears the dialect of the app, as every other does.
#[tokio::test]
async fn every_dialect_is_told_which_budget_and_until_when() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake, "[[budgets]]\nname = \"tight\"\nconnection = \"one:a\"\nper = \"day\"\nrequests = 1")
        .start()
        .await;
    assert_eq!(bursar.call(writing()).await.status, 200);
    let text = json!([{"role": "user", "content": "hi"}]);
    let calls = [
        Call::post("/v1/execute", &json!({"model": "one/m", "input": "hi"})),
        Call::chat("one/m"),
        Call::stream("one/m"),
        Call::embed("one/m"),
        Call::post("/v1/messages", &json!({"model": "one/m", "max_tokens": 5, "messages": text})),
        Call::post("/v1beta/models/one/m:generateContent", &json!({"contents": [{"parts": [{"text": "hi"}]}]})),
    ];
    for call in calls {
        let reply = bursar.call(call.clone()).await;
        assert_eq!(reply.status, 429, "{call:?}: {}", reply.text());
        assert!(reply.text().contains("budget_spent") || reply.text().contains("rate_limit_error"), "{}", reply.text());
        assert!(reply.text().contains("the budget \\\"tight\\\" of connection one:a is spent"), "{}", reply.text());
        assert!(reply.header("x-bursar-budget").unwrap().starts_with("tight; resets="));
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(fake.seen().len(), 1);
    bursar.stop().await;
}

#[tokio::test]
async fn money_is_reserved_by_estimate_and_settled_by_what_it_cost() {
    let fake = FakeProvider::start().await;
    let lines = "[[budgets]]\nname = \"purse\"\nfeature = \"writing\"\nper = \"day\"\nusd = 0.01\ntokens = 1_000_000";
    let bursar = setup(&fake, lines).start().await;
    let reply = bursar.call(writing()).await;
    assert_eq!((reply.status, reply.header("x-bursar-budget")), (200, None));
    // The fake tells 9 tokens in and 2 out: 42,500 nano-dollars at 2.50 and 10.00 a million.
    let shown = budget(&bursar, "purse").await;
    assert_eq!(shown["usd"], json!({"limit": 0.01, "used": 0.000_042_5, "left": 0.009_957_5}));
    assert_eq!(shown["tokens"]["used"], openai::USAGE.0 + openai::USAGE.1);
    // A call that the provider refuses costs nothing.
    fake.script([openai::error(401)]);
    assert_eq!(bursar.call(writing()).await.status, 502);
    assert_eq!(budget(&bursar, "purse").await["usd"]["used"], 0.000_042_5);
    bursar.stop().await;
}

#[tokio::test]
async fn a_call_that_may_cost_more_than_is_left_is_not_made() {
    let fake = FakeProvider::start().await;
    let lines = "[[budgets]]\nname = \"purse\"\nfeature = \"writing\"\nper = \"hour\"\nusd = 0.0049";
    let bursar = setup(&fake, lines).start().await;
    // No reply was seen yet, so that 500 tokens are expected: 0.005 USD and the input. The first call may take all.
    assert_eq!(bursar.call(writing()).await.status, 200);
    // Now two are expected.
    assert_eq!(bursar.call(writing()).await.status, 200);
    let mut dear = crate::harness::client::chat("one/m");
    dear["messages"][0]["content"] = json!("x".repeat(8_000));
    let reply = bursar.call(Call::post("/v1/chat/completions", &dear).header("x-bursar-feature", "writing")).await;
    resets(&reply, "purse");
    assert_eq!(fake.seen().len(), 2);
    bursar.stop().await;
}

#[tokio::test]
async fn a_warning_goes_with_the_reply_into_the_log_and_to_whoever_watches() {
    let fake = FakeProvider::start().await;
    let lines =
        "[[budgets]]\nname = \"soft\"\nfeature = \"writing\"\nper = \"day\"\nrequests = 1\non_exceed = \"warn\"";
    let bursar = setup(&fake, lines).start().await;
    assert_eq!(bursar.call(writing()).await.header("x-bursar-budget"), None);
    for _ in 0..3 {
        let reply = bursar.call(writing()).await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("x-bursar-budget").unwrap().starts_with("soft; resets="));
    }
    let told = "calls go on all the same";
    bursar.until_logged(told).await;
    assert_eq!(bursar.log().matches(told).count(), 1, "once a day is enough");
    bursar.stop().await;
}

#[tokio::test]
async fn another_route_is_taken_when_a_budget_is_spent() {
    let fake = FakeProvider::start().await;
    let lines =
        "[[budgets]]\nname = \"dear\"\nfeature = \"writing\"\nper = \"day\"\nrequests = 1\non_exceed = \"route:cheap\"";
    let setup = setup(&fake, lines).provider("two", &fake.url()).connection("two:a", "");
    let bursar = setup.providers("[routes.cheap]\ntargets = [\"two/m\"]").start().await;
    assert_eq!(bursar.call(writing()).await.header("x-bursar-connection"), Some("one:a"));
    for _ in 0..2 {
        let reply = bursar.call(writing()).await;
        assert_eq!((reply.status, reply.header("x-bursar-connection")), (200, Some("two:a")));
        let header = reply.header("x-bursar-budget").unwrap();
        assert!(header.starts_with("dear; resets=") && header.ends_with("; route=cheap"), "{header}");
    }
    assert_eq!(budget(&bursar, "dear").await["requests"]["used"], 3, "what goes around is counted");
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.model == "one/m"), "the app asked for this");
}

#[tokio::test]
async fn a_route_that_is_not_there_is_no_way_around_a_budget() {
    let fake = FakeProvider::start().await;
    let lines =
        "[[budgets]]\nname = \"dear\"\nfeature = \"writing\"\nper = \"day\"\nrequests = 1\non_exceed = \"route:none\"";
    let bursar = setup(&fake, lines).start().await;
    assert_eq!(bursar.call(writing()).await.status, 200);
    let refused = bursar.call(writing()).await;
    assert_refused(&refused, StatusCode::TOO_MANY_REQUESTS, "budget_spent");
    assert!(!refused.header("x-bursar-budget").unwrap().contains("route="), "{:?}", refused.header("x-bursar-budget"));
    bursar.until_logged("calls are refused until then").await;
    bursar.stop().await;
}

#[tokio::test]
async fn a_reload_resets_nothing_and_what_a_crash_leaves_is_never_too_little() {
    let fake = FakeProvider::start().await;
    let of = |requests: u32| {
        format!("[[budgets]]\nname = \"b\"\nfeature = \"writing\"\nper = \"month\"\nrequests = {requests}")
    };
    let first = setup(&fake, &of(20));
    let bursar = first.start().await;
    for _ in 0..3 {
        assert_eq!(bursar.call(writing()).await.status, 200);
    }
    setup(&fake, &of(30)).write(bursar.place());
    let reload = Call::post("/admin/v1/reload", &json!({})).header("x-bursar-request", "1");
    let reloaded = bursar.call(reload).await.json();
    let change = &reloaded["changes"][0];
    assert_eq!(
        (&change["kind"], &change["name"], &change["action"]),
        (&json!("budget"), &json!("b"), &json!("changed"))
    );
    assert_eq!((&change["keys"][0]["was"], &change["keys"][0]["now"]), (&json!("20"), &json!("30")));
    let shown = budget(&bursar, "b").await;
    assert_eq!(shown["requests"], json!({"limit": 30, "used": 3, "left": 27}));
    bursar.signal(Signal::KILL);
    let left = bursar.until_ended().await;
    let bursar = Bursar::start(left.place).await;
    let used = budget(&bursar, "b").await["requests"]["used"].as_u64().unwrap();
    assert!((3..=6).contains(&used), "{used}: not less, and no more than a tenth more");
    // A clean stop writes down what was used, and nothing else.
    let bursar = Bursar::start(bursar.stop().await.place).await;
    assert_eq!(budget(&bursar, "b").await["requests"]["used"], used);
    bursar.stop().await;
}

#[tokio::test]
async fn explain_says_that_a_budget_stops_a_call() {
    let fake = FakeProvider::start().await;
    let bursar =
        setup(&fake, "[[budgets]]\nname = \"b\"\nfeature = \"writing\"\nper = \"day\"\nrequests = 1").start().await;
    let ask = || {
        Call::post("/admin/v1/explain", &json!({"model": "one/m", "feature": "writing"}))
            .header("x-bursar-request", "1")
    };
    assert_eq!(bursar.call(ask()).await.json()["candidates"][0]["action"], "would_try");
    assert_eq!(bursar.call(writing()).await.status, 200);
    let told = bursar.call(ask()).await.json();
    assert_eq!(told["candidates"][0]["reason"], "budget_spent", "{told}");
    assert!(told["candidates"][0]["until"].is_string());
    let refused = bursar.call(writing()).await;
    let id = refused.header("x-bursar-request-id").unwrap();
    let trace = bursar.call(Call::get(&format!("/admin/v1/requests/{id}"))).await.json();
    assert!(trace["error"].as_str().unwrap().contains("the budget \"b\" of feature writing is spent"), "{trace}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_budget_of_a_connection_that_is_nowhere_is_told_until_there_is_one() {
    let fake = FakeProvider::start().await;
    let lines = "[[budgets]]\nconnection = \"one:later\"\nper = \"month\"\nusd = 1\n\
                 [[budgets]]\nconnection = \"one:a\"\nper = \"month\"\nusd = 1";
    let bursar = setup(&fake, lines).start().await;
    let told = async || {
        let status = bursar.call(Call::get("/admin/v1/status")).await.json();
        status["warnings"].as_array().unwrap().iter().filter(|text| text.to_string().contains("one:later")).count()
    };
    assert_eq!(told().await, 1);
    let create = json!({ "provider": "one", "name": "later", "secret": key_of("one:later") });
    let created = bursar.call(Call::post("/admin/v1/connections", &create).header("x-bursar-request", "1")).await;
    assert!(created.status < 300, "{}", created.text());
    assert_eq!(told().await, 0);
    bursar.stop().await;
}
