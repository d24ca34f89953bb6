//! How long things may take: defaults, and what a provider, a model or a connection says otherwise.

use std::time::Duration;

use super::walk::Cursor;
use crate::bounds;

/// Every timeout of an upstream call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the provider's host has accepted the connection, TLS included.
    pub connect: Duration,
    /// Until the first byte of a reply that is not streamed: reasoning models think for minutes.
    pub first_byte: Duration,
    /// Until the first byte of a streamed reply.
    pub first_byte_streamed: Duration,
    /// Between two parts of a reply.
    pub idle: Duration,
    /// For the whole request, all attempts together.
    pub total: Duration,
    /// For a connection with room, where none has any; zero: do not wait.
    pub wait: Duration,
    /// Until a stream without content yet is committed to, so that the app sees a head; zero: at once.
    pub commit_after: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(600),
            first_byte_streamed: Duration::from_secs(120),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(900),
            wait: Duration::from_secs(2),
            commit_after: Duration::from_secs(20),
        }
    }
}

impl Timeouts {
    /// These, but for what `said` says otherwise. Apply the most general first: provider, connection, model, request.
    #[must_use]
    pub fn with(self, said: &TimeoutOverrides) -> Self {
        Self {
            connect: said.connect.unwrap_or(self.connect),
            first_byte: said.first_byte.unwrap_or(self.first_byte),
            first_byte_streamed: said.first_byte_streamed.unwrap_or(self.first_byte_streamed),
            idle: said.idle.unwrap_or(self.idle),
            total: said.total.unwrap_or(self.total),
            wait: said.wait.unwrap_or(self.wait),
            commit_after: said.commit_after.unwrap_or(self.commit_after),
        }
    }
}

/// The timeouts that one table of the file names; the others stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeoutOverrides {
    /// As [`Timeouts::connect`].
    pub connect: Option<Duration>,
    /// As [`Timeouts::first_byte`].
    pub first_byte: Option<Duration>,
    /// As [`Timeouts::first_byte_streamed`].
    pub first_byte_streamed: Option<Duration>,
    /// As [`Timeouts::idle`].
    pub idle: Option<Duration>,
    /// As [`Timeouts::total`].
    pub total: Option<Duration>,
    /// As [`Timeouts::wait`].
    pub wait: Option<Duration>,
    /// As [`Timeouts::commit_after`].
    pub commit_after: Option<Duration>,
}

/// Reads a table of timeouts.
pub(super) fn read(at: &Cursor<'_>) -> TimeoutOverrides {
    let Some(fields) = at.fields(KEYS) else { return TimeoutOverrides::default() };
    let from = |least: Duration| {
        let fields = &fields;
        move |key: &str| fields.get(key)?.duration(least..=bounds::TIMEOUT_MAX)
    };
    let (some, any) = (from(bounds::TIMEOUT_MIN), from(Duration::ZERO));
    TimeoutOverrides {
        connect: some("connect"),
        first_byte: some("first_byte"),
        first_byte_streamed: some("first_byte_streamed"),
        idle: some("idle"),
        total: some("total"),
        wait: any("wait"),
        commit_after: any("commit_after"),
    }
}

const KEYS: &[&str] = &["connect", "first_byte", "first_byte_streamed", "idle", "total", "wait", "commit_after"];
