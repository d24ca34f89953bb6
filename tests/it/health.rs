//! What a failure makes of a connection: which calls it still gets, what operators see, and what a restart forgets.

use std::time::{SystemTime, UNIX_EPOCH};

use bursar::api::Outcome;
use bursar::connection::day::Day;
use http::{Method, StatusCode};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::fake::{FakeProvider, Reply as Answer, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Setup, key_of};

fn calls_of(fake: &FakeProvider, id: &str) -> usize {
    let key = key_of(id);
    fake.seen().iter().filter(|seen| seen.key() == Some(&key)).count()
}

/// Calls a model, and says which connection answered after how many attempts.
async fn served(bursar: &Bursar, model: &str) -> (String, String) {
    let reply = bursar.call(Call::chat(model)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let header = |name| reply.header(name).unwrap().to_owned();
    (header("x-bursar-connection"), header("x-bursar-attempts"))
}

fn by(connection: &str, attempts: u32) -> (String, String) {
    (connection.to_owned(), attempts.to_string())
}

async fn health(bursar: &Bursar, id: &str) -> Value {
    let reply = bursar.call(Call::get(&format!("/admin/v1/connections/{id}"))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["health"].clone()
}

async fn state(bursar: &Bursar, id: &str) -> String {
    health(bursar, id).await["state"].as_str().unwrap().to_owned()
}

fn ask(method: Method, path: &str, body: &Value) -> Call {
    Call::new(method, path).body(body.to_string()).header("x-bursar-request", "1")
}

fn post(path: &str) -> Call {
    ask(Method::POST, path, &json!({}))
}

#[tokio::test]
async fn a_429_cools_its_connection_and_neither_a_kill_nor_a_reload_warms_it() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(openai::error(429).retry_after(3_600));
    fake.for_key(&key_of("one:b")).always(openai::chat("b"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 2));
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 1));
    let shown = health(&bursar, "one:a").await;
    assert_eq!((shown["state"].as_str(), shown["consecutive_failures"].as_u64()), (Some("cooling"), Some(1)));
    assert!(shown["until"].is_string() && shown["last_error_at"].is_string(), "{shown}");
    assert_eq!(shown["reason"], "a rate limit of m");
    assert_eq!(bursar.call(post("/admin/v1/reload")).await.status, 200);
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 1));

    bursar.until_logged("health is stored").await;
    let bursar = bursar.kill().await.restart().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 1));
    assert_eq!(calls_of(&fake, "one:a"), 1);
    assert_eq!(state(&bursar, "one:a").await, "cooling");
    // It is only this model that cools.
    fake.for_key(&key_of("one:a")).script([openai::chat("a")]);
    assert_eq!(served(&bursar, "one/other").await, by("one:a", 1));
    bursar.stop().await;
}

#[tokio::test]
async fn an_account_without_money_parks_with_all_its_connections_until_a_test_passes() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).script([openai::error(402)]);
    fake.for_key(&key_of("one:c")).always(openai::chat("c"));
    let setup = Setup::new().provider("one", &fake.url()).providers("[limit_groups.acme]\nlimits = { concurrent = 9 }");
    let setup = setup.connection("one:a", "priority = 1\nlimit_group = \"acme\"");
    let setup = setup.connection("one:b", "priority = 2\nlimit_group = \"acme\"").connection("one:c", "priority = 3");
    let bursar = setup.start().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:c", 2));
    assert_eq!(calls_of(&fake, "one:b"), 0, "it has the same account");
    for id in ["one:a", "one:b"] {
        assert_eq!(state(&bursar, id).await, "parked");
    }
    bursar.until_logged("health is stored").await;
    let bursar = bursar.kill().await.restart().await;
    assert_eq!(served(&bursar, "one/other").await, by("one:c", 1));
    assert_eq!(health(&bursar, "one:b").await["reason"], "the fake was told to fail");
    let pinned = bursar.call(Call::chat("one/m").header("x-bursar-connection", "one:b")).await;
    assert_refused(&pinned, StatusCode::BAD_GATEWAY, "upstream_quota");

    fake.for_key(&key_of("one:b")).script([openai::models(&["m"])]);
    fake.for_key(&key_of("one:a")).always(openai::chat("a"));
    assert_eq!(bursar.call(post("/admin/v1/connections/one:b/test")).await.status, 200);
    assert_eq!(state(&bursar, "one:a").await, "ok");
    assert_eq!(served(&bursar, "one/m").await, by("one:a", 1));
    bursar.stop().await;
}

#[tokio::test]
async fn a_rejected_key_stays_rejected_after_a_kill_and_another_one_is_not() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(openai::error(401));
    fake.for_key(&key_of("one:new")).always(openai::chat("a"));
    fake.for_key(&key_of("one:b")).always(openai::chat("b"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 2));
    bursar.until_logged("health is stored").await;
    let bursar = bursar.kill().await.restart().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 1));
    let shown = health(&bursar, "one:a").await;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("rejected"), &json!("the fake was told to fail")));
    let remains = bursar.kill().await;
    remains.place.set_key("one:a", &key_of("one:new"));
    let bursar = remains.restart().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:a", 1));
    bursar.stop().await;
}

#[tokio::test]
async fn a_model_that_a_key_may_not_use_is_left_alone_and_others_are_not() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).script([openai::error(403), openai::chat("a")]);
    fake.for_key(&key_of("one:b")).always(openai::chat("b"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 2));
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 1));
    assert_eq!(served(&bursar, "one/n").await, by("one:a", 1));
    assert_eq!(health(&bursar, "one:a").await["reason"], "not for m");
    bursar.stop().await;
}

#[tokio::test]
async fn a_breaker_opens_after_five_failures_and_an_operator_closes_it() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(openai::error(500));
    fake.for_key(&key_of("one:b")).always(openai::chat("b"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    for _ in 0..3 {
        assert_eq!(served(&bursar, "one/m").await, by("one:b", 3));
    }
    assert_eq!(served(&bursar, "one/m").await, by("one:b", 1));
    let shown = health(&bursar, "one:a").await;
    assert_eq!((&shown["state"], shown["until"].is_string()), (&json!("open"), true), "{shown}");
    fake.for_key(&key_of("one:a")).always(openai::chat("a"));
    let enable = ask(Method::PATCH, "/admin/v1/connections/one:a", &json!({"status": "enabled"}));
    let reply = bursar.call(enable).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(served(&bursar, "one/m").await, by("one:a", 1));
    bursar.stop().await;
}

#[tokio::test]
async fn a_lone_connection_is_never_shut_by_its_breaker() {
    let fake = FakeProvider::start().await;
    fake.script((0..10).map(|_| openai::error(500)));
    fake.always(openai::chat("back"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    for _ in 0..5 {
        assert_refused(&bursar.call(Call::chat("one/m")).await, StatusCode::BAD_GATEWAY, "upstream_error");
    }
    assert_eq!(served(&bursar, "one/m").await, by("one:a", 1));
    assert_eq!((fake.seen().len(), state(&bursar, "one:a").await.as_str()), (11, "ok"));
    bursar.stop().await;
}

#[tokio::test]
async fn a_guess_is_no_reason_to_refuse_and_the_providers_word_is() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).script([openai::error(429), openai::chat("a")]);
    fake.for_key(&key_of("two:a")).always(openai::error(429).retry_after(50));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).ranked("two", &fake.url(), &["a"]).start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("15")));
    assert_eq!(served(&bursar, "one/m").await, by("one:a", 1));
    assert_eq!(state(&bursar, "one:a").await, "ok", "a success clears");

    assert_eq!(bursar.call(Call::chat("two/m")).await.status, 429);
    let reply = bursar.call(Call::chat("two/m")).await;
    assert_refused(&reply, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=50).contains(&wait), "{wait}");
    assert_eq!(calls_of(&fake, "two:a"), 1, "the provider said when: asking earlier is in vain");
    bursar.stop().await;
}

/// As Groq has it: requests count by the day, tokens by the minute.
const LIMITS: &str = "[providers.one.rate_limits]\n\"x-left\" = \"remaining requests_per_day\"\n\
                      \"x-reset\" = \"reset requests_per_day\"\n\"x-tokens\" = \"remaining tokens_per_minute\"\n\
                      \"x-tokens-reset\" = \"reset tokens_per_minute as epoch_ms\"\n";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn headers_say_what_is_used_up_on_success_and_on_failure() {
    let fake = FakeProvider::start().await;
    let last = openai::chat("a").header("x-left", "99").header("x-tokens", "0");
    fake.for_key(&key_of("one:a")).script([last.header("x-tokens-reset", now_ms() + 600_000)]);
    let spent = openai::error(429).retry_after(2).header("x-left", "0").header("x-reset", "2h0m0s");
    fake.for_key(&key_of("one:b")).script([spent]);
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).providers(LIMITS).start().await;
    assert_eq!(served(&bursar, "one/m").await, by("one:a", 1));
    assert_eq!(state(&bursar, "one:a").await, "cooling", "nothing is left of its minute");
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_refused(&reply, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&wait), "a is back first: {wait}");
    let outcomes: Vec<Outcome> = bursar.stop().await.records().iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::RateDay], "nothing is left of its day, whatever Retry-After says");
}

#[tokio::test]
async fn a_day_ends_at_the_providers_midnight() {
    let fake = FakeProvider::start().await;
    let details = json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPerProject"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "22s"},
    ]);
    let error = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": details}});
    fake.always(Answer::json(429, &error));
    let zone = "day_resets = \"America/Los_Angeles\"";
    let setup = Setup::new().provider_of("gemini", "g", &format!("{}/v1beta", fake.url()), zone);
    let bursar = setup.connection("g:a", "").start().await;
    // The second one is not even sent.
    for _ in 0..2 {
        let reply = bursar.call(Call::chat("g/m")).await;
        assert_refused(&reply, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
        let wait: i64 = reply.header("retry-after").unwrap().parse().unwrap();
        let now = now_ms();
        let midnight = Day::of(now, &TimeZone::get("America/Los_Angeles").unwrap()).unwrap().ends_ms;
        assert!(((midnight - now) / 1_000 - wait).abs() <= 3 || midnight - now > 86_390_000, "{wait}");
    }
    assert_eq!(fake.seen().len(), 1);
    bursar.stop().await;
}
