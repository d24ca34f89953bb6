//! Random requests of OpenAI's dialect, such as apps send them.

use bursar::adapter::Dialect;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// Functions that a model may call.
const TOOLS: &[&str] = &["get_weather", "add", "search-web"];

/// Whether a dialect may refuse this field of this body.
pub fn may_be_refused(dialect: Dialect, body: &Value, field: &str) -> bool {
    let effort = body["reasoning_effort"].as_str();
    match (dialect, field) {
        // It fetches no address, and reads one only of its own files.
        (Dialect::Gemini, "messages") => body["messages"].to_string().contains("\"https://"),
        (Dialect::Gemini, "parallel_tool_calls") => body["parallel_tool_calls"] == false,
        (Dialect::Anthropic, "n") => body["n"].as_u64().is_some_and(|count| count > 1),
        (Dialect::Anthropic, "seed" | "presence_penalty" | "frequency_penalty" | "logprobs" | "top_logprobs") => true,
        (Dialect::Anthropic, "temperature") => body["temperature"].as_f64().is_some_and(|value| value > 1.0),
        // It has schemas, and no mode for any JSON whatever.
        (Dialect::Anthropic, "response_format") => body["response_format"]["type"] == "json_object",
        (Dialect::Anthropic, "reasoning_effort") => effort.is_some(),
        _ => false,
    }
}

/// A text without spaces: where texts are joined, some put one between them.
pub fn word() -> impl Strategy<Value = String> {
    "[a-zA-Zéß日🙂\"\\\\{}<&'/.,:0-9-]{1,8}"
}

/// A request.
pub fn body() -> impl Strategy<Value = Value> {
    (conversation(), tools(), choice(), weighted(0.15, format()), sampling()).prop_map(
        |((messages, calls), tools, choice, format, sampling)| {
            let mut body = sampling;
            body.insert("model".into(), json!("a-model"));
            body.insert("messages".into(), messages);
            if calls || !tools.is_empty() {
                let declared = TOOLS.iter().filter(|name| calls || tools.contains_key(**name));
                let declared: Vec<Value> = declared.map(|name| declared_tool(name, tools.get(*name))).collect();
                if let Some((choice, parallel)) = choice {
                    let named = choice.as_str() == "named";
                    let choice = if named {
                        json!({"type": "function", "function": {"name": declared[0]["function"]["name"]}})
                    } else {
                        json!(choice)
                    };
                    body.insert("tool_choice".into(), choice);
                    body.extend(parallel.map(|parallel| ("parallel_tool_calls".to_owned(), json!(parallel))));
                }
                body.insert("tools".into(), json!(declared));
            }
            body.extend(format.map(|format| ("response_format".to_owned(), format)));
            body.into()
        },
    )
}

fn declared_tool(name: &str, with: Option<&(Option<String>, Option<Value>)>) -> Value {
    let mut function = json!({"name": name});
    if let Some((description, parameters)) = with {
        if let Some(text) = description {
            function["description"] = json!(text);
        }
        if let Some(schema) = parameters {
            function["parameters"] = schema.clone();
        }
    }
    json!({"type": "function", "function": function})
}

type Tools = std::collections::BTreeMap<&'static str, (Option<String>, Option<Value>)>;

fn tools() -> impl Strategy<Value = Tools> {
    let tool = (select(TOOLS), proptest::option::of(word()), proptest::option::of(schema()));
    vec(tool, 0..3).prop_map(|all| all.into_iter().map(|(name, text, schema)| (name, (text, schema))).collect())
}

fn choice() -> impl Strategy<Value = Option<(String, Option<bool>)>> {
    let word = select(vec!["auto", "none", "required", "named"]).prop_map(str::to_owned);
    proptest::option::of((word, weighted(0.2, any::<bool>())))
}

/// A schema of an object, in the words that all providers have.
fn schema() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        word().prop_map(|text| json!({"type": "string", "description": text})),
        Just(json!({"type": "integer", "minimum": 0, "maximum": 9})),
        Just(json!({"type": "number"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "string", "enum": ["a", "b"]})),
        Just(json!({"anyOf": [{"type": "string"}, {"type": "null"}]})),
    ];
    let value = plain.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![inner.clone().prop_map(|items| json!({"type": "array", "items": items})), object(inner)]
    });
    object(value)
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let names = select(vec!["city", "days", "unit"]);
    vec((names, value), 1..3).prop_map(|members| {
        let properties: Map<_, _> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let required: Vec<_> = properties.keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    })
}

fn format() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"type": "text"})),
        Just(json!({"type": "json_object"})),
        schema().prop_map(|schema| {
            json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}})
        }),
    ]
}

/// Options, each now and then: those that some provider lacks seldom, or everything would be refused.
fn sampling() -> impl Strategy<Value = Map<String, Value>> {
    let often = (
        weighted(0.4, prop_oneof![Just(("max_tokens", 100)), Just(("max_completion_tokens", 2000))]),
        weighted(0.4, prop_oneof![4 => 0..=10, 1 => 11..=20]),
        weighted(0.3, 1..=10),
        weighted(0.3, vec(word(), 1..4)),
        weighted(0.2, select(vec!["none", "minimal", "low", "medium", "high", "xhigh"])),
        weighted(0.1, 1_u32..50),
    );
    let seldom = (weighted(0.04, 1..3), weighted(0.04, any::<i32>()), weighted(0.04, -4..=4), weighted(0.04, -4..=4));
    (often, seldom).prop_map(|((limit, temperature, top_p, stop, effort, top_k), (n, seed, presence, frequency))| {
        let mut all = Map::new();
        let mut add = |name: &str, value: Option<Value>| all.extend(value.map(|value| (name.to_owned(), value)));
        if let Some((name, limit)) = limit {
            add(name, Some(json!(limit)));
        }
        add("temperature", temperature.map(|tenths: i32| json!(f64::from(tenths) / 10.0)));
        add("top_p", top_p.map(|tenths: i32| json!(f64::from(tenths) / 10.0)));
        add("stop", stop.map(|stop| json!(stop)));
        add("reasoning_effort", effort.map(|word| json!(word)));
        add("top_k", top_k.map(|count| json!(count)));
        add("n", n.map(|count: i32| json!(count)));
        add("seed", seed.map(|seed| json!(seed)));
        add("presence_penalty", presence.map(|half: i32| json!(f64::from(half) / 2.0)));
        add("frequency_penalty", frequency.map(|half: i32| json!(f64::from(half) / 2.0)));
        all
    })
}

/// One step of a conversation.
#[derive(Debug, Clone)]
enum Turn {
    User(Value),
    Assistant(String),
    /// What was said, the calls and their results, and the order in which these come.
    Calls(Option<String>, Vec<(Index, Value, String)>, Index),
}

/// Messages, and whether any are calls.
fn conversation() -> impl Strategy<Value = (Value, bool)> {
    let role = select(vec!["system", "developer"]);
    let instructions = vec((role, word()).prop_map(|(role, text)| json!({"role": role, "content": text})), 0..3);
    let turn = prop_oneof![
        2 => user().prop_map(Turn::User),
        1 => word().prop_map(Turn::Assistant),
        2 => (proptest::option::of(word()), vec((any::<Index>(), arguments(), result()), 1..4), any::<Index>())
            .prop_map(|(text, calls, turned)| Turn::Calls(text, calls, turned)),
    ];
    (instructions, user(), vec(turn, 0..4), proptest::option::of(user())).prop_map(|(mut all, first, turns, last)| {
        let calls = turns.iter().any(|turn| matches!(turn, Turn::Calls(..)));
        let spoken = matches!(turns.last(), Some(Turn::Assistant(_)));
        let say = |content: Value| json!({"role": "user", "content": content});
        all.push(say(first));
        for (number, turn) in turns.into_iter().enumerate() {
            match turn {
                Turn::User(content) => all.push(say(content)),
                Turn::Assistant(text) => all.push(json!({"role": "assistant", "content": text})),
                Turn::Calls(text, calls, turned) => all.extend(call_turn(number, text, &calls, turned)),
            }
        }
        // An answer that is to be gone on with is another matter.
        let last = last.or_else(|| spoken.then(|| json!("go-on")));
        all.extend(last.map(say));
        (all.into(), calls)
    })
}

fn call_turn(turn: usize, text: Option<String>, calls: &[(Index, Value, String)], turned: Index) -> Vec<Value> {
    let id = |number: usize| format!("call_{turn}_{number}");
    let made = calls.iter().enumerate().map(|(number, (tool, arguments, _))| {
        let function = json!({"name": TOOLS[tool.index(TOOLS.len())], "arguments": arguments.to_string()});
        json!({"id": id(number), "type": "function", "function": function})
    });
    let message = json!({"role": "assistant", "content": text, "tool_calls": made.collect::<Vec<_>>()});
    let results = calls
        .iter()
        .enumerate()
        .map(|(number, (_, _, result))| json!({"role": "tool", "tool_call_id": id(number), "content": result}));
    let mut results: Vec<_> = results.collect();
    results.rotate_left(turned.index(calls.len()));
    std::iter::once(message).chain(results).collect()
}

/// What a user says: a text, or texts and pictures.
fn user() -> impl Strategy<Value = Value> {
    let picture = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let part = prop_oneof![
        6 => word().prop_map(|text| json!({"type": "text", "text": text})),
        2 => Just(picture("data:image/png;base64,iVBORw0KGgo=")),
        2 => Just(picture("data:image/jpeg;base64,/9j/4AAQ")),
        1 => Just(picture("https://pictures.test/a.png?b=c&d")),
        1 => Just(json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}})),
    ];
    prop_oneof![2 => word().prop_map(Value::from), 1 => vec(part, 1..4).prop_map(Value::from)]
}

/// An object, as calls have it.
pub fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!(1.5)),
        word().prop_map(Value::from),
    ];
    let value = leaf
        .prop_recursive(2, 8, 3, |inner| prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), members(inner)]);
    members(value)
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((word(), value), 0..3).prop_map(|all| all.into_iter().collect::<Map<_, _>>().into())
}

fn result() -> impl Strategy<Value = String> {
    prop_oneof![word(), arguments().prop_map(|value| value.to_string())]
}
