//! Bytes that are cut, split or nonsense: errors, never panics, and the same whole however it came.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::GEMINI;
use super::{TESTED, asked, stream};
use crate::adapter::Adapter;
use crate::adapter::tests::facts;
use crate::adapter::tests::garbage::{damaged, json_of, nonsense};
use crate::adapter::tests::golden::read;
use crate::api::Operation;

#[test]
fn every_split_of_a_stream_gives_the_same() {
    TESTED.every_split_of_a_stream_gives_the_same(&asked(Operation::Chat, true));
}

#[test]
fn a_stream_that_ends_early_never_looks_finished() {
    let asked = asked(Operation::Chat, true);
    let bytes = read(&TESTED.case("stream", "text"));
    let end = bytes.trim_ascii_end().len();
    for at in 0..end {
        let streamed = stream(&asked, &[&bytes[..at]]);
        assert!(!streamed.terminal && !streamed.out.ends_with(b"data: [DONE]\n\n"), "cut at {at}");
    }
    assert!(stream(&asked, &[&bytes[..end]]).terminal);
}

#[test]
fn a_reply_that_ends_early_is_invalid() {
    TESTED.a_reply_that_ends_early_is_invalid();
}

#[test]
fn a_list_of_models_must_be_one() {
    let ids = GEMINI.models(br#"{"models":[{"name":"models/a"},{"name":"tunedModels/b"}],"nextPageToken":"x"}"#);
    assert_eq!(ids.unwrap(), ["a", "tunedModels/b"]);
    for body in ["", "{}", "[]", "null", r#"{"models":{}}"#, r#"{"models":[{}]}"#, "<html>"] {
        assert!(GEMINI.models(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn no_models_name_leaves_its_place_in_the_path() {
    let path = |model: &str, operation, stream| {
        GEMINI.path(&crate::adapter::Asked { model: model.into(), ..asked(operation, stream) })
    };
    assert_eq!(path("gemini-2.5-pro", Operation::Chat, false), "/models/gemini-2.5-pro:generateContent");
    assert_eq!(path("models/a", Operation::Chat, true), "/models/a:streamGenerateContent?alt=sse");
    assert_eq!(path("tunedModels/a", Operation::Chat, false), "/tunedModels/a:generateContent");
    assert_eq!(path("a", Operation::Embeddings, false), "/models/a:batchEmbedContents");
    assert_eq!(path("../x?y#z é", Operation::Chat, false), "/models/..%2Fx%3Fy%23z%20%C3%A9:generateContent");
    assert_eq!(path("", Operation::Models, false), "/models?pageSize=1000");
}

/// JSON of Google's shape, with anything in any place.
fn google_json() -> impl Strategy<Value = Value> {
    json_of(
        &[
            "candidates",
            "content",
            "parts",
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "name",
            "args",
            "partialArgs",
            "jsonPath",
            "stringValue",
            "numberValue",
            "willContinue",
            "finishReason",
            "index",
            "usageMetadata",
            "promptTokenCount",
            "totalTokenCount",
            "promptFeedback",
            "blockReason",
            "error",
            "details",
            "violations",
            "logprobsResult",
            "embeddings",
            "values",
        ],
        &["$.a[0]['b']", "STOP", "text"],
    )
}

/// A chunk whose outer shape is right, so that what lies inside is looked at.
fn chunk() -> impl Strategy<Value = Value> {
    let part = (google_json(), any::<bool>(), any::<bool>()).prop_map(|(args, named, goes_on)| {
        let mut call = json!({"willContinue": goes_on, "partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "x"}]});
        if named {
            call["name"] = json!("f");
            call["args"] = json!({"a": args});
        }
        json!({"functionCall": call})
    });
    let parts = proptest::collection::vec(prop_oneof![Just(json!({"text": "x"})), part], 0..4);
    let reason = proptest::sample::select(vec![json!(null), json!("STOP"), json!("OTHER"), json!("SAFETY")]);
    (parts, reason, 0..3_u32).prop_map(|(parts, reason, index)| {
        json!({"candidates": [{"content": {"parts": parts}, "finishReason": reason, "index": index}]})
    })
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
    fn other_json_is_no_panic(value in google_json()) {
        TESTED.read_all(value.to_string().as_bytes());
    }

    /// Whatever the chunks, what goes out is OpenAI's: whole frames of JSON, every call begun once and its arguments JSON,
    /// and a mark of the end only where every answer has a finish reason.
    #[test]
    fn any_chunks_come_out_as_a_stream_that_clients_can_read(chunks in proptest::collection::vec(chunk(), 0..6)) {
        let bytes: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
        let streamed = stream(&asked(Operation::Chat, true), &[bytes.as_bytes()]);
        let ends = streamed.out.ends_with(b"data: [DONE]\n\n");
        prop_assert_eq!(ends, streamed.terminal);
        if ends {
            facts::of_stream(&streamed);
        }
    }
}
