//! The account of one request: a record for every attempt, and exactly one that is final.
//!
//! The ledger is owned by whatever carries the request, first the control flow and then the stream. However that ends,
//! dropped by a client that hung up too, the ledger closes itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::account::{self, Account};
use super::admit::Room;
use super::labels::Labels;
use super::running::Running;
use super::trace::{Passed, Trace};
use super::{Engine, Failed, failure, wire};
use crate::adapter::{Hints, ProviderError, Seen};
use crate::api::usage::RecordId;
use crate::api::{Outcome, Tokens, UsageRecord};
use crate::connection::Ended;
use crate::rotation::{Candidate, Skipped};
use crate::usage::Receipt;

/// An attempt in short, for replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The connection.
    pub connection: crate::api::ConnectionId,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
    /// The provider's status.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The model that the provider was asked for.
    pub model: Arc<str>,
    /// When it began, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long the request had waited right before, in milliseconds.
    pub waited_ms: u64,
    /// Why it failed, as its record has it.
    pub error: Option<String>,
}

impl Attempted {
    /// Whether the request could not be said to this candidate, and nobody was asked.
    fn was_unsaid(&self) -> bool {
        self.outcome == Some(Outcome::Caller) && self.status.is_none()
    }
}

/// The account of one request.
pub struct Ledger {
    engine: Arc<Engine>,
    labels: Arc<Labels>,
    began: Instant,
    at_ms: i64,
    running: Option<Running>,
    /// The last closed attempt: whether it is the final one shows only when nothing follows.
    last: Option<UsageRecord>,
    attempts: Vec<Attempted>,
    /// What the last closed attempt used and cost; its record may be gone by then.
    used: Account,
    /// The time that was not Bursar's: waiting for the app's body and for providers, and pauses before retries.
    elsewhere: Duration,
    /// Of it, what was waited before the attempt that comes next.
    paused: Duration,
    passed: Passed,
    closed: bool,
    receipt: Option<Receipt>,
}

impl Ledger {
    /// Opens the account of a request that passed access and parsing.
    ///
    /// It is on the heap from the start: it goes from hand to hand, and is large.
    pub fn open(engine: Arc<Engine>, labels: Labels, began: Instant) -> Box<Self> {
        let at_ms = engine.clock.wall_ms();
        Box::new(Self {
            engine,
            labels: Arc::new(labels),
            began,
            at_ms,
            running: None,
            last: None,
            attempts: Vec::new(),
            used: Account::default(),
            elsewhere: Duration::ZERO,
            paused: Duration::ZERO,
            passed: Passed::default(),
            closed: false,
            receipt: None,
        })
    }

    /// What all records share.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The engine that the request runs in.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// When the request began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The attempts so far.
    pub fn attempts(&self) -> &[Attempted] {
        &self.attempts
    }

    /// What the attempt that runs, or the last one, used and cost.
    pub fn used(&self) -> Account {
        self.running.as_ref().map_or(self.used, |running| Account::of(running, Outcome::Ok, &self.labels))
    }

    /// Whether the provider of the last attempt is the first that was asked.
    pub fn is_first_provider(&self) -> bool {
        let asked = self.attempts.iter().filter(|attempt| !attempt.was_unsaid());
        let mut providers = asked.map(|attempt| &attempt.connection.provider);
        providers.next() == self.attempts.last().map(|attempt| &attempt.connection.provider)
    }

    /// Begins an attempt, for which there is room. The one before was not the last.
    pub(super) fn begin(&mut self, candidate: &Candidate, room: Room) {
        self.flush(false);
        let (began, at_ms) = (Instant::now(), self.engine.clock.wall_ms());
        self.attempts.push(Attempted {
            connection: candidate.connection.id.clone(),
            outcome: None,
            status: None,
            ms: 0,
            model: Arc::clone(&candidate.model),
            at_ms,
            waited_ms: millis(std::mem::take(&mut self.paused)),
            error: None,
        });
        self.running = Some(Running {
            permit: room.permit,
            charge: room.charge,
            unsent: false,
            _in_flight: candidate.connection.health.begin(at_ms),
            candidate: candidate.clone(),
            began,
            at_ms,
            status: None,
            head_after: None,
            ttft: None,
            seen: Seen::default(),
            hints: Hints::default(),
            apps_deadline: None,
        });
    }

    /// Notes whom the walk over the candidates has passed over by now.
    pub fn passed_over(&mut self, skipped: &[Skipped]) {
        self.passed.note(skipped, self.attempts.len());
    }

    /// Notes until when the app itself wants the attempt that runs to be over.
    pub fn apps_deadline(&mut self, deadline: Instant) {
        if let Some(running) = &mut self.running {
            running.apps_deadline = Some(deadline);
        }
    }

    /// Notes the head of the reply.
    pub fn head(&mut self, status: u16, headers: &HeaderMap) {
        if let Some(running) = &mut self.running {
            running.status = Some(status);
            running.head_after = Some(running.began.elapsed());
            if (200..300).contains(&status) {
                running.keep_pace(false);
            }
            let now = self.engine.clock.both();
            running.permit.head(now);
            let table = &running.candidate.provider.rate_limits;
            running.hints = Hints::read(table, headers, now.wall_ms);
        }
    }

    /// Notes that the call never left.
    pub fn unsent(&mut self) {
        if let Some(running) = &mut self.running {
            running.unsent = true;
        }
    }

    /// Notes what a failure says of the provider's limits, and lets them say what it is: a rate limit is a daily one where
    /// nothing is left of the day.
    pub fn hinted(&mut self, mut failed: Failed) -> Failed {
        if let Some(running) = &mut self.running {
            running.hints.retry_after = failed.retry_after;
            if failed.outcome == Outcome::RateShort && running.hints.day_exhausted().is_some() {
                failed.outcome = Outcome::RateDay;
            }
        }
        failed
    }

    /// Notes that for so long others were waited for.
    pub fn waited(&mut self, time: Duration) {
        self.elsewhere += time;
    }

    /// Notes what a reply, or a part of one, said.
    pub fn note(&mut self, seen: &Seen) {
        let Some(running) = &mut self.running else { return };
        if seen.content && running.ttft.is_none() {
            running.ttft = Some(running.began.elapsed());
            running.answers();
        }
        running.count(seen);
        let all = &mut running.seen;
        all.content |= seen.content;
        all.written = all.written.saturating_add(seen.written);
        if seen.model.is_some() {
            all.model.clone_from(&seen.model);
        }
    }

    /// A provider's error inside a reply, without the credential that the attempt that runs was sent with.
    pub fn heard(&self, error: ProviderError) -> ProviderError {
        let repeats = |running: &Running| wire::repeats_credential(&error, b"", &running.candidate, &self.engine.vault);
        if self.running.as_ref().is_some_and(repeats) { failure::silenced(error) } else { error }
    }

    /// Ends the attempt that runs.
    pub fn end(&mut self, outcome: Outcome, error: Option<&str>) {
        let Some(running) = self.running.take() else { return };
        let took = running.began.elapsed();
        let candidate = &running.candidate;
        let ended = Ended {
            model: Some(&candidate.model),
            sent_at: running.began,
            outcome,
            message: error,
            reached: running.status.is_some(),
            cut_short: running.apps_deadline.is_some_and(|deadline| Instant::now() >= deadline),
            hints: &running.hints,
        };
        let now = self.engine.clock.both();
        self.engine.observe(&candidate.connection, &ended, now);
        running.lower(now);
        if outcome.blames_provider() && !ended.cut_short {
            running.keep_pace(true);
        }
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outcome = Some(outcome);
            attempt.status = running.status;
            attempt.ms = millis(took);
            attempt.error = error.map(str::to_owned);
        }
        self.used = Account::of(&running, outcome, &self.labels);
        self.last = Some(self.record_of(&running, outcome, took, error));
        running.give_back(outcome, &self.used, now, &self.engine.admission, &self.labels.feature);
    }

    /// Closes the account: the last attempt is final. A request without any gets a record of its own.
    pub fn close(&mut self, outcome: Outcome, error: Option<&str>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.end(outcome, error);
        if self.last.is_none() {
            self.last = Some(self.record(outcome, self.began.elapsed(), error));
        }
        self.remember();
        self.flush(true);
    }

    /// As [`Ledger::close`]; where each record must be durable before a reply ends, waits until this one is.
    pub async fn close_durably(&mut self, outcome: Outcome, error: Option<&str>) {
        self.close(outcome, error);
        if let Some(receipt) = self.receipt.take() {
            // A store that takes nothing now is no reason to keep a reply back: the record is kept and tried again.
            let _ = receipt.await;
        }
    }

    /// Pauses before a retry.
    pub async fn pause(&mut self, pause: Duration) {
        tokio::time::sleep(pause).await;
        self.paused(pause);
    }

    /// Notes that the walk over the candidates begins anew, after waiting for so long.
    pub fn walks_anew(&mut self, waited: Duration) {
        self.passed.again();
        self.paused(waited);
    }

    /// Notes that for so long nothing was done, for a reason of Bursar's own: the attempt that follows came so much later.
    pub fn paused(&mut self, time: Duration) {
        self.paused += time;
        self.waited(time);
    }

    /// The time that Bursar itself took so far.
    pub fn overhead(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.elsewhere)
    }

    /// Keeps the way that the request went, for whoever asks.
    fn remember(&mut self) {
        let Some(last) = &self.last else { return };
        self.engine.traces.keep(Trace {
            labels: Arc::clone(&self.labels),
            at_ms: self.at_ms,
            ms: millis(self.began.elapsed()),
            waited_ms: millis(self.paused),
            outcome: last.outcome,
            error: last.error.clone(),
            attempts: self.attempts.clone(),
            passed: std::mem::take(&mut self.passed),
        });
    }

    fn flush(&mut self, is_final: bool) {
        if let Some(mut record) = self.last.take() {
            record.is_final = is_final;
            self.engine.log(&record, self.labels.trace.as_ref());
            if is_final && self.engine.durable_each.load(Ordering::Relaxed) {
                self.receipt = Some(self.engine.recorder.record_durable(record));
            } else {
                self.engine.recorder.record(record);
            }
        }
    }

    /// The record of a request that made no attempt, as far as it goes.
    fn record(&self, outcome: Outcome, took: Duration, error: Option<&str>) -> UsageRecord {
        let number = u128::try_from(self.attempts.len()).unwrap_or(u128::MAX);
        UsageRecord {
            id: RecordId(self.labels.request_id.as_u128().saturating_add(number)),
            request_id: self.labels.request_id,
            at_ms: self.at_ms,
            is_final: false,
            app: self.labels.app.clone(),
            feature: self.labels.feature.clone(),
            provider: None,
            connection: None,
            model: self.labels.model.clone(),
            model_sent: None,
            model_served: None,
            operation: self.labels.operation,
            stream: self.labels.stream,
            outcome,
            status: None,
            tokens: Tokens::default(),
            cost: None,
            cost_source: None,
            estimated: false,
            partial: false,
            ttft_ms: None,
            duration_ms: millis(took),
            error: error.map(str::to_owned),
        }
    }

    /// The record of an attempt.
    fn record_of(&self, running: &Running, outcome: Outcome, took: Duration, error: Option<&str>) -> UsageRecord {
        let mut record = self.record(outcome, took, error);
        let id = &running.candidate.connection.id;
        record.at_ms = running.at_ms;
        record.provider = Some(id.provider.clone());
        record.connection = Some(id.clone());
        record.model_sent = Some(running.candidate.model.to_string());
        record.model_served = Some(running.model());
        record.status = running.status;
        let account = self.used;
        (record.tokens, record.estimated) = (account.tokens, account.estimated);
        (record.cost, record.cost_source) = (account.cost, account.source);
        record.partial = account::is_partial(outcome);
        record.ttft_ms = running.ttft.map(millis);
        record
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.engine.cutting.load(Ordering::Relaxed) {
            self.close(Outcome::Cut, Some("the daemon stopped before the reply was complete"));
        } else {
            self.close(Outcome::ClientGone, Some("the app hung up"));
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
