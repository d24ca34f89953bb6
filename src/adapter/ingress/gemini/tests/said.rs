//! What apps notice beyond golden files: errors, round trips, recorded requests.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::{GEMINI, array, signature};
use super::{asked, streamed, written};
use crate::adapter::Asked;
use crate::adapter::hub::ExtraContent;
use crate::adapter::ingress::{ErrorSaid, INGRESSES, Ingress, of};

#[test]
fn the_ingress_stands_in_the_table() {
    assert!(of(GEMINI.dialect()).is_some() && !INGRESSES.is_empty());
}

const ERROR: ErrorSaid<'_> = ErrorSaid {
    status: 429,
    code: "rate_limited",
    message: "wait",
    param: None,
    request_id: Some("r1"),
    retry_after_s: Some(15),
};

#[test]
fn an_error_is_in_googles_shape() {
    let body: Value = serde_json::from_slice(&GEMINI.error(&ERROR)).unwrap();
    let details = json!([
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "rate_limited", "domain": "bursar",
         "metadata": {"requestId": "r1"}},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "15s"},
    ]);
    assert_eq!(
        body,
        json!({"error": {"code": 429, "message": "wait", "status": "RESOURCE_EXHAUSTED", "details": details}})
    );
    let frames = GEMINI.error_frames(&ERROR);
    assert_eq!(frames, [b"data: ", &GEMINI.error(&ERROR)[..], b"\n\n"].concat());
    let list: Value = serde_json::from_slice(&written(array(), &[&frames])).unwrap();
    assert_eq!(list, json!([body]));
}

#[test]
fn a_field_and_a_status_have_their_words() {
    let error = |status, param| -> Value {
        let said = ErrorSaid { status, param, retry_after_s: None, request_id: None, ..ERROR };
        serde_json::from_slice::<Value>(&GEMINI.error(&said)).unwrap()["error"].take()
    };
    assert_eq!(error(400, Some("contents"))["details"][1]["fieldViolations"][0]["field"], "contents");
    for (status, word) in [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (413, "INVALID_ARGUMENT"),
        (500, "INTERNAL"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ] {
        assert_eq!(error(status, None)["status"], word, "{status}");
    }
}

#[test]
fn what_a_provider_wants_back_comes_back() {
    let empty: ExtraContent = serde_json::from_str("{}").unwrap();
    assert_eq!(signature::write(&empty), None);
    let googles = ExtraContent::google("U0l/H+=".into());
    let written = signature::write(&googles).unwrap();
    assert_eq!(written, "U0l/H+=");
    assert_eq!(signature::read(&written), serde_json::to_value(&googles).unwrap());
    // Packed ones survive a change of alphabet, which Google's own SDKs make.
    let packed = signature::read("YnVyc2FyMS57ImEiOiI_Pz8_In0=");
    assert_eq!(packed, json!({"a": "????"}));
    assert_eq!(signature::read("YnVyc2FyMS57ImEiOiI/Pz8/In0"), packed);
    let together = signature::together(Some(json!({"a": {"b": [1], "c": 1}})), Some(json!({"a": {"b": [2], "c": 2}})));
    assert_eq!(together, Some(json!({"a": {"b": [1, 2], "c": 2}})));
}

#[test]
fn an_answer_with_calls_can_be_handed_back() {
    let said = json!({"choices": [{"message": {"content": "so", "tool_calls": [
        {"id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}},
        {"id": "b", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "U0lH"}}},
    ]}, "finish_reason": "tool_calls"}]});
    let reply: Value =
        serde_json::from_slice(&GEMINI.reply(&asked("chat"), said.to_string().as_bytes()).unwrap()).unwrap();
    let result = |id: &str| json!({"functionResponse": {"id": id, "name": "f", "response": {}}});
    let back = json!({"contents": [
        {"role": "user", "parts": [{"text": "q"}]},
        reply["candidates"][0]["content"],
        {"role": "user", "parts": [result("b"), result("a")]},
    ]});
    let request = GEMINI.request(&asked("chat"), back.to_string().as_bytes()).unwrap();
    let request: Value = serde_json::from_slice(&request).unwrap();
    let messages = &request["messages"];
    for at in 0..2 {
        let (said, back) = (&said["choices"][0]["message"]["tool_calls"][at], &messages[1]["tool_calls"][at]);
        assert_eq!((&said["id"], &said["function"]), (&back["id"], &back["function"]));
        assert_eq!(said["extra_content"], back["extra_content"]);
    }
    assert_eq!((&messages[2]["tool_call_id"], &messages[3]["tool_call_id"]), (&json!("b"), &json!("a")));
}

#[test]
fn a_streamed_request_asks_for_a_stream_and_not_for_usage() {
    let asked = Asked { stream: true, ..asked("chat") };
    let request = GEMINI.request(&asked, br#"{"contents":[{"parts":[{"text":"q"}]}]}"#).unwrap();
    let request: Value = serde_json::from_slice(&request).unwrap();
    assert_eq!((&request["stream"], request.get("stream_options")), (&json!(true), None));
}

#[test]
fn a_call_beyond_every_bound_is_not_kept() {
    let piece = |text: &str| {
        let call = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": text}});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    let large = piece(&"x".repeat(crate::bounds::CALL_ARGUMENTS_BYTES_MAX / 2));
    let pieces = [piece("{\"x\":\""), large.clone(), large, piece("\"}"), "data: [DONE]\n\n".into()];
    let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
    let out = String::from_utf8(streamed(&pieces)).unwrap();
    assert!(out.len() < 1_000 && out.contains("MALFORMED_FUNCTION_CALL"), "{out:.200}");
}

#[test]
fn recorded_requests_are_translated_or_refused_by_name() {
    let root = std::env::var_os("BURSAR_RECORDED").map_or_else(|| PathBuf::from("../shared/recorded"), PathBuf::from);
    let Ok(cases) = std::fs::read_dir(root.join("gemini")) else {
        println!("skipped: no recorded traffic at {}", root.display());
        return;
    };
    let (mut translated, mut refused) = (0, Vec::new());
    for case in cases.map(|case| case.unwrap().path()) {
        let Ok(body) = std::fs::read(case.join("request.json")) else { continue };
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        match GEMINI.request(&asked(&name), &body) {
            Ok(body) => {
                translated += 1;
                let read = serde_json::from_slice::<Value>(&body).unwrap();
                assert!(
                    name.starts_with("embed") || crate::adapter::hub::ChatRequest::read(&body).is_ok(),
                    "{name}: {read}"
                );
            }
            Err(refusal) => {
                let param = refusal.param.unwrap_or_else(|| panic!("{name}: {}", refusal.message));
                refused.push(format!("{name} at {param}"));
            }
        }
    }
    println!("{translated} translated, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(translated > refused.len());
}
