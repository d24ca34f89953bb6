//! Keys and prompts on ways where they could get lost. What is asserted here is little: the harness looks for both in
//! the log, in every reply and in the store when a daemon ends.

use bursar::api::admin::Connection;
use bursar::credential::{MasterKey, Origin, Secret};
use http::Method;
use serde_json::{Value, json};

use crate::fake::{Behaviour, FakeProvider, Reply as Answer, gemini, openai};
use crate::harness::canary::prompt;
use crate::harness::client::{Heard, chat};
use crate::harness::{Bursar, Call, Link, Setup, key_of};

/// An admin call.
fn ask(method: Method, path: &str, body: &Value) -> Call {
    Call::new(method, path).body(body.to_string()).header("x-bursar-request", "1")
}

#[tokio::test]
async fn a_key_given_by_an_operator_is_never_seen_again() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/models").always(openai::models(&["m"]));
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().provider("one", &fake.url()).start().await;
    let (key, other) = (key_of("one:main"), key_of("one:other"));
    let body = json!({"provider": "one", "name": "main", "secret": key, "ui_metadata": {"note": "x"}});
    let reply = bursar.call(ask(Method::POST, "/admin/v1/connections", &body)).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let shown: Connection = serde_json::from_slice(&reply.body).unwrap();
    assert!(format!("{shown:?}").contains("one:main"));
    assert_eq!(bursar.call(ask(Method::POST, "/admin/v1/connections", &body)).await.status, 409);
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    for path in [
        "/admin/v1/connections",
        "/admin/v1/connections/one:main",
        "/admin/v1/status",
        "/admin/v1/health",
        "/admin/v1/providers/one",
    ] {
        assert_eq!(bursar.call(Call::get(path)).await.status, 200, "{path}");
    }
    let test = ask(Method::POST, "/admin/v1/connections/one:main/test", &json!({}));
    assert_eq!(bursar.call(test).await.status, 200);
    let put = ask(Method::PUT, "/admin/v1/connections/one:main/secret", &json!({"secret": other}));
    assert!(bursar.call(put).await.status < 300);
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    assert_eq!(fake.seen().last().unwrap().key(), Some(other.as_str()));
    let remains = bursar.stop().await;
    let bursar = remains.restart().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    assert_eq!(fake.seen().last().unwrap().key(), Some(other.as_str()), "it is sealed in the store");
    bursar.kill().await;
}

#[tokio::test]
async fn a_key_in_the_wrong_place_is_not_repeated() {
    let fake = FakeProvider::start().await;
    let bursar = Setup::new().provider("one", &fake.url()).start().await;
    let key = key_of("one:main");
    let good = json!({"provider": "one", "name": "main", "secret": key});
    let mut wrong: Vec<String> = Vec::new();
    for (field, value) in [
        ("secret", json!([key])),
        ("secret", json!({"value": key})),
        ("priority", json!(key)),
        ("weight", json!(key)),
        ("limits", json!(key)),
        ("limits", json!({"requests_per_minute": key})),
        ("settings", json!(key)),
        ("settings", json!({"organization": [key]})),
        ("settings", json!({"api_key": key})),
        ("settings", json!({"headers": {"authorization": key}})),
        ("settings", json!({"timeouts": {"idle": key}})),
        ("secret", json!(format!("{key} with blanks"))),
        ("secret", json!(format!("{key}\u{e9}"))),
    ] {
        let mut body = good.clone();
        body[field] = value;
        wrong.push(body.to_string());
    }
    wrong.push(json!({"provider": "one", "name": "main", "secrt": key}).to_string());
    wrong.push(json!(key).to_string());
    wrong.push(json!([key]).to_string());
    wrong.push(format!("{{\"secret\": \"{key}\""));
    wrong.push(format!("{{\"secret\": \"{key}\", \"secret\": \"{key}\", \"provider\": \"one\", \"name\": \"main\"}}"));
    for body in &wrong {
        let call = Call::new(Method::POST, "/admin/v1/connections").body(body.clone()).header("x-bursar-request", "1");
        let reply = bursar.call(call).await;
        assert_eq!(reply.status, 400, "{}: {}", body.replace(&key, "KEY"), reply.text().replace(&key, "KEY"));
    }
    bursar.stop().await;
}

/// A connection's test, where the provider repeats the key.
#[tokio::test]
async fn a_key_that_a_test_brings_back_is_kept_back() {
    let fake = FakeProvider::start().await;
    let setup = [401, 403, 500].iter().fold(Setup::new(), |setup, status| {
        setup.provider(&format!("p{status}"), &fake.url()).connection(&format!("p{status}:a"), "")
    });
    for status in [401, 403, 500] {
        let key = key_of(&format!("p{status}:a"));
        let mut error = openai::error_object("invalid_request_error", &json!(key));
        error["error"]["message"] = json!(format!("the key {key} is wrong"));
        fake.for_key(&key).always(Answer::json(status, &error));
    }
    let bursar = setup.start().await;
    for status in [401, 403, 500] {
        let path = format!("/admin/v1/connections/p{status}:a/test");
        assert_eq!(bursar.call(ask(Method::POST, &path, &json!({}))).await.status, 200);
        let show = format!("/admin/v1/connections/p{status}:a");
        assert_eq!(bursar.call(Call::get(&show)).await.status, 200);
    }
    assert_eq!(bursar.call(ask(Method::POST, "/admin/v1/health/check", &json!({}))).await.status, 200);
    bursar.stop().await;
}

/// What cannot be said in a provider's own format is refused without quoting it.
#[tokio::test]
async fn a_prompt_that_cannot_be_translated_is_not_quoted() {
    let fake = FakeProvider::start().await;
    fake.always(gemini::chat("ok"));
    let setup = Setup::new().provider_of("gemini", "g", &format!("{}/v1beta", fake.url()), "");
    let bursar = setup.connection("g:a", "").start().await;
    let prompt = prompt();
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    for (field, value) in [
        ("messages", json!([{"role": prompt, "content": "x"}])),
        ("messages", user(json!([{"type": prompt, "text": "x"}]))),
        ("messages", user(json!([{"type": "image_url", "image_url": {"url": prompt}}]))),
        ("messages", user(json!([{"type": "image_url", "image_url": {"url": format!("data:{prompt}")}}]))),
        ("messages", user(json!([{"type": "image_url", "image_url": {"url": format!("https://x.test/{prompt}")}}]))),
        ("messages", user(json!([{"type": "input_audio", "input_audio": {"data": prompt, "format": prompt}}]))),
        ("messages", user(json!([{"type": "file", "file": {"file_data": prompt, "filename": prompt}}]))),
        ("messages", user(json!({"odd": prompt}))),
        ("messages", user(json!(7))),
        ("messages", json!([{"role": "tool", "tool_call_id": prompt, "content": prompt}])),
        (
            "messages",
            json!([{"role": "assistant", "tool_calls": [{"id": prompt, "type": "function", "function": {"name": prompt, "arguments": prompt}}]}]),
        ),
        ("tools", json!([{"type": prompt}])),
        ("tools", json!([{"type": "function", "function": {"name": "f", "parameters": {"$ref": prompt}}}])),
        ("tool_choice", json!(prompt)),
        ("tool_choice", json!({"type": "function", "function": {"name": prompt}})),
        ("response_format", json!({"type": prompt})),
        ("response_format", json!({"type": "json_schema", "json_schema": {"schema": {"type": prompt}}})),
        ("stop", json!({"x": prompt})),
        ("temperature", json!(prompt)),
        ("n", json!(prompt)),
        ("seed", json!(prompt)),
        ("max_tokens", json!(prompt)),
        ("reasoning_effort", json!(prompt)),
        ("logit_bias", json!({prompt.clone(): 1})),
        (prompt.as_str(), json!(prompt)),
    ] {
        let mut body = chat("g/m");
        body[field] = value;
        // What Bursar says to the app may name what the app said; what it writes down may not.
        let reply = bursar.call_unheard(Call::post("/v1/chat/completions", &body)).await;
        assert!(reply.status == 200 || reply.status == 400, "{field}: {}", reply.text());
    }
    bursar.stop().await;
}

/// The same over HTTP/2 and on Bursar's own call, with the log at its most talkative.
#[tokio::test]
async fn prompts_leave_no_trace_on_any_way() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    // An app may be told again what it said itself.
    let mut link = Link::http2(&bursar.place().socket(), Heard::default()).await;
    let execute = json!({"feature": "f", "model": "one/m", "input": prompt()});
    for call in [
        Call::chat("one/m"),
        Call::chat("nobody"),
        Call::post("/v1/execute", &execute),
        Call::post("/v1/chat/completions", &json!({"model": "one/m", "messages": prompt()})),
        Call::post("/v1/chat/completions", &json!({"model": "one/m", "messages": [prompt()]})),
        Call::post("/v1/execute", &json!({"feature": "f", "model": "one/m", "input": {"odd": prompt()}})),
        Call::post(
            "/v1/execute",
            &json!({"feature": "f", "model": "one/m", "input": [{"role": prompt(), "content": prompt()}]}),
        ),
        Call::post(
            "/v1/execute",
            &json!({"feature": "f", "model": "one/m", "input": prompt(), "options": {"temperature": prompt()}}),
        ),
        Call::post("/v1/nothing", &json!(prompt())),
    ] {
        assert!(link.ask(call).await.status >= 200);
    }
    bursar.until_logged("TRACE h2::").await;
    bursar.stop().await;
}

/// A key that no header can carry, or that is not there.
#[tokio::test]
async fn a_key_that_cannot_be_used_is_told_of_without_it() {
    let fake = FakeProvider::start().await;
    fake.always(Behaviour::hang());
    let place = Setup::new().ranked("one", &fake.url(), &["a", "b"]).place();
    place.set_key("one:a", &format!("{} {}", key_of("one:a"), key_of("one:a")));
    place.set_key("one:b", "");
    let bursar = Bursar::start(place).await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{}", reply.text());
    let shown = bursar.call(Call::get("/admin/v1/connections/one:a")).await;
    assert!(shown.text().contains("needs_secret"), "{}", shown.text());
    assert!(fake.seen().is_empty());
    bursar.stop().await;
}

#[test]
fn nothing_that_holds_a_key_shows_it() {
    let key = key_of("one:a");
    let secret = Secret::new(key.clone().into_bytes()).unwrap();
    let master = MasterKey::parse(&key.as_bytes()[..32]);
    let origin: Origin = "https://x.test".parse().unwrap();
    let shown = format!("{secret:?} {:?} {master:?} {origin:?}", secret.hint());
    assert!(!shown.contains(crate::harness::canary_of_keys()), "{shown}");
}
