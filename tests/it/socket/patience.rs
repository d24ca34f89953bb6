//! With whom it bears, and for how long.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as StdStream;
use std::time::{Duration, Instant};

use bursar::bounds;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::started;
use crate::harness::{Bursar, Call};

/// How long the daemon keeps a client that writes these bytes and then nothing.
async fn kept_for(bursar: &Bursar, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    let mut stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(12), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "a client that wrote {:?} is still there", String::from_utf8_lossy(bytes));
    began.elapsed()
}

/// A connection that has been answered, and idles for longer than a head may take.
async fn idles(bursar: &Bursar, calls: usize) {
    let mut link = bursar.link().await;
    for _ in 0..calls {
        assert_eq!(link.ask(Call::get("/healthz")).await.status, 200);
    }
    tokio::time::sleep(bounds::HEAD_TIMEOUT + Duration::from_secs(1)).await;
    assert!(link.is_open(), "a connection was closed after {calls} calls");
    assert_eq!(link.ask(Call::get("/healthz")).await.status, 200);
}

/// Real time is what counts here, and so all of them wait at once.
#[tokio::test]
async fn clients_that_say_nothing_more_are_sent_away_and_idle_ones_are_not() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (_fake, bursar) = started().await;
    let (least, most) = (Duration::from_millis(4_500), Duration::from_secs(9));
    let late_body = b"POST /v1/embeddings HTTP/1.1\r\nContent-Length: 5\r\n\r\n{";
    let idle_http2 = async {
        let mut link = bursar.link_http2().await;
        assert_eq!(link.ask(Call::get("/healthz")).await.status, 200);
        tokio::time::sleep(bounds::HEAD_TIMEOUT + Duration::from_secs(1)).await;
        assert_eq!(link.ask(Call::get("/healthz")).await.status, 200);
    };
    let second_head = async {
        // A head that is begun after a reply has its time as the first one had.
        let mut stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
        let mut reply = [0; 1024];
        assert!(stream.read(&mut reply).await.unwrap() > 0);
        let began = Instant::now();
        stream.write_all(b"GET /healthz HT").await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(12), stream.read_to_end(&mut rest)).await.unwrap();
        began.elapsed()
    };
    let still_there = async {
        // Five seconds are the head's; a body may pause for longer.
        let mut stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
        stream.write_all(late_body).await.unwrap();
        tokio::time::sleep(bounds::HEAD_TIMEOUT + Duration::from_secs(1)).await;
        stream.write_all(b"    ").await.unwrap();
        let mut reply = [0; 1024];
        let read = stream.read(&mut reply).await.unwrap();
        assert!(reply[..read].starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&reply[..read]));
    };
    let (silent, half_preface, half_head, preface_only, second, ..) = tokio::join!(
        kept_for(&bursar, b""),
        kept_for(&bursar, &PREFACE[..10]),
        kept_for(&bursar, b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Half: "),
        kept_for(&bursar, PREFACE),
        second_head,
        idles(&bursar, 1),
        idles(&bursar, 2),
        idles(&bursar, 5),
        idle_http2,
        still_there,
    );
    for (name, kept) in [
        ("silent", silent),
        ("half a preface", half_preface),
        ("half a head", half_head),
        ("a preface only", preface_only),
        ("half a second head", second),
    ] {
        assert!((least..most).contains(&kept), "{name}: kept for {kept:?}");
    }
    bursar.stop().await;
}

/// Whatever one client does, its neighbours are served.
#[tokio::test]
async fn hostile_clients_disturb_no_neighbour() {
    let (_fake, bursar) = started().await;
    let mut neighbour = bursar.link().await;
    assert_eq!(neighbour.ask(Call::chat("one/m")).await.status, 200);
    let socket = bursar.place().socket();
    let attacks = std::thread::spawn(move || {
        let attack = |bytes: &[u8]| {
            let mut stream = StdStream::connect(&socket).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let _ = stream.write_all(bytes);
            let _ = stream.read(&mut [0; 1024]);
        };
        let long_header = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
        let many_headers = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
        let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
        let mut h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        h2.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        // A frame that claims to be huge, a stream that is reset a thousand times, a broken header block.
        let huge = [&h2[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
        let mut resets = h2.clone();
        for stream in (1_u32..2_001).step_by(2) {
            resets.extend_from_slice(&[0, 0, 3, 1, 5]);
            resets.extend_from_slice(&stream.to_be_bytes());
            resets.extend_from_slice(&[0x82, 0x84, 0x87]);
            resets.extend_from_slice(&[0, 0, 4, 3, 0]);
            resets.extend_from_slice(&stream.to_be_bytes());
            resets.extend_from_slice(&[0, 0, 0, 8]);
        }
        let broken = [&h2[..], &[0, 0, 3, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff]].concat();
        for bytes in [long_header.as_bytes(), many_headers.as_bytes(), long_path.as_bytes(), &huge, &resets, &broken] {
            attack(bytes);
        }
        for _ in 0..300 {
            let _ = StdStream::connect(&socket).unwrap().write_all(b"GET");
        }
    });
    let mut calls = 0;
    while !attacks.is_finished() || calls < 20 {
        let began = Instant::now();
        assert_eq!(neighbour.ask(Call::chat("one/m")).await.status, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        calls += 1;
    }
    attacks.join().unwrap();
    assert_eq!(bursar.call(Call::get("/healthz")).await.status, 200);
    let remains = bursar.stop().await;
    assert!(!remains.log.contains("panicked"), "nothing panics");
}
