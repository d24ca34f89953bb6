//! The fake does what it is told. Bursar's own client calls it where that can tell, a bare socket where it cannot.

use std::io::ErrorKind;
use std::time::Duration;

use bursar::adapter::openai::OPENAI;
use bursar::adapter::{Adapter as _, Asked, sse};
use bursar::api::{Operation, Outcome};
use bursar::upstream::{self, Request, Transport, TransportError, Upstream, Via};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::fake::*;

const MAX: usize = 1 << 20;
const RAW_REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: fake\r\n\r\n";

fn transport() -> Transport {
    Transport { tls: false, allow_private: true, ca_file: None, proxy: None, connect_timeout: DEADLINE }
}

fn request(url: &str, path: &str, key: &str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
    let url = format!("{url}{path}").parse().unwrap();
    Request { method: Method::POST, url, headers, body: vec![Bytes::from_static(b"{}")] }
}

/// One call with pools of its own.
async fn call(url: &str, path: &str, key: &str) -> Result<upstream::Reply, TransportError> {
    Upstream::new().send(Via::Network(&transport()), request(url, path, key)).await
}

async fn status(fake: &FakeProvider, path: &str, key: &str) -> u16 {
    call(&fake.url(), path, key).await.unwrap().status.as_u16()
}

/// What a client gets of one behaviour: the status and the whole body, or how that failed.
async fn outcome(behaviour: impl Into<Behaviour>) -> Result<(u16, Bytes), TransportError> {
    let fake = FakeProvider::start().await;
    fake.always(behaviour);
    let mut reply = call(&fake.url(), "/v1/chat/completions", "sk-a").await?;
    let body = timeout(DEADLINE, reply.whole(MAX)).await.expect("the body ends")?;
    Ok((reply.status.as_u16(), body))
}

async fn text(behaviour: impl Into<Behaviour>) -> String {
    String::from_utf8(outcome(behaviour).await.unwrap().1.to_vec()).unwrap()
}

async fn connect(fake: &FakeProvider) -> TcpStream {
    let mut stream = TcpStream::connect(fake.url().strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(RAW_REQUEST).await.unwrap();
    stream
}

fn asked() -> Asked {
    Asked {
        operation: Operation::Chat,
        model: openai::MODEL.into(),
        stream: true,
        endpoint: None,
        pass: false,
        single: false,
        max_output_tokens: None,
        include_usage: true,
        usage_added: false,
        vectors_base64: false,
        seed: String::new(),
        created_s: 0,
    }
}

/// Whether a stream has an end and how many tokens it counts, as the adapter reads it.
async fn read(events: Events) -> (bool, Option<u64>) {
    let body = text(events).await;
    let (mut frames, mut chunks) = (sse::Reader::new(MAX), OPENAI.stream(&asked()));
    frames.push(body.as_bytes());
    let (mut terminal, mut output) = (false, None);
    while let Some(frame) = frames.next_frame().unwrap() {
        let seen = chunks.frame(&frame).seen;
        terminal |= seen.terminal;
        output = seen.tokens.output.or(output);
    }
    (terminal, output)
}

#[tokio::test]
async fn scripts_go_by_key_then_by_path_then_in_turn() {
    let fake = FakeProvider::start().await;
    assert_eq!(status(&fake, "/v1/x", "sk-a").await, 500, "nothing is scripted yet");
    fake.script([openai::error(503), openai::error(401)]);
    fake.always(openai::chat("ok"));
    fake.for_path("/v1/embeddings").always(openai::embeddings(1));
    fake.for_key("sk-b").script([openai::error(429)]);

    assert_eq!(status(&fake, "/v1/x", "sk-a").await, 503);
    assert_eq!(status(&fake, "/v1/embeddings?x=1", "sk-a").await, 200);
    assert_eq!(status(&fake, "/v1/embeddings", "sk-b").await, 429);
    assert_eq!(status(&fake, "/v1/x", "sk-b").await, 401);
    assert_eq!(status(&fake, "/v1/x", "sk-b").await, 200);
}

#[tokio::test]
async fn requests_are_seen_as_they_came() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    call(&fake.url(), "/v1/chat/completions?x=1", "sk-a").await.unwrap();
    let seen = fake.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/chat/completions?x=1"));
    assert_eq!((seen[0].key(), seen[0].header("content-length")), (Some("sk-a"), Some("2")));
    assert_eq!(seen[0].json(), json!({}));

    let mut stream = connect(&fake).await;
    let chunked = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n";
    stream.write_all(chunked).await.unwrap();
    let seen = fake.until_seen(3).await;
    assert_eq!((seen[2].path.as_str(), &seen[2].body[..]), ("/c", &b"{} "[..]));
}

#[tokio::test]
async fn a_connection_is_kept_and_counted() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let upstream = Upstream::new();
    for _ in 0..2 {
        let request = request(&fake.url(), "/v1/x", "sk-a");
        upstream.send(Via::Network(&transport()), request).await.unwrap().whole(MAX).await.unwrap();
        assert_eq!(fake.open_connections(), 1);
    }
    drop(upstream);
    fake.until_closed().await;
    assert_eq!(fake.aborted(), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed() {
    let fake = FakeProvider::start().await;
    let half_a_head = Behaviour { steps: vec![Step::Write("HTTP/1.1 2".into()), Step::Hang] };
    fake.script([Behaviour::hang(), half_a_head, openai::opening(&["a"]).reply().hang_after(2)]);
    for count in 1..=3 {
        let stream = connect(&fake).await;
        fake.until_seen(count).await;
        assert_eq!(fake.aborted(), count - 1);
        drop(stream);
        fake.until_aborted(count).await;
    }
    fake.until_closed().await;
}

#[tokio::test]
async fn well_formed_replies_are_read() {
    assert_eq!(text(openai::chat("hello")).await.matches("hello").count(), 1);
    assert_eq!(read(openai::stream(&["Hel", "lo"])).await, (true, Some(openai::USAGE.1)));
    assert_eq!(read(openai::stream(&["Hel", "lo"]).crlf()).await, (true, Some(openai::USAGE.1)));
    assert_eq!(read(openai::opening(&["Hel"]).comment("ping").json(&openai::finish())).await, (true, None));
    assert_eq!(read(openai::opening(&["Hel", "lo"])).await, (false, None));

    let body: Value = serde_json::from_str(&text(gemini::chat("hello")).await).unwrap();
    assert_eq!(body["candidates"][0]["content"]["parts"][0]["text"], "hello");
    let stream = text(gemini::stream(&["Hel", "lo"])).await;
    assert_eq!(stream.matches("\r\n\r\n").count(), 2);
    assert!(stream.contains("STOP") && !stream.contains(openai::DONE));
}

#[tokio::test]
async fn errors_have_their_providers_shape() {
    for (status, class) in [
        (401, Outcome::Credential),
        (402, Outcome::Quota),
        (404, Outcome::NotForKey),
        (429, Outcome::RateShort),
        (529, Outcome::Transient),
    ] {
        let (got, body) = outcome(openai::error(status).retry_after(3)).await.unwrap();
        assert_eq!((got, OPENAI.error(got, &HeaderMap::new(), &body).outcome), (status, class));
        let body: Value = serde_json::from_slice(&outcome(gemini::error(status)).await.unwrap().1).unwrap();
        assert_eq!(body["error"]["code"], status);
        assert_eq!(outcome(Reply::bare(status)).await.unwrap(), (status, Bytes::new()));
    }
    assert!(text(gemini::invalid_key()).await.contains("API_KEY_INVALID"));
    assert!(text(gemini::quota_spent("PerDay", 7)).await.contains(r#""retryDelay":"7s""#));
}

#[tokio::test]
async fn streams_may_be_wrong_in_their_frames() {
    let error = openai::error_object("server_error", &Value::Null);
    let doubled = openai::stream(&["a"]).data(openai::DONE).json(&openai::text("late"));
    assert_eq!(text(doubled).await.matches(openai::DONE).count(), 2);
    let failed = text(openai::opening(&["a"]).event("error", &error)).await;
    assert!(failed.ends_with(&format!("event: error\ndata: {error}\n\n")));
    assert_eq!(text(openai::stream(&["a"]).take(1).raw("data: {")).await.lines().last(), Some("data: {"));
}

#[tokio::test]
async fn bytes_come_as_they_are_split() {
    let plain = text(openai::stream(&["é", "漢"])).await;
    let reply = openai::stream(&["é", "漢"]).reply();
    let every: Vec<usize> = (1..reply.body_len()).collect();
    assert_eq!(text(reply.clone().split_at(&every)).await, plain);
    assert_eq!(text(reply.clone().split_at(&[0, 7])).await, plain);
    assert_eq!(text(reply.clone().framed(Framing::Length)).await, plain);
    assert_eq!(text(reply.clone().framed(Framing::Close)).await, plain);
    assert_eq!(text(reply.whole().drip()).await, plain);
}

#[tokio::test]
async fn a_gate_lets_pieces_through_one_by_one() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    fake.always(Reply::new(200, "text/plain", "abc").split_at(&[1, 2]).whole().gated(&gate));
    let mut reply = call(&fake.url(), "/v1/x", "sk-a").await.unwrap();
    for expected in ["a", "b", "c"] {
        gate.open(1);
        assert_eq!(reply.chunk().await.unwrap().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_gate_may_hold_the_head() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    fake.always(openai::chat("ok").whole().held_by(&gate));
    let (url, held) = (fake.url(), gate.clone());
    let calling = tokio::spawn(async move { call(&url, "/v1/x", "sk-a").await });
    fake.until_seen(1).await;
    assert!(!calling.is_finished());
    held.open(1);
    assert!(calling.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_kept() {
    let fake = FakeProvider::start().await;
    let pause = Duration::from_secs(3);
    fake.always(Reply::new(200, "text/plain", "abc").split_at(&[1, 2]).framed(Framing::Close).whole().pace(pause));
    let started = Instant::now();
    let mut stream = connect(&fake).await;
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 9);
}

#[tokio::test]
async fn an_end_and_a_reset_differ() {
    let fake = FakeProvider::start().await;
    let reply = openai::stream(&["a", "b"]).reply();
    fake.script([reply.clone().cut_after(2), reply.reset_after(2), Behaviour::close(), Behaviour::reset()]);
    for (has_head, is_reset) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut got = Vec::new();
        let end = connect(&fake).await.read_to_end(&mut got).await;
        assert_eq!(got.starts_with(b"HTTP/1.1 200 OK\r\n"), has_head);
        assert_eq!(end.err().map(|error| error.kind()), is_reset.then_some(ErrorKind::ConnectionReset));
    }
}

#[tokio::test]
async fn what_breaks_the_transport_is_an_error_of_it() {
    let reply = openai::stream(&["a", "b"]).reply();
    for behaviour in [
        Behaviour::close(),
        Behaviour::reset(),
        reply.clone().cut_after(2),
        reply.reset_after(2),
        broken::short_length(openai::chat("ok")).into(),
    ] {
        assert_eq!(outcome(behaviour).await, Err(TransportError::Reset));
    }
    for behaviour in [broken::garbage(), broken::many_headers(1_000).into()] {
        assert!(matches!(outcome(behaviour).await, Err(TransportError::Protocol(_))));
    }
    for reply in [broken::oversize(MAX + 1), broken::long_frame(MAX + 1)] {
        assert_eq!(outcome(reply).await, Err(TransportError::TooLarge { max: MAX }));
    }
    assert_eq!(outcome(broken::oversize(MAX)).await.unwrap().1.len(), MAX);

    let refusing = Refusing::bind();
    assert!(matches!(call(&refusing.url(), "/v1/x", "sk-a").await, Err(TransportError::Connect(_))));
}

#[tokio::test]
async fn what_is_only_wrong_inside_comes_through() {
    assert!(text(broken::html()).await.starts_with("<!doctype html>"));
    assert!(serde_json::from_str::<Value>(&text(broken::half_json()).await).is_err());
    assert_eq!(text(broken::empty()).await, "");
    assert_eq!(outcome(broken::preliminary(3, openai::chat("ok"))).await.unwrap().0, 200);
    assert_eq!(outcome(broken::long_header(1_000)).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_redirect_is_not_followed_to_the_canary() {
    let canary = FakeProvider::start().await;
    for status in [301, 302, 307, 308] {
        assert_eq!(outcome(broken::redirect(status, &canary.url())).await.unwrap().0, status);
    }
    assert!(canary.seen().is_empty());
}
