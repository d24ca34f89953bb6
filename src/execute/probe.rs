//! A connection's test: the provider's model list, which costs nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::wire::{self, WireError};
use super::{Engine, Worker, attempt, failure};
use crate::adapter::Hints;
use crate::api::Outcome;
use crate::bounds;
use crate::connection::{Connection, Ended};
use crate::rotation::Candidate;

/// What a test of a connection found. It counts for or against the connection by [`Probe::count`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// When it began.
    pub began: Instant,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's status.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, sanitised.
    pub error: Option<String>,
    /// The models that the provider lists.
    pub models: Vec<String>,
}

impl Probe {
    /// Holds what was found for or against the connection that was tested. A passed test clears a rejection, a park and
    /// the breaker.
    pub fn count(&self, engine: &Engine, connection: &Connection) {
        let hints = Hints::default();
        let ended = Ended {
            model: None,
            sent_at: self.began,
            outcome: self.outcome,
            message: self.error.as_deref(),
            reached: self.status.is_some(),
            cut_short: false,
            hints: &hints,
        };
        engine.observe(connection, &ended, engine.clock.both());
        if self.outcome == Outcome::Ok {
            engine.passed(connection);
        }
    }
}

/// Tests a connection by asking its provider for the model list.
pub async fn probe(worker: &Worker, candidate: &Candidate) -> Probe {
    let began = Instant::now();
    let mut status = None;
    let asked = tokio::time::timeout(bounds::PROBE_TIMEOUT, list(worker, candidate, &mut status)).await;
    let (outcome, error, models) = match asked {
        Ok(Ok(models)) => (Outcome::Ok, None, models),
        Ok(Err((outcome, message))) => (outcome, Some(message), Vec::new()),
        Err(_) => (Outcome::Timeout, Some("the provider did not answer in time".into()), Vec::new()),
    };
    Probe { began, outcome, status, took: began.elapsed(), error, models }
}

async fn list(
    worker: &Worker,
    candidate: &Candidate,
    status: &mut Option<u16>,
) -> Result<Vec<String>, (Outcome, String)> {
    let (request, _) = wire::models_request(candidate, &worker.engine.vault).map_err(|error| match error {
        WireError::Credential(message) => (Outcome::Credential, message),
        WireError::Refused(refusal) => (Outcome::Caller, refusal.message),
        WireError::Url => (Outcome::Caller, "the provider's base URL makes no URL".into()),
    })?;
    let transport = |error: crate::upstream::TransportError| (Outcome::Transient, error.to_string());
    let mut reply = worker.upstream.send(attempt::via(candidate), request).await.map_err(transport)?;
    *status = Some(reply.status.as_u16());
    let adapter = candidate.provider.adapter;
    if !reply.status.is_success() {
        let by = Instant::now() + bounds::ERROR_BODY_TIMEOUT;
        let body = reply.beginning(bounds::ERROR_BODY_BYTES_MAX, by).await;
        let mut error = adapter.error(reply.status.as_u16(), &reply.headers, &body);
        if wire::repeats_credential(&error, &body, candidate, &worker.engine.vault) {
            error = failure::silenced(error);
        }
        return Err((error.outcome, error.message));
    }
    let body = reply.whole(bounds::REPLY_BODY_BYTES_MAX).await.map_err(transport)?;
    adapter.models(&body).map_err(|error| (Outcome::Transient, error.to_string()))
}
