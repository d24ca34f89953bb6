//! One request's walk over its candidates: what becomes of it when time passes meanwhile, when a candidate cannot be told
//! what the app wants, and when an answer is more than is taken.

use http::StatusCode;
use serde_json::json;

use crate::fake::{Behaviour, FakeProvider, Gate, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Setup, key_of, soon, until};

fn calls_of(fake: &FakeProvider, id: &str) -> usize {
    let key = key_of(id);
    fake.seen().iter().filter(|seen| seen.key() == Some(&key)).count()
}

/// Waits until a connection's provider has been called so often.
async fn until_called(fake: &FakeProvider, id: &str, times: usize) {
    until(&format!("{id} is called"), || calls_of(fake, id) >= times).await;
}

async fn is_back(bursar: &Bursar, id: &str) {
    while bursar.call(Call::get(&format!("/admin/v1/connections/{id}"))).await.json()["health"]["state"] != "ok" {}
}

async fn records(bursar: &Bursar) -> Vec<serde_json::Value> {
    let listed = bursar.call(Call::get("/admin/v1/usage/records")).await;
    listed.json()["records"].as_array().cloned().unwrap_or_else(|| panic!("{}", listed.text()))
}

#[tokio::test]
async fn who_comes_back_during_the_walk_is_asked_at_once() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    fake.for_key(&key_of("one:a")).script([openai::error(429).retry_after(1)]);
    fake.for_key(&key_of("one:a")).always(openai::chat("back"));
    fake.for_key(&key_of("one:b")).always(openai::error(401).whole().gated(&gate));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    let cooled = bursar.call(Call::chat("one/m").header("x-bursar-fallback", "off")).await;
    assert_refused(&cooled, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    // While b lets itself be waited for, a comes back.
    let call = bursar.call(Call::chat("one/m"));
    let opens = async {
        until_called(&fake, "one:b", 1).await;
        soon("a to be back", is_back(&bursar, "one:a")).await;
        gate.open(9);
    };
    let (reply, ()) = tokio::join!(call, opens);
    assert_eq!((reply.status, reply.header("x-bursar-connection")), (200, Some("one:a")), "{}", reply.text());
    bursar.stop().await;
}

#[tokio::test]
async fn a_request_that_goes_elsewhere_leaves_the_line_that_it_waited_in() {
    let fake = FakeProvider::start().await;
    let (held, elsewhere) = (Gate::new(), Gate::new());
    fake.for_key(&key_of("one:a")).script([openai::chat("first").whole().held_by(&held)]);
    fake.for_key(&key_of("one:a")).always(openai::chat("idle again"));
    fake.for_key(&key_of("one:b")).script([openai::error(429).retry_after(1)]);
    fake.for_key(&key_of("one:b")).always(openai::chat("from b").whole().held_by(&elsewhere));
    let bursar = Setup::new()
        .provider("one", &fake.url())
        .connection("one:a", "priority = 1\nlimits = { concurrent = 1 }")
        .connection("one:b", "priority = 2")
        .start()
        .await;
    let cooled = bursar.call(Call::chat("one/m").header("x-bursar-connection", "one:b")).await;
    assert_refused(&cooled, StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    let (over, is_over) = tokio::sync::oneshot::channel();
    let first = async {
        let reply = bursar.call(Call::chat("one/m")).await;
        over.send(()).unwrap();
        reply
    };
    let rest = async {
        until_called(&fake, "one:a", 1).await;
        // It finds a taken and b cooling, waits for both, and goes out on b when that is back.
        let waits = bursar.call(Call::chat("one/m").header("x-bursar-wait-ms", "5000"));
        let others = async {
            until_called(&fake, "one:b", 2).await;
            held.open(9);
            is_over.await.unwrap();
            let third = bursar.call(Call::chat("one/m").header("x-bursar-wait-ms", "2000")).await;
            elsewhere.open(9);
            third
        };
        tokio::join!(waits, others)
    };
    let (first, (second, third)) = soon("all three", async { tokio::join!(first, rest) }).await;
    assert_eq!((first.status, first.header("x-bursar-connection")), (200, Some("one:a")));
    assert_eq!((second.status, second.header("x-bursar-connection")), (200, Some("one:b")));
    assert_eq!((third.status, third.header("x-bursar-connection")), (200, Some("one:a")), "{}", third.text());
    bursar.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_after_the_requests_time_is_over() {
    let fake = FakeProvider::start().await;
    fake.always(Behaviour::hang());
    let bursar = Setup::new()
        .provider_with("one", &fake.url(), "on_timeout = \"fallback\"")
        .connection("one:a", "priority = 1")
        .connection("one:b", "priority = 2")
        .connection("one:c", "priority = 3")
        .start()
        .await;
    let late = bursar.call(Call::chat("one/m").header("x-bursar-timeout-ms", "200")).await;
    assert_refused(&late, StatusCode::GATEWAY_TIMEOUT, "upstream_timeout");
    assert_eq!(late.header("x-bursar-attempts"), Some("1"));
    assert_eq!((calls_of(&fake, "one:a"), fake.seen().len()), (1, 1));
    let id = late.header("x-bursar-request-id").unwrap().to_owned();
    let explained = bursar.call(Call::get(&format!("/admin/v1/requests/{id}"))).await;
    assert!(explained.text().contains("as long as it may"), "{}", explained.text());
    bursar.stop().await;
}

#[tokio::test]
async fn who_cannot_be_told_what_the_app_wants_is_passed_by() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("two:a")).always(openai::chat("as you like"));
    let bursar = Setup::new()
        .provider_of("anthropic", "one", &fake.url(), "")
        .connection("one:a", "")
        .ranked("two", &fake.url(), &["a"])
        .providers("[routes.fast]\ntargets = [\"one/m\", \"two/m\"]\n")
        .start()
        .await;
    let asking = |model: &str| {
        let body = json!({
            "model": model,
            "messages": [{"role": "user", "content": "hi"}],
            "logit_bias": {"50256": -100},
        });
        Call::post("/v1/chat/completions", &body)
    };
    let reply = bursar.call(asking("fast")).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "as you like"), "{}", reply.text());
    // Where nobody else is there, the app is told, and what it is.
    let refused = bursar.call(asking("one/m")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text());
    assert_eq!(refused.json()["error"]["param"], "logit_bias");
    // An error of the one that was asked counts more than what the other could not be told.
    fake.for_key(&key_of("two:a")).always(openai::error(400));
    let refused = bursar.call(asking("fast")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(!refused.text().contains("logit_bias"), "{}", refused.text());
    assert_eq!(calls_of(&fake, "one:a"), 0);
    bursar.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_more_than_is_taken_is_fetched_from_nobody_twice_and_is_no_failure() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat(&"x".repeat(33 << 20)));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    for calls in 1..=6 {
        let reply = bursar.call(Call::chat("one/m")).await;
        assert_refused(&reply, StatusCode::BAD_GATEWAY, "upstream_too_large");
        assert_eq!(fake.seen().len(), 2 * calls);
    }
    let shown = bursar.call(Call::get("/admin/v1/connections")).await.json();
    for connection in shown["connections"].as_array().unwrap() {
        assert_eq!(connection["health"]["state"], "ok", "{connection}");
    }
    // It may be billed for all that.
    let records = records(&bursar).await;
    assert!(
        records.iter().all(|record| record["outcome"] == "too_large" && record["cost_usd"].is_null()),
        "{records:?}"
    );
    let usage = bursar.call(Call::get("/admin/v1/usage")).await.json();
    assert_eq!(usage["totals"]["cost_unknown"], 12, "{usage}");
    bursar.stop().await;
}
