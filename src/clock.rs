//! Wall and monotonic time in one place, so that tests own both.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

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
}
