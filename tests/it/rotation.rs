//! Which connection answers, what the app can say about it, and when it hears of it.

use std::time::{Duration, Instant};

use bursar::api::Outcome;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fake::{Behaviour, FakeProvider, Gate, openai};
use crate::harness::client::{Event, assert_refused, error_code, said};
use crate::harness::{Bursar, Call, Reply, Setup, key_of, soon};

/// The connections that answered, in order, by their last letter.
async fn answered_by(bursar: &Bursar, calls: usize) -> String {
    let mut names = String::new();
    for _ in 0..calls {
        let reply = bursar.call(Call::chat("one/m")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        names.push_str(reply.header("x-bursar-connection").unwrap().strip_prefix("one:").unwrap());
    }
    names
}

fn calls_of(fake: &FakeProvider, id: &str) -> usize {
    let key = key_of(id);
    fake.seen().iter().filter(|seen| seen.key() == Some(&key)).count()
}

#[tokio::test]
async fn weights_are_kept_smoothly() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new()
        .provider("one", &fake.url())
        .connection("one:a", "weight = 3")
        .connection("one:b", "weight = 1")
        .connection("one:z", "priority = 2\nweight = 100")
        .start()
        .await;
    assert_eq!(answered_by(&bursar, 8).await, "abaaabaa");
    bursar.stop().await;
}

#[tokio::test]
async fn equals_take_turns_also_for_callers_at_the_same_time() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let setup = Setup::new().server("workers = 2").provider("one", &fake.url());
    let bursar = setup.connection("one:a", "").connection("one:b", "").connection("one:c", "").start().await;
    let calls = (0..60).map(|_| bursar.call(Call::chat("one/m")));
    let replies: Vec<Reply> = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    for id in ["one:a", "one:b", "one:c"] {
        assert_eq!(calls_of(&fake, id), 20, "{id}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn the_lowest_priority_number_goes_first_until_its_key_is_refused() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:b")).script([openai::chat("ok"), openai::chat("ok")]);
    fake.for_key(&key_of("one:b")).always(openai::error(401));
    fake.always(openai::chat("ok"));
    let setup = Setup::new().provider("one", &fake.url());
    let bursar = setup.connection("one:a", "priority = 7").connection("one:b", "priority = 3").start().await;
    assert_eq!(answered_by(&bursar, 5).await, "bbaaa");
    assert_eq!(calls_of(&fake, "one:b"), 3, "a refused key is not tried again");
    // With the last one refused too, the app learns what to do, and nobody is called.
    fake.for_key(&key_of("one:a")).script([openai::error(401)]);
    let refused = bursar.call(Call::chat("one/m")).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_auth"));
    let calls = fake.seen().len();
    let refused = bursar.call(Call::chat("one/m")).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_auth"));
    assert!(refused.text().contains("bursar reload"), "{}", refused.text());
    assert_eq!(fake.seen().len(), calls);
    bursar.stop().await;
}

#[tokio::test]
async fn a_route_goes_through_its_targets_in_order() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(openai::error(429).retry_after(30));
    fake.for_key(&key_of("two:a")).always(openai::chat("second"));
    let bursar = Setup::new()
        .ranked("one", &fake.url(), &["a"])
        .ranked("two", &fake.url(), &["a"])
        .providers("[routes.fast]\ntargets = [\"one/m\", \"two/other-model\"]\n")
        .start()
        .await;
    let reply = bursar.call(Call::chat("fast")).await;
    assert_eq!(reply.content(), "second");
    assert_eq!(reply.header("x-bursar-model"), Some("other-model"));
    assert_eq!(fake.seen().last().unwrap().json()["model"], "other-model", "each target names its model");
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.model == "fast"));
}

#[tokio::test]
async fn an_app_may_rule_out_fallback_and_choose_its_connection() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(openai::error(500));
    fake.for_key(&key_of("one:b")).always(openai::chat("b"));
    fake.for_key(&key_of("one:c")).always(openai::error(429));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b", "c"]).start().await;
    let chat = || Call::chat("one/m");

    let reply = bursar.call(chat().header("x-bursar-fallback", "off")).await;
    assert_refused(&reply, http::StatusCode::BAD_GATEWAY, "upstream_error");
    assert_eq!((calls_of(&fake, "one:a"), calls_of(&fake, "one:b")), (2, 0));

    let reply = bursar.call(chat().header("X-Bursar-Connection", "one:b")).await;
    assert_eq!((reply.content().as_str(), reply.header("x-bursar-attempts")), ("b", Some("1")));

    let reply = bursar.call(chat().header("x-bursar-connection", "one:c")).await;
    assert_refused(&reply, http::StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    assert_eq!((calls_of(&fake, "one:c"), calls_of(&fake, "one:b")), (1, 1), "a pin is not left");

    let reply = bursar.call(chat().header("x-bursar-connection", "one:nobody")).await;
    assert_refused(&reply, http::StatusCode::NOT_FOUND, "not_found");

    for (name, value) in [
        ("x-bursar-connection", "one"),
        ("x-bursar-connection", ""),
        ("x-bursar-connection", "One:A"),
        ("x-bursar-fallback", "no"),
        ("x-bursar-timeout-ms", "0"),
        ("x-bursar-timeout-ms", "-1"),
        ("x-bursar-timeout-ms", "1.5"),
        ("x-bursar-timeout-ms", "999999999999999999999"),
    ] {
        let reply = bursar.call(chat().header(name, value)).await;
        assert_refused(&reply, http::StatusCode::BAD_REQUEST, "invalid_request");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn an_app_may_set_the_time_for_all_of_it() {
    let fake = FakeProvider::start().await;
    let opening = openai::opening(&["a"]).reply();
    fake.for_key(&key_of("one:a")).script([Behaviour::hang(), Behaviour::hang(), opening.hang_after(2)]);
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    for stream in [false, true] {
        let began = Instant::now();
        let reply = bursar.call(Call::chat_as("one/m", stream).header("x-bursar-timeout-ms", "300")).await;
        assert_refused(&reply, http::StatusCode::GATEWAY_TIMEOUT, "upstream_timeout");
        assert!(reply.text().contains("within 0.3 s"), "the time that really ran out: {}", reply.text());
        assert!((300..3_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    }
    let reply = bursar.call(Call::stream("one/m").header("x-bursar-timeout-ms", "300")).await;
    let events = reply.events();
    assert_eq!((reply.status, said(&events).as_str()), (200, "a"));
    let Some(Event::Json(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!(error_code(last), "upstream_timeout");
    assert_eq!(calls_of(&fake, "one:b"), 0, "what took too long may have been done, and charged");
    fake.until_aborted(3).await;
    bursar.stop().await;
}

#[tokio::test]
async fn a_provider_may_be_left_after_a_timeout() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(Behaviour::hang());
    fake.for_key(&key_of("one:b")).always(openai::chat("b"));
    let lines = "on_timeout = \"fallback\"\ntimeouts = { first_byte = \"200ms\" }";
    let setup = Setup::new().provider_with("one", &fake.url(), lines);
    let bursar = setup.connection("one:a", "priority = 1").connection("one:b", "priority = 2").start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.content().as_str(), reply.header("x-bursar-attempts")), ("b", Some("2")));
    bursar.stop().await;
}

#[tokio::test]
async fn each_piece_is_passed_on_as_it_comes() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    let texts: Vec<String> = (0..20).map(|n| format!("<{n}>")).collect();
    let stream = openai::stream(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    fake.always(stream.reply().whole().gated(&gate));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    // The role, which is held back, and the first text.
    gate.open(2);
    let mut reply = bursar.open(Call::stream("one/m")).await;
    let mut all = reply.until("<0>").await;
    for text in &texts[1..] {
        gate.open(1);
        all += &reply.until(text).await;
    }
    gate.open(9);
    all += reply.rest().await.text();
    assert_eq!(said(&crate::harness::client::events(&all)), texts.concat());
    bursar.stop().await;
}

/// The head waits for content, so that a stream which fails before it can go elsewhere; but no app is kept waiting for a
/// head for ever.
#[tokio::test]
async fn the_head_leaves_without_content_after_a_while() {
    let fake = FakeProvider::start().await;
    let (gate, other) = (Gate::new(), Gate::new());
    fake.for_key(&key_of("one:a")).script([
        openai::stream(&["late"]).reply().whole().gated(&gate),
        openai::opening(&[]).reply().whole().gated(&other),
    ]);
    let setup = Setup::new().timeouts("commit_after = \"300ms\"");
    let bursar = setup.ranked("one", &fake.url(), &["a", "b"]).start().await;
    gate.open(1);
    let began = Instant::now();
    let mut reply = bursar.open(Call::stream("one/m")).await;
    assert!(reply.head_at - began >= Duration::from_millis(300));
    let held = reply.until("assistant").await;
    gate.open(9);
    let rest = reply.rest().await;
    assert_eq!(said(&crate::harness::client::events(&format!("{held}{}", rest.text()))), "late");

    // Once the head is out, a failure can no longer be hidden.
    other.open(1);
    let mut reply = bursar.open(Call::stream("one/m")).await;
    reply.until("assistant").await;
    other.open(1);
    let rest = reply.rest().await;
    let Some(Event::Json(last)) = rest.events().pop() else { panic!("{}", rest.text()) };
    assert_eq!(error_code(&last), "upstream_cut");
    assert_eq!(calls_of(&fake, "one:b"), 0);
    let outcomes: Vec<Outcome> = bursar.stop().await.records().iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Cut]);
}

#[tokio::test]
async fn retry_after_is_the_shortest_hint_and_sdks_are_told_what_to_make_of_it() {
    let fake = FakeProvider::start().await;
    let limited = |name: &str, value: &str| openai::error(429).header(name, value);
    let dated = limited("date", "Sun, 22 Nov 2026 08:00:00 GMT").header("retry-after", "Sun, 22 Nov 2026 08:00:41 GMT");
    let cases = [
        (limited("retry-after", "30"), limited("retry-after", "7"), "7", "true"),
        (limited("retry-after", "7"), openai::error(500), "7", "true"),
        (limited("retry-after", "120"), limited("retry-after", "61"), "61", "false"),
        (limited("retry-after", "60"), limited("retry-after", "61"), "60", "true"),
        (limited("retry-after-ms", "1200"), limited("retry-after", "61"), "2", "true"),
        (limited("retry-after", "0"), limited("retry-after", "61"), "1", "true"),
        (limited("retry-after", "nonsense"), limited("retry-after", "61"), "15", "true"),
        (limited("retry-after", "-5"), limited("retry-after", "61"), "15", "true"),
        (limited("retry-after", "1e300"), limited("retry-after", "61"), "15", "true"),
        (dated, limited("retry-after", "61"), "41", "true"),
    ];
    let mut setup = Setup::new();
    for (place, (first, second, ..)) in cases.iter().enumerate() {
        let provider = format!("p{place}");
        setup = setup.ranked(&provider, &fake.url(), &["a", "b"]);
        fake.for_key(&key_of(&format!("{provider}:a"))).always(first.clone());
        fake.for_key(&key_of(&format!("{provider}:b"))).always(second.clone());
    }
    let bursar = setup.start().await;
    for (place, (.., wait, should)) in cases.iter().enumerate() {
        let reply = bursar.call(Call::chat(&format!("p{place}/m"))).await;
        assert_refused(&reply, http::StatusCode::TOO_MANY_REQUESTS, "rate_limited");
        let told = (reply.header("retry-after"), reply.header("x-should-retry"));
        assert_eq!(told, (Some(*wait), Some(*should)), "case {place}");
        assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    }
    bursar.stop().await;
}

/// What goes upstream is built from scratch: the app's own bytes and the headers of a list.
#[tokio::test]
async fn nothing_of_the_apps_goes_out_but_what_is_meant_to() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let body = format!(
        r#"{{"x_unknown": [1e400, {{"model":"deep"}}], "base_url": "http://evil.test", "mod\u0065l" : "one/m",
        "messages":[{{"role":"user","content":{:?}}}], "api_key": "k", "metadata":{{"bursar_feature":"f-1"}}}}"#,
        crate::harness::canary::prompt()
    );
    let mut call = Call::chat("one/m").body(body.clone());
    for (name, value) in [
        ("authorization", "Bearer of-the-app"),
        ("x-api-key", "of-the-app"),
        ("cookie", "of-the-app"),
        ("x-forwarded-host", "of-the-app"),
        ("user-agent", "of-the-app"),
        ("x-base-url", "of-the-app"),
        ("accept-encoding", "gzip"),
        ("te", "trailers"),
        ("proxy-authorization", "of-the-app"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "once"),
    ] {
        call = call.header(name, value);
    }
    assert_eq!(bursar.call(call).await.status, 200);
    let seen = &fake.seen()[0];
    let mut names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "idempotency-key",
            "openai-beta",
            "user-agent"
        ]
    );
    assert!(seen.headers.iter().all(|(_, value)| !value.contains("of-the-app")), "{:?}", seen.headers);
    assert_eq!(seen.key(), Some(key_of("one:a").as_str()));
    let sent = body.replace("\"one/m\"", "\"m\"").replace(r#", "metadata":{"bursar_feature":"f-1"}"#, "");
    assert_eq!(std::str::from_utf8(&seen.body).unwrap(), sent);
    let records = bursar.stop().await.records();
    assert_eq!(records[0].feature.as_str(), "f-1");
}

#[tokio::test]
async fn a_reply_says_how_it_came_about() {
    let fake = FakeProvider::start().await;
    fake.script([
        openai::error(429),
        openai::chat("ok").header("openai-processing-ms", "12").header("set-cookie", "no"),
    ]);
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    let expected = [
        ("x-bursar-provider", "one"),
        ("x-bursar-connection", "one:b"),
        ("x-bursar-model", "m"),
        ("x-bursar-attempts", "2"),
        ("x-bursar-upstream-request-id", openai::REQUEST_ID),
        ("openai-processing-ms", "12"),
        ("content-type", "application/json"),
    ];
    for (name, value) in expected {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(reply.header("set-cookie"), None);
    let overhead: u64 = reply.header("x-bursar-overhead-us").unwrap().parse().unwrap();
    assert!(overhead < 10_000_000);
    let id = reply.header("x-bursar-request-id").unwrap().parse().unwrap();
    let records = bursar.stop().await.of_request(id);
    assert_eq!(records.len(), 2, "the records are found by the id that the app was given");
}

/// A provider that pauses in its reply, an error's too, and an app that pauses in its request.
#[tokio::test]
async fn the_time_of_providers_and_apps_is_no_overhead() {
    let pause = Duration::from_millis(1500);
    let overhead = |head: &str| -> u128 {
        let line = head.lines().find_map(|line| line.strip_prefix("x-bursar-overhead-us: ")).unwrap();
        line.trim().parse().unwrap()
    };
    let fake = FakeProvider::start().await;
    fake.script([
        Behaviour::from(openai::chat("ok")).pace(pause),
        openai::stream(&["ok"]).reply().split_at(&[]).whole().pace(pause),
        Behaviour::from(openai::error(429)).pace(pause),
        openai::chat("ok").into(),
        openai::chat("ok").into(),
    ]);
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    for call in [Call::chat("one/m"), Call::stream("one/m"), Call::chat("one/m")] {
        let reply = bursar.call(call).await;
        let overhead: u128 = reply.header("x-bursar-overhead-us").unwrap().parse().unwrap();
        assert!(reply.status == 200 && overhead < pause.as_micros() / 2, "{overhead} µs");
    }

    let body = json!({"model": "one/m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let mut app = UnixStream::connect(bursar.place().socket()).await.unwrap();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    app.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(pause).await;
    app.write_all(body.as_bytes()).await.unwrap();
    let mut reply = String::new();
    soon("a reply", app.read_to_string(&mut reply)).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && overhead(&reply) < pause.as_micros() / 2, "{reply}");
    bursar.stop().await;
}

/// A host of one's own that asks for no key needs none.
#[tokio::test]
async fn a_connection_without_a_key_is_used_where_the_file_allows_it() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("open house"));
    let setup = Setup::new().provider("lan", &fake.url());
    let bursar = setup.providers("[[connections]]\nprovider = \"lan\"\nname = \"main\"\n").start().await;
    let reply = soon("a reply", bursar.call(Call::chat("lan/m"))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(fake.seen()[0].header("authorization"), None);
    bursar.stop().await;
}
