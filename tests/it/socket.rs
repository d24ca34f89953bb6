//! The socket: whose it is, who is let in, which protocols it speaks, and how long it bears with whom.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream as StdStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bursar::api::Outcome;
use bursar::bounds;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fake::{FakeProvider, Gate, openai};
use crate::harness::client::{assert_refused, said};
use crate::harness::{Bursar, Call, Ended, Setup, soon};

async fn started() -> (FakeProvider, Bursar) {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    (fake, bursar)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

// --- Whose it is ----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_socket_has_its_mode_and_group_and_goes_with_the_daemon() {
    let group = 4_711;
    let root = rustix::process::geteuid().is_root();
    let mut setup = Setup::new().server("admin_socket = \"DIR/admin.sock\"\nadmin_socket_mode = \"0600\"");
    if root {
        setup = setup.server(&format!("socket_group = {group}"));
    }
    let bursar = setup.start().await;
    let (socket, admin) = (bursar.place().socket(), bursar.place().admin_socket());
    assert_eq!((mode(&socket), mode(&admin)), (0o660, 0o600));
    if root {
        assert_eq!(std::fs::metadata(&socket).unwrap().gid(), group);
    }
    for file in ["b.sock.new", "admin.sock.new"] {
        assert!(!bursar.place().path().join(file).exists(), "{file}");
    }
    let remains = bursar.stop().await;
    assert!(!socket.exists() && !admin.exists());
    let store = remains.place.store();
    assert_eq!(mode(&store), 0o700, "what is the daemon's alone is closed to others");
}

/// Whoever looks, at whatever moment: where the socket is, nobody may connect before the mode and the group are right.
#[tokio::test]
async fn nobody_can_connect_before_the_mode_is_right() {
    let place = Setup::new().place();
    let directory = place.path().to_owned();
    let watching = std::thread::spawn(move || {
        let (mut seen, mut rights) = (false, Vec::new());
        while !seen {
            for name in ["b.sock", "b.sock.new"] {
                let path = directory.join(name);
                let Ok(file) = std::fs::symlink_metadata(&path) else { continue };
                if file.file_type().is_socket() {
                    rights.push((name, file.permissions().mode() & 0o777));
                    seen |= name == "b.sock";
                }
            }
        }
        rights
    });
    let bursar = Bursar::start(place).await;
    let rights = watching.join().unwrap();
    for (name, mode) in rights {
        let good = mode == 0o660 || (name == "b.sock.new" && mode & 0o077 == 0);
        assert!(good, "{name} had mode {mode:o}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_replaced() {
    let (_fake, bursar) = started().await;
    let remains = bursar.kill().await;
    let stale = remains.place.socket();
    assert!(stale.exists(), "a killed daemon leaves its socket");
    let bursar = remains.restart().await;
    assert_eq!(bursar.call(Call::get("/healthz")).await.status, 200);
    bursar.stop().await;
}

#[tokio::test]
async fn what_belongs_to_others_is_left_untouched() {
    // A program that answers.
    let place = Setup::new().place();
    let live = UnixListener::bind(place.socket()).unwrap();
    let before = std::fs::metadata(place.socket()).unwrap().ino();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert!(remains.log.contains("already answers"), "{}", remains.log);
    assert_eq!(std::fs::metadata(remains.place.socket()).unwrap().ino(), before);
    drop(live);

    // A file, and a link to one.
    let place = Setup::new().place();
    std::fs::write(place.socket(), "mine").unwrap();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert_eq!(std::fs::read(remains.place.socket()).unwrap(), b"mine");

    let place = Setup::new().place();
    let target = place.path().join("elsewhere");
    std::fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, place.socket()).unwrap();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    assert!(std::fs::symlink_metadata(remains.place.socket()).unwrap().file_type().is_symlink());
}

#[tokio::test]
async fn a_second_daemon_on_a_store_says_who_has_it() {
    let (_fake, bursar) = started().await;
    let second = Setup::new().place();
    let text = std::fs::read_to_string(second.daemon_file()).unwrap();
    let (theirs, ours) = (second.path().display().to_string(), bursar.place().path().display().to_string());
    let text = text.replace(&format!("{theirs}/store"), &format!("{ours}/store"));
    let text = text.replace(&format!("{theirs}/master.key"), &format!("{ours}/master.key"));
    second.save(&second.daemon_file(), &text);
    let remains = Bursar::fail(second).await;
    assert_eq!(remains.ended, Ended::Code(75), "{}", remains.log);
    assert!(remains.log.contains(&format!("process {}", bursar.pid())), "{}", remains.log);
    assert!(!remains.place.socket().exists());
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200, "the first one does not mind");
    bursar.stop().await;
}

/// The apps' socket knows no operator, whoever calls.
#[tokio::test]
async fn the_apps_socket_refuses_operators_where_they_have_their_own() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let setup = Setup::new().server("admin_socket = \"DIR/admin.sock\"").ranked("one", &fake.url(), &["a"]);
    let bursar = setup.start().await;
    for route in bursar::server::routes::ROUTES.iter().filter(|route| route.path.starts_with("/admin/")) {
        let path = route.path.replace("{slug}", "one").replace("{id}", "one:a");
        for path in [path.clone(), format!("{path}?x=1")] {
            let call = Call::new(route.method.clone(), &path).header("x-bursar-request", "1").body("{}");
            let reply = bursar.call(call).await;
            let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((reply.status, code.as_str()), (403, "not_permitted"), "{} {path}", route.method);
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        }
    }
    let status = bursar.admin_link().await.call(Call::get("/admin/v1/status")).await;
    assert_eq!(status.status, 200);
    // Odd spellings of a path lead nowhere else.
    for path in
        ["//admin/v1/status", "/admin//v1/status", "/v1/../admin/v1/status", "/%61dmin/v1/status", "/ADMIN/v1/status"]
    {
        let reply = bursar.call(Call::get(path)).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    bursar.stop().await;
}

/// Other users: none that is named nowhere may do anything, and each is told its number.
#[tokio::test]
async fn a_user_without_a_role_is_told_who_it_is() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_fake, bursar) = started().await;
    let socket = bursar.place().socket();
    std::fs::set_permissions(bursar.place().path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    for (path, status) in [("/healthz", "200"), ("/v1/models", "403"), ("/admin/v1/status", "403")] {
        let output = tokio::task::spawn_blocking({
            let socket = socket.clone();
            move || as_user(54_321, &socket, path)
        });
        let Some(said) = output.await.unwrap() else { return };
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {said}");
        if status == "403" {
            assert!(said.contains("unknown_app") && said.contains("54321"), "{path}: {said}");
        }
    }
    bursar.stop().await;
}

/// What another user is answered; none where the tools for that are not there.
fn as_user(uid: u32, socket: &Path, path: &str) -> Option<String> {
    use std::os::unix::process::CommandExt as _;
    let output = std::process::Command::new("curl")
        .args(["-s", "-i", "--max-time", "20", "--unix-socket"])
        .arg(socket)
        .arg(format!("http://x{path}"))
        .uid(uid)
        .gid(uid)
        .output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}

// --- What it speaks -------------------------------------------------------------------------------------------------

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

/// Writes bytes to the socket and reads all that comes back until the daemon closes, or has answered so often.
async fn raw(bursar: &Bursar, bytes: &[u8], answers: usize) -> String {
    let mut stream = UnixStream::connect(bursar.place().socket()).await.unwrap();
    // The daemon may answer and close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&all);
            let answered = text.matches("HTTP/1.1 ").count() >= answers && text.ends_with('}');
            let mut piece = [0; 4096];
            if answered || answers == 0 && !text.is_empty() {
                break;
            }
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => all.extend_from_slice(&piece[..read]),
            }
        }
    };
    soon("an answer", reading).await;
    String::from_utf8_lossy(&all).into_owned()
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

// --- With whom it bears, and for how long ---------------------------------------------------------------------------

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

// --- What it refuses ------------------------------------------------------------------------------------------------

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
