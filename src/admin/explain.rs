//! Why requests went where they went, and where one would go.

use super::control::Admin;
use super::failure;
use super::view::count;
use crate::api::admin::{DryRun, ExplainAction, ExplainRequest, ExplainSource, ExplainedCandidate, ExplainedRequest};
use crate::api::execute::AUTO;
use crate::api::{AppName, Capabilities, Code, Failure, Feature, Moment, Operation, Outcome, RequestId, UsageRecord};
use crate::bounds;
use crate::clock::Now;
use crate::connection::admission::would_fit;
use crate::connection::budget::{Amounts, Budgets, Caller};
use crate::execute::{Attempted, Passed, PassedOver, Trace};
use crate::rotation::{Candidate, Candidates, Skip, Wanted};

impl Admin {
    /// Explains a request that has ended. Blocks.
    ///
    /// # Errors
    /// When nothing is known of it, or the records cannot be read.
    pub fn request(&self, id: RequestId) -> Result<ExplainedRequest, Failure> {
        match self.find(id)? {
            Some(explained) => Ok(explained),
            None => Err(self.unknown(id)),
        }
    }

    /// Explains a request to the app that made it, without what providers say of the operator's accounts. To any other app
    /// it is unknown. Blocks.
    ///
    /// # Errors
    /// As [`Admin::request`].
    pub fn request_of(&self, id: RequestId, app: &AppName) -> Result<ExplainedRequest, Failure> {
        match self.find(id)?.filter(|explained| explained.app == *app) {
            Some(explained) => Ok(for_app(explained)),
            None => Err(self.unknown(id)),
        }
    }

    fn find(&self, id: RequestId) -> Result<Option<ExplainedRequest>, Failure> {
        if let Some(trace) = self.engine.traces.of(id) {
            return Ok(Some(remembered(&trace, self.engine.clock.both())));
        }
        // Where the last records cannot be written, those that could be are still worth an answer.
        let _ = self.engine.recorder.flush().wait();
        Ok(recorded(&self.store.usage().of_request(id)?))
    }

    fn unknown(&self, id: RequestId) -> Failure {
        let hours = self.daemon().usage.retention.records.as_secs() / 3_600;
        let kept = if hours >= 48 { format!("{} days", hours / 24) } else { format!("{hours} hours") };
        let message = format!(
            "no request {id} is known: it may still be running, or be older than the {kept} for which records are kept \
             ([usage] retention)"
        );
        Failure::new(Code::NotFound, message)
    }

    /// Where a request would go now. Nothing is changed by asking.
    ///
    /// # Errors
    /// When no model is named, nobody knows it, or the connection is none.
    pub fn dry_run(&self, asked: ExplainRequest) -> Result<DryRun, Failure> {
        let snapshot = self.engine.snapshot.load_full();
        let model = match (asked.model, asked.route) {
            (Some(model), None) => model,
            (None, Some(route)) => route.to_string(),
            (None, None) if asked.feature.is_some() => AUTO.to_owned(),
            (None, None) => return Err(failure::at("model", "name a model, a route, or a feature that has a route")),
            (Some(_), Some(_)) => return Err(failure::at("route", "name a model or a route, not both")),
        };
        if let Some(pin) = asked.connection.as_ref().filter(|pin| !snapshot.connections.contains_key(pin)) {
            return Err(Failure::new(Code::NotFound, format!("there is no connection {pin}")).at("connection"));
        }
        let asked_tokens = asked.tokens.unwrap_or(1);
        let wanted = Wanted {
            model: model.clone(),
            feature: asked.feature.clone(),
            operation: Some(Operation::Chat),
            needs: asked.require.into_iter().fold(Capabilities::NONE, Capabilities::with),
            pin: asked.connection,
            tokens: asked.tokens,
        };
        let unknown =
            |error: crate::rotation::SelectionError| Failure::new(Code::UnknownModel, error.to_string()).at("model");
        let walk = snapshot.selection.candidates(wanted).map_err(unknown)?.only_looking();
        let now = self.engine.clock.both();
        let budgets = Asking { budgets: &snapshot.budgets, app: asked.app.as_ref(), feature: asked.feature.as_ref() };
        let (would, passed) = look(walk, budgets, asked_tokens, now);
        let message = verdict(&model, &would, &passed);
        Ok(DryRun {
            at: Moment(self.engine.clock.wall_ms()),
            model,
            feature: asked.feature,
            message,
            skipped_more: unnamed(&passed),
            candidates: in_order(would, &passed.named, now),
        })
    }
}

/// Whose budgets a request would spend.
#[derive(Clone, Copy)]
struct Asking<'a> {
    budgets: &'a Budgets,
    app: Option<&'a AppName>,
    feature: Option<&'a Feature>,
}

impl Asking<'_> {
    /// Why none of it may go to a candidate.
    fn stopped(self, candidate: &Candidate, tokens: u64, now: Now) -> Option<Skip> {
        let caller = Caller { app: self.app, feature: self.feature, connection: &candidate.connection.id };
        let need = Amounts { requests: 1, tokens, nano_usd: 0 };
        self.budgets.would_stop(caller, need, now).map(|spent| Skip::Budget { until: spent.until })
    }
}

/// The walk of a request that is not sent, as far as one that is would come.
fn look(mut walk: Candidates, asking: Asking<'_>, tokens: u64, now: Now) -> (Vec<ExplainedCandidate>, Passed) {
    let (mut would, mut passed) = (Vec::new(), Passed::default());
    while would.len() < bounds::ATTEMPTS_MAX {
        let next = walk.next(now.at);
        passed.note(walk.skipped(), would.len());
        let Some(candidate) = next else { break };
        if let Err(full) = would_fit(&candidate.connection.quotas.of(&candidate.model), tokens, now) {
            walk.pass_over(&candidate, Skip::OutOfRoom { until: full.until });
            continue;
        }
        if let Some(why) = asking.stopped(&candidate, tokens, now) {
            walk.pass_over(&candidate, why);
            continue;
        }
        walk.tried(&candidate);
        let message =
            if would.is_empty() { "it would be tried first" } else { "it would be tried if none before answers" };
        would.push(ExplainedCandidate {
            model: Some(candidate.model.to_string()),
            ..ExplainedCandidate::new(&candidate.connection.id, ExplainAction::WouldTry, message)
        });
    }
    (would, passed)
}

fn verdict(model: &str, would: &[ExplainedCandidate], passed: &Passed) -> String {
    match (would.first(), passed.count) {
        (Some(first), _) => {
            format!("{} would be asked for {}", first.connection, first.model.as_deref().unwrap_or(model))
        }
        (None, 0) => {
            format!("nothing can serve {model:?}: no connection is set up for it (`bursar credentials set PROVIDER`)")
        }
        (None, _) => format!("nothing can serve {model:?} now: every candidate is passed over"),
    }
}

/// A request as the daemon remembers it.
fn remembered(trace: &Trace, now: Now) -> ExplainedRequest {
    let labels = &trace.labels;
    ExplainedRequest {
        id: labels.request_id,
        at: Moment(trace.at_ms),
        app: labels.app.clone(),
        feature: labels.feature.clone(),
        model: labels.model.clone(),
        operation: labels.operation,
        stream: labels.stream,
        outcome: trace.outcome,
        error: trace.error.clone(),
        duration_ms: Some(trace.ms),
        waited_ms: Some(trace.attempts.iter().map(|one| one.waited_ms).sum::<u64>() + trace.waited_ms),
        source: ExplainSource::Memory,
        candidates: in_order(trace.attempts.iter().map(attempted).collect(), &trace.passed.named, now),
        skipped_more: Some(unnamed(&trace.passed)),
        note: None,
    }
}

/// A request as its records have it, in order; none without its last one: it still runs, or there is none.
fn recorded(records: &[UsageRecord]) -> Option<ExplainedRequest> {
    let (first, last) = (records.first()?, records.last().filter(|last| last.is_final)?);
    let note =
        "the usage records alone are left: whom the request passed over, and how long it waited, is not known any more";
    Some(ExplainedRequest {
        id: last.request_id,
        at: Moment(first.at_ms),
        app: last.app.clone(),
        feature: last.feature.clone(),
        model: last.model.clone(),
        operation: last.operation,
        stream: last.stream,
        outcome: last.outcome,
        error: last.error.clone(),
        duration_ms: None,
        waited_ms: None,
        source: ExplainSource::Records,
        candidates: records.iter().filter_map(of_record).collect(),
        skipped_more: None,
        note: Some(note.into()),
    })
}

/// Without the providers' texts where they are about the account: they may name it, and tell of its bills.
fn for_app(mut explained: ExplainedRequest) -> ExplainedRequest {
    let of_account = |outcome| {
        let about = [Outcome::RateShort, Outcome::RateDay, Outcome::Quota, Outcome::Credential, Outcome::NotForKey];
        about.contains(&outcome)
    };
    explained.error = explained.error.filter(|_| !of_account(explained.outcome));
    for one in &mut explained.candidates {
        one.error = one.error.take().filter(|_| !one.outcome.is_some_and(of_account));
    }
    explained
}

fn attempted(one: &Attempted) -> ExplainedCandidate {
    ExplainedCandidate {
        model: Some(one.model.to_string()),
        at: Some(Moment(one.at_ms)),
        waited_ms: Some(one.waited_ms),
        outcome: one.outcome,
        status: one.status,
        duration_ms: Some(one.ms),
        error: one.error.clone(),
        ..ExplainedCandidate::new(&one.connection, ExplainAction::Tried, one.outcome.map_or("it runs", ended))
    }
}

fn of_record(record: &UsageRecord) -> Option<ExplainedCandidate> {
    Some(ExplainedCandidate {
        model: record.model_served.clone(),
        at: Some(Moment(record.at_ms)),
        outcome: Some(record.outcome),
        status: record.status,
        duration_ms: Some(record.duration_ms),
        error: record.error.clone(),
        ..ExplainedCandidate::new(record.connection.as_ref()?, ExplainAction::Tried, ended(record.outcome))
    })
}

fn skipped(one: &PassedOver, now: Now) -> ExplainedCandidate {
    let reason = Some(one.why.name().to_owned());
    let until = one.why.until().map(|until| Moment(now.wall_of(until)));
    ExplainedCandidate {
        reason,
        until,
        ..ExplainedCandidate::new(&one.connection, ExplainAction::Skipped, &one.why.to_string())
    }
}

/// Those that were tried, and between them those that were passed over on the way.
fn in_order(tried: Vec<ExplainedCandidate>, passed: &[PassedOver], now: Now) -> Vec<ExplainedCandidate> {
    let mut all = Vec::with_capacity(tried.len() + passed.len());
    let mut passed = passed.iter().peekable();
    for (place, one) in tried.into_iter().enumerate() {
        while let Some(before) = passed.next_if(|one| one.after <= place) {
            all.push(skipped(before, now));
        }
        all.push(one);
    }
    all.extend(passed.map(|one| skipped(one, now)));
    all
}

fn unnamed(passed: &Passed) -> u64 {
    count(passed.count.saturating_sub(passed.named.len()))
}

/// What the class of an attempt's end means.
const fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "it answered",
        Outcome::Transient => "it failed in a way that may well be over a moment later",
        Outcome::Timeout => "it did not answer in time",
        Outcome::RateShort => "the provider's rate limit was reached",
        Outcome::RateDay => "the provider's limit for the day was reached",
        Outcome::Quota => "the account's money or quota is spent",
        Outcome::Credential => "the provider refused the credential",
        Outcome::NotForKey => "the provider refuses this credential this model",
        Outcome::TooLarge => "the request is larger than the provider takes",
        Outcome::Caller => "the request itself was refused",
        Outcome::InBand => "the provider reported an error inside its reply",
        Outcome::Cut => "the reply broke off",
        Outcome::ClientGone => "the app hung up",
        Outcome::Unavailable => "it could not be tried",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Instant;
    use crate::rotation::Skip;

    fn passed(after: usize, name: &str) -> PassedOver {
        PassedOver { after, connection: name.parse().unwrap(), why: Skip::Disabled }
    }

    #[test]
    fn those_who_were_passed_over_stand_where_the_walk_met_them() {
        let tried =
            ["a:1", "a:2"].map(|id| ExplainedCandidate::new(&id.parse().unwrap(), ExplainAction::Tried, "")).into();
        let named = vec![passed(0, "b:1"), passed(0, "b:2"), passed(1, "c:1"), passed(2, "d:1")];
        let now = Now { at: Instant::now(), wall_ms: 0 };
        let all = in_order(tried, &named, now);
        let names: Vec<_> = all.iter().map(|one| one.connection.to_string()).collect();
        assert_eq!(names, ["b:1", "b:2", "a:1", "c:1", "a:2", "d:1"]);
        assert_eq!((all[0].reason.as_deref(), all[0].message.as_str()), (Some("disabled"), "it is switched off"));
    }
}
