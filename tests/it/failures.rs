//! What follows from a provider's failure beyond the matrix of faults: who is told what, and what is kept back.

use std::collections::HashMap;

use bursar::api::Outcome;
use serde_json::{Value, json};

use crate::fake::{Behaviour, FakeProvider, Framing, Refusing, Reply as Answer, broken, openai};
use crate::harness::client::{Event, error_code, said};
use crate::harness::{Bursar, Call, Setup, key_of};

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

/// A route whose targets' models take ever more.
async fn windows(fake: &FakeProvider) -> Bursar {
    fake.always(openai::chat("fine"));
    let names = [("small", 1_000), ("alike", 900), ("large", 1_000_000)];
    let setup = names.into_iter().fold(Setup::new(), |setup, (name, window)| {
        let model = format!("[providers.{name}.models.w]\ncontext_window = {window}\n");
        setup.ranked(name, &fake.url(), &["a", "b"]).providers(&model)
    });
    setup.providers("[routes.all]\ntargets = [\"small/w\", \"alike/w\", \"large/w\"]\n").start().await
}

#[tokio::test]
async fn a_request_that_is_too_large_for_a_model_goes_to_one_with_more_room_and_cools_nobody() {
    let fake = FakeProvider::start().await;
    let bursar = windows(&fake).await;
    let error = openai::error_with(400, "invalid_request_error", &json!("context_length_exceeded"));
    fake.for_key(&key_of("small:a")).script([error.clone(), error.clone()]);
    let reply = bursar.call(Call::chat("all")).await;
    assert_eq!((reply.header("x-bursar-connection"), reply.header("x-bursar-attempts")), (Some("large:a"), Some("2")));
    let shown = bursar.call(Call::get("/admin/v1/connections/small:a")).await.json()["health"].clone();
    assert_eq!((&shown["state"], &shown["consecutive_failures"]), (&json!("ok"), &json!(0)), "{shown}");
    // Where nobody has more room the app is told what the provider said.
    let reply = bursar.call(Call::chat("small/w")).await;
    assert_eq!((reply.status, reply.header("x-bursar-attempts")), (400, Some("1")), "the other key has the same model");
    assert_eq!(reply.json()["error"]["code"], "context_length_exceeded");
    bursar.stop().await;
}

#[tokio::test]
async fn a_text_that_no_tokens_could_make_fit_is_not_sent() {
    let fake = FakeProvider::start().await;
    let bursar = windows(&fake).await;
    let text = "a".repeat(20_000);
    let body = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": text}]});
    let ask = |model: &str| Call::post("/v1/chat/completions", &body(model));
    let reply = bursar.call(ask("all")).await;
    assert_eq!((reply.header("x-bursar-connection"), reply.header("x-bursar-attempts")), (Some("large:a"), Some("1")));
    let reply = bursar.call(ask("small/w")).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"), "{}", reply.text());
    assert_eq!(fake.seen().len(), 1);
    bursar.stop().await;
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
