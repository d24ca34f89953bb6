//! Which protocols it speaks.

use bursar::api::Outcome;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::UnixStream;

use super::{raw, started};
use crate::fake::{FakeProvider, Gate, openai};
use crate::harness::client::said;
use crate::harness::{Call, Setup, soon};

#[tokio::test]
async fn two_streams_run_beside_each_other_on_one_http2_connection() {
    let fake = FakeProvider::start().await;
    let gates = [Gate::new(), Gate::new()];
    fake.script(
        gates
            .iter()
            .zip(["first", "second"])
            .map(|(gate, text)| openai::stream(&[text, " and last"]).reply().whole().gated(gate)),
    );
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let mut link = bursar.link_http2().await;
    gates[0].open(2);
    let mut first = link.send(Call::stream("one/m")).await.unwrap();
    gates[1].open(2);
    let mut second = link.send(Call::stream("one/m")).await.unwrap();
    // The later one ends first.
    let mut texts = [first.until("first").await, second.until("second").await];
    gates[1].open(9);
    texts[1] += second.rest().await.text();
    gates[0].open(9);
    texts[0] += first.rest().await.text();
    let texts = texts.map(|text| said(&crate::harness::client::events(&text)));
    assert_eq!(texts, ["first and last", "second and last"]);
    assert_eq!(link.ask(Call::get("/v1/models")).await.status, 200);
    bursar.stop().await;
}

/// hyper asks a stream for more only where the client has room: a deadline must end it all the same.
#[tokio::test]
async fn a_stream_that_an_http2_client_does_not_read_ends_at_its_deadline() {
    let fake = FakeProvider::start().await;
    let long = "x".repeat(100_000);
    fake.always(openai::opening(&[&long, &long]).reply().hang_after(3));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1_000);
    let (mut sender, connection) = builder.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let chat = json!({"model": "one/m", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let execute = json!({"model": "one/m", "input": "x", "options": {"stream": true}});
    let mut replies = Vec::new();
    for (path, body) in [("/v1/chat/completions", chat), ("/v1/execute", execute)] {
        let request = http::Request::post(format!("http://bursar{path}")).header("x-bursar-timeout-ms", "1500");
        let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
        let reply = soon("a reply's head", sender.send_request(request)).await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        replies.push(reply);
    }
    fake.until_aborted(2).await;
    connection.abort();
    drop(replies);
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record.outcome, Outcome::ClientGone);
        assert_eq!(record.error.as_deref(), Some("the app stopped reading its reply"));
    }
}

#[tokio::test]
async fn plain_http_in_its_many_forms_is_understood() {
    let (fake, bursar) = started().await;
    let body = json!({"model": "one/m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let length = body.len();
    let chunks: String = body
        .as_bytes()
        .chunks(7)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
        .collect();
    let post = "POST /v1/chat/completions HTTP/1.1\r\n";
    for request in [
        format!("{post}Host: \r\nContent-Length: {length}\r\n\r\n{body}"),
        format!("{post}Content-Length: {length}\r\n\r\n{body}"),
        format!("{post}Host: some.where:99\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
        format!("{post}Host: x\r\nAuthorization: Bearer anything\r\nContent-Length: {length}\r\n\r\n{body}"),
        format!("{post}Host: x\r\nAuthorization: \r\nContent-Length: {length}\r\n\r\n{body}"),
        format!(
            "POST http://other.test/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
        format!("POST /v1/chat/completions?x=y HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"),
    ] {
        let answer = raw(&bursar, request.as_bytes(), 1).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{request}\n{answer}");
    }
    // Two at once, one after the other.
    let two = format!("{post}Content-Length: {length}\r\n\r\n{body}").repeat(2);
    assert_eq!(raw(&bursar, two.as_bytes(), 2).await.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(fake.seen().iter().all(|seen| seen.key() == Some(crate::harness::key_of("one:a").as_str())));
    let seen = fake.seen().len();
    assert_eq!(seen, 9);
    bursar.stop().await;
}

/// A second request must never be hidden in the first one's body.
#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_refused() {
    let (fake, bursar) = started().await;
    let body = json!({"model": "one/m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let length = body.len();
    // Both framings of one and the same body: the chunks count, and nothing more is read on that connection
    // (RFC 9112, section 6.1).
    let once =
        format!("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n");
    let twice = format!("{once}\r\n{length:x}\r\n{body}\r\n0\r\n\r\n").repeat(2);
    let answer = raw(&bursar, twice.as_bytes(), 2).await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let seen = fake.seen();
    assert_eq!((answer.matches("HTTP/1.1 ").count(), seen.len()), (1, 1), "{answer}");
    assert_eq!(seen[0].json()["messages"][0]["content"], "x");
    let post = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n";
    let hidden = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    let doubtful = [
        format!("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Content-Length: 0\r\nContent-Length: 5\r\n\r\n{hidden}"),
        format!("Content-Length: 0, 5\r\n\r\n{hidden}"),
        format!("Content-Length: +5\r\n\r\n{hidden}"),
        format!("Content-Length: -1\r\n\r\n{hidden}"),
        format!("Content-Length: 99999999999999999999\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: gzip\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Content-Length : 5\r\n\r\n{hidden}"),
        format!("X: y\r\n folded\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("X\0: y\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{hidden}"),
    ];
    for request in doubtful {
        let answer = raw(&bursar, format!("{post}{request}").as_bytes(), 2).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{request}\n{answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "the hidden request was answered: {request}\n{answer}");
    }
    assert_eq!(fake.seen().len(), 1, "nothing more went upstream");
    for plain in ["nonsense\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n", "\0\0\0\0\0\0", "\r\n\r\n\r\n GET"] {
        let answer = raw(&bursar, plain.as_bytes(), 1).await;
        assert!(!answer.contains(" 200 "), "{plain:?}: {answer}");
    }
    assert_eq!(bursar.call(Call::get("/healthz")).await.status, 200);
    bursar.stop().await;
}
