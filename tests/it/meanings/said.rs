//! Random answers of OpenAI's dialect, whole and as streams.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::asked::{arguments, word};

/// A chat completion with up to so many answers.
pub fn reply(answers: usize) -> impl Strategy<Value = Value> {
    (vec(answer(), 1..=answers), usage()).prop_map(|(answers, usage)| {
        let choice = |(index, (message, finish)): (usize, (Value, String))| {
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish})
        };
        let choices: Vec<Value> = answers.into_iter().enumerate().map(choice).collect();
        json!({
            "id": "chatcmpl-7", "object": "chat.completion", "created": 1, "model": "a-model", "choices": choices,
            "usage": usage,
        })
    })
}

fn answer() -> impl Strategy<Value = (Value, String)> {
    let spaced = || vec(word(), 1..4).prop_map(|words| words.join(" "));
    let call = (select(vec!["get_weather", "add"]), arguments());
    let ends = select(vec!["stop", "stop", "length", "content_filter"]);
    (weighted(0.8, spaced()), weighted(0.3, spaced()), vec(call, 0..3), ends).prop_map(
        |(text, reasoning, calls, ends)| {
            // An answer says something.
            let text = text.or_else(|| calls.is_empty().then(|| "well".to_owned()));
            let mut message = json!({"role": "assistant", "content": text, "refusal": null});
            if let Some(reasoning) = reasoning {
                message["reasoning_content"] = json!(reasoning);
            }
            let made = calls.iter().enumerate().map(|(number, (name, arguments))| {
                let function = json!({"name": name, "arguments": arguments.to_string()});
                json!({"id": format!("call_{number}"), "type": "function", "function": function})
            });
            if !calls.is_empty() {
                message["tool_calls"] = made.collect();
            }
            (message, if calls.is_empty() { ends } else { "tool_calls" }.to_owned())
        },
    )
}

fn usage() -> impl Strategy<Value = Value> {
    (1_u32..9_999, 1_u32..9_999, weighted(0.3, 0_u32..=100), weighted(0.3, 0_u32..=100)).prop_map(
        |(input, output, cached, reasoning)| {
            let mut usage =
                json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
            if let Some(percent) = cached {
                usage["prompt_tokens_details"] = json!({"cached_tokens": input * percent / 100});
            }
            if let Some(percent) = reasoning {
                usage["completion_tokens_details"] = json!({"reasoning_tokens": output * percent / 100});
            }
            usage
        },
    )
}

/// An answer as the frames of a stream, in small pieces.
pub fn frames(reply: &Value) -> Vec<String> {
    let mut frames = Vec::new();
    let mut add = |choices: Value, usage: Option<&Value>| {
        let mut chunk = json!({
            "id": reply["id"], "object": "chat.completion.chunk", "created": 1, "model": reply["model"],
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        frames.push(format!("data: {chunk}\n\n"));
    };
    for choice in reply["choices"].as_array().unwrap() {
        let mut say = |delta: Value, finish: Value| {
            add(json!([{"index": choice["index"], "delta": delta, "finish_reason": finish}]), None);
        };
        let message = &choice["message"];
        say(json!({"role": "assistant", "content": ""}), Value::Null);
        for name in ["reasoning_content", "content"] {
            for piece in pieces(message[name].as_str().unwrap_or_default()) {
                say(json!({name: piece}), Value::Null);
            }
        }
        for (number, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let function = &call["function"];
            let begun = json!({"name": function["name"], "arguments": ""});
            let first = json!({"index": number, "id": call["id"], "type": "function", "function": begun});
            say(json!({"tool_calls": [first]}), Value::Null);
            for piece in pieces(function["arguments"].as_str().unwrap()) {
                say(json!({"tool_calls": [{"index": number, "function": {"arguments": piece}}]}), Value::Null);
            }
        }
        say(json!({}), choice["finish_reason"].clone());
    }
    add(json!([]), Some(&reply["usage"]));
    frames.push("data: [DONE]\n\n".into());
    frames
}

fn pieces(text: &str) -> Vec<String> {
    text.chars().collect::<Vec<_>>().chunks(3).map(|some| some.iter().collect()).collect()
}

/// A stream, gathered as clients do.
pub fn gathered(stream: &str) -> Value {
    let mut choices: Vec<Value> = Vec::new();
    let mut usage = Value::Null;
    let chunks = stream.split_terminator("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
    for data in chunks.filter(|data| *data != "[DONE]") {
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}"));
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
        }
        for choice in chunk["choices"].as_array().unwrap() {
            let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
            while choices.len() <= index {
                let fresh = json!({"content": "", "reasoning_content": "", "tool_calls": []});
                choices.push(json!({"index": choices.len(), "message": fresh, "finish_reason": null}));
            }
            gather(&mut choices[index], choice);
        }
    }
    json!({"choices": choices, "usage": usage})
}

fn gather(whole: &mut Value, choice: &Value) {
    let delta = &choice["delta"];
    let grow = |text: &mut Value, more: &Value| {
        let more = more.as_str().unwrap_or_default();
        *text = json!(text.as_str().unwrap_or_default().to_owned() + more);
    };
    if !choice["finish_reason"].is_null() {
        whole["finish_reason"] = choice["finish_reason"].clone();
    }
    let message = &mut whole["message"];
    for name in ["content", "reasoning_content"] {
        grow(&mut message[name], &delta[name]);
    }
    let calls = message["tool_calls"].as_array_mut().unwrap();
    for piece in delta["tool_calls"].as_array().into_iter().flatten() {
        let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if index == calls.len() {
            calls.push(json!({"id": piece["id"], "function": {"name": piece["function"]["name"], "arguments": ""}}));
        }
        grow(&mut calls[index]["function"]["arguments"], &piece["function"]["arguments"]);
    }
}
