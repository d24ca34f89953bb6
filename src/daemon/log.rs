//! The log: one line an event on standard error, for people on a terminal, as JSON for a journal that asks for it.
//!
//! A worker never waits for standard error: lines gather in memory, and a thread of their own writes them out, many at a
//! time. What it cannot write fast enough is dropped, and the number of lost lines is written instead.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::bounds;

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
    let started = if std::env::var_os("BURSAR_LOG_FORMAT").is_some_and(|format| format == "json") {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        registry.with(layer.with_ansi(io::stderr().is_terminal())).try_init()
    };
    if misread {
        tracing::warn!("BURSAR_LOG is not understood, write it as in info,bursar=debug: info is logged");
    }
    // A second start, as in tests, keeps the first.
    let ours = started.is_ok();
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
        self.lines.waiting().closing = true;
        self.lines.0.wake.notify_one();
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}

/// Lines that wait to be written.
#[derive(Clone, Default)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: u64,
    closing: bool,
}

impl Lines {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until the log is closed. Between two writes lines gather for a moment.
    fn write_out(&self) {
        let mut closing = false;
        while !closing {
            let mut waiting = self.waiting();
            while waiting.bytes.is_empty() && !waiting.closing {
                waiting = self.0.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if !waiting.closing {
                drop(waiting);
                thread::sleep(bounds::LOG_INTERVAL);
                waiting = self.waiting();
            }
            closing = waiting.closing;
            let (bytes, lost) = (std::mem::take(&mut waiting.bytes), std::mem::take(&mut waiting.lost));
            drop(waiting);
            let mut stderr = io::stderr().lock();
            // There is nobody left to tell when standard error is gone.
            let _ = stderr.write_all(&bytes);
            if lost > 0 {
                let _ = writeln!(stderr, "{lost} lines of the log were lost: standard error is too slow");
            }
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > bounds::LOG_BYTES_MAX {
            waiting.lost += 1;
        } else {
            let first = waiting.bytes.is_empty();
            waiting.bytes.extend_from_slice(line);
            drop(waiting);
            if first {
                self.0.wake.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
