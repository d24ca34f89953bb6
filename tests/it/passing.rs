//! What passes as it came: responses, pictures, sound and judgements, for providers of OpenAI's dialect.

use bursar::api::{Operation, Outcome};
use serde_json::{Value, json};

use crate::fake::{Events, FakeProvider, Framing, Reply as Answer, openai};
use crate::harness::canary::prompt;
use crate::harness::client::assert_refused;
use crate::harness::{Call, Setup};
use crate::spoken::setup;

const TYPE: &str = "multipart/form-data; boundary=\"b-1\"";

/// A form with a file and these fields.
fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form =
        String::from("--b-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n").into_bytes();
    form.extend(b"RIFF\xff\x00\r\n--b-\r\n");
    form.extend(prompt().bytes());
    for (name, value) in fields {
        form.extend(format!("\r\n--b-1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}").bytes());
    }
    form.extend(b"\r\n--b-1--\r\n");
    form
}

fn sends(path: &str, fields: &[(&str, &str)]) -> Call {
    Call::new(http::Method::POST, path).header("content-type", TYPE).body(form(fields))
}

async fn operations(bursar: crate::harness::Bursar) -> Vec<(Operation, Outcome)> {
    let records = bursar.stop().await.records();
    assert!(records.iter().all(|record| record.is_final));
    records.into_iter().map(|record| (record.operation, record.outcome)).collect()
}

#[tokio::test]
async fn a_response_passes_whole_and_streamed() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    let usage = json!({"input_tokens": 9, "output_tokens": 2, "total_tokens": 11});
    let response = json!({"id": "resp_1", "object": "response", "model": "m", "output": [], "usage": usage});
    fake.script([Answer::json(200, &response)]);
    let body = json!({"model": "o/m", "input": prompt(), "odd": 1});
    let reply = bursar.call(Call::post("/v1/responses", &body)).await;
    assert_eq!(reply.json(), response);
    assert_eq!((fake.seen()[0].path.as_str(), &fake.seen()[0].json()["model"]), ("/v1/responses", &json!("m")));
    let delta = json!({"type": "response.output_text.delta", "delta": "hi"});
    let done = json!({"type": "response.completed", "response": response});
    let events = Events::new().event("response.output_text.delta", &delta).event("response.completed", &done);
    fake.script([events]);
    let body = json!({"model": "o/m", "input": prompt(), "stream": true});
    let reply = bursar.call(Call::post("/v1/responses", &body)).await;
    let expected =
        format!("event: response.output_text.delta\ndata: {delta}\n\nevent: response.completed\ndata: {done}\n\n");
    assert_eq!(reply.text(), expected);
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!((record.operation, record.outcome), (Operation::Responses, Outcome::Ok));
        assert_eq!((record.tokens.input, record.tokens.output), (Some(9), Some(2)));
    }
}

#[tokio::test]
async fn pictures_are_asked_for_in_json_and_in_forms() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    let picture =
        json!({"created": 1, "data": [{"b64_json": "AA=="}], "usage": {"input_tokens": 9, "output_tokens": 2}});
    fake.always(Answer::json(200, &picture));
    let body = json!({"model": "o/m", "prompt": prompt()});
    assert_eq!(bursar.call(Call::post("/v1/images/generations", &body)).await.json(), picture);
    for path in ["/v1/images/edits", "/v1/images/variations"] {
        assert_eq!(bursar.call(sends(path, &[("model", "o/m"), ("n", "2")])).await.json(), picture, "{path}");
        let sent = fake.seen().last().unwrap().clone();
        assert_eq!((sent.path.as_str(), sent.header("content-type")), (path, Some(TYPE)));
        assert_eq!(sent.body, form(&[("model", "m"), ("n", "2")]));
    }
    assert_eq!(operations(bursar).await, [(Operation::Images, Outcome::Ok); 3]);
}

#[tokio::test]
async fn speech_passes_as_it_sounds_and_breaks_off_where_it_was_cut() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    let sound: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let chunks: Vec<bytes::Bytes> = sound.chunks(9_000).map(<[u8]>::to_vec).map(Into::into).collect();
    let spoken = Answer::bare(200).header("content-type", "audio/mpeg").framed(Framing::Chunked).pieces(chunks);
    fake.script([spoken.clone().whole(), spoken.cut_after(3)]);
    let body = json!({"model": "o/m", "input": prompt(), "voice": "x"});
    let reply = bursar.call(Call::post("/v1/audio/speech", &body)).await;
    assert_eq!((reply.header("content-type"), &reply.body[..]), (Some("audio/mpeg"), &sound[..]));
    let cut = bursar.call(Call::post("/v1/audio/speech", &body)).await;
    assert!(!cut.whole && cut.body[..] == sound[..27_000], "the app can tell that it has not all of it");
    let delta = json!({"type": "speech.audio.delta", "audio": "AA=="});
    let done = json!({"type": "speech.audio.done", "usage": {"input_tokens": 9, "output_tokens": 2}});
    fake.script([Events::new().json(&delta).json(&done)]);
    let body = json!({"model": "o/m", "input": prompt(), "voice": "x", "stream_format": "sse"});
    let reply = bursar.call(Call::post("/v1/audio/speech", &body)).await;
    assert_eq!(reply.text(), format!("data: {delta}\n\ndata: {done}\n\n"));
    let (ok, cut) = ((Operation::Speech, Outcome::Ok), (Operation::Speech, Outcome::Cut));
    assert_eq!(operations(bursar).await, [ok, cut, ok]);
}

#[tokio::test]
async fn a_recording_is_written_down_as_json_or_as_text() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    let written = json!({"text": "rain", "usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 2}});
    fake.script([
        Answer::json(200, &written),
        Answer::new(200, "text/plain; charset=utf-8", "rain\n"),
        Answer::new(200, "text/vtt", "WEBVTT\n"),
    ]);
    for (path, body, kind) in [
        ("/v1/audio/transcriptions", written.to_string().as_str(), "application/json"),
        ("/v1/audio/transcriptions", "rain\n", "text/plain; charset=utf-8"),
        ("/v1/audio/translations", "WEBVTT\n", "text/vtt"),
    ] {
        let reply = bursar.call(sends(path, &[("model", "o/m")])).await;
        assert_eq!((reply.text(), reply.header("content-type")), (body, Some(kind)));
        assert_eq!(fake.seen().last().unwrap().path, path);
    }
    let refused = bursar.call(Call::post("/v1/audio/transcriptions", &json!({"model": "o/m"}))).await;
    assert_refused(&refused, http::StatusCode::BAD_REQUEST, "invalid_request");
    let records = bursar.stop().await.records();
    assert_eq!(records.iter().map(|record| record.tokens.output).collect::<Vec<_>>(), [Some(2), None, None]);
}

#[tokio::test]
async fn a_judgement_needs_no_model() {
    let fake = FakeProvider::start().await;
    let listed = "[providers.o.models.omni-moderation-latest]\ncapabilities = [\"moderation\"]\n";
    let bursar = setup(&fake).providers(listed).start().await;
    let judged = json!({"id": "modr-1", "model": "m", "results": [{"flagged": false}]});
    fake.always(Answer::json(200, &judged));
    let reply = bursar.call(Call::post("/v1/moderations", &json!({"input": prompt()}))).await;
    assert_eq!(reply.json(), judged, "{}", reply.text());
    assert_eq!(fake.seen()[0].json(), json!({"model": "omni-moderation-latest", "input": prompt()}));
    assert_eq!(operations(bursar).await, [(Operation::Moderation, Outcome::Ok)]);
}

#[tokio::test]
async fn what_a_kind_of_provider_lacks_is_refused_with_who_has_it() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake).start().await;
    let body = |model: &str| json!({"model": model, "input": "hi", "prompt": "hi", "voice": "x"});
    for model in ["a/m", "g/m"] {
        for path in ["responses", "images/generations", "audio/speech", "moderations"] {
            let reply = bursar.call(Call::post(&format!("/v1/{path}"), &body(model))).await;
            assert_refused(&reply, http::StatusCode::BAD_REQUEST, "capability_missing");
            assert!(reply.text().contains(": o has it"), "{path}: {}", reply.text());
        }
    }
    let reply = bursar.call(Call::post("/v1/embeddings", &body("a/m"))).await;
    assert!(reply.code() == "capability_missing" && reply.text().contains("g and o have it"), "{}", reply.text());
    let embed = Call::post("/v1beta/models/a/m:embedContent", &json!({"content": {"parts": [{"text": "hi"}]}}));
    assert_eq!(bursar.call(embed).await.json()["error"]["status"], "INVALID_ARGUMENT");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn forms_that_are_none_are_refused_and_the_daemon_goes_on() {
    let fake = FakeProvider::start().await;
    fake.always(Answer::json(200, &json!({"text": "rain"})));
    let bursar = Setup::new().ranked("o", &fake.url(), &["main"]).start().await;
    let path = "/v1/audio/transcriptions";
    for (kind, body) in [
        (TYPE, Vec::new()),
        (TYPE, b"--b-1".to_vec()),
        (TYPE, b"--b-1\r\n".to_vec()),
        (TYPE, b"--b-1--\r\n".to_vec()),
        (TYPE, form(&[])),
        (TYPE, form(&[("model", "o/m"), ("model", "o/m")])),
        (TYPE, form(&[("model", "")])),
        (TYPE, form(&[("model", "\u{0}")])),
        (TYPE, "--b-1\r\n\r\nx\r\n".repeat(2_000).into_bytes()),
        ("multipart/form-data", form(&[("model", "o/m")])),
        ("multipart/form-data; boundary=", form(&[("model", "o/m")])),
        ("multipart/form-data; boundary=other", form(&[("model", "o/m")])),
        ("multipart/mixed; boundary=b-1", form(&[("model", "o/m")])),
    ] {
        let call = Call::new(http::Method::POST, path).header("content-type", kind).body(body);
        let reply = bursar.call(call).await;
        assert!((400..500).contains(&reply.status), "{kind}: {}", reply.text());
        assert!(!reply.code().is_empty());
    }
    assert!(fake.seen().is_empty());
    assert_eq!(bursar.call(sends(path, &[("model", "o/m")])).await.json()["text"], Value::from("rain"));
    let chat = bursar.call(Call::chat("o/m")).await;
    assert_eq!(chat.status, 502, "the fake says no chat: {}", chat.text());
    fake.script([openai::chat("hi")]);
    assert_eq!(bursar.call(Call::chat("o/m")).await.content(), "hi");
}
