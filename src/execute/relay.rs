//! A stream on its way to the app, after its first content: from here on nothing is tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::failure::noted;
use super::ledger::Ledger;
use super::tap::{Tap, TapError};
use crate::api::{Code, Failure, Outcome};
use crate::bounds;
use crate::config::Timeouts;

/// What a record holds of a stream that one dialect can say and another cannot.
const UNSAYABLE: &str = "the provider's stream cannot be said in the app's dialect";

/// A running stream. Dropping it hangs up on the provider and closes the account: an app that leaves after the terminal
/// event, as many do, has been served; one that leaves before it is gone.
pub struct Relay {
    tap: Box<Tap>,
    ledger: Box<Ledger>,
    timeouts: Timeouts,
    deadline: Instant,
    terminal: bool,
    /// Set by whoever ends the stream because the app does not read it.
    unread: Arc<AtomicBool>,
    state: State,
    /// Whether it broke off and could not say so in words.
    broken: bool,
}

enum State {
    /// Frames that were held back go first.
    Held,
    Running,
    Ended,
}

impl Relay {
    pub(super) fn new(
        tap: Box<Tap>,
        terminal: bool,
        ledger: Box<Ledger>,
        timeouts: Timeouts,
        deadline: Instant,
    ) -> Self {
        Self { tap, ledger, timeouts, deadline, terminal, unread: Arc::default(), state: State::Held, broken: false }
    }

    /// The account, for what goes with the reply.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// When it must be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What to set before the stream is dropped because the app does not read it.
    pub fn unread(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.unread)
    }

    /// Whether it ended before it was whole and had no words to say so: the app's connection must break off too.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next bytes for the app, whole frames of its dialect; none at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        match self.state {
            State::Ended => None,
            State::Held => {
                self.state = State::Running;
                match self.tap.take() {
                    Some(held) => Some(held),
                    None => self.run().await,
                }
            }
            State::Running => self.run().await,
        }
    }

    async fn run(&mut self) -> Option<Bytes> {
        loop {
            let idle = if self.terminal { bounds::AFTER_TERMINAL_TIMEOUT } else { self.timeouts.idle };
            let read = timeout_at(self.deadline.min(Instant::now() + idle), self.tap.read()).await;
            let seen = self.tap.seen();
            self.terminal = seen.terminal || (self.terminal && !seen.reopened);
            self.ledger.note(&seen);
            match read {
                Ok(Ok(true)) => {
                    if let Some(frames) = self.tap.take() {
                        return Some(frames);
                    }
                }
                Ok(Ok(false)) if self.terminal => return self.end(None).await,
                // It said that it was over; how the connection ends then is nobody's concern.
                Ok(Err(TapError::Transport(_))) | Err(_) if self.terminal => return self.close().await,
                Ok(Ok(false)) => {
                    return self.cut(Code::UpstreamCut, "the provider's stream ended before it was complete").await;
                }
                Ok(Err(TapError::Provider(error))) => {
                    let error = self.ledger.heard(error);
                    return self.cut_noting(Code::UpstreamError, &error.message, &noted(&error)).await;
                }
                Ok(Err(TapError::Transport(error))) => return self.cut(Code::UpstreamCut, &error.to_string()).await,
                Ok(Err(TapError::Unsayable)) => return self.cut(Code::UpstreamInvalid, UNSAYABLE).await,
                Ok(Err(TapError::TooLong(error))) => return self.cut(Code::UpstreamTooLarge, &error.to_string()).await,
                Err(_) => {
                    let message = if Instant::now() >= self.deadline {
                        "the provider's stream was not over at the request's deadline"
                    } else {
                        "the provider's stream stood still for too long"
                    };
                    return self.cut(Code::UpstreamTimeout, message).await;
                }
            }
        }
    }

    /// Ends a stream that was over before its bytes were.
    async fn close(&mut self) -> Option<Bytes> {
        match self.tap.close() {
            Ok(()) => {
                let seen = self.tap.seen();
                self.ledger.note(&seen);
                self.end(None).await
            }
            Err(TapError::Unsayable) => self.cut(Code::UpstreamInvalid, UNSAYABLE).await,
            Err(_) => self.cut(Code::UpstreamCut, "the provider's stream ended before it was complete").await,
        }
    }

    async fn end(&mut self, failure: Option<(Failure, &str)>) -> Option<Bytes> {
        self.state = State::Ended;
        let (outcome, text) = match &failure {
            None => (Outcome::Ok, None),
            Some((_, noted)) => (Outcome::Cut, Some(*noted)),
        };
        self.ledger.close_durably(outcome, text).await;
        match failure {
            None => self.tap.finish(),
            Some((failure, _)) => {
                self.broken = self.tap.is_plain();
                self.tap.fail(&failure);
            }
        }
        self.tap.take()
    }

    /// Breaks the stream off and hangs up on the provider. What comes back is the last for the app: why.
    pub async fn cut(&mut self, code: Code, message: &str) -> Option<Bytes> {
        self.cut_noting(code, message, message).await
    }

    /// Ends the stream with an error, of which the record may hold another text than the app is told.
    async fn cut_noting(&mut self, code: Code, message: &str, noted: &str) -> Option<Bytes> {
        self.end(Some((Failure::new(code, message), noted))).await
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.terminal && !matches!(self.state, State::Held) {
            self.ledger.close(Outcome::Ok, None);
        } else if self.unread.load(Ordering::Relaxed) {
            self.ledger.close(Outcome::ClientGone, Some("the app stopped reading its reply"));
        }
    }
}
