//! Wall and monotonic time in one place, so that tests own both.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// One moment on both clocks: what runs is measured on the monotonic one, what is stored and shown on the wall's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub at: Instant,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

impl Now {
    /// What the wall clock will show, or showed, at an instant.
    pub fn wall_of(&self, at: Instant) -> i64 {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.at) {
            Some(ahead) => self.wall_ms.saturating_add(ms(ahead)),
            None => self.wall_ms.saturating_sub(ms(self.at.saturating_duration_since(at))),
        }
    }

    /// How long it is until the wall clock shows this; nothing if it has.
    pub fn until(&self, wall_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(wall_ms.saturating_sub(self.wall_ms)).unwrap_or(0))
    }

    /// The instant at which the wall clock shows this; now if it has shown it already.
    pub fn instant_of(&self, wall_ms: i64) -> Instant {
        self.at.checked_add(self.until(wall_ms)).unwrap_or(self.at)
    }
}

/// Tells the time. Cheap to clone.
///
/// Monotonic time is tokio's, so a test's paused clock moves it; wall time is the system's, or a test's own figure.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A wall clock that stands still until [`Clock::set`] moves it.
    pub fn fixed(unix_ms: i64) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(unix_ms))) }
    }

    /// Moves a fixed wall clock; the system's is not moved.
    pub fn set(&self, unix_ms: i64) {
        if let Some(fixed) = &self.fixed {
            fixed.store(unix_ms, Ordering::SeqCst);
        }
    }

    /// Milliseconds since 1970.
    pub fn wall_ms(&self) -> i64 {
        match &self.fixed {
            Some(fixed) => fixed.load(Ordering::SeqCst),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// Monotonic time, for durations and deadlines.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Both at once.
    pub fn both(&self) -> Now {
        Now { at: self.now(), wall_ms: self.wall_ms() }
    }
}
