//! What requests and answers mean, whatever the words: two that mean the same are equal here.

use bursar::adapter::Dialect;
use serde_json::{Map, Value, json};

/// The meaning of a request.
pub fn request(body: &Value) -> Value {
    let format = &body["response_format"];
    json!({
        "instructions": instructions(&body["messages"]),
        "turns": turns(&body["messages"]),
        "tools": list(&body["tools"]).iter().map(tool).collect::<Vec<_>>(),
        "tool_choice": match &body["tool_choice"] {
            Value::Object(named) => named["function"]["name"].clone(),
            Value::String(word) if word != "auto" => json!(format!("mode {word}")),
            _ => Value::Null,
        },
        "one_call_only": body["parallel_tool_calls"] == false && body["tool_choice"] != "none",
        "format": match format["type"].as_str() {
            Some("json_schema") => number_free(&format["json_schema"]["schema"]),
            Some("json_object") => json!("any"),
            _ => Value::Null,
        },
        "max_tokens": body.get("max_completion_tokens").or(body.get("max_tokens")),
        // What holds where nothing is said.
        "temperature": body["temperature"].as_f64().unwrap_or(1.0),
        "top_p": body["top_p"].as_f64().unwrap_or(1.0),
        "top_k": body["top_k"].as_f64(),
        "stop": match &body["stop"] {
            Value::String(one) => json!([one]),
            other => json!(list(other)),
        },
        "n": body["n"].as_u64().unwrap_or(1),
        "seed": body["seed"],
        "presence_penalty": body["presence_penalty"].as_f64().unwrap_or(0.0),
        "frequency_penalty": body["frequency_penalty"].as_f64().unwrap_or(0.0),
        "effort": match body["reasoning_effort"].as_str() {
            // Providers have fewer degrees.
            Some("minimal") => json!("low"),
            Some("xhigh" | "max") => json!("high"),
            Some(word) => json!(word),
            None => Value::Null,
        },
    })
}

/// The meaning of an answer.
pub fn reply(body: &Value) -> Value {
    let usage = &body["usage"];
    let choice = |choice: &Value| {
        let message = &choice["message"];
        json!({
            "index": choice["index"],
            "text": text(&message["content"]),
            "reasoning": text(&message["reasoning_content"]),
            "calls": list(&message["tool_calls"]).iter().map(call).collect::<Vec<_>>(),
            "finish": choice["finish_reason"],
        })
    };
    json!({
        "choices": list(&body["choices"]).iter().map(choice).collect::<Vec<_>>(),
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"],
        "cached": usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0),
        "reasoning": usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(0),
    })
}

/// What is not the same any more, but for what a dialect has no place for.
pub fn lost(dialect: Dialect, meant: &Value, understood: &Value) -> Option<String> {
    for (name, value) in meant.as_object().unwrap() {
        let other = &understood[name];
        let excused = match (dialect, name.as_str()) {
            // It wants a limit, and is given one.
            (Dialect::Anthropic, "max_tokens") => value.is_null(),
            // It counts thoughts among what it says.
            (Dialect::Anthropic, "reasoning") => *other == 0,
            _ => false,
        };
        if value != other && !excused {
            return Some(format!("{name} was {value}, and became {other}"));
        }
    }
    None
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// All instructions, in their order, however they are put together.
fn instructions(messages: &Value) -> Vec<String> {
    let is_one = |message: &&Value| matches!(message["role"].as_str(), Some("system" | "developer"));
    let parts = list(messages).iter().filter(is_one).flat_map(|message| content(&message["content"]));
    let texts: Vec<String> = parts.map(|part| part["text"].as_str().unwrap().to_owned()).collect();
    texts.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
}

/// Turns: who, and what was said; messages of one speaker after another are one turn.
fn turns(messages: &Value) -> Value {
    let mut turns: Vec<(String, Vec<Value>)> = Vec::new();
    let mut calls: Vec<String> = Vec::new();
    for message in list(messages) {
        let (who, said) = match message["role"].as_str().unwrap() {
            "system" | "developer" => continue,
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap();
                // The last call of that id: ids need not differ from turn to turn.
                let number = calls.iter().rposition(|call| call == id);
                ("results", vec![json!({"of": number, "is": result(&text(&message["content"]))})])
            }
            "assistant" => {
                let made = list(&message["tool_calls"]);
                calls.extend(made.iter().map(|call| call["id"].as_str().unwrap().to_owned()));
                ("assistant", content(&message["content"]).into_iter().chain(made.iter().map(call)).collect())
            }
            _ => ("user", content(&message["content"])),
        };
        match turns.last_mut() {
            Some((last, all)) if last == who => all.extend(said),
            _ => turns.push((who.into(), said)),
        }
    }
    for (who, said) in &mut turns {
        if who == "results" {
            said.sort_by_key(|one| one["of"].as_u64());
        }
        *said = joined(said);
    }
    json!(turns)
}

/// The parts of a content.
fn content(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => vec![json!({"text": text})],
        parts => list(parts)
            .iter()
            .map(|part| match part["type"].as_str() {
                Some("text") => json!({"text": part["text"]}),
                Some("file") => json!({"file": part["file"]["file_data"]}),
                _ => json!({"picture": part["image_url"]["url"]}),
            })
            .collect(),
    }
}

/// Texts that stand beside each other, as one.
fn joined(parts: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for part in parts {
        match (all.last_mut().and_then(|last| last.get_mut("text")), part["text"].as_str()) {
            (Some(Value::String(before)), Some(text)) => before.push_str(text.trim()),
            _ => all.push(part.clone()),
        }
    }
    for part in &mut all {
        if let Some(Value::String(text)) = part.get_mut("text") {
            text.retain(|letter| !letter.is_whitespace());
        }
    }
    all
}

fn text(content: &Value) -> String {
    let parts = content.is_array().then(|| list(content).iter().filter_map(|part| part["text"].as_str()).collect());
    parts.unwrap_or_else(|| content.as_str().unwrap_or_default().to_owned())
}

/// A call without its id, which some dialects lack.
fn call(call: &Value) -> Value {
    let function = &call["function"];
    let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
    json!({"name": function["name"], "arguments": number_free(&arguments)})
}

/// A result: an object, or a text, which stands in an object where a dialect has nothing else.
fn result(text: &str) -> Value {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(object) => match (object.len(), object.get("result").or(object.get("output"))) {
            (1, Some(Value::String(inner))) => json!(inner),
            _ => number_free(&object.into()),
        },
        Err(_) => json!(text),
    }
}

fn tool(tool: &Value) -> Value {
    let function = &tool["function"];
    let nothing = [Value::Null, json!({}), json!({"type": "object"}), json!({"type": "object", "properties": {}})];
    let parameters = Some(&function["parameters"]).filter(|schema| !nothing.contains(schema));
    let description = function["description"].as_str().unwrap_or_default();
    json!([function["name"], description, parameters.map(number_free)])
}

/// The same value with numbers that are equal written alike.
fn number_free(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!({"number": number.as_f64()}),
        Value::Array(items) => items.iter().map(number_free).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), number_free(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
