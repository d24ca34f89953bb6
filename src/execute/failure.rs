//! Attempts that were not answered, and what the app is told when none was.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::adapter::{Dialect, Invalid, ProviderError};
use crate::api::{Capability, Code, Failure, Outcome};
use crate::bounds;
use crate::connection::budget::Spent;
use crate::connection::{Against, ManagedBy};
use crate::rotation::{Candidate, Selection, Skip, Skipped};
use crate::upstream::TransportError;

/// An attempt that was not answered.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Its class.
    pub outcome: Outcome,
    /// The stable code, should the app be told of it.
    pub code: Code,
    /// The text for the app, sanitised.
    pub message: String,
    /// The text for the record and the log, where the app's would tell them too much.
    pub noted: Option<String>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The provider's answer, to be passed on where the fault is the app's own.
    pub answer: Option<ProviderAnswer>,
    /// The field of the request that is at fault, where Bursar found it.
    pub param: Option<String>,
    /// Whether the request cannot be said in this candidate's format, and so never left.
    pub unsaid: bool,
}

/// A provider's own refusal of a request.
#[derive(Debug, Clone)]
pub struct ProviderAnswer {
    /// Its status.
    pub status: u16,
    /// The dialect of its body.
    pub dialect: Option<Dialect>,
    /// Its body as it came.
    pub body: Bytes,
    /// What the body says.
    pub error: ProviderError,
}

impl ProviderAnswer {
    /// The body as it came, where a caller of a dialect may see it so: it is in that dialect, it is JSON, and nothing in
    /// it looks like a key.
    pub fn unchanged(&self, dialect: Dialect) -> Option<Bytes> {
        let text = std::str::from_utf8(&self.body).ok()?;
        let plain = self.dialect == Some(dialect) && !crate::adapter::text::shows_key(text);
        let json = || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        (plain && json()).then(|| self.body.clone())
    }
}

impl Failed {
    pub(super) fn new(outcome: Outcome, code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { outcome, code, message, noted: None, retry_after: None, answer: None, param: None, unsaid: false }
    }

    /// A transport error. What could not be reached, or broke off before content, may work a moment later; a whole reply
    /// that is more than Bursar takes is fetched from nobody twice, and is no failure of the connection's.
    pub fn transport(error: &TransportError) -> Self {
        let outcome = match error {
            TransportError::TooLarge { .. } => Outcome::TooLarge,
            _ => Outcome::Transient,
        };
        Self::new(outcome, error.code(), error.to_string())
    }

    /// A provider that kept us waiting.
    pub fn timeout(what: &str, waited: Duration) -> Self {
        let message = format!("the provider sent {what} within {} s", waited.as_secs_f32());
        Self::new(Outcome::Timeout, Code::UpstreamTimeout, message)
    }

    /// A reply that does not read.
    pub fn invalid(error: &Invalid) -> Self {
        Self::new(Outcome::Transient, Code::UpstreamInvalid, error.to_string())
    }

    /// An error of the provider's, in an answer of its own or inside a 200.
    pub fn provider(error: ProviderError, answer: Option<(Option<Dialect>, Bytes)>) -> Self {
        let code = match error.outcome {
            Outcome::Credential => Code::UpstreamAuth,
            Outcome::Quota => Code::UpstreamQuota,
            Outcome::NotForKey => Code::UpstreamRefused,
            Outcome::RateShort | Outcome::RateDay => Code::RateLimited,
            Outcome::Timeout => Code::UpstreamTimeout,
            Outcome::TooLarge => Code::TooLarge,
            Outcome::Caller => Code::InvalidRequest,
            _ => Code::UpstreamError,
        };
        let (status, failed) = (error.status, Self::new(error.outcome, code, &error.message));
        Self {
            noted: Some(noted(&error)),
            retry_after: error.retry_after,
            answer: answer.map(|(dialect, body)| ProviderAnswer { status, dialect, body, error }),
            ..failed
        }
    }
}

impl Failed {
    /// The same with the candidate's name, where it is the operator's business, and the time at which it is back, where it
    /// is a limit that it hit.
    #[must_use]
    pub(super) fn of(mut self, candidate: &Candidate, now: Instant) -> Self {
        let id = &candidate.connection.id;
        match self.outcome {
            // What Bursar could not open, nobody refused.
            Outcome::Credential if self.noted.is_some() => {
                self.message = format!("the provider refused the credential of {id}: {}", self.message);
            }
            Outcome::Quota => self.message = format!("the account of {id} is out of money or quota: {}", self.message),
            _ => {}
        }
        let limited = matches!(self.outcome, Outcome::RateShort | Outcome::RateDay);
        match candidate.connection.against(&candidate.model, now).filter(|_| limited) {
            Some(Against::Cooling { until, .. }) => Self { retry_after: Some(until.duration_since(now)), ..self },
            _ => self,
        }
    }

    /// Whether the model cannot take so large a request, whoever asks: another account may have a larger limit, and not a
    /// larger context window.
    pub(super) fn is_larger_than_the_model(&self) -> bool {
        let status = self.answer.as_ref().map(|answer| answer.status);
        self.outcome == Outcome::TooLarge && self.code == Code::TooLarge && status != Some(429)
    }

    /// The text for the record and the log.
    pub fn noted(&self) -> &str {
        self.noted.as_deref().unwrap_or(&self.message)
    }
}

/// What records and the log hold of a provider's error. Where it is about the request itself, its text may quote the
/// prompt: then only the provider's words for it are kept.
pub(super) fn noted(error: &ProviderError) -> String {
    if !matches!(error.outcome, Outcome::Caller | Outcome::TooLarge) {
        return error.message.clone();
    }
    let words: Vec<&str> = [&error.kind, &error.code, &error.param].into_iter().flatten().map(String::as_str).collect();
    let refused = format!("the provider refused the request with status {}", error.status);
    if words.is_empty() { refused } else { format!("{refused} ({})", words.join(", ")) }
}

/// The same error without its texts, for one that repeats the credential that the provider was sent.
pub(super) fn silenced(error: ProviderError) -> ProviderError {
    let message = "the provider's answer repeats the credential, and is kept back".into();
    ProviderError { message, kind: None, code: None, param: None, ..error }
}

/// What a request came to that nobody answered.
#[derive(Debug, Clone)]
pub enum Refused {
    /// Bursar's own word.
    Bursar(Failure),
    /// The provider's answer to the app's own fault.
    Provider(ProviderAnswer),
}

impl Refused {
    /// The class of a request for which nobody was asked.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Bursar(failure) => match failure.code {
                Code::CapabilityMissing => Outcome::Caller,
                Code::TooLarge => Outcome::TooLarge,
                _ => Outcome::Unavailable,
            },
            Self::Provider(answer) => answer.error.outcome,
        }
    }

    /// The text for the record.
    pub fn message(&self) -> &str {
        match self {
            Self::Bursar(failure) => &failure.message,
            Self::Provider(answer) => &answer.error.message,
        }
    }
}

/// The attempts of a request that were not answered, in order.
#[derive(Debug, Default)]
pub(super) struct Failures(Vec<Failed>);

impl Failures {
    /// Adds the next.
    pub(super) fn push(&mut self, failed: Failed) {
        self.0.push(failed);
    }

    /// What the app is told: that it may come again, where any provider said so; else the first attempt's error.
    pub(super) fn verdict(
        self,
        skipped: &[Skipped],
        asked: &str,
        selection: &Selection,
        spent: Option<&Spent>,
        now: Instant,
    ) -> Refused {
        let limited = |failed: &&Failed| matches!(failed.outcome, Outcome::RateShort | Outcome::RateDay);
        let waits =
            self.0.iter().filter(limited).map(|failed| failed.retry_after.unwrap_or(bounds::RETRY_AFTER_DEFAULT));
        let count = self.0.len();
        let back = || earliest(skipped).map(|until| until.saturating_duration_since(now));
        if let Some(wait) = waits.min() {
            let wait = back().map_or(wait, |back| wait.min(back));
            let text = self.0.iter().find(limited).map_or("", |failed| failed.message.as_str());
            let message =
                format!("every connection for {asked:?} is out of room ({} tried): {text}", connections(count));
            return Refused::Bursar(Failure::new(Code::RateLimited, message).retry_after(seconds(wait)));
        }
        // Where any was asked, what could not be said to others is beside the point.
        let first = self.0.iter().position(|failed| !failed.unsaid).unwrap_or(0);
        let Some(first) = self.0.into_iter().nth(first) else {
            let of_budget = |one: &&Skipped| matches!(one.why, Skip::Budget { .. });
            let others = skipped.iter().filter(|one| !of_budget(one)).filter_map(|one| one.why.returns()).min();
            if let (None, Some(spent)) = (others, spent) {
                return Refused::Bursar(budget_spent(spent, now));
            }
            return Refused::Bursar(match back() {
                Some(wait) => out_of_room(asked, wait),
                None => nothing_to_try(skipped, asked, selection),
            });
        };
        match first.answer {
            Some(answer) if matches!(first.outcome, Outcome::Caller | Outcome::TooLarge) => Refused::Provider(answer),
            _ => {
                let more = if count > 1 {
                    format!(" ({} failed; this is the first)", connections(count))
                } else {
                    String::new()
                };
                let failure = Failure::new(first.code, format!("{}{more}", first.message));
                Refused::Bursar(Failure { param: first.param, ..failure })
            }
        }
    }
}

fn connections(count: usize) -> String {
    if count == 1 { "1 connection".into() } else { format!("{count} connections") }
}

/// When the first of those that were passed over is back.
fn earliest(skipped: &[Skipped]) -> Option<Instant> {
    skipped.iter().filter_map(|one| one.why.returns()).min()
}

/// A wait in whole seconds: whoever comes back then does not come too early.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Nothing can be tried now, and something will be.
fn out_of_room(asked: &str, wait: Duration) -> Failure {
    let seconds = seconds(wait);
    let message = format!("every connection for {asked:?} is out of room; one has some again in {seconds} s");
    Failure::new(Code::RateLimited, message).retry_after(seconds)
}

/// A budget is spent, and nothing goes around it.
fn budget_spent(spent: &Spent, now: Instant) -> Failure {
    let wait = seconds(spent.until.saturating_duration_since(now));
    Failure::new(Code::BudgetSpent, spent.message.clone()).retry_after(wait)
}

/// Why nothing could be tried, by the reason that helps most.
fn nothing_to_try(skipped: &[Skipped], asked: &str, selection: &Selection) -> Failure {
    let because = |wanted: fn(&Skip) -> bool| skipped.iter().find(|skipped| wanted(&skipped.why));
    let lacks = skipped.iter().find_map(|skipped| match skipped.why {
        Skip::Lacks(capability) => Some(capability),
        _ => None,
    });
    if let Some(capability) = lacks {
        return lacking(capability, asked, selection);
    }
    if because(|why| *why == Skip::Overdue).is_some() {
        return Failure::new(Code::UpstreamTimeout, "the request's time was over before anybody could be asked");
    }
    if because(|why| *why == Skip::TooLarge).is_some() {
        return Failure::new(
            Code::TooLarge,
            format!("the request is larger than the context window of every model for {asked:?}"),
        );
    }
    if let Some(one) = because(|why| *why == Skip::Rejected) {
        return Failure::new(
            Code::UpstreamAuth,
            format!("the provider refused the credential of {}: {}", one.connection, new_secret(one)),
        );
    }
    if let Some(one) = because(|why| *why == Skip::Parked) {
        let id = &one.connection;
        let message = format!(
            "the account of {id} is out of money or quota: it is asked again every hour, and by `bursar connections test {id}`"
        );
        return Failure::new(Code::UpstreamQuota, message);
    }
    if let Some(one) = because(|why| matches!(why, Skip::NotForKey { .. })) {
        let id = &one.connection;
        let message = format!("{id} may not use this model, as its provider said: it is asked again within the hour");
        return Failure::new(Code::UpstreamRefused, message);
    }
    let why = if let Some(one) = because(|why| *why == Skip::NeedsSecret) {
        format!("{} has no credential: {}", one.connection, new_secret(one))
    } else if let Some(one) = because(|why| *why == Skip::Disabled) {
        format!("{} is switched off: `bursar connections enable {}`", one.connection, one.connection)
    } else if let Some(one) = because(|why| *why == Skip::ProviderDisabled) {
        format!(
            "provider {} is switched off: `bursar providers enable {}`",
            one.connection.provider, one.connection.provider
        )
    } else if !skipped.is_empty() {
        "the connection that the request is pinned to does not serve this model".into()
    } else {
        "no connection is set up for it: `bursar credentials set PROVIDER` adds one".into()
    };
    Failure::new(Code::Unavailable, format!("nothing can serve {asked:?} now: {why}"))
}

/// How a connection comes to a new secret: where it was declared, it is not Bursar that keeps it.
fn new_secret(one: &Skipped) -> String {
    let id = &one.connection;
    match one.managed_by {
        ManagedBy::Toml => {
            format!("an operator gives {id} another secret in providers.toml, and runs `bursar reload`")
        }
        ManagedBy::Store => {
            format!("an operator sets a new one with `bursar credentials set {} --name {}`", id.provider, id.name)
        }
    }
}

fn lacking(capability: Capability, asked: &str, selection: &Selection) -> Failure {
    let slugs: Vec<_> = selection.having(capability).map(|provider| provider.slug.as_str()).collect();
    let who = match slugs.as_slice() {
        [] => "no provider here has it".into(),
        [one] => format!("{one} has it"),
        [all @ .., last] => format!("{} and {last} have it", all.join(", ")),
    };
    let message = format!("no model for {asked:?} has the capability {capability}, which the request needs: {who}");
    Failure::new(Code::CapabilityMissing, message)
}
