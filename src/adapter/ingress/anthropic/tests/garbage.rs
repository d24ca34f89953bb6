//! Bytes that are cut, damaged or nonsense: refusals and errors, never panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::ANTHROPIC;
use super::golden::cases;
use super::streams::{events, gathered};
use super::{asked, stream};
use crate::adapter::ingress::Ingress;
use crate::adapter::tests::garbage::{damaged, nonsense};

/// All that the ingress reads from outside.
fn read_all(bytes: &[u8]) {
    if let Ok(body) = ANTHROPIC.request(&asked(), bytes) {
        serde_json::from_slice::<Map<String, Value>>(&body).unwrap();
    }
    if let Ok(body) = ANTHROPIC.reply(&asked(), bytes) {
        serde_json::from_slice::<Map<String, Value>>(&body).unwrap();
    }
    gathered(&events(&stream(&[bytes])));
    gathered(&events(&stream(&[b"data: ", bytes, b"\n\n", bytes])));
}

#[test]
fn what_is_cut_short_is_refused_or_invalid() {
    for case in cases("request", ".anthropic.json") {
        for at in 0..case.given.trim_ascii_end().len() {
            assert!(ANTHROPIC.request(&asked(), &case.given[..at]).is_err(), "{} cut at {at}", case.name);
        }
    }
    for case in cases("reply", ".openai.json") {
        for at in 0..case.given.trim_ascii_end().len() {
            assert!(ANTHROPIC.reply(&asked(), &case.given[..at]).is_err(), "{} cut at {at}", case.name);
        }
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let schema = format!(
        r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"x"}}],"tools":[{{"name":"f","input_schema":{{"x":{deep}}}}}]}}"#
    );
    let refusal = ANTHROPIC.request(&asked(), schema.as_bytes()).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("tools[0].input_schema"));
    let content = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":{deep}}}]}}"#);
    assert!(ANTHROPIC.request(&asked(), content.as_bytes()).is_err());
}

/// Bytes of golden files, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    [("request", ".anthropic.json"), ("reply", ".openai.json"), ("stream", ".openai.sse")]
        .into_iter()
        .flat_map(|(folder, ending)| cases(folder, ending))
        .map(|case| case.given)
        .collect()
}

/// A chunk of OpenAI's, with anything in any order.
fn chunk() -> impl Strategy<Value = Value> {
    let text = proptest::sample::select(vec![json!(null), json!(""), json!("x")]);
    let piece = (0..3_u32, any::<bool>(), proptest::sample::select(vec!["", "{}", "{\"a\"", ":1}", "]"])).prop_map(
        |(index, begins, arguments)| match begins {
            true => {
                json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": arguments}})
            }
            false => json!({"index": index, "function": {"arguments": arguments}}),
        },
    );
    let extra = proptest::sample::select(vec![json!(null), json!({"google": {"thought_signature": "s"}}), json!({})]);
    let reason = proptest::sample::select(vec![json!(null), json!(null), json!("stop"), json!("length")]);
    (text.clone(), text, proptest::collection::vec(piece, 0..3), extra, reason).prop_map(
        |(content, thoughts, calls, extra, reason)| {
            let delta = json!({"content": content, "reasoning": thoughts, "tool_calls": calls, "extra_content": extra});
            json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        },
    )
}

proptest! {
    #[test]
    fn nonsense_is_no_panic(bytes in nonsense()) {
        read_all(&bytes);
    }

    #[test]
    fn damage_is_no_panic(bytes in damaged(samples())) {
        read_all(&bytes);
    }

    /// Whatever the chunks, what goes out is Anthropic's: blocks one after the other, and all that was said in them.
    #[test]
    fn any_chunks_come_out_as_a_stream_that_clients_can_read(chunks in proptest::collection::vec(chunk(), 0..8)) {
        let bytes: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let Some(message) = gathered(&events(&stream(&[bytes.as_bytes()]))) else { return Ok(()) };
        let said = |member: &str| message["content"].as_array().unwrap().iter().filter_map(|block| block[member].as_str()).collect::<String>();
        let given = |member: &str| chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][member].as_str()).collect::<String>();
        prop_assert_eq!(said("text"), given("content"));
        prop_assert_eq!(said("thinking"), given("reasoning"));
    }
}
