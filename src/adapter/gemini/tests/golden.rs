//! Golden files, recorded replies, and what of them no single file shows.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::GEMINI;
use super::{TESTED, asked, stream};
use crate::adapter::tests::golden::{json, read};
use crate::adapter::{Adapter, Asked};
use crate::api::Operation;

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
fn recorded_replies_say_what_they_should() {
    TESTED.recorded_replies_say_what_they_should();
}

#[test]
fn usage_goes_to_the_app_only_where_it_asked() {
    let asked = Asked { include_usage: false, ..asked(Operation::Chat, true) };
    let streamed = stream(&asked, &[&read(&TESTED.case("stream", "text"))]);
    assert!(!String::from_utf8(streamed.out).unwrap().contains("usage"));
    assert_eq!((streamed.tokens.input, streamed.tokens.output), (Some(4), Some(4)));
}

#[test]
fn an_answer_with_calls_can_be_handed_back() {
    let path = TESTED.case("decode", "calls");
    let given = json(&path);
    let reply = GEMINI.reply(&asked(Operation::Chat, false), &Bytes::from(read(&path))).unwrap();
    let answer: Value = serde_json::from_slice(&reply.body.unwrap()).unwrap();
    let back = json!({"messages": [{"role": "user", "content": "q"}, answer["choices"][0]["message"]]});
    let sent = GEMINI.encode(&asked(Operation::Chat, false), back.to_string().as_bytes()).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    // The thought before the calls stays away, as Google wants it; the signature comes back where it was.
    let (given, sent) = (&given["candidates"][0]["content"]["parts"], &sent["contents"][1]["parts"]);
    for at in 0..3 {
        assert_eq!(sent[at]["functionCall"]["name"], given[at + 1]["functionCall"]["name"]);
        assert_eq!(sent[at]["thoughtSignature"], given[at + 1]["thoughtSignature"]);
    }
    assert_eq!(sent[0]["functionCall"]["args"], given[1]["functionCall"]["args"]);
}

/// Every reason of the Gemini API reference, "FinishReason": what an app sees where text came, and whether that is an
/// answer where nothing came.
const REASONS: &[(&str, &str, bool)] = &[
    ("STOP", "stop", true),
    ("MAX_TOKENS", "length", true),
    ("SAFETY", "content_filter", true),
    ("RECITATION", "content_filter", true),
    ("LANGUAGE", "content_filter", true),
    ("BLOCKLIST", "content_filter", true),
    ("PROHIBITED_CONTENT", "content_filter", true),
    ("SPII", "content_filter", true),
    ("IMAGE_SAFETY", "content_filter", true),
    ("IMAGE_PROHIBITED_CONTENT", "content_filter", true),
    ("IMAGE_RECITATION", "content_filter", true),
    ("FINISH_REASON_UNSPECIFIED", "stop", false),
    ("OTHER", "stop", false),
    ("IMAGE_OTHER", "stop", false),
    ("NO_IMAGE", "stop", false),
    ("MALFORMED_FUNCTION_CALL", "stop", false),
    ("UNEXPECTED_TOOL_CALL", "stop", false),
    ("TOO_MANY_TOOL_CALLS", "stop", false),
    ("MISSING_THOUGHT_SIGNATURE", "stop", false),
    ("MALFORMED_RESPONSE", "stop", false),
];

#[test]
fn every_reason_is_an_end_or_an_error() {
    for (reason, word, lawful) in REASONS {
        let reply = |parts: Value| {
            let body = json!({"candidates": [{"content": {"parts": parts}, "finishReason": reason}]});
            GEMINI.reply(&asked(Operation::Chat, false), &Bytes::from(body.to_string())).unwrap()
        };
        let said: Value = serde_json::from_slice(&reply(json!([{"text": "x"}])).body.unwrap()).unwrap();
        assert_eq!(said["choices"][0]["finish_reason"], *word, "{reason}");
        let nothing = reply(json!([]));
        assert_eq!((nothing.body.is_some(), nothing.seen.error.is_none()), (*lawful, *lawful), "{reason}");
    }
}
