//! Every way in which a provider may fail, with one connection and with two, streamed and not: what the app is told,
//! how often the provider was called, what was recorded.

use std::collections::HashMap;

use bursar::api::{Outcome, Tokens, UsageRecord};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Framing, Refusing, Reply as Answer, broken, openai};
use crate::harness::client::{Event, error_code, said};
use crate::harness::{Bursar, Call, Reply, Setup, key_of};

/// A provider's misbehaviour before there is content, and what follows.
struct Fault {
    name: &'static str,
    does: Behaviour,
    outcome: Outcome,
    /// The status and the code that the app sees where nobody else can answer.
    told: (u16, &'static str),
    /// Calls of one connection: what may pass is tried once more.
    calls: usize,
    /// Whether the next connection is tried.
    falls: bool,
}

impl Fault {
    fn new(name: &'static str, does: impl Into<Behaviour>, outcome: Outcome, told: (u16, &'static str)) -> Self {
        let calls = if outcome == Outcome::Transient { 2 } else { 1 };
        let falls = !matches!(outcome, Outcome::Timeout | Outcome::Caller);
        Self { name, does: does.into(), outcome, told, calls, falls }
    }
}

/// The faults that a stream and a whole reply share.
fn faults(stream: bool) -> Vec<Fault> {
    use Outcome::{Caller, Credential, NotForKey, Quota, RateShort, Timeout, Transient};
    let reply = if stream { openai::stream(&["never"]).reply() } else { openai::chat("never") };
    let head_only = reply.clone().hang_after(0);
    let quota = openai::error_with(429, "insufficient_quota", &json!("insufficient_quota"));
    let numbered = |code: u16| openai::error_object("whatever", &json!(code));
    vec![
        Fault::new("s400", openai::error(400), Caller, (400, "null")),
        Fault::new("s401", openai::error(401), Credential, (502, "upstream_auth")),
        Fault::new("s402", openai::error(402), Quota, (502, "upstream_quota")),
        Fault::new("s403", openai::error(403), NotForKey, (502, "upstream_refused")),
        Fault::new("s404", openai::error(404), NotForKey, (502, "upstream_refused")),
        Fault::new("s408", openai::error(408), Timeout, (504, "upstream_timeout")),
        Fault::new("s422", openai::error(422), Caller, (422, "null")),
        Fault::new("s429", openai::error(429), RateShort, (429, "rate_limited")),
        Fault::new("s429-quota", quota, Quota, (502, "upstream_quota")),
        Fault::new("s500", openai::error(500), Transient, (502, "upstream_error")),
        Fault::new("s503", openai::error(503), Transient, (502, "upstream_error")),
        Fault::new("s504", openai::error(504), Timeout, (504, "upstream_timeout")),
        Fault::new("s529", openai::error(529), Transient, (502, "upstream_error")),
        Fault::new("s500-bare", Answer::bare(500), Transient, (502, "upstream_error")),
        Fault::new("hang", Behaviour::hang(), Timeout, (504, "upstream_timeout")),
        Fault::new("head-only", head_only, Timeout, (504, "upstream_timeout")),
        Fault::new("close", Behaviour::close(), Transient, (502, "upstream_cut")),
        Fault::new("reset", Behaviour::reset(), Transient, (502, "upstream_cut")),
        Fault::new("garbage", broken::garbage(), Transient, (502, "upstream_invalid")),
        Fault::new("many-headers", broken::many_headers(1_000), Transient, (502, "upstream_invalid")),
        Fault::new("html", broken::html(), Transient, (502, "upstream_invalid")),
        Fault::new("half-json", broken::half_json(), Transient, (502, "upstream_invalid")),
        Fault::new("empty", broken::empty(), Transient, (502, "upstream_invalid")),
        Fault::new("short", broken::short_length(openai::chat("x")), Transient, (502, "upstream_cut")),
        Fault::new("compressed", reply.header("content-encoding", "gzip"), Transient, (502, "upstream_invalid")),
        Fault::new("in-band-401", Answer::json(200, &numbered(401)), Credential, (502, "upstream_auth")),
        Fault::new("in-band-429", Answer::json(200, &numbered(429)), RateShort, (429, "rate_limited")),
        Fault::new("in-band-503", Answer::json(200, &numbered(503)), Transient, (502, "upstream_error")),
    ]
}

/// The faults that only a stream can have, none of them after content.
fn stream_faults() -> Vec<Fault> {
    use Outcome::{InBand, RateShort, Timeout, Transient};
    let opening = || openai::opening(&[]);
    let numbered = |code: u16| openai::error_object("whatever", &json!(code));
    let nameless = openai::error_object("odd", &Value::Null);
    vec![
        Fault::new("role-then-cut", opening().reply().cut_after(1), Transient, (502, "upstream_cut")),
        Fault::new("role-then-reset", opening().reply().reset_after(1), Transient, (502, "upstream_cut")),
        Fault::new("role-then-end", opening(), Transient, (502, "upstream_invalid")),
        Fault::new("nothing-at-all", Events::new(), Transient, (502, "upstream_invalid")),
        Fault::new("role-then-hang", opening().reply().hang_after(1), Timeout, (504, "upstream_timeout")),
        Fault::new("frame-503", opening().json(&numbered(503)), Transient, (502, "upstream_error")),
        Fault::new("frame-429", opening().comment("ping").json(&numbered(429)), RateShort, (429, "rate_limited")),
        Fault::new("frame-named", opening().event("error", &numbered(500)), Transient, (502, "upstream_error")),
        Fault::new("frame-nameless", opening().json(&nameless), InBand, (502, "upstream_error")),
        Fault::new("frame-unreadable", opening().data("{\"choi"), Transient, (502, "upstream_error")),
    ]
}

/// What one run of calls needs: a provider for each fault and number of connections.
async fn run(faults: Vec<Fault>, streamed: bool) {
    let fake = FakeProvider::start().await;
    let ok = if streamed { openai::stream(&["fine"]).into() } else { Behaviour::from(openai::chat("fine")) };
    let mut setup = Setup::new();
    for fault in &faults {
        // Only a fault that lasts is cut short: nothing else may be taken for it on a busy machine.
        let short = "timeouts = { first_byte = \"400ms\", first_byte_streamed = \"400ms\", idle = \"400ms\" }";
        let lines = if fault.outcome == Outcome::Timeout { short } else { "" };
        for (suffix, connections) in [("one", 1), ("two", 2)] {
            let provider = format!("{}-{suffix}", fault.name);
            setup = setup.provider_with(&provider, &fake.url(), lines);
            for (rank, name) in (1..=connections).zip(["a", "b"]) {
                setup = setup.connection(&format!("{provider}:{name}"), &format!("priority = {rank}"));
            }
            fake.for_key(&key_of(&format!("{provider}:a"))).always(fault.does.clone());
            fake.for_key(&key_of(&format!("{provider}:b"))).always(ok.clone());
        }
    }
    let bursar = setup.start().await;
    let calls = faults.iter().flat_map(|fault| ["one", "two"].map(|suffix| (fault, suffix)));
    let told: Vec<(&Fault, &str, Reply)> = stream::iter(calls)
        .map(|(fault, suffix)| {
            let bursar = &bursar;
            async move {
                let call = Call::chat_as(&format!("{}-{suffix}/m", fault.name), streamed);
                (fault, suffix, bursar.call(call.header("x-bursar-feature", fault.name)).await)
            }
        })
        .buffer_unordered(8)
        .collect()
        .await;
    for (fault, suffix, reply) in &told {
        let second = *suffix == "two" && fault.falls;
        check_reply(fault, reply, second, streamed);
        let called = |connection: &str| {
            let key = key_of(&format!("{}-{suffix}:{connection}", fault.name));
            fake.seen().iter().filter(|seen| seen.key() == Some(&key)).count()
        };
        assert_eq!(called("a"), fault.calls, "{}: calls of the first connection", fault.name);
        assert_eq!(called("b"), usize::from(second), "{}: calls of the second connection", fault.name);
        let attempts = fault.calls + usize::from(second);
        assert_eq!(reply.header("x-bursar-attempts"), Some(attempts.to_string().as_str()), "{}", fault.name);
    }
    let records = bursar.stop().await.records();
    for (fault, suffix, _) in &told {
        let provider = format!("{}-{suffix}", fault.name);
        check_records(fault, &of_provider(&records, &provider), *suffix == "two" && fault.falls);
    }
}

fn of_provider<'a>(records: &'a [UsageRecord], provider: &str) -> Vec<&'a UsageRecord> {
    let is_it = |record: &&UsageRecord| record.provider.as_ref().is_some_and(|own| own.as_str() == provider);
    records.iter().filter(is_it).collect()
}

fn check_reply(fault: &Fault, reply: &Reply, second: bool, streamed: bool) {
    let name = fault.name;
    if second {
        assert_eq!((reply.status, reply.whole), (200, true), "{name}: {}", reply.text());
        let text = if streamed { said(&reply.events()) } else { reply.content() };
        assert_eq!(text, "fine", "{name}");
        assert_eq!(reply.header("x-bursar-connection"), Some(format!("{name}-two:b").as_str()));
        return;
    }
    assert_eq!(reply.status, fault.told.0, "{name}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"), "{name}");
    assert!(reply.header("x-bursar-request-id").is_some_and(|id| id.starts_with("req_")), "{name}");
    if fault.outcome == Outcome::Caller {
        // The app's own fault: the provider's answer, unchanged.
        assert_eq!(reply.json(), openai::error_object("invalid_request_error", &Value::Null), "{name}");
        assert_eq!(reply.header("x-should-retry"), Some("false"), "{name}");
        return;
    }
    assert_eq!(reply.code(), fault.told.1, "{name}: {}", reply.text());
    let limited = fault.told.0 == 429;
    assert_eq!(reply.header("x-should-retry"), Some(if limited { "true" } else { "false" }), "{name}");
    assert_eq!(reply.header("retry-after"), limited.then_some("15"), "{name}");
}

fn check_records(fault: &Fault, records: &[&UsageRecord], second: bool) {
    let name = fault.name;
    assert_eq!(records.len(), fault.calls + usize::from(second), "{name}: {records:?}");
    let (last, before) = records.split_last().unwrap();
    assert!(last.is_final && before.iter().all(|record| !record.is_final), "{name}: {records:?}");
    let failed = if second { before } else { records };
    for record in failed {
        assert_eq!(record.outcome, fault.outcome, "{name}");
        assert_eq!((record.tokens, record.cost), (Tokens::default(), None), "{name}: unknown is not nothing");
        assert!(record.error.as_ref().is_some_and(|error| !error.is_empty()), "{name}: {record:?}");
        assert_eq!(record.feature.as_str(), name);
    }
    if second {
        assert_eq!((last.outcome, last.tokens.input), (Outcome::Ok, Some(openai::USAGE.0)), "{name}");
    }
}

#[tokio::test]
async fn whole_replies_fail_in_every_way() {
    run(faults(false), false).await;
}

#[tokio::test]
async fn streams_fail_in_every_way_before_content() {
    let mut all = faults(true);
    all.extend(stream_faults());
    run(all, true).await;
}

/// A stream that fails after content: the app got a part of it, is told so, and nothing is tried again.
#[tokio::test]
async fn streams_fail_in_every_way_after_content() {
    let fake = FakeProvider::start().await;
    let part = || openai::opening(&["Hel", "lo"]);
    let error = openai::error_object("whatever", &json!(503));
    let cases: Vec<(&str, Behaviour, &str)> = vec![
        ("cut", part().reply().cut_after(3), "upstream_cut"),
        ("reset", part().reply().reset_after(3), "upstream_cut"),
        ("end", part().into(), "upstream_cut"),
        ("end-by-close", part().reply().framed(Framing::Close).into(), "upstream_cut"),
        ("error-frame", part().json(&error).into(), "upstream_error"),
        ("error-event", part().event("error", &error).into(), "upstream_error"),
        ("unreadable", part().data("{\"choi").into(), "upstream_error"),
        ("hang", part().reply().hang_after(3), "upstream_timeout"),
        ("usage-then-cut", part().json(&openai::usage(openai::USAGE)).reply().cut_after(4), "upstream_cut"),
    ];
    let mut setup = Setup::new();
    for (name, does, _) in &cases {
        let lines = if *name == "hang" { "timeouts = { idle = \"400ms\" }" } else { "" };
        setup = setup.provider_with(name, &fake.url(), lines);
        setup = setup.connection(&format!("{name}:a"), "priority = 1").connection(&format!("{name}:b"), "priority = 2");
        fake.for_key(&key_of(&format!("{name}:a"))).always(does.clone());
        fake.for_key(&key_of(&format!("{name}:b"))).always(openai::stream(&["never"]));
    }
    let bursar = setup.start().await;
    let calls = cases.iter().map(|(name, ..)| bursar.call(Call::stream(&format!("{name}/m"))));
    let replies = futures_util::future::join_all(calls).await;
    for ((name, _, code), reply) in cases.iter().zip(&replies) {
        assert_eq!((reply.status, reply.whole), (200, true), "{name}");
        let events = reply.events();
        assert_eq!(said(&events), "Hello", "{name}");
        let Some(Event::Json(last)) = events.last() else { panic!("{name}: {events:?}") };
        assert_eq!(error_code(last), *code, "{name}");
        assert!(!events.contains(&Event::Done), "{name}: a stream that failed is not done");
    }
    assert_eq!(fake.seen().len(), cases.len(), "nothing was sent twice");
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), cases.len());
    for (name, ..) in &cases {
        let [record] = of_provider(&records, name)[..] else { panic!("{name}: one record") };
        assert!(record.is_final && record.outcome == Outcome::Cut, "{name}: {record:?}");
        let known = *name == "usage-then-cut";
        // "Hello" has five bytes: two tokens at a guess, where nobody told.
        assert_eq!(record.tokens.output, Some(if known { openai::USAGE.1 } else { 2 }), "{name}");
        assert!(record.estimated && record.partial, "{name}: figures of a part are marked");
        assert!(record.ttft_ms.is_some(), "{name}");
    }
}

/// Streams that are odd and yet complete.
#[tokio::test]
async fn streams_that_are_odd_are_completed() {
    let fake = FakeProvider::start().await;
    let done = |events: &Events| events.clone().data(openai::DONE);
    let part = openai::opening(&["Hel", "lo"]).json(&openai::finish());
    let cases: Vec<(&str, Behaviour)> = vec![
        ("plain", openai::stream(&["Hel", "lo"]).into()),
        ("no-done", part.clone().into()),
        ("no-done-by-close", part.clone().reply().framed(Framing::Close).into()),
        ("finish-then-cut", part.clone().reply().cut_after(4)),
        ("no-finish", done(&openai::opening(&["Hel", "lo"])).into()),
        ("late-frames", done(&part).json(&openai::text("late")).data(openai::DONE).into()),
        ("crlf", openai::stream(&["Hel", "lo"]).crlf().into()),
        (
            "comments",
            openai::opening(&["Hel"]).comment("ping").json(&openai::text("lo")).json(&openai::finish()).into(),
        ),
        ("drip", openai::stream(&["Hel", "lo"]).reply().whole().drip()),
        ("unknown-type", octets(&openai::stream(&["Hel", "lo"]))),
        ("no-blank-line", done(&part).take(4).raw(format!("data: {}", openai::DONE)).into()),
    ];
    let mut setup = Setup::new();
    for (name, does) in &cases {
        setup = setup.provider(name, &fake.url()).connection(&format!("{name}:a"), "");
        fake.for_key(&key_of(&format!("{name}:a"))).always(does.clone());
    }
    let bursar = setup.start().await;
    for (name, _) in &cases {
        let reply = bursar.call(Call::stream(&format!("{name}/m"))).await;
        assert_eq!((reply.status, reply.whole), (200, true), "{name}");
        let events = reply.events();
        assert_eq!(said(&events), "Hello", "{name}");
        assert_eq!(events.last(), Some(&Event::Done), "{name}: {}", reply.text());
        assert_eq!(events.iter().filter(|event| **event == Event::Done).count(), 1, "{name}");
    }
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), cases.len());
    assert!(records.iter().all(|record| record.is_final && record.outcome == Outcome::Ok), "{records:?}");
}

/// The same events under a media type that says nothing.
fn octets(events: &Events) -> Behaviour {
    let whole = events.clone().reply().whole();
    let steps = whole.steps.into_iter().map(|step| match step {
        crate::fake::Step::Write(bytes) => {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            crate::fake::Step::Write(text.replace("content-type: text/event-stream; charset=utf-8\r\n", "").into())
        }
        other => other,
    });
    Behaviour { steps: steps.collect() }
}

/// Replies larger than Bursar takes.
#[tokio::test]
async fn what_is_too_large_is_not_read_to_its_end() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:a")).always(broken::oversize(bursar::bounds::REPLY_BODY_BYTES_MAX + 1));
    fake.for_key(&key_of("two:a")).always(broken::long_frame(bursar::bounds::STREAM_FRAME_BYTES_MAX + 1));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).ranked("two", &fake.url(), &["a"]).start().await;
    for call in [Call::chat("one/m"), Call::stream("two/m")] {
        let reply = bursar.call(call).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_too_large"));
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_provider_that_nobody_reaches_is_said_so() {
    let (fake, refusing) = (FakeProvider::start().await, Refusing::bind());
    fake.always(openai::chat("fine"));
    let bursar = Setup::new()
        .ranked("gone", &refusing.url(), &["a"])
        .ranked("here", &fake.url(), &["a"])
        .providers("[routes.both]\ntargets = [\"gone/m\", \"here/m\"]\n")
        .start()
        .await;
    let reply = bursar.call(Call::chat("gone/m")).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_unreachable"));
    let reply = bursar.call(Call::chat("both")).await;
    assert_eq!((reply.content().as_str(), reply.header("x-bursar-provider")), ("fine", Some("here")));
    bursar.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (fake, elsewhere) = (FakeProvider::start().await, FakeProvider::start().await);
    let statuses = [301, 302, 303, 307, 308];
    fake.script(statuses.iter().flat_map(|status| {
        let to = format!("{}/v1/chat/completions", elsewhere.url());
        [broken::redirect(*status, &to), broken::redirect(*status, &to)]
    }));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    for status in statuses {
        let reply = bursar.call(Call::chat("one/m")).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{status}");
        assert_eq!(reply.header("location"), None);
    }
    assert!(elsewhere.seen().is_empty() && elsewhere.open_connections() == 0);
    bursar.stop().await;
}

/// The class of every record, by connection.
#[tokio::test]
async fn a_transient_failure_is_tried_once_more_and_then_forgotten() {
    let fake = FakeProvider::start().await;
    fake.script([Behaviour::from(openai::error(503)), Behaviour::from(openai::chat("again"))]);
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.content().as_str(), reply.header("x-bursar-attempts")), ("again", Some("2")));
    assert_eq!(reply.header("x-bursar-connection"), Some("one:a"), "the same connection once more");
    let outcomes: HashMap<bool, Outcome> =
        bursar.stop().await.records().iter().map(|record| (record.is_final, record.outcome)).collect();
    assert_eq!(outcomes, HashMap::from([(false, Outcome::Transient), (true, Outcome::Ok)]));
}

/// A provider that repeats the key that it was sent in its error: neither the app, nor a record, nor the log sees it.
/// (The harness looks for it everywhere.)
#[tokio::test]
async fn a_key_that_a_provider_repeats_is_kept_back() {
    let fake = FakeProvider::start().await;
    let statuses = [400, 401, 403, 404, 413, 422, 429, 500, 503];
    let mut setup = Setup::new();
    for status in statuses {
        for (name, stream) in [(format!("w{status}"), false), (format!("s{status}"), true)] {
            setup = setup.provider(&name, &fake.url()).connection(&format!("{name}:a"), "");
            let key = key_of(&format!("{name}:a"));
            let mut error = openai::error_object("invalid_request_error", &json!(key));
            error["error"]["message"] = json!(format!("the key {key} is wrong"));
            error["error"]["param"] = json!(key);
            let in_band = if status == 400 && stream {
                openai::opening(&[]).json(&error).into()
            } else {
                Behaviour::from(Answer::json(status, &error))
            };
            fake.for_key(&key).always(in_band);
        }
    }
    let bursar = setup.start().await;
    for status in statuses {
        for (name, stream) in [(format!("w{status}"), false), (format!("s{status}"), true)] {
            let reply = bursar.call(Call::chat_as(&format!("{name}/m"), stream)).await;
            assert!(reply.status >= 400, "{name}: {}", reply.status);
        }
    }
    bursar.stop().await;
}

/// A provider that repeats the prompt in its error: the app may see it, the log and the store may not.
#[tokio::test]
async fn a_prompt_that_a_provider_repeats_is_not_kept() {
    let fake = FakeProvider::start().await;
    let mut error = openai::error_object("invalid_request_error", &Value::Null);
    error["error"]["message"] = json!(format!("cannot work with {:?}", crate::harness::canary::prompt()));
    let statuses = [400, 413, 422];
    for status in statuses {
        fake.for_key(&key_of(&format!("p{status}:a"))).always(Answer::json(status, &error));
    }
    let setup = statuses.iter().fold(Setup::new(), |setup, status| {
        setup.provider(&format!("p{status}"), &fake.url()).connection(&format!("p{status}:a"), "")
    });
    let bursar = setup.start().await;
    for status in statuses {
        let reply = bursar.call_unheard(Call::chat(&format!("p{status}/m"))).await;
        assert!(reply.status >= 400);
    }
    bursar.stop().await;
}

/// A reply of another shape than it should have: what it says is in no error, no record and no log.
#[tokio::test]
async fn a_reply_that_cannot_be_read_is_not_quoted() {
    let fake = FakeProvider::start().await;
    let prompt = crate::harness::canary::prompt();
    let odd = [
        json!({"choices": prompt}),
        json!({"choices": [{"index": prompt, "message": prompt}]}),
        json!([prompt]),
        json!(prompt),
    ];
    fake.script(odd.iter().flat_map(|body| [Answer::json(200, body), Answer::json(200, body)]));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    for body in &odd {
        let reply = bursar.call(Call::chat("one/m")).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_invalid"), "{body}");
    }
    bursar.stop().await;
}

/// The provider's answer to a request that is the app's own fault, read by nobody but the app.
#[tokio::test]
async fn a_callers_fault_on_a_later_provider_is_not_its_fault() {
    let fake = FakeProvider::start().await;
    let bursar = two_providers(&fake).await;
    fake.for_key(&key_of("one:a")).script([openai::error(400)]);
    let reply = bursar.call(Call::chat("both")).await;
    assert_eq!((reply.status, reply.header("x-bursar-attempts")), (400, Some("1")), "the first one's word counts");

    fake.for_key(&key_of("one:a")).script([openai::error(403)]);
    fake.for_key(&key_of("two:a")).script([openai::error(400)]);
    let reply = bursar.call(Call::chat("both")).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_refused"), "the first attempt's error");
    assert_eq!(reply.header("x-bursar-attempts"), Some("2"));
    let outcomes: Vec<_> = bursar.stop().await.records().iter().map(|one| (one.outcome, one.is_final)).collect();
    assert_eq!(outcomes, [(Outcome::Caller, true), (Outcome::NotForKey, false), (Outcome::Caller, true)]);
}

/// A flagged prompt is the app's fault, and yet no 403 of Bursar's.
#[tokio::test]
async fn a_providers_403_for_a_prompt_is_a_400_for_the_app() {
    let fake = FakeProvider::start().await;
    let error = json!({"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"]}}});
    fake.always(Answer::json(403, &error));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a", "b"]).start().await;
    for stream in [false, true] {
        let reply = bursar.call(Call::chat_as("one/m", stream)).await;
        assert_eq!((reply.status, reply.json()), (400, error.clone()));
    }
    assert_eq!(fake.seen().len(), 2);
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.outcome == Outcome::Caller && record.status == Some(403)));
}

/// SDKs come again by themselves after a 409: that would be refused again.
#[tokio::test]
async fn a_providers_answer_that_is_passed_on_asks_for_no_retry() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(409));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let execute = Call::post("/v1/execute", &json!({"model": "one/m", "input": "x"}));
    for call in [Call::chat("one/m"), Call::stream("one/m"), execute] {
        let reply = bursar.call(call).await;
        assert_eq!((reply.status, reply.header("x-should-retry")), (409, Some("false")), "{}", reply.text());
    }
    bursar.stop().await;
}

/// The beginning of an error tells what it is, even where the rest never comes.
#[tokio::test]
async fn what_came_of_an_error_in_time_is_not_lost() {
    let fake = FakeProvider::start().await;
    let error = openai::error(400);
    let claimed = error.body_len() + 10;
    fake.always(error.framed(Framing::Claimed(claimed)).hang_after(1));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let reply = bursar.call(Call::chat("one/m").header("x-bursar-timeout-ms", "700")).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(reply.json(), openai::error_object("invalid_request_error", &Value::Null));
    bursar.stop().await;
}

#[tokio::test]
async fn a_stream_that_the_deadline_ends_names_the_deadline() {
    let fake = FakeProvider::start().await;
    fake.always(openai::opening(&["Hel", "lo"]).reply().hang_after(3));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let reply = bursar.call(Call::stream("one/m").header("x-bursar-timeout-ms", "700")).await;
    let events = reply.events();
    let Some(Event::Json(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!((said(&events).as_str(), error_code(last).as_str()), ("Hello", "upstream_timeout"));
    assert!(last["error"]["message"].as_str().unwrap().contains("deadline"), "{last}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_providers_429_for_a_request_that_is_too_large_is_a_413_for_the_app() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error_with(429, "tokens", &json!("request_too_large")));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"));
    assert_eq!((reply.header("retry-after"), reply.header("x-should-retry")), (None, Some("false")));
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.outcome == Outcome::TooLarge && record.status == Some(429)));
}

/// A server that gives the answers one after the other, and breaks off in the second.
#[tokio::test]
async fn a_stream_that_is_cut_in_its_second_answer_is_cut() {
    let fake = FakeProvider::start().await;
    let mut second = openai::text("sec");
    second["choices"][0]["index"] = json!(1);
    let first = openai::opening(&["first"]).json(&openai::finish());
    fake.script([first.clone().json(&second).into(), first.json(&second).reply().cut_after(4)]);
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    for _ in 0..2 {
        let events = bursar.call(Call::stream("one/m")).await.events();
        let Some(Event::Json(last)) = events.last() else { panic!("{events:?}") };
        assert_eq!(error_code(last), "upstream_cut");
    }
    let records = bursar.stop().await.records();
    assert_eq!(records.iter().map(|one| one.outcome).collect::<Vec<_>>(), [Outcome::Cut, Outcome::Cut]);
}

/// An SDK that asked for a stream reads nothing else.
#[tokio::test]
async fn an_answer_at_once_is_a_stream_for_an_app_that_asked_for_one() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("all of it"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let mut body = crate::harness::client::chat("one/m");
    body["stream"] = json!(true);
    for (usage, count) in [(false, 3), (true, 4)] {
        body["stream_options"] = json!({"include_usage": usage});
        let reply = bursar.call(Call::post("/v1/chat/completions", &body)).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
        let events = reply.events();
        assert_eq!((said(&events).as_str(), events.last()), ("all of it", Some(&Event::Done)), "{events:?}");
        assert_eq!(events.len(), count, "{events:?}");
    }
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.outcome == Outcome::Ok && record.tokens.input == Some(openai::USAGE.0)));
}

async fn two_providers(fake: &FakeProvider) -> Bursar {
    Setup::new()
        .ranked("one", &fake.url(), &["a"])
        .ranked("two", &fake.url(), &["a"])
        .providers("[routes.both]\ntargets = [\"one/m\", \"two/m\"]\n")
        .start()
        .await
}
