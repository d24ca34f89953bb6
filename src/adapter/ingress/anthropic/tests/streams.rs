//! What holds of every stream, and of errors.

use serde_json::{Value, json};

use super::super::ANTHROPIC;
use super::golden::cases;
use super::{asked, stream};
use crate::adapter::ingress::{ErrorSaid, Ingress};
use crate::adapter::sse::Reader;

/// The events of a stream: their names and their data.
pub(super) fn events(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut reader = Reader::new(1 << 24);
    reader.push(bytes);
    let mut events = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        let data: Value = serde_json::from_slice(&frame.data.unwrap()).unwrap();
        events.push((String::from_utf8(frame.event.to_vec()).unwrap(), data));
    }
    assert_eq!(reader.pending(), 0, "only whole frames go out");
    events
}

/// The message that an SDK puts together from events, as Anthropic's own do; none where it did not end.
pub(super) fn gathered(events: &[(String, Value)]) -> Option<Value> {
    let mut message = Value::Null;
    let mut json_text = String::new();
    let (mut open, mut count) = (None, 0);
    for (name, data) in events {
        assert_eq!(data["type"], *name.as_str());
        let at = data["index"].as_u64();
        match name.as_str() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                assert_eq!((open, at), (None, Some(count)), "blocks come one after the other");
                (open, count) = (at, count + 1);
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(open, at);
                let block = message["content"].as_array_mut().unwrap().last_mut().unwrap();
                match data["delta"]["partial_json"].as_str() {
                    Some(piece) => json_text.push_str(piece),
                    None => add(block, &data["delta"]),
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), at);
                if let Ok(input) = serde_json::from_str::<Value>(&std::mem::take(&mut json_text)) {
                    message["content"].as_array_mut().unwrap().last_mut().unwrap()["input"] = input;
                }
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                for (name, figure) in data["usage"].as_object().unwrap().iter().filter(|(_, figure)| !figure.is_null())
                {
                    message["usage"][name] = figure.clone();
                }
            }
            "message_stop" => {
                assert_eq!(open, None);
                return Some(message);
            }
            "error" => return None,
            other => panic!("{other}"),
        }
    }
    None
}

fn add(block: &mut Value, delta: &Value) {
    for member in ["text", "thinking"] {
        if let Some(piece) = delta[member].as_str() {
            assert_eq!(delta["type"], format!("{member}_delta"));
            block[member] = (block[member].as_str().unwrap().to_owned() + piece).into();
        }
    }
}

#[test]
fn every_split_of_a_stream_gives_the_same() {
    for case in cases("stream", ".openai.sse") {
        let whole = stream(&[&case.given]);
        for at in 0..=case.given.len() {
            let (a, b) = case.given.split_at(at);
            assert!(stream(&[a, b]) == whole, "{} split at {at}", case.name);
        }
        let single: Vec<&[u8]> = case.given.chunks(1).collect();
        assert!(stream(&single) == whole, "{} byte by byte", case.name);
    }
}

#[test]
fn sdks_can_put_every_stream_together() {
    for case in cases("stream", ".openai.sse") {
        let ended = gathered(&events(&stream(&[&case.given]))).is_some();
        let broken = ["cut", "error", "arguments-no-object", "call-without-name", "nothing-at-all"];
        let ends = !broken.iter().any(|name| case.name.starts_with(name));
        assert_eq!(ended, ends, "{}", case.name);
    }
}

/// A whole answer, and the same answer streamed in one chunk, come to the same message.
#[test]
fn a_stream_says_what_a_whole_answer_says() {
    for case in cases("reply", ".openai.json") {
        let Ok(whole) = ANTHROPIC.reply(&asked(), &case.given) else { continue };
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let frames = crate::adapter::hub::at_once(&case.given, true).unwrap();
        let mut streamed = gathered(&events(&stream(&[&frames]))).unwrap();
        // A stream shows what there was of a call that was cut.
        if case.name == "length-cuts-a-call" {
            streamed["content"].as_array_mut().unwrap().pop();
        }
        assert_eq!(streamed, whole, "{}", case.name);
    }
}

#[test]
fn a_stream_without_its_end_never_looks_finished() {
    let case = cases("stream", ".openai.sse").into_iter().find(|case| case.name == "text").unwrap();
    let reason = case.given.windows(8).position(|part| part == b"\"stop\"}]").unwrap();
    for at in 0..reason {
        let out = String::from_utf8(stream(&[&case.given[..at]])).unwrap();
        assert!(!out.contains("message_stop") && !out.contains("message_delta"), "cut at {at}");
    }
}

#[test]
fn text_and_the_first_call_do_not_wait() {
    let mut writer = ANTHROPIC.stream(&asked());
    let mut out = Vec::new();
    let mut say = |delta: Value| {
        out.clear();
        writer.frames(format!("data: {}\n\n", json!({"choices": [{"delta": delta}]})).as_bytes(), &mut out);
        String::from_utf8(out.clone()).unwrap()
    };
    assert!(say(json!({"content": "soon"})).contains("soon"));
    let piece = |arguments: &str| json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}]});
    assert!(say(piece("{\"x\":")).contains("input_json_delta"));
    assert!(say(piece("17}")).contains("17}"));
}

#[test]
fn errors_have_anthropics_shape_and_kind() {
    let kinds = [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ];
    for (status, kind) in kinds {
        let error =
            ErrorSaid { status, code: "c", message: "m", param: None, request_id: Some("r"), retry_after_s: None };
        let body: Value = serde_json::from_slice(&ANTHROPIC.error(&error)).unwrap();
        let object = json!({"type": kind, "message": "m", "code": "c"});
        assert_eq!(body, json!({"type": "error", "error": object, "request_id": "r"}));
        let with = ErrorSaid { param: Some("max_tokens"), request_id: None, ..error };
        let [(name, data)] = &events(&ANTHROPIC.error_frames(&with))[..] else { panic!("one event") };
        assert_eq!((name.as_str(), &data["error"]["param"]), ("error", &json!("max_tokens")));
        assert_eq!(data["request_id"], Value::Null);
    }
}

#[test]
fn thoughts_that_come_in_several_chunks_are_all_carried() {
    let chunk = |text: &str| {
        let extra = json!({"anthropic": {"thinking_blocks": [{"type": "thinking", "thinking": text}]}});
        let choice = json!({"index": 0, "delta": {"extra_content": extra}});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    };
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let out = stream(&[chunk("one").as_bytes(), chunk("two").as_bytes(), end.as_bytes()]);
    let carried = events(&out).into_iter().find_map(|event| {
        let data = event.1.pointer("/content_block/data")?.as_str()?.strip_prefix("bursar1.")?.to_owned();
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).ok()
    });
    let carried = String::from_utf8(carried.unwrap()).unwrap();
    assert!(carried.contains("one") && carried.contains("two"), "{carried}");
}
