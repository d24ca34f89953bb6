//! The real daemon in a directory of its own, for the suites that speak to it from outside.

#![allow(dead_code, reason = "each suite uses its part")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bursar::api::UsageRecord;
use bursar::config::Keys;
use bursar::daemon::{init_keys, load_key};
use bursar::store::Store;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::UnixStream;

/// How long the daemon may take to start. Far more than it takes on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running daemon; it ends with its value.
pub struct Daemon {
    dir: TempDir,
    child: Child,
}

/// What the daemon answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Daemon {
    /// Starts a daemon with this `providers.toml`, and waits until it says that it is ready.
    pub fn start(providers: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = write_config(dir.path(), providers);
        init_keys(&keys(dir.path()), &store(dir.path())).expect("a master key");
        let notices = UnixDatagram::bind(dir.path().join("notify")).expect("a socket for the daemon's word");
        let log = File::create(dir.path().join("log")).expect("a log");
        let child = command(&config)
            .env_clear()
            .env("NOTIFY_SOCKET", dir.path().join("notify"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        let mut daemon = Self { dir, child };
        daemon.until_ready(&notices);
        daemon
    }

    /// The socket that apps call.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("bursar.sock")
    }

    /// Makes one request, on a connection of its own.
    pub async fn call(&self, request: Request<Bytes>) -> Answer {
        let stream = UnixStream::connect(self.socket()).await.expect("the daemon's socket");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP on the socket");
        let connection = tokio::spawn(connection);
        let reply = sender.send_request(request.map(Full::new)).await.expect("a reply");
        let (head, body) = reply.into_parts();
        let body = body.collect().await.expect("the whole reply").to_bytes();
        connection.abort();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Stops the daemon in order, and gives every usage record that it wrote.
    pub fn stop(mut self) -> Vec<UsageRecord> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the daemon is ours to stop");
        let status = self.child.wait().expect("the daemon's end");
        assert!(status.success(), "the daemon ended with {status}");
        let key = load_key(&keys(self.dir.path())).expect("the master key");
        let store = Store::open(&store(self.dir.path()), &key).expect("the store");
        let mut records = Vec::new();
        let all = store.usage().scan(0, i64::MAX, |record| {
            records.push(record.clone());
            ControlFlow::Continue(())
        });
        all.expect("the usage records");
        records
    }

    fn until_ready(&mut self, notices: &UnixDatagram) {
        notices.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let by = Instant::now() + START_TIMEOUT;
        let mut notice = [0; 512];
        while Instant::now() < by {
            match notices.recv(&mut notice) {
                Ok(length) if notice[..length].starts_with(b"READY=1") => return,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("the daemon's word cannot be read: {error}"),
            }
            let ended = self.child.try_wait().expect("the daemon's state");
            assert!(ended.is_none(), "the daemon ended before it was ready");
        }
        panic!("the daemon is not ready after {START_TIMEOUT:?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the daemon's last words:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// The command that serves.
fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
    command.arg("--config").arg(config).arg("serve");
    command
}

/// The configuration has a folder to itself: in the daemon's directory its own log would wake the watch.
fn write_config(dir: &Path, providers: &str) -> PathBuf {
    let config = dir.join("config");
    fs::create_dir(&config).expect("a directory for the configuration");
    fs::write(config.join("providers.toml"), providers).expect("providers.toml");
    let path = |name: &str| toml::Value::from(dir.join(name).to_str().expect("a path in UTF-8")).to_string();
    let daemon = format!(
        "[server]\nsocket = {}\n[store]\npath = {}\n[keys]\nfile = {}\n[config]\nproviders = {}\n",
        path("bursar.sock"),
        path("store"),
        path("master.key"),
        path("config/providers.toml"),
    );
    let file = config.join("bursar.toml");
    fs::write(&file, daemon).expect("bursar.toml");
    file
}

fn keys(dir: &Path) -> Keys {
    Keys { credential: String::new(), file: Some(dir.join("master.key")) }
}

fn store(dir: &Path) -> PathBuf {
    dir.join("store")
}
