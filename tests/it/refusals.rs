//! What apps of every dialect are told when a call fails: in their own words, once, and nothing that is a secret.

use bursar::api::Outcome;
use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Framing, Reply as Answer, anthropic, gemini, openai};
use crate::harness::canary::prompt;
use crate::harness::{Call, Reply, key_of};
use crate::spoken::{ALL, Dialect, events, pairs, setup};

use Dialect::{Anthropic, Gemini, OpenAi};

/// The kind and the text of the error that a reply is.
fn error(app: Dialect, reply: &Reply) -> (String, String) {
    app.error(&reply.json())
}

/// The events of a stream that are errors.
fn errors(app: Dialect, reply: &Reply) -> Vec<(String, String)> {
    events(reply.text()).iter().filter(|event| event["error"].is_object()).map(|event| app.error(event)).collect()
}

#[tokio::test]
async fn a_model_that_is_not_there_is_said_to_be_so_in_each_dialect() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, kind) in [(OpenAi, "unknown_model"), (Anthropic, "not_found_error"), (Gemini, "NOT_FOUND")] {
        for stream in [false, true] {
            let reply = bursar.call(app.chat("none", stream)).await;
            let (found, message) = error(app, &reply);
            assert_eq!((reply.status, found.as_str()), (404, kind), "{app:?}");
            assert!(message.contains("none"), "{message}");
            assert!(reply.header("x-bursar-request-id").is_some());
        }
    }
    let records = bursar.stop().await.records();
    assert!(records.len() == 6 && records.iter().all(|record| record.is_final && record.provider.is_none()));
}

#[tokio::test]
async fn a_providers_refusal_is_passed_on_with_its_text() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        fake.script([provider.refuses("temperature is out of range")]);
        let reply = bursar.call(app.chat(&provider.model(), false)).await;
        let (_, message) = error(app, &reply);
        assert_eq!((reply.status, message.as_str()), (400, "temperature is out of range"), "{app:?} to {provider:?}");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
    }
}

#[tokio::test]
async fn when_every_connection_is_out_of_room_the_app_is_told_when_to_come_again() {
    for app in ALL {
        let fake = FakeProvider::start().await;
        let bursar = setup(&fake).start().await;
        for provider in ALL {
            fake.script([match provider {
                OpenAi => openai::error(429).retry_after(7),
                Anthropic => anthropic::error_of(429, "rate_limit_error", "slow down").retry_after(7),
                Gemini => gemini::quota_spent("GenerateRequestsPerMinute", 7),
            }]);
            let reply = bursar.call(app.chat(&provider.model(), true)).await;
            let (kind, _) = error(app, &reply);
            let expected = match app {
                OpenAi => "rate_limited",
                Anthropic => "rate_limit_error",
                Gemini => "RESOURCE_EXHAUSTED",
            };
            assert_eq!((reply.status, kind.as_str()), (429, expected), "{app:?} to {provider:?}: {}", reply.text());
            assert_eq!(reply.header("retry-after"), Some("7"), "{app:?} to {provider:?}");
            assert_eq!(reply.header("x-should-retry"), Some("true"), "{app:?} to {provider:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_in_one_error_of_the_apps_dialect() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        let words = |events: Events| match provider {
            OpenAi => events.json(&openai::error_object("server_error", &Value::Null)),
            Anthropic => {
                anthropic::event(events, "error", json!({"error": {"type": "api_error", "message": "it broke"}}))
            }
            Gemini => events.json(&json!({"error": {"code": 500, "message": "it broke", "status": "INTERNAL"}})),
        };
        let opening = provider.opening(&["half"]);
        let ends: [Behaviour; 3] =
            [opening.clone().into(), words(opening.clone()).into(), opening.reply().reset_after(4)];
        for (position, end) in ends.into_iter().enumerate() {
            fake.script([end]);
            let reply = bursar.call(app.chat(&provider.model(), true)).await;
            let pair = format!("{app:?} to {provider:?}, {position}: {}", reply.text());
            assert_eq!(app.text(&reply, true), "half", "{pair}");
            assert_eq!(errors(app, &reply).len(), 1, "{pair}");
            assert!(!reply.text().contains("message_stop") && !reply.text().contains("[DONE]"), "{pair}");
            assert_eq!(reply.text().matches("event: error\n").count(), usize::from(app == Anthropic), "{pair}");
        }
    }
    let records = bursar.stop().await.records();
    assert!(records.len() == 27 && records.iter().all(|record| record.is_final && record.outcome == Outcome::Cut));
}

#[tokio::test]
async fn googles_list_stays_json_where_the_stream_behind_it_is_cut() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for provider in ALL {
        fake.script([provider.opening(&["half"])]);
        let path = format!("/v1beta/models/{}:streamGenerateContent", provider.model());
        let body = Gemini.body("", true, &json!([Gemini.said(&prompt())]));
        let reply = bursar.call(Call::post(&path, &body)).await;
        let pieces = reply.json();
        let last = pieces.as_array().unwrap().last().unwrap();
        assert_eq!(Gemini.error(last).0, "UNAVAILABLE", "{provider:?}: {pieces}");
    }
}

#[tokio::test]
async fn a_stream_whose_calls_cannot_be_said_ends_in_one_error() {
    let fake = FakeProvider::start().await;
    let function = json!({"name": "weather", "arguments": "[1]"});
    let call = json!({"index": 0, "id": "c", "type": "function", "function": function});
    let mut chunk = openai::text("");
    chunk["choices"][0]["delta"] = json!({"tool_calls": [call]});
    let said = openai::opening(&["hm"]).json(&chunk);
    let bursar = setup(&fake).start().await;
    for end in [said.clone().json(&openai::finish()).data(openai::DONE), said.json(&openai::finish())] {
        fake.script([end]);
        let reply = bursar.call(Anthropic.chat("o/m", true)).await;
        assert_eq!(reply.text().matches("event: error\n").count(), 1, "{}", reply.text());
        assert!(!reply.text().contains("message_stop"), "{}", reply.text());
    }
    let outcomes: Vec<_> = bursar.stop().await.records().iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Cut, Outcome::Cut], "what the app saw as an error is recorded as one");
}

#[tokio::test]
async fn an_error_that_repeats_the_credential_reaches_nobody() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        let key = key_of(&format!("{}:main", provider.provider()));
        let text = format!("your key {key} is not good for that");
        let answer = |status: u16| match provider {
            OpenAi => {
                Answer::json(status, &json!({"error": {"message": text, "type": key, "code": key, "param": key}}))
            }
            Anthropic => anthropic::error_of(status, &key, &text),
            Gemini => Answer::json(
                status,
                &json!({"error": {"code": status, "message": text, "status": "INVALID_ARGUMENT",
                    "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": key}]}}),
            ),
        };
        let within = json!({"error": {"type": "api_error", "code": 500, "message": text}});
        let broken: [Behaviour; 4] = [
            answer(400).into(),
            answer(413).into(),
            Answer::json(200, &within).into(),
            anthropic::event(provider.opening(&["half"]), "error", within).into(),
        ];
        for (position, behaviour) in broken.into_iter().enumerate() {
            fake.script([behaviour]);
            let reply = bursar.call(app.chat(&provider.model(), position == 3)).await;
            assert!(!reply.text().contains(&key), "{app:?} to {provider:?}, {position}: {}", reply.text());
            let enable = Call::new(http::Method::PATCH, &format!("/admin/v1/connections/{}:main", provider.provider()));
            bursar.call(enable.body(r#"{"enabled":true}"#).header("x-bursar-request", "1")).await;
        }
    }
    // Its end looks through the log and the store.
    bursar.stop().await;
}

#[tokio::test]
async fn an_error_that_quotes_the_prompt_reaches_the_app_alone() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        let text = format!("this is not to be said: {}", prompt());
        let error =
            json!({"type": "invalid_request_error", "message": text, "code": 400, "status": "INVALID_ARGUMENT"});
        let within = json!({ "error": error });
        let quoting: [Behaviour; 3] = [
            provider.refuses(&text).into(),
            Answer::json(200, &within).into(),
            anthropic::event(provider.opening(&["half"]), "error", within).into(),
        ];
        for (position, behaviour) in quoting.into_iter().enumerate() {
            fake.script([behaviour]);
            // The app may be told what it said itself; the harness looks for it everywhere else.
            let reply = bursar.call_unheard(app.chat(&provider.model(), position == 2)).await;
            assert!(reply.text().contains("not to be said"), "{app:?} to {provider:?}, {position}: {}", reply.text());
        }
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_path_of_anthropics_that_is_not_here_is_said_so_in_its_words() {
    let bursar = crate::harness::Setup::new().start().await;
    for path in ["/v1/messages/count_tokens", "/v1/messages/batches"] {
        let reply = bursar.call(Call::post(path, &json!({}))).await;
        assert_eq!((reply.status, error(Anthropic, &reply).0.as_str()), (404, "not_found_error"), "{path}");
    }
}

#[tokio::test]
async fn an_apps_own_keys_are_not_sent_on() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    // Whatever SDKs are given as a key; the harness looks for the canary in the log.
    let own = key_of("of-the-app");
    for (app, provider) in pairs() {
        fake.script([provider.answer(&["hi"], false)]);
        let mut call = app.chat(&provider.model(), false);
        for name in ["x-api-key", "x-goog-api-key", "authorization", "cookie"] {
            call = call.header(name, &own);
        }
        assert_eq!(bursar.call(call).await.status, 200);
    }
    let path = format!("/v1beta/models/g/m:streamGenerateContent?key={own}&alt=sse&x={own}");
    fake.script([Gemini.answer(&["hi"], true)]);
    let body = Gemini.body("", true, &json!([Gemini.said("hi")]));
    assert_eq!(bursar.call(Call::post(&path, &body)).await.status, 200);
    for sent in fake.seen() {
        assert!(!sent.path.contains(&own) && !sent.headers.iter().any(|(_, value)| value.contains(&own)), "{sent:?}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_reply_that_is_shorter_than_it_claims_is_no_answer_in_any_dialect() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for app in ALL {
        let half = Answer::new(200, "application/json", "{\"con").framed(Framing::Claimed(900));
        fake.script([half.clone(), half.clone(), half]);
        let reply = bursar.call(app.chat(&app.model(), false)).await;
        assert_eq!(reply.status, 502, "{}", reply.text());
        assert!(!error(app, &reply).1.is_empty());
    }
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_on_either_protocol() {
    let bursar = setup(&FakeProvider::start().await).start().await;
    for mut link in [bursar.link().await, bursar.link_http2().await] {
        let reply = link.ask(Call::new(http::Method::HEAD, "/healthz")).await;
        assert_eq!((reply.status, reply.text()), (405, ""));
        assert_eq!(link.ask(Call::get("/healthz")).await.status, 200, "and the connection is good for more");
    }
    bursar.stop().await;
}

/// Of two pins one would be kept to, and nobody could tell which.
#[tokio::test]
async fn a_header_of_bursars_that_stands_there_twice_is_refused() {
    let bursar = setup(&FakeProvider::start().await).start().await;
    for header in ["x-bursar-connection", "x-bursar-feature", "x-bursar-timeout-ms"] {
        let reply = bursar.call(OpenAi.chat("none", false).header(header, "1").header(header, "2")).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
        assert!(reply.text().contains(header), "{}", reply.text());
    }
    bursar.stop().await;
}

/// What an operator has to do is said by the first call that fails already.
#[tokio::test]
async fn who_refused_a_credential_is_named_at_once() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(401));
    let bursar = crate::harness::Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let reply = bursar.call(Call::chat("one/m")).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_auth"));
    assert!(reply.text().contains("refused the credential of one:a"), "{}", reply.text());
    assert_eq!((reply.header("x-bursar-connection"), reply.header("x-bursar-model")), (Some("one:a"), Some("m")));
    bursar.stop().await;
}
