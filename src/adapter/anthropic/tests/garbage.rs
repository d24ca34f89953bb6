//! Bytes that are cut, split or nonsense: errors, never panics, and the same whole however it came.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::ANTHROPIC;
use super::{TESTED, asked, stream};
use crate::adapter::tests::facts;
use crate::adapter::tests::garbage::{damaged, json_of, nonsense};
use crate::adapter::tests::golden::read;
use crate::adapter::{Adapter, Asked, Auth};
use crate::api::Operation;

#[test]
fn every_split_of_a_stream_gives_the_same() {
    TESTED.every_split_of_a_stream_gives_the_same(&asked(true));
    TESTED.every_split_of_a_stream_gives_the_same(&Asked { pass: true, ..asked(true) });
}

#[test]
fn a_stream_that_ends_early_never_looks_finished() {
    let bytes = read(&TESTED.case("stream", "text"));
    let end = bytes.trim_ascii_end().len();
    for at in 0..end {
        let streamed = stream(&bytes[..at]);
        assert!(!streamed.terminal && !streamed.out.ends_with(b"data: [DONE]\n\n"), "cut at {at}");
        assert_eq!(streamed.tokens.output.filter(|&tokens| tokens != 6), None, "the first figure is no count");
    }
    assert!(stream(&bytes[..end]).terminal);
}

#[test]
fn a_reply_that_ends_early_is_invalid() {
    TESTED.a_reply_that_ends_early_is_invalid();
}

#[test]
fn a_list_of_models_must_be_one() {
    let ids = ANTHROPIC.models(br#"{"data":[{"type":"model","id":"a"},{"id":"b"}],"has_more":false}"#);
    assert_eq!(ids.unwrap(), ["a", "b"]);
    for body in ["", "{}", "[{}]", "null", r#"{"data":{}}"#, r#"{"data":[{}]}"#, "<html>"] {
        assert!(ANTHROPIC.models(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn calls_go_where_the_reference_says() {
    let path = |operation| ANTHROPIC.path(&TESTED.asked(operation, false));
    assert_eq!((path(Operation::Chat).as_str(), path(Operation::Models).as_str()), ("/messages", "/models?limit=1000"));
    let facts = ANTHROPIC.facts();
    assert_eq!(facts.auth, Auth::Header("x-api-key"));
    assert_eq!(facts.headers, [("anthropic-version", "2023-06-01")]);
}

/// JSON of Anthropic's shape, with anything in any place.
fn anthropic_json() -> impl Strategy<Value = Value> {
    json_of(
        &[
            "type",
            "message",
            "content",
            "content_block",
            "delta",
            "text",
            "thinking",
            "signature",
            "data",
            "id",
            "name",
            "input",
            "partial_json",
            "stop_reason",
            "usage",
            "input_tokens",
            "output_tokens",
            "error",
            "model",
        ],
        &["text", "thinking", "tool_use", "message_start", "content_block_start", "text_delta", "end_turn"],
    )
}

/// An event whose outer shape is right, in any order.
fn event() -> impl Strategy<Value = Value> {
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let start = |block: Value| json!({"type": "content_block_start", "index": 0, "content_block": block});
    proptest::sample::select(vec![
        json!({"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 1}}}),
        start(json!({"type": "text", "text": ""})),
        start(json!({"type": "thinking", "thinking": "", "signature": ""})),
        start(json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
        start(json!({"type": "tool_use", "id": "b", "name": "g", "input": {"x": 1}})),
        start(json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        start(json!({"type": "redacted_thinking", "data": "d"})),
        delta(json!({"type": "text_delta", "text": "x"})),
        delta(json!({"type": "thinking_delta", "thinking": "x"})),
        delta(json!({"type": "signature_delta", "signature": "s"})),
        delta(json!({"type": "input_json_delta", "partial_json": "{}"})),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "ping"}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ])
}

proptest! {
    #[test]
    fn nonsense_is_no_panic(bytes in nonsense()) {
        TESTED.read_all(&bytes);
    }

    #[test]
    fn damage_is_no_panic(bytes in damaged(TESTED.samples())) {
        TESTED.read_all(&bytes);
    }

    #[test]
    fn other_json_is_no_panic(value in anthropic_json()) {
        TESTED.read_all(value.to_string().as_bytes());
    }

    /// Whatever the events, what goes out is OpenAI's: whole frames of JSON, every call begun once, and a mark of the end
    /// only where the message was said to be whole.
    #[test]
    fn any_events_come_out_as_a_stream_that_clients_can_read(events in proptest::collection::vec(event(), 0..10)) {
        let bytes: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        // Pieces of arguments may not make JSON together, in whatever order they came.
        let pieces = bytes.matches("input_json_delta").count();
        let streamed = stream(bytes.as_bytes());
        let ends = streamed.out.ends_with(b"data: [DONE]\n\n");
        prop_assert_eq!(ends, streamed.terminal);
        if ends && pieces < 2 {
            facts::of_stream(&streamed);
        }
    }
}
