//! What it refuses.

use bursar::bounds;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{raw, started};
use crate::fake::FakeProvider;
use crate::harness::client::assert_refused;
use crate::harness::{Call, Setup, soon};

#[tokio::test]
async fn requests_that_cannot_be_served_are_refused_in_the_apps_own_words() {
    let (fake, bursar) = started().await;
    let post = |body: &str| Call::new(Method::POST, "/v1/chat/completions").body(body.to_owned());
    let messages = r#""messages":[{"role":"user","content":"x"}]"#;

    // Malformed: where.
    for (body, place) in [("{", "line 1 column 1"), ("{\n  \"model\": }", "line 2 column 12"), ("", "line 1 column 0")]
    {
        let reply = bursar.call(post(body)).await;
        assert_refused(&reply, StatusCode::BAD_REQUEST, "invalid_request");
        assert!(reply.text().contains(place), "{body:?}: {}", reply.text());
    }
    // Wrong: which field.
    for (body, param) in [
        (format!(r#"{{{messages}}}"#), "model"),
        (format!(r#"{{"model":5,{messages}}}"#), "model"),
        (format!(r#"{{"model":"",{messages}}}"#), "model"),
        (format!(r#"{{"model":"{}",{messages}}}"#, "m".repeat(257)), "model"),
        (format!(r#"{{"model":"a","model":"b",{messages}}}"#), "model"),
        (format!(r#"{{"model":"a","mod\u0065l":"b",{messages}}}"#), "model"),
        (r#"{"model":"one/m"}"#.into(), "messages"),
        (r#"{"model":"one/m","messages":[]}"#.into(), "messages"),
        (r#"{"model":"one/m","messages":"x"}"#.into(), "messages"),
        (r#"{"model":"one/m","messages":[5]}"#.into(), "messages"),
        (format!(r#"{{"model":"one/m","stream":"yes",{messages}}}"#), "stream"),
        (format!(r#"{{"model":"one/m","stream_options":5,{messages}}}"#), "stream_options"),
    ] {
        let reply = bursar.call(post(&body)).await;
        assert_refused(&reply, StatusCode::BAD_REQUEST, "invalid_request");
        assert_eq!(reply.json()["error"]["param"], param, "{body}: {}", reply.text());
    }
    for body in ["[]", "5", "null", "\"x\"", "\u{feff}{}", "{} {}"] {
        assert_refused(&bursar.call(post(body)).await, StatusCode::BAD_REQUEST, "invalid_request");
    }
    assert_refused(
        &bursar.call(post("x").body(&b"{\"model\":\"\xff\"}"[..])).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );

    // Paths and methods.
    for path in ["/", "/v1", "/v1/chat", "/v1/chat/completions/", "/v1/chat/completions/x", "/V1/models", "/v1/nothing"]
    {
        let reply = bursar.call(Call::get(path)).await;
        assert_refused(&reply, StatusCode::NOT_FOUND, "not_found");
    }
    for (method, path, allow) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::DELETE, "/v1/chat/completions", "POST"),
        (Method::POST, "/v1/models", "GET"),
        (Method::PUT, "/healthz", "GET"),
    ] {
        let reply = bursar.call(Call::new(method, path)).await;
        assert_refused(&reply, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allow));
    }
    let reply = bursar.call(Call::get("/v1/models/one/none")).await;
    assert_refused(&reply, StatusCode::NOT_FOUND, "unknown_model");
    assert_eq!(reply.json()["error"]["param"], "model");

    // Bodies in a coding.
    for coding in ["gzip", "br", "zstd", "gzip, identity"] {
        let reply = bursar.call(Call::chat("one/m").header("content-encoding", coding)).await;
        assert_refused(&reply, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media");
    }
    assert_eq!(bursar.call(Call::chat("one/m").header("content-encoding", "identity")).await.status, 200);
    assert_eq!(fake.seen().len(), 1);
    bursar.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let (fake, bursar) = started().await;
    let max = bounds::REQUEST_BODY_BYTES_MAX;
    // What says so beforehand.
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n", max + 1);
    let answer = raw(&bursar, head.as_bytes(), 1).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
    // What does not: a body in chunks, sent whole while nobody reads the answer.
    let mut stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let writing = async {
        write.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        let piece = [format!("{:x}\r\n", 1 << 20).as_bytes(), &vec![b' '; 1 << 20], b"\r\n"].concat();
        for _ in 0..=(max >> 20) {
            write.write_all(&piece).await?;
        }
        write.write_all(b"0\r\n\r\n").await
    };
    let mut answer = vec![0; 4096];
    let (_, read) = soon("an answer", async { tokio::join!(writing, read.read(&mut answer)) }).await;
    let answer = String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // The largest that is taken.
    let mut body = json!({"model": "one/m", "messages": [{"role": "user", "content": ""}]}).to_string();
    body += &" ".repeat(max - body.len());
    let reply = bursar.call(Call::chat("one/m").body(body)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(fake.seen().len(), 1);
    bursar.stop().await;
}

/// A provider's model list is data: what an app may ask for, and by which name.
#[tokio::test]
async fn models_are_listed_for_those_who_can_use_them() {
    let fake = FakeProvider::start().await;
    let bursar = Setup::new()
        .ranked("one", &fake.url(), &["a"])
        .provider_with("off", &fake.url(), "enabled = false")
        .connection("off:a", "")
        .provider("bare", &fake.url())
        .providers("[providers.one.models.\"org/with-slash\"]\n[routes.fast]\ntargets = [\"one/m\"]\n")
        .start()
        .await;
    let list = bursar.call(Call::get("/v1/models")).await.json();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "fast");
    assert!(ids.contains(&"one/m") && ids.contains(&"one/org/with-slash"), "{ids:?}");
    assert!(!ids.iter().any(|id| id.starts_with("off/")), "{ids:?}");
    let model = bursar.call(Call::get("/v1/models/one/org/with-slash")).await.json();
    assert_eq!((model["id"].as_str(), model["owned_by"].as_str()), (Some("one/org/with-slash"), Some("one")));
    bursar.stop().await;
}
