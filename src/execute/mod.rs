//! THE control flow of a request: select → attempt → classify → record → fall back.

mod account;
mod admit;
mod attempt;
mod call;
mod engine;
mod failure;
mod labels;
mod ledger;
mod outlet;
mod probe;
mod relay;
mod running;
mod spending;
mod tap;
mod trace;
mod trace_context;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

pub use account::Account;
pub use call::{Call, Framing, Manner, Said};
pub use engine::{Engine, Ids, Worker};
pub use failure::{Failed, ProviderAnswer, Refused};
pub use labels::Labels;
pub use ledger::{Attempted, Ledger};
pub use probe::{Probe, probe};
pub use relay::Relay;
pub use trace::{Passed, PassedOver, Trace, Traces};
pub use trace_context::TraceContext;

use crate::api::{Capabilities, Capability, Code, ConnectionId, Failure, Operation, Outcome};
use crate::bounds;
use crate::rotation::{self, Candidate, Candidates, SelectionError, Skip, Step, Wanted};
use crate::snapshot::Snapshot;
use admit::{Admit, Room};
use attempt::{Answered, Success};
use failure::Failures;

/// An answered call.
pub struct Answer {
    /// Who answered.
    pub connection: ConnectionId,
    /// The model that was asked of the provider.
    pub model: Arc<str>,
    /// The attempts that it took.
    pub attempts: usize,
    /// The time that Bursar itself took.
    pub overhead: Duration,
    /// The provider's headers that are given back, its request id under Bursar's name among them, and what there is to say
    /// of budgets.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer, in the app's dialect.
pub enum AnswerBody {
    /// All of it, and the closed account.
    Whole(Bytes, Box<Ledger>),
    /// All of it in the frames of a stream, from a provider that was asked for one and answered at once, and the closed
    /// account.
    Frames(Bytes, Box<Ledger>),
    /// A stream.
    Stream(Box<Relay>),
}

/// A call that nobody answered.
pub struct Unanswered {
    /// What the app is told.
    pub refused: Refused,
    /// The attempts that were made.
    pub attempts: Vec<Attempted>,
    /// What there is to say of budgets.
    pub headers: HeaderMap,
}

/// Carries out a call. Dropping the future hangs up on the provider and records that the client is gone.
///
/// # Errors
/// When no candidate answered.
#[doc(alias = "AiConnectionService::execute")]
pub async fn execute(worker: &Worker, call: Box<Call>) -> Result<Answer, Unanswered> {
    let snapshot = worker.engine.snapshot.load_full();
    let mut ledger = Ledger::open(Arc::clone(&worker.engine), Labels::of(&call), call.began);
    ledger.waited(call.body_took);
    if let Some(pin) = call.pin.as_ref().filter(|pin| !snapshot.connections.contains_key(pin)) {
        let failure = Failure::new(Code::NotFound, format!("there is no connection {pin}")).at("connection");
        return Err(give_up(ledger, Outcome::Caller, Refused::Bursar(failure)).await);
    }
    let mut candidates = match snapshot.selection.candidates(wanted(&call)) {
        Ok(candidates) => candidates,
        Err(error) => {
            let code = match error {
                SelectionError::NoRoute { .. } => Code::InvalidRequest,
                _ => Code::UnknownModel,
            };
            let failure = Failure::new(code, error.to_string()).at("model");
            return Err(give_up(ledger, Outcome::Caller, Refused::Bursar(failure)).await);
        }
    };
    if candidates.is_sticky() {
        candidates = candidates.of_conversation(call.conversation());
    }
    let mut failures = Failures::default();
    let mut admit = Admit::new(worker, &call, &snapshot, ledger.labels().input_estimate);
    loop {
        match walk(&mut admit, &mut candidates, &mut ledger, &mut failures).await {
            Walked::Answered(candidate, mut answered) => {
                admit.spending.describe(&mut answered.headers);
                drop(admit);
                return Ok(answer(candidate, *answered, ledger).await);
            }
            Walked::Stopped => break,
            Walked::Through if !may_try_more(&ledger, call.fallback) => break,
            Walked::Through => {}
        }
        if let Some(around) = divert(&mut admit, &snapshot, &call) {
            ledger.passed_over(candidates.skipped());
            ledger.walks_anew(Duration::ZERO);
            candidates = around.after(candidates);
            continue;
        }
        let Some(waited) = admit.wait(candidates.skipped()).await else { break };
        ledger.walks_anew(waited);
        candidates.again();
    }
    let Admit { spending, .. } = admit;
    ledger.passed_over(candidates.skipped());
    let now = worker.engine.clock.now();
    let (skipped, model) = (candidates.skipped(), &call.said.scan.model);
    let refused = failures.verdict(skipped, model, &snapshot.selection, spending.spent(), now);
    let outcome = refused.outcome();
    let mut unanswered = give_up(ledger, outcome, refused).await;
    spending.describe(&mut unanswered.headers);
    Err(unanswered)
}

/// The candidates of the route that a request goes by, now that a budget is spent that sends it there.
fn divert(admit: &mut Admit<'_>, snapshot: &Snapshot, call: &Call) -> Option<Candidates> {
    let route = admit.spending.divert()?;
    let found = snapshot.selection.candidates(Wanted { model: route.to_string(), ..wanted(call) }).ok()?;
    admit.walks_anew();
    Some(if found.is_sticky() { found.of_conversation(call.conversation()) } else { found })
}

/// How a walk over the candidates ended.
enum Walked {
    /// One answered.
    Answered(Candidate, Box<Answered>),
    /// An attempt ended so that nobody else is to be tried.
    Stopped,
    /// Nobody answered; those that had no room were passed over.
    Through,
}

/// Walks over the candidates that have room, until one answers.
async fn walk(
    admit: &mut Admit<'_>,
    candidates: &mut Candidates,
    ledger: &mut Ledger,
    failures: &mut Failures,
) -> Walked {
    while let Some(candidate) = next(candidates, ledger, admit.call.fallback) {
        if attempt::timeouts(admit.call, &candidate).total <= ledger.began().elapsed() {
            candidates.pass_over(&candidate, Skip::Overdue);
            continue;
        }
        if !admit.allows(&candidate) {
            candidates.pass_over(&candidate, Skip::RetryBudget);
            continue;
        }
        let room = match admit.reserve(&candidate) {
            Ok(room) => room,
            Err(why) => {
                candidates.pass_over(&candidate, why);
                continue;
            }
        };
        candidates.tried(&candidate);
        ledger.passed_over(candidates.skipped());
        match try_candidate(admit, &candidate, ledger, room).await {
            Ok(answered) => return Walked::Answered(candidate, Box::new(answered)),
            Err((failed, step)) => {
                admit.trouble.note(failed.outcome);
                if failed.is_larger_than_the_model() {
                    candidates.too_large_for(&candidate);
                }
                failures.push(failed);
                if step == Step::Stop {
                    return Walked::Stopped;
                }
            }
        }
    }
    Walked::Through
}

/// Whether a request may make another attempt.
fn may_try_more(ledger: &Ledger, fallback: bool) -> bool {
    let tried = ledger.attempts().len();
    tried < bounds::ATTEMPTS_MAX && (tried == 0 || fallback)
}

/// The next candidate, within what one request may try.
fn next(candidates: &mut Candidates, ledger: &Ledger, fallback: bool) -> Option<Candidate> {
    if !may_try_more(ledger, fallback) {
        return None;
    }
    candidates.next(ledger.engine().clock.now())
}

/// Tries one candidate, and once more where that may help. What failed comes back with the step that follows.
async fn try_candidate(
    admit: &mut Admit<'_>,
    candidate: &Candidate,
    ledger: &mut Ledger,
    mut room: Room,
) -> Result<Answered, (Failed, Step)> {
    let (worker, call) = (admit.worker, admit.call);
    let clock = &worker.engine.clock;
    let (mut retries, on_timeout) = (0, candidate.provider.on_timeout);
    let budget = admit.snapshot.selection.retries(&candidate.provider.slug);
    loop {
        ledger.begin(candidate, room);
        let failed = match attempt::attempt(worker, call, candidate, ledger).await {
            Ok(answered) => return Ok(answered),
            Err(failed) => ledger.hinted(failed),
        };
        ledger.end(failed.outcome, Some(failed.noted()));
        let failed = failed.of(candidate, clock.now());
        if failed.unsaid {
            return Err((failed, Step::Next));
        }
        let first = ledger.is_first_provider();
        let step = rotation::decide(failed.outcome, retries, first, on_timeout);
        if step != Step::Again {
            return Err((failed, step));
        }
        let last = rotation::decide(failed.outcome, bounds::RETRIES_PER_CONNECTION, first, on_timeout);
        let pause = rotation::pause(retries, getrandom::u64().unwrap_or(u64::MAX / 2));
        let left = attempt::timeouts(call, candidate).total.saturating_sub(ledger.began().elapsed());
        if !leaves_time(pause, left) || budget.is_some_and(|budget| !budget.take(clock.now())) {
            return Err((failed, last));
        }
        ledger.pause(pause).await;
        // A retry is a call of its own, and needs room of its own.
        room = match admit.reserve(candidate) {
            Ok(room) => room,
            Err(_) => return Err((failed, last)),
        };
        retries += 1;
    }
}

/// Whether anything could be sent again after a pause, before the request's deadline.
fn leaves_time(pause: Duration, left: Duration) -> bool {
    pause < left
}

/// Closes the account of a call that nobody answered.
async fn give_up(mut ledger: Box<Ledger>, outcome: Outcome, refused: Refused) -> Unanswered {
    ledger.close_durably(outcome, Some(refused.message())).await;
    Unanswered { attempts: ledger.attempts().to_vec(), refused, headers: HeaderMap::new() }
}

async fn answer(candidate: Candidate, answered: Answered, mut ledger: Box<Ledger>) -> Answer {
    let Answered { success, headers, timeouts, deadline } = answered;
    let overhead = ledger.overhead();
    let attempts = ledger.attempts().len();
    let body = match success {
        Success::Whole { body } => {
            ledger.close_durably(Outcome::Ok, None).await;
            AnswerBody::Whole(body, ledger)
        }
        Success::Frames { frames } => {
            ledger.close_durably(Outcome::Ok, None).await;
            AnswerBody::Frames(frames, ledger)
        }
        Success::Begun { tap, terminal } => {
            AnswerBody::Stream(Box::new(Relay::new(tap, terminal, ledger, timeouts, deadline)))
        }
    };
    Answer {
        connection: candidate.connection.id.clone(),
        model: Arc::clone(&candidate.model),
        attempts,
        overhead,
        headers,
        body,
    }
}

fn wanted(call: &Call) -> Wanted {
    Wanted {
        model: call.said.scan.model.clone(),
        feature: Some(call.feature.clone()),
        operation: Some(call.operation),
        needs: call.require.iter().fold(call.said.scan.needs, Capabilities::with),
        pin: call.pin.clone(),
        tokens: tokens_at_least(call),
    }
}

/// The tokens that a conversation has at the very least. Of what is no text the size tells nothing, and of a batch of
/// embeddings it does not tell the largest.
fn tokens_at_least(call: &Call) -> Option<u64> {
    let media = [Capability::Vision, Capability::AudioInput, Capability::Pdf];
    let is_text = !media.into_iter().any(|one| call.said.scan.needs.has(one));
    let bytes = u64::try_from(call.said.body.len()).unwrap_or(u64::MAX);
    let talks = matches!(call.operation, Operation::Chat | Operation::Responses);
    (talks && is_text).then_some(bytes / bounds::TEXT_BYTES_PER_TOKEN_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_before_a_retry_goes_past_the_deadline() {
        let ms = Duration::from_millis;
        assert!(leaves_time(ms(10), ms(11)));
        assert!(!leaves_time(ms(10), ms(10)) && !leaves_time(ms(250), ms(10)));
        assert!(!leaves_time(Duration::ZERO, Duration::ZERO), "the deadline is over");
    }
}
