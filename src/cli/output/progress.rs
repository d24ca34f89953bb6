//! How far something is that takes long: one line on standard error, where that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The pause between two looks: more often nobody sees.
const INTERVAL: Duration = Duration::from_millis(100);
/// The cells of the bar.
const CELLS: usize = 24;

/// A line that is drawn again and again, and is gone at the end.
pub(in crate::cli) struct Progress {
    shown: bool,
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// A line, if somebody sees it.
    pub(in crate::cli) fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), began: Instant::now(), drawn: None }
    }

    /// Draws how much of the way lies behind, from 0 to 1, and how many things were done on it.
    pub(in crate::cli) fn draw(&mut self, part: f64, count: u64, of: &str) {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL);
        if self.shown && due {
            self.drawn = Some(Instant::now());
            let line = line(part, count, of, self.began.elapsed());
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r{line}\u{1b}[K").and_then(|()| err.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[K").and_then(|()| err.flush());
        }
    }
}

fn line(part: f64, count: u64, of: &str, took: Duration) -> String {
    let part = part.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the cells")]
    let filled = (part * CELLS as f64) as usize;
    let bar = format!("{}{}", "=".repeat(filled), " ".repeat(CELLS.saturating_sub(filled)));
    #[expect(clippy::cast_precision_loss, reason = "it is shown without decimals")]
    let rate = count as f64 / took.as_secs_f64().max(0.001);
    format!("[{bar}] {:3.0} %  {count} {of}, {rate:.0}/s", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is_and_never_more_than_all() {
        let took = Duration::from_secs(2);
        assert_eq!(line(0.5, 1_000, "records", took), format!("[{:24}]  50 %  1000 records, 500/s", "=".repeat(12)));
        assert_eq!(line(7.0, 1, "records", took), format!("[{}] 100 %  1 records, 0/s", "=".repeat(24)));
    }
}
