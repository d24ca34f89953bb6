//! The log: one line an event on standard error, for people on a terminal, as JSON for a journal that asks for it.
//!
//! A worker never waits for standard error: lines gather in memory, and a thread of their own writes them out, many at a
//! time. What it cannot write fast enough is dropped, and the number of lost lines is written instead.
//!
//! Each request has a line, in the same form as every other; it is put together by hand (`line.rs`), because the
//! general way costs as much as choosing a connection, scanning a body and reading a reply.

mod line;
mod lines;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use line::Form;
pub use line::Line;
use lines::Lines;

/// The target of the lines that requests have: `BURSAR_LOG=info,bursar::request=off` leaves them out.
pub const REQUESTS: &str = "bursar::request";

/// Where the lines of requests go, once the log was started.
static STARTED: OnceLock<(Lines, Form)> = OnceLock::new();

/// Writes a request's line, where it is wanted: `write` puts the fields into it.
pub fn request(at_ms: i64, write: impl FnOnce(&mut Line)) {
    if !tracing::enabled!(target: "bursar::request", tracing::Level::INFO) {
        return;
    }
    let Some((lines, form)) = STARTED.get() else { return };
    let mut line = Line::begin(*form, at_ms, REQUESTS);
    write(&mut line);
    lines.put(&line.end());
}

/// Starts the log. `verbose` counts `-v`; `BURSAR_LOG` says more precisely what is wanted (`info,bursar=debug`), and
/// `BURSAR_LOG_FORMAT=json` makes each line a JSON object. Dropping what comes back writes out what is left.
#[must_use = "lines are written out when this is dropped"]
pub fn init(verbose: u8) -> Flush {
    let default = match verbose {
        0 => "info",
        1 => "info,bursar=debug",
        _ => "debug,bursar=trace",
    };
    let wanted = std::env::var("BURSAR_LOG").ok();
    let filter = wanted.as_deref().unwrap_or(default).parse::<Targets>();
    let misread = filter.is_err();
    let filter = filter.unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    let registry = tracing_subscriber::registry().with(filter);
    let form = match std::env::var_os("BURSAR_LOG_FORMAT").is_some_and(|format| format == "json") {
        true => Form::Json,
        false if io::stderr().is_terminal() => Form::Coloured,
        false => Form::Plain,
    };
    let started = match form {
        Form::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        _ => registry.with(layer.with_ansi(form == Form::Coloured)).try_init(),
    };
    if misread {
        tracing::warn!("BURSAR_LOG is not understood, write it as in info,bursar=debug: info is logged");
    }
    // A second start, as in tests, keeps the first.
    let ours = started.is_ok() && STARTED.set((lines.clone(), form)).is_ok();
    let writing = ours
        .then(|| lines.clone())
        .and_then(|lines| thread::Builder::new().name("log".into()).spawn(move || lines.write_out()).ok());
    Flush { lines, writing }
}

/// Writes out what is left of the log when it is dropped.
pub struct Flush {
    lines: Lines,
    writing: Option<JoinHandle<()>>,
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.lines.close();
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}
