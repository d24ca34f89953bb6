//! Apps of every dialect, served by providers of every dialect.

use bursar::api::{Operation, Outcome, UsageRecord};
use serde_json::{Value, json};

use crate::fake::{Behaviour, FakeProvider, Reply as Answer, anthropic, gemini, openai};
use crate::harness::canary::prompt;
use crate::harness::{Call, Setup};
use crate::spoken::{ALL, CITY, Dialect, WEATHER, events, pairs, setup};

use Dialect::{Anthropic, Gemini, OpenAi};

fn finals(records: Vec<UsageRecord>) -> Vec<UsageRecord> {
    records.into_iter().filter(|record| record.is_final).collect()
}

#[tokio::test]
async fn every_app_is_answered_by_every_provider_in_its_own_words() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        for stream in [false, true] {
            fake.script([provider.answer(&["Hel", "lo"], stream)]);
            let reply = bursar.call(app.chat(&provider.model(), stream)).await;
            let pair = format!("{app:?} to {provider:?}, stream {stream}: {}", reply.text());
            assert_eq!((reply.status, app.text(&reply, stream)), (200, "Hello".into()), "{pair}");
            let sent = fake.seen().last().unwrap().clone();
            assert!(String::from_utf8_lossy(&sent.body).contains(&prompt()), "{pair}");
            let end = match app {
                OpenAi => "data: [DONE]\n\n",
                Anthropic => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
                Gemini => "\n\n",
            };
            assert!(!stream || reply.text().replace('\r', "").ends_with(end), "{pair}");
        }
    }
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), 18);
    for record in records {
        assert!(record.is_final && record.outcome == Outcome::Ok && record.operation == Operation::Chat);
        assert_eq!((record.tokens.input, record.tokens.output), (Some(9), Some(2)), "{record:?}");
        assert!(record.cost.is_some());
    }
}

#[tokio::test]
async fn a_call_of_a_tool_goes_there_and_back_between_all_dialects() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        let pair = format!("{app:?} to {provider:?}");
        let asks = json!([app.said(&prompt())]);
        fake.script([provider.calls(true), provider.calls(false), provider.answer(&["wet"], false)]);
        let streamed = bursar.call(app.with_tool(&provider.model(), true, &asks)).await;
        assert_eq!(app.city(&streamed, true), CITY, "{pair}: {}", streamed.text());
        let reply = bursar.call(app.with_tool(&provider.model(), false, &asks)).await;
        assert_eq!(app.city(&reply, false), CITY, "{pair}: {}", reply.text());
        let mut turns = vec![app.said(&prompt())];
        turns.extend(app.handed_back(&reply.json()));
        let last = bursar.call(app.with_tool(&provider.model(), false, &Value::from(turns))).await;
        assert_eq!((last.status, app.text(&last, false)), (200, "wet".into()), "{pair}: {}", last.text());
        let sent = fake.seen().last().unwrap().json();
        let all = sent.to_string();
        assert!(all.contains("weather") && all.contains(CITY) && all.contains(WEATHER), "{pair}: {all}");
        assert!(!all.contains("bursar1."), "{pair}: {all}");
        // What Google signed comes back to it through every app.
        assert_eq!(all.contains("c2lnbmVk"), provider == Gemini, "{pair}: {all}");
    }
}

#[tokio::test]
async fn what_one_provider_hid_is_kept_from_the_next_that_speaks_the_apps_dialect() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    fake.script([Gemini.calls(false), Anthropic.answer(&["wet"], false)]);
    let reply = bursar.call(Anthropic.with_tool("g/m", false, &json!([Anthropic.said(&prompt())]))).await;
    assert!(reply.text().contains("\"redacted_thinking\"") && reply.text().contains("bursar1."), "{}", reply.text());
    let mut turns = vec![Anthropic.said(&prompt())];
    turns.extend(Anthropic.handed_back(&reply.json()));
    let last = bursar.call(Anthropic.with_tool("a/m", false, &Value::from(turns))).await;
    assert_eq!(Anthropic.text(&last, false), "wet");
    let sent = String::from_utf8(fake.seen()[1].body.to_vec()).unwrap();
    assert!(sent.contains("tool_use") && sent.contains(CITY) && !sent.contains("redacted_thinking"), "{sent}");
}

/// Both dialects' answer at once, with what neither knows.
const WHOLE: &str = r#"{ "odd" : 1.10, "usage": {"input_tokens":9,"output_tokens":2}, "stop_reason":"end_turn",
    "content" : [{"type":"text","text":"x"}] , "candidates":[{"finishReason":"STOP","content":{"parts":[{"text":"x"}]}}]}"#;
const STREAMED: &str = concat!(
    "event: x\r\nid: 7\r\ndata: {\"odd\" :1.10}\r\n\r\n: hi\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta", "text":"x"}}"#,
    "\n\n",
    r#"data: {"type":"message_delta", "delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    "\n\n",
    r#"data: {"type":"message_stop", "candidates":[{"finishReason":"STOP","content":{"parts":[{"text":"x"}]}}]}"#,
    "\n\n",
);

#[tokio::test]
async fn bytes_pass_between_an_app_and_a_provider_of_one_dialect() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for app in [Anthropic, Gemini] {
        for stream in [false, true] {
            let odd = r#""unheard_of" : [ 1.10, 12345678901234567890123, "\u00e9" ]"#;
            let text = app.body(&app.model(), stream, &json!([app.said(&prompt())])).to_string();
            let text = format!("{}, {odd} }}", text.trim_end_matches('}').to_owned() + closing(&text));
            let answer = if stream { STREAMED } else { WHOLE };
            let kind = if stream { "text/event-stream" } else { "application/json" };
            fake.script([Answer::new(200, kind, answer)]);
            let call = Call::post(&app.path(&app.model(), stream), &Value::Null).body(text.clone());
            let reply = bursar.call(call).await;
            let sent = String::from_utf8(fake.seen().last().unwrap().body.to_vec()).unwrap();
            assert_eq!(sent, text.replace(&format!("\"{}\"", app.model()), "\"m\""), "{app:?}");
            assert_eq!(reply.text(), answer, "{app:?}");
        }
    }
}

/// The closing braces of an object but for its own.
fn closing(text: &str) -> &str {
    let braces = text.len() - text.trim_end_matches('}').len();
    text.get(text.len() - braces + 1..).unwrap_or_default()
}

#[tokio::test]
async fn another_dialects_provider_takes_over_before_content() {
    let fake = FakeProvider::start().await;
    let targets = ALL.map(Dialect::model);
    let route = format!("[routes.any]\ntargets = {targets:?}\n");
    let bursar = setup(&fake).providers(&route).start().await;
    for app in ALL {
        for stream in [false, true] {
            // The first fails by its status, the second inside its stream.
            let overloaded = json!({"error": {"type": "overloaded_error", "message": "busy"}});
            let second: Behaviour = match stream {
                true => anthropic::event(crate::fake::Events::new(), "error", overloaded).into(),
                false => anthropic::error_of(529, "overloaded_error", "busy").into(),
            };
            fake.for_path("/v1/chat/completions").script([openai::error(503), openai::error(503)]);
            fake.for_path("/v1/messages").script([second.clone(), second]);
            let path =
                if stream { "/v1beta/models/m:streamGenerateContent" } else { "/v1beta/models/m:generateContent" };
            fake.for_path(path).script([Gemini.answer(&["at ", "last"], stream)]);
            let reply = bursar.call(app.chat("any", stream)).await;
            assert_eq!(app.text(&reply, stream), "at last", "{app:?} {}", reply.text());
            assert_eq!(reply.header("x-bursar-provider"), Some("g"));
            for dialect in ALL {
                let test = format!("/admin/v1/connections/{}:main", dialect.provider());
                let on = Call::new(http::Method::PATCH, &test).body(r#"{"enabled":true}"#);
                bursar.call(on.header("x-bursar-request", "1")).await;
            }
        }
    }
    let records = finals(bursar.stop().await.records());
    assert_eq!(records.len(), 6);
    assert!(records.iter().all(|record| record.outcome == Outcome::Ok && record.tokens.output == Some(2)));
}

#[tokio::test]
async fn a_label_in_anthropics_metadata_counts_and_does_not_reach_anthropic() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/messages").always(anthropic::chat("hi"));
    fake.for_path("/v1/chat/completions").always(openai::chat("hi"));
    let bursar = setup(&fake).start().await;
    for model in ["a/m", "o/m"] {
        let mut body = Anthropic.body(model, false, &json!([Anthropic.said(&prompt())]));
        body["metadata"] = json!({"bursar_feature": "mail", "user_id": "u1"});
        assert_eq!(bursar.call(Anthropic.post(model, false, &body)).await.status, 200);
    }
    assert_eq!(fake.seen()[0].json()["metadata"], json!({"user_id": "u1"}));
    assert!(!String::from_utf8_lossy(&fake.seen()[1].body).contains("bursar_feature"));
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.feature.as_str() == "mail"));
}

#[tokio::test]
async fn without_alt_sse_googles_stream_is_one_list_whoever_answers() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for provider in ALL {
        fake.script([provider.answer(&["Hel", "lo"], true)]);
        let path = format!("/v1/models/{}:streamGenerateContent", provider.model());
        let body = Gemini.body("", true, &json!([Gemini.said(&prompt())]));
        let reply = bursar.call(Call::post(&path, &body)).await;
        assert_eq!(reply.header("content-type"), Some("application/json"), "{provider:?}");
        let pieces = reply.json();
        let text = |piece: &Value| piece.pointer("/candidates/0/content/parts/0/text")?.as_str().map(str::to_owned);
        assert_eq!(pieces.as_array().unwrap().iter().filter_map(text).collect::<String>(), "Hello", "{provider:?}");
    }
}

#[tokio::test]
async fn google_s_embeddings_come_one_and_many_from_providers_of_two_dialects() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    let content = json!({"parts": [{"text": prompt()}]});
    let vector = json!({"values": [1.0, 0.0]});
    for provider in [OpenAi, Gemini] {
        let path = |method: &str| format!("/v1beta/models/{}:{method}", provider.model());
        let answers = match provider {
            Gemini => [json!({"embedding": vector}), json!({"embeddings": [vector, vector]})]
                .map(|body| Answer::json(200, &body)),
            _ => [openai::embeddings(1), openai::embeddings(2)],
        };
        fake.script(answers);
        let one = bursar.call(Call::post(&path("embedContent"), &json!({"content": content}))).await;
        assert_eq!(one.json()["embedding"]["values"], json!([1.0, 0.0]), "{}", one.text());
        let each = json!({"model": format!("models/{}", provider.model()), "content": content});
        let many = bursar.call(Call::post(&path("batchEmbedContents"), &json!({"requests": [each, each]}))).await;
        assert_eq!(many.json()["embeddings"].as_array().map(Vec::len), Some(2), "{}", many.text());
    }
    let sent = fake.seen()[3].json();
    assert_eq!(sent["requests"][0]["model"], "models/m", "{sent}");
    let records = bursar.stop().await.records();
    assert!(records.len() == 4 && records.iter().all(|record| record.operation == Operation::Embeddings));
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_who_asks() {
    let bursar = Setup::new().provider("one", "http://127.0.0.1:1").connection("one:a", "").start().await;
    let list = |path: &str, header: &str| Call::get(path).header(header, "x");
    let openais = bursar.call(list("/v1/models", "accept")).await.json();
    assert_eq!((&openais["object"], &openais["data"][0]["id"]), (&json!("list"), &json!("one/m")));
    let anthropics = bursar.call(list("/v1/models", "anthropic-version")).await.json();
    assert_eq!((&anthropics["data"][0]["type"], &anthropics["has_more"]), (&json!("model"), &json!(false)));
    assert_eq!(anthropics["first_id"], "one/m");
    for (path, header) in [("/v1beta/models", "accept"), ("/v1/models", "x-goog-api-key")] {
        let googles = bursar.call(list(path, header)).await.json();
        assert_eq!(googles["models"][0]["name"], "models/one/m", "{path}");
        assert!(googles["models"][0]["supportedGenerationMethods"].is_array());
    }
    let missing = bursar.call(list("/v1/models/none", "anthropic-version")).await;
    assert_eq!((missing.status, Anthropic.error(&missing.json()).0.as_str()), (404, "not_found_error"));
}

#[tokio::test]
async fn a_stream_that_comes_at_once_is_told_in_the_apps_frames() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    for (app, provider) in pairs() {
        fake.script([provider.answer(&["Hello"], false)]);
        let reply = bursar.call(app.chat(&provider.model(), true)).await;
        assert_eq!(app.text(&reply, true), "Hello", "{app:?} to {provider:?}: {}", reply.text());
        assert!(!events(reply.text()).is_empty());
    }
    let spent = gemini::quota_spent("x", 3);
    fake.script([spent]);
    assert_eq!(bursar.call(Anthropic.chat("g/m", true)).await.status, 429);
}
