//! Lines that wait to be written, and the thread that writes them.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracing_subscriber::fmt::MakeWriter;

use crate::bounds;

/// Lines that wait to be written.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

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

    /// Lets [`Lines::write_out`] come to its end.
    pub(super) fn close(&self) {
        self.waiting().closing = true;
        self.0.wake.notify_one();
    }

    /// Takes a line, or counts it as lost. Never waits for standard error.
    pub(super) fn put(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > bounds::LOG_BYTES_MAX {
            waiting.lost += 1;
            return;
        }
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if first {
            self.0.wake.notify_one();
        }
    }

    /// Runs until the log is closed. Between two writes lines gather for a moment.
    pub(super) fn write_out(&self) {
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
        self.put(line);
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
