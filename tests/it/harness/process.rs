//! The process: started, waited for, told to stop, killed, and looked at afterwards.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::sync::watch;

use super::client::{Call, Heard, Link, Reply, Streamed};
use super::setup::Place;
use super::{Remains, canary, program, soon};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// A running daemon. It ends with its value.
pub struct Bursar {
    place: Option<Place>,
    pid: Pid,
    ended: watch::Receiver<Option<Ended>>,
    log: watch::Receiver<String>,
    threads: Vec<JoinHandle<()>>,
    told: watch::Receiver<String>,
    listening: tokio::task::JoinHandle<()>,
    heard: Heard,
}

/// The program with a place's configuration, and with nothing of this process's environment.
fn command(place: &Place) -> Command {
    let mut command = Command::new(program());
    command.args(serve_arguments(place)).env_clear().env("HOME", place.path());
    command.env("BURSAR_LOG", "trace").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How the program is told to serve.
fn serve_arguments(place: &Place) -> Vec<PathBuf> {
    vec!["serve".into(), "--config".into(), place.daemon_file()]
}

impl Bursar {
    /// Starts a daemon and waits until it says that it is ready.
    pub async fn start(place: Place) -> Self {
        let bursar = Self::spawn(place, |_| {});
        bursar.until_told("READY=1").await;
        bursar
    }

    /// Starts a daemon that is not expected to become ready, and waits for its end.
    pub async fn fail(place: Place) -> Remains {
        Self::fail_with(place, |_| {}).await
    }

    /// The same where the directory itself holds what is looked for, or cannot be looked into.
    pub async fn fail_apart(place: Place) -> Remains {
        let bursar = Self::spawn(place, |_| {});
        bursar.until_ended_with(canary::sweep_said).await
    }

    /// The same with a changed command.
    pub async fn fail_with(place: Place, change: impl FnOnce(&mut Command)) -> Remains {
        Self::spawn(place, change).until_ended().await
    }

    /// Starts a daemon and waits for nothing.
    pub fn spawn(place: Place, change: impl FnOnce(&mut Command)) -> Self {
        let notify = place.path().join("notify.sock");
        let _ = std::fs::remove_file(&notify);
        let notified = UnixDatagram::bind(&notify).expect("a socket to be notified on");
        let mut command = command(&place);
        command.env("NOTIFY_SOCKET", &notify);
        change(&mut command);
        let mut child = command.spawn().expect("the program starts");
        let pid = Pid::from_child(&child);
        let (log, logged) = watch::channel(String::new());
        let stderr = child.stderr.take().expect("standard error is piped");
        let reading = std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                log.send_modify(|log| log.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        let (end, ended) = watch::channel(None);
        let waiting = std::thread::spawn(move || {
            let status = child.wait().expect("a child is waited for");
            end.send_replace(Some(Ended::from(status)));
        });
        let heard = Heard::default();
        let (tell, told) = watch::channel(String::new());
        // As a service manager does, this reads all that it is told: nobody is kept waiting.
        let listening = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(length) = notified.recv(&mut buffer).await {
                tell.send_modify(|told| *told += &format!("{}\n", String::from_utf8_lossy(&buffer[..length])));
            }
        });
        let threads = vec![reading, waiting];
        Self { place: Some(place), pid, ended, log: logged, threads, told, listening, heard }
    }

    pub fn place(&self) -> &Place {
        self.place.as_ref().expect("a daemon that runs has a place")
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until the log says something.
    pub async fn until_logged(&self, text: &str) {
        self.until_log(text, |log| log.contains(text)).await;
    }

    /// Waits until the log says something so often.
    pub async fn until_logged_times(&self, text: &str, times: usize) {
        self.until_log(text, |log| log.matches(text).count() >= times).await;
    }

    async fn until_log(&self, what: &str, is: impl Fn(&str) -> bool) {
        let mut log = self.log.clone();
        let waited = tokio::time::timeout(super::DEADLINE, log.wait_for(|log| is(log))).await;
        assert!(matches!(waited, Ok(Ok(_))), "waited in vain for the log to say {what:?}");
    }

    /// Waits for a line of what service managers are told.
    pub async fn until_told(&self, line: &str) {
        let (mut told, mut ended) = (self.told.clone(), self.ended.clone());
        let is_told = told.wait_for(|told| told.lines().any(|one| one == line));
        tokio::select! {
            told = soon(line, is_told) => drop(told.expect("somebody listens")),
            ended = ended.wait_for(Option::is_some) => {
                panic!("the daemon ended ({:?}) before it said {line}", ended.map(|ended| *ended));
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none() {
            kill_process(self.pid, signal).expect("a signal is sent");
        }
    }

    /// Asks for the end, as service managers do, and waits for it. It must be a good one.
    pub async fn stop(self) -> Remains {
        self.signal(Signal::TERM);
        let remains = self.until_ended().await;
        assert_eq!(remains.ended, Ended::Code(0), "the daemon ends well");
        remains
    }

    /// Kills the process without a warning.
    pub async fn kill(self) -> Remains {
        self.signal(Signal::KILL);
        self.until_ended().await
    }

    /// Waits for the process to end, and looks for what must not be anywhere.
    pub async fn until_ended(self) -> Remains {
        self.until_ended_with(canary::sweep).await
    }

    async fn until_ended_with(mut self, sweep: fn(&Remains, &[u8])) -> Remains {
        let mut ended = self.ended.clone();
        let ended =
            *soon("the daemon's end", ended.wait_for(Option::is_some)).await.expect("the process is waited for");
        for thread in self.threads.drain(..) {
            thread.join().expect("its log is read");
        }
        let log = self.log();
        let place = self.place.take().expect("a daemon that runs has a place");
        let remains = Remains { place, log, ended: ended.expect("it has ended") };
        sweep(&remains, &self.heard.all());
        remains
    }

    /// One call, on a connection of its own.
    pub async fn call(&self, call: Call) -> Reply {
        self.link().await.call(call).await
    }

    /// One call of an app that may be told again what it said itself.
    pub async fn call_unheard(&self, call: Call) -> Reply {
        Link::http1(&self.place().socket(), Heard::default()).await.call(call).await
    }

    /// One call whose reply is read bit by bit, on a connection of its own.
    pub async fn open(&self, call: Call) -> Streamed {
        self.link().await.open(call).await
    }

    /// A connection that speaks HTTP/1.1.
    pub async fn link(&self) -> Link {
        Link::http1(&self.place().socket(), self.heard.clone()).await
    }

    /// A connection that speaks HTTP/2 with prior knowledge.
    pub async fn link_http2(&self) -> Link {
        Link::http2(&self.place().socket(), self.heard.clone()).await
    }

    /// A connection to the admin socket.
    pub async fn admin_link(&self) -> Link {
        Link::http1(&self.place().admin_socket(), self.heard.clone()).await
    }
}

impl Drop for Bursar {
    fn drop(&mut self) {
        self.listening.abort();
        if self.place.is_none() {
            return;
        }
        self.signal(Signal::KILL);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let log = self.log();
        if std::thread::panicking() {
            let from = log.char_indices().rev().nth(20_000).map_or(0, |(at, _)| at);
            eprintln!("--- the daemon's log:\n{}", &log[from..]);
        } else if let Some(place) = self.place.take() {
            canary::sweep(&Remains { place, log, ended: Ended::Signal(9) }, &self.heard.all());
        }
    }
}
