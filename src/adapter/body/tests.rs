use proptest::prelude::*;

use bytes::Bytes;

use super::*;
use crate::adapter::Dialect;
use crate::api::Capability;

fn chat(body: &str) -> Result<Scan, BodyError> {
    scan(Dialect::OpenAi, Operation::Chat, None, body.as_bytes())
}

/// What is sent, and that a large body in pieces says the same as a small one that was copied.
fn sent(body: &str, model: &str, ask: bool) -> String {
    let splice = |body: &str| {
        let spliced = chat(body).unwrap().splice(&Bytes::copy_from_slice(body.as_bytes()), model, ask);
        assert_eq!(spliced.len(), spliced.to_vec().len());
        String::from_utf8(spliced.to_vec()).unwrap()
    };
    let small = splice(body);
    let space = " ".repeat(bounds::SPLICE_COPIED_BYTES_MAX);
    assert_eq!(splice(&format!("{body}{space}")), format!("{small}{space}"));
    small
}

#[test]
fn only_the_model_changes_and_the_unknown_survives() {
    let body = r#" { "x" : [1, {"model":"deep"}], "mod\u0065l" : "fast", "messages":[{"role":"user","content":"hi"}],"y":1e400 } "#;
    assert_eq!(chat(body).unwrap().model, "fast");
    assert_eq!(sent(body, "gpt \"4\"", false), body.replace(r#""fast""#, r#""gpt \"4\"""#));
}

#[test]
fn usage_is_asked_for_beside_what_was_there() {
    let plain = r#"{"messages":[{}],"model":"m"}"#;
    assert_eq!(sent(plain, "n", true), r#"{"messages":[{}],"model":"n","stream_options":{"include_usage":true}}"#);
    let given = r#"{"model":"m","stream_options":{"a":1},"messages":[{}]}"#;
    assert_eq!(
        sent(given, "n", true),
        r#"{"model":"n","stream_options":{"a":1,"include_usage":true},"messages":[{}]}"#
    );
    let null = r#"{"model":"m","stream_options":null,"messages":[{}]}"#;
    assert_eq!(sent(null, "m", true), r#"{"model":"m","stream_options":{"include_usage":true},"messages":[{}]}"#);
}

#[test]
fn the_label_is_cut_out_with_its_object_if_nothing_is_left() {
    let rest = r#"{"metadata":{"a":"b","bursar_feature":"f"},"model":"m","messages":[{}]}"#;
    assert_eq!(chat(rest).unwrap().feature.as_deref(), Some("f"));
    assert_eq!(sent(rest, "m", false), r#"{"metadata":{"a":"b"},"model":"m","messages":[{}]}"#);
    for (body, left) in [
        (r#"{"metadata":{"bursar_feature":"f"} , "model":"m","messages":[{}]}"#, r#"{ "model":"m","messages":[{}]}"#),
        (r#"{"model":"m", "metadata":{"bursar_feature":"f"},"messages":[{}]}"#, r#"{"model":"m","messages":[{}]}"#),
        (r#"{"model":"m","messages":[{}],"metadata":{"bursar_feature":"f"}}"#, r#"{"model":"m","messages":[{}]}"#),
    ] {
        assert_eq!(sent(body, "m", false), left);
    }
}

#[test]
fn what_a_request_needs_is_seen() {
    let body = r#"{"model":"m","stream":true,"tools":[{}],"response_format":{"type":"json_schema"},
        "messages":[{"content":"image_url"},{"content":[{"type":"text"},{"type":"im\u0061ge_url"},{"type":"file"}]}]}"#;
    let needs: Vec<_> = chat(body).unwrap().needs.iter().map(Capability::name).collect();
    assert_eq!(needs, ["chat", "stream", "tools", "vision", "pdf", "json_schema"]);
}

#[test]
fn errors_name_the_field_and_help() {
    for (body, expected) in [
        ("", "the body is not valid JSON: EOF while parsing a value at line 1 column 0"),
        ("[]", "the body must be one JSON object"),
        ("{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", "the key \"model\" stands twice: send it once"),
        ("{}", "model is missing: it must be a string that names a model or a route"),
        ("{\"model\":7}", "model must be a string that names a model or a route"),
        ("{\"model\":\"m\"}", "messages is missing: it must be an array"),
        ("{\"model\":\"m\",\"messages\":{}}", "messages must be an array of objects, each with a role and a content"),
        ("{\"model\":\"m\",\"messages\":[]}", "messages is empty: it must hold at least one message"),
        ("{\"model\":\"m\",\"stream\":\"yes\"}", "stream must be true or false"),
        ("{\"model\":\"m\"} x", "the body is not valid JSON: trailing characters at line 1 column 15"),
    ] {
        assert_eq!(chat(body).unwrap_err().to_string(), expected, "{body}");
    }
    assert!(scan(Dialect::OpenAi, Operation::Chat, None, b"{\"model\":\"\xFF\"}").is_err());
}

#[test]
fn parameters_are_left_out_and_renamed() {
    let body = br#"{"max_completion_tokens":5,"store":true,"model":"m","n":1e400}"#;
    let rename = [("max_completion_tokens".to_owned(), "max_tokens".to_owned())];
    let out = rewrite(body, &["store".to_owned()], &rename).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"max_tokens":5,"model":"m","n":1e400}"#);
    let both = rewrite(br#"{"max_tokens":9,"max_completion_tokens":5}"#, &[], &rename).unwrap();
    assert_eq!(String::from_utf8(both).unwrap(), r#"{"max_tokens":5}"#, "no key stands twice");
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep =
        format!("{{\"model\":\"m\",\"messages\":[{{\"content\":{}1{}}}]}}", "[".repeat(100_000), "]".repeat(100_000));
    let _ = chat(&deep);
}

#[test]
fn anthropics_bodies_are_read_in_their_own_words() {
    let body = r#"{"model":"claude","max_tokens":9,"stream":true,"metadata":{"bursar_feature":"f","user_id":"u"},
        "thinking":{"type":"enabled"},"tools":[{}],"output_config":{"effort":"low","format":{"type":"json_schema"}},
        "messages":[{"content":"image"},{"content":[{"type":"document"},
        {"type":"tool_result","content":[{"type":"image"}]},{"type":"file"},{"type":"tool_result","content":"x"}]}]}"#;
    let scan = scan(Dialect::Anthropic, Operation::Chat, None, body.as_bytes()).unwrap();
    assert_eq!((&*scan.model, scan.stream, scan.max_output_tokens), ("claude", true, Some(9)));
    assert_eq!(scan.feature.as_deref(), Some("f"));
    assert_eq!(names(&scan), ["chat", "stream", "tools", "vision", "pdf", "json_schema"]);
    let sent = scan.splice(&Bytes::from(body), "other", true).to_vec();
    let expected = body.replace(r#""claude""#, r#""other""#).replace(r#""bursar_feature":"f","#, "");
    assert_eq!(String::from_utf8(sent).unwrap(), expected);
}

fn names(scan: &Scan) -> Vec<&'static str> {
    scan.needs.iter().map(Capability::name).collect()
}

fn gemini(operation: Operation, single: bool, body: &str) -> Result<Scan, BodyError> {
    let path = InPath { model: "fast".into(), stream: operation == Operation::Chat, single };
    scan(Dialect::Gemini, operation, Some(&path), body.as_bytes())
}

#[test]
fn geminis_path_names_the_model_and_its_chat_bodies_pass_unchanged() {
    let body = r#"{"contents":[{"parts":[{"text":"image/png"},{"inlineData":{"mimeType":"image/png","data":"x"}}]},
        {"parts":{"file_data":{"mime_type":"application/pdf"}}}],"tools":[{"googleSearch":{}}],
        "generation_config":{"max_output_tokens":"7","response_json_schema":{},"responseLogprobs":true}}"#;
    let scan = gemini(Operation::Chat, false, body).unwrap();
    assert_eq!((&*scan.model, scan.stream, scan.max_output_tokens), ("fast", true, Some(7)));
    assert_eq!(names(&scan), ["chat", "stream", "tools", "vision", "pdf", "json_schema", "logprobs"]);
    assert_eq!(scan.splice(&Bytes::from(body), "m", true).to_vec(), body.as_bytes());
    let one = r#"{"contents":{"role":"user","parts":{"inline_data":{"mimeType":"audio/wav"}}},"generationConfig":{"responseSchema":{}}}"#;
    assert_eq!(names(&gemini(Operation::Chat, false, one).unwrap()), ["chat", "stream", "audio_input", "json_schema"]);
}

#[test]
fn every_model_of_geminis_embeddings_is_changed() {
    let sent = |single, body: &'static str, model| {
        let scan = gemini(Operation::Embeddings, single, body).unwrap();
        assert_eq!((names(&scan), scan.stream), (vec!["embeddings"], false));
        String::from_utf8(scan.splice(&Bytes::from(body), model, false).to_vec()).unwrap()
    };
    let one = r#"{"model": "models/fast", "content":{"parts":[{"text":"model"}]}}"#;
    assert_eq!(sent(true, one, "g"), one.replace("models/fast", "models/g"));
    assert_eq!(sent(true, one, "tunedModels/g"), one.replace("models/fast", "tunedModels/g"));
    let many =
        r#"{"requests":[{"model":"models/fast","content":{}},{"content":{},"mod\u0065l":"fast"},{"content":{}}]}"#;
    let expected =
        r#"{"requests":[{"model":"models/g","content":{}},{"content":{},"mod\u0065l":"models/g"},{"content":{}}]}"#;
    assert_eq!(sent(false, many, "g"), expected);
}

#[test]
fn errors_of_the_other_dialects_name_their_fields() {
    let anthropic = |body: &str| scan(Dialect::Anthropic, Operation::Chat, None, body.as_bytes()).unwrap_err();
    assert_eq!(anthropic(r#"{"model":"m"}"#).param.as_deref(), Some("messages"));
    assert_eq!(anthropic(r#"{"messages":[{}]}"#).param.as_deref(), Some("model"));
    for (operation, single, body, param) in [
        (Operation::Chat, false, "{}", "contents"),
        (Operation::Chat, false, r#"{"contents":[]}"#, "contents"),
        (Operation::Chat, false, r#"{"contents":7}"#, "contents"),
        (Operation::Chat, false, r#"{"contents":[{}],"generationConfig":7}"#, "generationConfig"),
        (
            Operation::Chat,
            false,
            r#"{"contents":[{}],"generationConfig":{},"generation_config":{}}"#,
            "generation_config",
        ),
        (
            Operation::Chat,
            false,
            r#"{"contents":[{}],"generationConfig":{"maxOutputTokens":-1}}"#,
            "generationConfig.maxOutputTokens",
        ),
        (Operation::Embeddings, true, "{}", "content"),
        (Operation::Embeddings, false, r#"{"content":{}}"#, "requests"),
        (Operation::Embeddings, false, r#"{"requests":[7]}"#, "requests"),
    ] {
        assert_eq!(gemini(operation, single, body).unwrap_err().param.as_deref(), Some(param), "{body}");
    }
    assert!(scan(Dialect::Gemini, Operation::Chat, None, b"{}").is_err());
}

proptest! {
    #[test]
    fn whatever_goes_out_is_valid_and_says_the_same(
        keys in proptest::collection::vec("[a-z]{1,6}", 0..5),
        feature in proptest::option::of("[a-z]{1,8}"),
        model in "\\PC{1,20}",
        at in 0usize..6,
        ask: bool,
    ) {
        let mut members: Vec<String> = keys.iter().enumerate().map(|(i, k)| format!("\"x{i}{k}\" : {i}")).collect();
        let mut put = |text: String| members.insert(at.min(members.len()), text);
        put("\"messages\":[{\"role\":\"user\"}]".into());
        put("\"model\" : \"m\"".into());
        if let Some(feature) = &feature {
            put(format!("\"metadata\":{{\"bursar_feature\":\"{feature}\"}}"));
        }
        let body = format!("{{ {} }}", members.join(" , "));
        let out: serde_json::Value = serde_json::from_str(&sent(&body, &model, ask)).unwrap();
        let mut expected: serde_json::Value = serde_json::from_str(&body).unwrap();
        expected["model"] = model.into();
        expected.as_object_mut().unwrap().remove("metadata");
        if ask {
            expected["stream_options"] = serde_json::json!({"include_usage": true});
        }
        prop_assert_eq!(out, expected);
    }
}
