//! Golden files, recorded replies, and what of them no single file shows.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::ANTHROPIC;
use super::{TESTED, asked, stream};
use crate::adapter::tests::golden::{json, read};
use crate::adapter::{Adapter, Asked};

#[test]
fn requests_are_encoded_or_refused_by_name() {
    TESTED.requests_are_encoded_or_refused_by_name();
}

#[test]
fn replies_are_decoded_or_seen_to_be_errors() {
    TESTED.replies_are_decoded_or_seen_to_be_errors();
}

#[test]
fn streams_are_decoded() {
    TESTED.streams_are_decoded();
}

#[test]
fn what_passes_says_the_same() {
    TESTED.what_passes_says_the_same();
}

#[test]
fn recorded_replies_say_what_they_should() {
    TESTED.recorded_replies_say_what_they_should();
}

#[test]
fn usage_goes_to_the_app_only_where_it_asked() {
    let asked = Asked { include_usage: false, ..asked(true) };
    let streamed = TESTED.stream(&asked, &[&read(&TESTED.case("stream", "text"))]);
    assert!(!String::from_utf8(streamed.out).unwrap().contains("usage"));
    assert_eq!((streamed.tokens.input, streamed.tokens.output), (Some(12), Some(6)));
}

/// What of an OpenAI message goes back to Anthropic, as blocks.
fn handed_back(message: &Value) -> Value {
    let body = json!({"messages": [{"role": "user", "content": "q"}, message]});
    let sent = ANTHROPIC.encode(&asked(false), body.to_string().as_bytes()).unwrap();
    serde_json::from_slice::<Value>(&sent).unwrap()["messages"][1]["content"].take()
}

#[test]
fn thoughts_are_handed_back_as_they_came_and_first() {
    let path = TESTED.case("decode", "thoughts-and-calls");
    let reply = ANTHROPIC.reply(&asked(false), &Bytes::from(read(&path))).unwrap();
    let answer: Value = serde_json::from_slice(&reply.body.unwrap()).unwrap();
    assert_eq!(handed_back(&answer["choices"][0]["message"]), json(&path)["content"]);
}

#[test]
fn thoughts_of_a_stream_can_be_put_together_and_handed_back() {
    let streamed = stream(&read(&TESTED.case("stream", "thoughts-and-calls")));
    let (mut blocks, mut text) = (Vec::new(), String::new());
    for frame in String::from_utf8(streamed.out).unwrap().split_terminator("\n\n") {
        let Ok(chunk) = serde_json::from_str::<Value>(frame.strip_prefix("data: ").unwrap()) else { continue };
        let delta = &chunk["choices"][0]["delta"];
        text.push_str(delta["content"].as_str().unwrap_or_default());
        blocks.extend(delta["extra_content"]["anthropic"]["thinking_blocks"].as_array().into_iter().flatten().cloned());
    }
    let message = json!({
        "role": "assistant", "content": text, "extra_content": {"anthropic": {"thinking_blocks": blocks}},
    });
    assert_eq!(
        handed_back(&message),
        json!([
            {"type": "thinking", "thinking": "Two cities, two calls.", "signature": "c2VhbGVk"},
            {"type": "redacted_thinking", "data": "aGlkZGVu"},
            {"type": "text", "text": "Looking."},
        ])
    );
}
