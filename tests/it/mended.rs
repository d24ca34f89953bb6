//! Bugs that were found from outside and mended, each under its name.

use bursar::api::Outcome;
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Gate, Reply as Answer, gemini, openai};
use crate::harness::{Bursar, Call, Setup, key_of};

/// An admin call.
fn ask(method: Method, path: &str, body: impl ToString) -> Call {
    Call::new(method, &format!("/admin/v1/{path}")).body(body.to_string()).header("x-bursar-request", "1")
}

/// The state of a connection's health.
async fn state(bursar: &Bursar, id: &str) -> Value {
    bursar.call(Call::get(&format!("/admin/v1/connections/{id}"))).await.json()["health"]["state"].clone()
}

/// A provider of a kind, with a connection that has no secret.
fn keyless(fake: &FakeProvider, kind: &str) -> Setup {
    let setup = Setup::new().provider_of(kind, "own", &format!("{}/v1", fake.url()), "");
    setup.providers("[[connections]]\nprovider = \"own\"\nname = \"main\"\n")
}

#[tokio::test]
async fn a_host_of_ones_own_is_called_without_a_credential() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = keyless(&fake, "openai").start().await;
    assert_eq!(bursar.call(Call::chat("own/m")).await.content(), "hello");
    assert_eq!(fake.seen()[0].key(), None);
}

#[tokio::test]
async fn a_stream_that_ends_with_its_first_content_is_ended_once() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let whole = gemini::piece("all of it", Some("STOP"));
    for (kind, only) in [("gemini", blocked), ("gemini", whole), ("openai", openai::finish())] {
        let fake = FakeProvider::start().await;
        // Without a last blank line, the frame is whole only when the bytes end.
        fake.always(Events::new().raw(format!("data: {only}\n")));
        let bursar = keyless(&fake, kind).start().await;
        let reply = bursar.call(Call::stream("own/m")).await;
        let text = reply.text();
        assert_eq!(text.matches(openai::DONE).count(), 1, "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
}

#[tokio::test]
async fn an_id_in_a_path_may_be_percent_encoded() {
    let setup = Setup::new().provider("one", "http://127.0.0.1:1").connection("one:a", "");
    let bursar = setup.start().await;
    for (path, id) in [("/v1/models/one%2Fm", "one/m"), ("/v1/models/one/m", "one/m"), ("/v1/models/one%2fm", "one/m")]
    {
        assert_eq!(bursar.call(Call::get(path)).await.json()["id"], id, "{path}");
    }
    let shown = bursar.call(Call::get("/admin/v1/connections/one%3Aa")).await;
    assert_eq!((shown.status, &shown.json()["id"]), (200, &json!("one:a")));
    // What is no encoding of text names nothing.
    for path in ["/v1/models/%FF", "/v1/models/one%2", "/v1/models/one%252Fm"] {
        assert_eq!(bursar.call(Call::get(path)).await.code(), "unknown_model", "{path}");
    }
}

#[tokio::test]
async fn a_test_does_not_show_a_key_that_the_provider_repeats() {
    // No pattern knows its beginning.
    let key = "canaryAAAABBBBCCCCDDDD";
    let fake = FakeProvider::start().await;
    let mut error = openai::error_object("invalid_request_error", &json!(key));
    error["error"]["message"] = json!(format!("Incorrect API key provided: {key}."));
    fake.for_path("/v1/models").always(Answer::json(401, &error));
    let place = Setup::new().ranked("one", &fake.url(), &["a"]).place();
    place.set_key("one:a", key);
    let bursar = Bursar::start(place).await;
    let create = json!({"provider": "one", "name": "b", "secret": key});
    for (call, status) in [
        (ask(Method::POST, "connections", create), 201),
        (ask(Method::POST, "connections/one:a/test", "{}"), 200),
        (ask(Method::POST, "connections/one:b/test", "{}"), 200),
        (ask(Method::PUT, "connections/one:b/secret", json!({"secret": key, "test": true})), 502),
        (ask(Method::POST, "health/check", "{}"), 200),
        (Call::get("/admin/v1/health"), 200),
        (Call::get("/admin/v1/connections"), 200),
    ] {
        let reply = bursar.call(call).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(!reply.text().contains(&key[..12]), "{}", reply.text());
    }
    assert_eq!(fake.seen().len(), 5, "every test asked the provider");
    assert!(!bursar.stop().await.log.contains(&key[..12]));
}

#[tokio::test]
async fn a_new_secret_of_a_declared_connection_clears_its_rejection() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(openai::error(401));
    fake.always(openai::chat("hello"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502);
    let refused = bursar.call(Call::chat("one/m")).await;
    assert_eq!((refused.code().as_str(), state(&bursar, "one:a").await), ("upstream_auth", json!("rejected")));
    assert!(refused.text().contains("bursar reload") && !refused.text().contains("credentials set"), "{refused:?}");
    // The same secret is no reason to try again.
    let reload = async || bursar.call(ask(Method::POST, "reload", "")).await.json();
    assert_eq!(reload().await["changed"], false);
    assert_eq!(state(&bursar, "one:a").await, "rejected");
    bursar.place().set_key("one:a", &key_of("one:new"));
    let changes = json!([{
        "kind": "connection", "name": "one:a", "action": "changed", "note": "its secret is another one",
    }]);
    assert_eq!(bursar.call(Call::get("/admin/v1/config/plan")).await.json()["changes"], changes);
    let reloaded = reload().await;
    assert_eq!((&reloaded["changed"], &reloaded["changes"]), (&json!(true), &changes));
    assert_eq!(state(&bursar, "one:a").await, "ok");
    assert_eq!(bursar.call(Call::chat("one/m")).await.content(), "hello");
    bursar.stop().await;
}

#[tokio::test]
async fn a_secret_that_was_gone_for_a_while_stays_rejected() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(401));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502);
    for (key, expected) in [(String::new(), "needs_secret"), (key_of("one:a"), "rejected")] {
        bursar.place().set_key("one:a", &key);
        // A refused secret is read again by itself too, and whichever reads it first tells of it.
        assert_eq!(bursar.call(ask(Method::POST, "reload", "")).await.status, 200);
        assert_eq!(state(&bursar, "one:a").await, json!(expected));
    }
    bursar.stop().await;
}

#[tokio::test]
async fn an_operator_who_enables_a_connection_clears_its_rejection() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(401));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let create = json!({"provider": "one", "name": "b", "priority": 2, "secret": key_of("one:b")});
    assert_eq!(bursar.call(ask(Method::POST, "connections", create)).await.status, 201);
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502);
    for id in ["one:a", "one:b"] {
        let path = format!("connections/{id}");
        assert_eq!(state(&bursar, id).await, "rejected");
        assert_eq!(bursar.call(ask(Method::PATCH, &path, json!({"status": "disabled"}))).await.status, 200);
        assert_eq!(state(&bursar, id).await, "rejected");
        assert_eq!(bursar.call(ask(Method::PATCH, &path, json!({"status": "enabled"}))).await.status, 200);
        assert_eq!(state(&bursar, id).await, "ok");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_rejected_connection_of_the_store_is_given_a_new_secret_by_command() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(401));
    let bursar = Setup::new().provider("one", &fake.url()).start().await;
    let create = json!({"provider": "one", "name": "b", "secret": key_of("one:b")});
    assert_eq!(bursar.call(ask(Method::POST, "connections", create)).await.status, 201);
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502);
    let refused = bursar.call(Call::chat("one/m")).await;
    assert!(refused.text().contains("`bursar credentials set one --name b`"), "{}", refused.text());
    bursar.stop().await;
}

#[tokio::test]
async fn a_late_401_for_the_old_key_does_not_reject_the_new_one() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    fake.for_key(&key_of("one:old")).always(Behaviour::from(openai::error(401)).held_by(&gate));
    fake.always(openai::chat("hello"));
    let place = Setup::new().ranked("one", &fake.url(), &["a"]).place();
    place.set_key("one:a", &key_of("one:old"));
    let bursar = Bursar::start(place).await;
    let create = json!({"provider": "one", "name": "b", "priority": 2, "secret": key_of("one:old")});
    assert_eq!(bursar.call(ask(Method::POST, "connections", create)).await.status, 201);
    let mut late = Vec::new();
    for id in ["one:a", "one:b"] {
        let link = bursar.link().await;
        late.push(tokio::spawn(link.call(Call::chat("one/m").header("x-bursar-connection", id))));
    }
    fake.until_seen(2).await;
    bursar.place().set_key("one:a", &key_of("one:a"));
    assert_eq!(bursar.call(ask(Method::POST, "reload", "")).await.status, 200);
    let put = ask(Method::PUT, "connections/one:b/secret", json!({"secret": key_of("one:b")}));
    assert_eq!(bursar.call(put).await.status, 200);
    gate.open(2);
    for late in late {
        assert_eq!(late.await.unwrap().status, 502);
    }
    for id in ["one:a", "one:b"] {
        assert_eq!(state(&bursar, id).await, "ok");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_request_that_the_daemon_cuts_is_not_the_apps_hanging_up() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/embeddings").always(Behaviour::hang());
    fake.always(openai::opening(&["a"]).reply().hang_after(2));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let mut shared = bursar.link_http2().await;
    let mut streams =
        [bursar.open(Call::stream("one/m")).await, shared.send(Call::stream("one/m")).await.expect("a reply")];
    for stream in &mut streams {
        stream.until("\"a\"").await;
    }
    let mut link = bursar.link().await;
    let waiting = tokio::spawn(async move { link.send(Call::embed("one/m")).await.is_err() });
    fake.until_seen(3).await;
    bursar.signal(Signal::TERM);
    bursar.until_logged("running requests may end").await;
    bursar.signal(Signal::TERM);
    let records = bursar.until_ended().await.records();
    assert!(waiting.await.unwrap());
    assert_eq!(records.len(), 3);
    for record in records {
        let why = "the daemon stopped before the reply was complete";
        assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Cut, Some(why)));
    }
}

#[tokio::test]
async fn what_follows_an_object_in_a_body_is_refused() {
    let bursar = Setup::new().ranked("one", "http://127.0.0.1:1", &["a"]).start().await;
    let create = json!({"provider": "one", "name": "b", "secret": key_of("one:b")});
    assert_eq!(bursar.call(ask(Method::POST, "connections", create)).await.status, 201);
    for body in [r#"{"weight": 3} x"#, r#"{"weight": 3}{"weight": 4}"#, r#"{"weight": 3}}"#, r#"{"weight": 3},"#] {
        let reply = bursar.call(ask(Method::PATCH, "connections/one:b", body)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("invalid_request")), "{body}");
    }
    let shown = bursar.call(Call::get("/admin/v1/connections/one:b")).await;
    assert_eq!(shown.json()["weight"], 1, "nothing was changed");
    let spaced = bursar.call(ask(Method::PATCH, "connections/one:b", "{\"weight\": 3}\r\n ")).await;
    assert_eq!((spaced.status, &spaced.json()["weight"]), (200, &json!(3)));
    let key = "mysupersecret999";
    for (method, path, body) in [
        (Method::PUT, "connections/one:b/secret", json!(key)),
        (Method::POST, "connections", json!({"provider": key.to_uppercase(), "name": "c", "secret": "x"})),
        (Method::PATCH, "connections/one:b", json!({"status": key})),
        (Method::PATCH, "connections/one:b", json!({"expires_at": key})),
    ] {
        let reply = bursar.call(ask(method, path, &body)).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(!reply.text().to_lowercase().contains(key), "{}", reply.text());
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_request_pinned_to_no_connection_is_told_so() {
    let bursar = Setup::new().ranked("one", "http://127.0.0.1:1", &["a"]).start().await;
    let execute = json!({"feature": "f", "model": "one/m", "connection": "one:nobody", "input": "x"});
    for call in [Call::chat("one/m").header("x-bursar-connection", "one:nobody"), Call::post("/v1/execute", &execute)] {
        let reply = bursar.call(call).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{}", reply.text());
        assert_eq!(reply.json()["error"]["param"], "connection");
        assert!(reply.text().contains("one:nobody"), "{}", reply.text());
    }
    let records = bursar.stop().await.records();
    assert!(records.len() == 2 && records.iter().all(|record| record.is_final && record.outcome == Outcome::Caller));
}

#[tokio::test]
async fn a_fifo_as_a_secret_does_not_hold_a_reload_up() {
    let setup = Setup::new().ranked("one", "http://127.0.0.1:1", &["a"]);
    let bursar = setup.start().await;
    let secret = bursar.place().secrets().join("one.a");
    std::fs::remove_file(&secret).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &secret, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(bursar.call(ask(Method::POST, "reload", "")).await.status, 200);
    let shown = bursar.call(Call::get("/admin/v1/connections/one:a")).await;
    assert!(shown.text().contains("is a FIFO, not a file"), "{}", shown.text());
    std::fs::remove_file(&secret).unwrap();
    bursar.stop().await;
}

#[tokio::test]
async fn calls_go_on_while_many_connections_are_listed() {
    let connection = |n| format!("[[connections]]\nprovider = \"sandbox\"\nname = \"c{n}\"\n");
    let connections: String = (0..5_000).map(connection).collect();
    let setup = Setup::new().server("workers = 1").providers(&format!("[providers.sandbox]\n{connections}"));
    let bursar = setup.start().await;
    for path in ["/admin/v1/connections", "/admin/v1/health"] {
        let mut link = bursar.link().await;
        let mut listed = std::pin::pin!(bursar.open(Call::get(path)));
        let mut meanwhile = 0;
        let listed = loop {
            tokio::select! {
                biased;
                listed = &mut listed => break listed,
                reply = link.ask(Call::get("/healthz")) => {
                    assert_eq!(reply.status, 200);
                    meanwhile += 1;
                }
            }
        };
        assert!(meanwhile > 5, "{meanwhile} calls before the head of {path}");
        assert_eq!(listed.rest().await.json()["connections"].as_array().map(Vec::len), Some(5_000));
    }
    bursar.stop().await;
}
