//! A whole chat completion as a stream, for an app that asked for one where the provider answered at once.

use serde_json::{Map, Value, json};

use crate::adapter::{Invalid, sse};

/// The frames that say the same: each answer's message and its end, the usage where the app asked for it, `[DONE]`.
/// Whatever a provider says beyond OpenAI's fields stays where it is.
///
/// # Errors
/// When the body is no chat completion.
pub fn at_once(body: &[u8], include_usage: bool) -> Result<Vec<u8>, Invalid> {
    let mut reply: Map<String, Value> = serde_json::from_slice(body)?;
    let usage = reply.remove("usage");
    let choices = match reply.remove("choices") {
        Some(Value::Array(choices)) => choices,
        _ => return Err(Invalid("it has no choices".into())),
    };
    reply.insert("object".into(), "chat.completion.chunk".into());
    let mut out = Vec::new();
    let mut write = |choices: Value, usage: Option<&Value>| {
        let mut chunk = reply.clone();
        chunk.insert("choices".into(), choices);
        if let Some(usage) = usage {
            chunk.insert("usage".into(), usage.clone());
        }
        sse::write_data(&mut out, Value::Object(chunk).to_string().as_bytes());
    };
    for (position, choice) in choices.into_iter().enumerate() {
        let Value::Object(mut choice) = choice else { return Err(Invalid("a choice in it is no object".into())) };
        let index = choice.get("index").filter(|index| index.is_u64()).cloned().unwrap_or_else(|| position.into());
        let reason = choice.remove("finish_reason").filter(|reason| !reason.is_null());
        let mut delta = match choice.remove("message") {
            Some(Value::Object(message)) => message,
            _ => Map::new(),
        };
        number(&mut delta);
        choice.insert("index".into(), index.clone());
        choice.insert("delta".into(), delta.into());
        choice.insert("finish_reason".into(), Value::Null);
        write(json!([choice]), None);
        // A stream's answer has an end, whatever the provider left out.
        let reason = reason.unwrap_or_else(|| "stop".into());
        write(json!([{"index": index, "delta": {}, "finish_reason": reason}]), None);
    }
    if let Some(usage) = usage.filter(|usage| include_usage && !usage.is_null()) {
        write(json!([]), Some(&usage));
    }
    sse::write_data(&mut out, b"[DONE]");
    Ok(out)
}

/// Pieces of calls have numbers, which calls in a whole message lack.
fn number(delta: &mut Map<String, Value>) {
    let Some(Value::Array(calls)) = delta.get_mut("tool_calls") else { return };
    for (index, call) in calls.iter_mut().enumerate() {
        if let Value::Object(call) = call {
            call.insert("index".into(), index.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(body: &Value, include_usage: bool) -> Vec<String> {
        let out = at_once(body.to_string().as_bytes(), include_usage).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap().to_owned()).collect()
    }

    #[test]
    fn a_whole_answer_with_calls_is_said_in_chunks() {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call, call], "extra": 1});
        let body = json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": {"total_tokens": 3},
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls"}],
        });
        let all = frames(&body, true);
        let [said, end, usage, done] = &all[..] else { panic!("{all:?}") };
        let [said, end, usage]: [Value; 3] = [said, end, usage].map(|text| serde_json::from_str(text).unwrap());
        for chunk in [&said, &end, &usage] {
            assert_eq!(
                (&chunk["id"], &chunk["object"], &chunk["model"]),
                (&json!("x"), &json!("chat.completion.chunk"), &json!("m"))
            );
        }
        let delta = &said["choices"][0]["delta"];
        assert_eq!((&delta["tool_calls"][1]["index"], &delta["extra"]), (&json!(1), &json!(1)));
        assert_eq!((&said["choices"][0]["finish_reason"], said.get("usage")), (&Value::Null, None));
        assert_eq!(end["choices"], json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]));
        assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &json!({"total_tokens": 3})));
        assert_eq!(done, "[DONE]");
        assert_eq!(frames(&body, false).len(), 3, "usage is for those who asked");
    }

    #[test]
    fn every_answer_has_its_number_and_its_end() {
        let body = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "length"}, {"message": {"content": "b"}}]});
        let all = frames(&body, false);
        let choices: Vec<Value> =
            all[..4].iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["choices"][0].take()).collect();
        let ends: Vec<_> =
            choices.iter().map(|choice| (choice["index"].as_u64(), choice["finish_reason"].as_str())).collect();
        assert_eq!(ends, [(Some(0), None), (Some(0), Some("length")), (Some(1), None), (Some(1), Some("stop"))]);
        assert!(at_once(b"{}", false).is_err() && at_once(b"[1]", false).is_err());
    }
}
