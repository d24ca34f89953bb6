//! What must hold in every case.

use std::time::Duration;

use bursar::api::{Outcome, Tokens, UsageRecord};
use serde_json::Value;

use super::case::{At, Case, Stage, Then};
use super::words::{PART, Words};
use super::world::Seen;
use crate::fake::openai;
use crate::harness::Reply;
use crate::harness::canary::prompt;
use crate::harness::canary_of_keys;
use crate::spoken::{Dialect, events};

/// The time for what nobody waits for: a retry's pause, and a busy machine. Every default timeout is far longer.
const SOON: Duration = Duration::from_secs(8);
/// A fault that lasts is cut short after 400 or 700 ms, and not before.
const CUT_SHORT: std::ops::Range<Duration> = Duration::from_millis(390)..Duration::from_millis(6_000);
/// From here on a case's memory is measured by itself.
const HEAVY_BYTES: usize = 4 * 1024 * 1024;

pub fn is_heavy(case: &Case) -> bool {
    let size = |does: &crate::fake::Behaviour| -> usize {
        let written = |step: &crate::fake::Step| match step {
            crate::fake::Step::Write(bytes) => bytes.len(),
            _ => 0,
        };
        does.steps.iter().map(written).sum()
    };
    matches!(&case.fault.at, At::Fake(does) if size(does) > HEAVY_BYTES) || case.fault.name == "bomb"
}

/// 3: the memory that a batch of cases took is no more than this one may.
pub fn memory(case: &Case, rise: usize) {
    let (name, most) = (case.name(), case.fault.bytes_max);
    assert!(rise <= most, "{name}: the peak of memory rose by {rise} bytes, and {most} are the most");
}

/// 1, 2 and 6: what the app is told.
pub fn told(app: Dialect, words: Words, seen: &Seen<'_>) {
    let Seen { case, reply, took, .. } = seen;
    let name = case.name();
    let lasts = case.outcome() == Outcome::Timeout && case.fault.name != "s408" && case.fault.name != "s504"
        || case.fault.then == Then::Cut("upstream_timeout");
    let time = if lasts { CUT_SHORT } else { Duration::ZERO..SOON };
    assert!(time.contains(took), "{name}: it took {took:?}");
    let clean = |text: &str| !text.contains(canary_of_keys()) && !text.contains(&prompt());
    assert!(clean(reply.text()) && clean(&format!("{:?}", reply.headers)), "{name}: {}", reply.text());
    assert!(reply.header("x-bursar-request-id").is_some_and(|id| id.starts_with("req_")), "{name}");
    if case.falls() {
        answered(app, reply, case, "fine");
        assert_eq!(reply.header("x-bursar-connection"), case.second().as_deref(), "{name}");
        return;
    }
    match case.fault.then {
        Then::Fine => answered(app, reply, case, "fine"),
        Then::Cut(code) => cut(app, reply, &name, code),
        Then::Fails(outcome, status, code) => refused(app, words, reply, &name, (outcome, status, code)),
    }
}

fn answered(app: Dialect, reply: &Reply, case: &Case, text: &str) {
    let (name, stream) = (case.name(), case.fault.stage.streams());
    assert_eq!((reply.status, reply.whole), (200, true), "{name}: {}", reply.text());
    assert_eq!(app.text(reply, stream), text, "{name}: {}", reply.text());
    if stream {
        assert_eq!(ends(app, reply), 1, "{name}: {}", reply.text());
    }
}

/// How often a stream says that it is over.
fn ends(app: Dialect, reply: &Reply) -> usize {
    let end = if app == Dialect::OpenAi { format!("data: {}", openai::DONE) } else { "event: message_stop".to_owned() };
    reply.text().lines().filter(|line| **line == *end).count()
}

fn cut(app: Dialect, reply: &Reply, name: &str, code: &str) {
    assert_eq!((reply.status, reply.whole), (200, true), "{name}: {}", reply.text());
    assert_eq!(app.text(reply, true), PART.concat(), "{name}: {}", reply.text());
    let all = events(reply.text());
    let errors: Vec<&Value> = all.iter().filter(|event| event["error"].is_object()).collect();
    let [error] = errors[..] else { panic!("{name}: one error: {}", reply.text()) };
    assert_eq!(all.last(), Some(error), "{name}: nothing follows it");
    shaped(app, error, name);
    assert_eq!(error["error"]["code"], code, "{name}: {error}");
    assert_eq!(ends(app, reply), 0, "{name}: a stream that failed is not done");
    let named = reply.text().lines().filter(|line| **line == *"event: error").count();
    assert_eq!(named, usize::from(app == Dialect::Anthropic), "{name}: {}", reply.text());
}

fn refused(app: Dialect, words: Words, reply: &Reply, name: &str, told: (Outcome, u16, &str)) {
    let (outcome, status, code) = told;
    assert_eq!(reply.status, status, "{name}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"), "{name}");
    let body = reply.json();
    shaped(app, &body, name);
    let limited = status == 429;
    assert_eq!(reply.header("x-should-retry"), Some(if limited { "true" } else { "false" }), "{name}");
    let after = if name.starts_with("s429-after") || name.starts_with("s429-date") { "7" } else { "15" };
    assert_eq!(reply.header("retry-after"), limited.then_some(after), "{name}");
    if matches!(outcome, Outcome::Caller | Outcome::TooLarge) && status < 500 {
        // The app's own fault: the provider's text, and its whole answer where both speak alike.
        assert_eq!(body["error"]["message"], "the fake was told to fail", "{name}: {body}");
        if app == words.0 {
            let sent: Value = serde_json::from_slice(&words.error(status).body()).expect("JSON");
            assert_eq!(body, sent, "{name}");
        }
        return;
    }
    assert_eq!(body["error"]["code"], code, "{name}: {body}");
}

/// An error as the dialect has them, with all their keys.
fn shaped(app: Dialect, body: &Value, name: &str) {
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{name}: no error object in {body}"));
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {body}");
    assert!(error["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{name}: {body}");
    match app {
        Dialect::OpenAi => assert!(["param", "code"].iter().all(|key| error.contains_key(*key)), "{name}: {body}"),
        _ => {
            assert_eq!(body["type"], "error", "{name}: {body}");
            let kind = error["type"].as_str().unwrap_or_default();
            let known = kind.ends_with("_error") || kind == "request_too_large";
            assert!(known && body.as_object().is_some_and(|body| body.contains_key("request_id")), "{name}: {body}");
        }
    }
}

/// 5: how often each connection was called, and what is left of that.
pub fn state(seen: &Seen<'_>) {
    let Seen { case, calls, health, running, .. } = seen;
    let name = case.name();
    let tries = if matches!(case.fault.at, At::Elsewhere(_)) { 0 } else { case.tries() };
    assert_eq!(*calls, (tries, usize::from(case.falls())), "{name}: calls of the first and of the second");
    assert_eq!(*running, 0, "{name}: nothing runs on");
    let outcome = case.outcome();
    let (state, failures) = match outcome {
        Outcome::Ok | Outcome::Caller | Outcome::TooLarge => ("ok", 0),
        Outcome::RateShort => ("cooling", 1),
        Outcome::Quota => ("parked", 1),
        Outcome::Credential => ("rejected", 1),
        _ => ("ok", case.tries()),
    };
    assert_eq!(health["state"], state, "{name}: {health}");
    assert_eq!(health["consecutive_failures"], failures, "{name}: {health}");
}

/// 4: one final record, and one for each attempt before it.
pub fn records(words: Words, all: &[UsageRecord], seen: &Seen<'_>) {
    let case = seen.case;
    let name = case.name();
    let own: Vec<&UsageRecord> = all.iter().filter(|record| record.feature.as_str() == name).collect();
    assert_eq!(own.len(), case.tries() + usize::from(case.falls()), "{name}: {own:?}");
    let (last, before) = own.split_last().expect("a record");
    assert!(last.is_final && before.iter().all(|record| !record.is_final), "{name}: {own:?}");
    let id = seen.reply.header("x-bursar-request-id");
    assert!(own.iter().all(|record| Some(record.request_id.to_string().as_str()) == id), "{name}");
    let failed: &[&UsageRecord] = if case.falls() { before } else { &own };
    for record in failed {
        assert_eq!(record.outcome, case.outcome(), "{name}: {record:?}");
        let is_error = case.outcome() != Outcome::Ok;
        assert_eq!(record.error.as_ref().is_some_and(|error| !error.is_empty()), is_error, "{name}: {record:?}");
        // Anthropic's providers tell what a prompt took before they say anything.
        let told = case.fault.stage == Stage::Before && words.0 == Dialect::Anthropic;
        if is_error && case.fault.stage != Stage::After && !(told && record.tokens.input == Some(openai::USAGE.0)) {
            assert!(record.tokens == Tokens::default() && record.cost.is_none(), "{name}: unknown is not nothing");
        }
    }
    if case.falls() {
        assert_eq!((last.outcome, last.tokens.input), (Outcome::Ok, Some(openai::USAGE.0)), "{name}");
    }
}
