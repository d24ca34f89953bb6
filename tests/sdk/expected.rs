//! What every client must get, check by check.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dialects::DIALECTS;

/// The facts of all checks, as this client (`python`, `node`, `php`) tells them.
pub fn facts(client: &str) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let mut add = |check: &str, value: Value| assert!(facts.insert(check.to_owned(), value).is_none());

    for upstream in DIALECTS {
        add(&format!("chat {upstream}"), answer("Hello there", 9, 2));
        add(&format!("stream {upstream}"), answer("one two three", 9, 2));
        add(&format!("tools {upstream}"), call("Oslo", Some("7 degrees")));
        add(&format!("call {upstream}"), call("Oslo", None));
        add(&format!("json {upstream}"), json!({"city": "Oslo", "degrees": 7}));
    }
    for upstream in ["openai", "gemini"] {
        add(&format!("embeddings {upstream}"), json!({"count": 2, "first": ["1.000000", "0.000000"], "same": true}));
    }
    // The sandbox says what it heard, and makes up what a schema asks for.
    add("chat sandbox", answer("Hello", 6, 2));
    add("stream sandbox", answer("one two three", 8, 4));
    add("tools sandbox", call("sandbox", Some("/tool get_weather")));
    add("call sandbox", call("sandbox", None));
    add("json sandbox", json!({"city": "sandbox", "degrees": 0}));
    add("embeddings sandbox", json!({"count": 2, "first": ["0.020212", "0.019552"], "same": false}));

    add("models", json!(["fast", "sandbox/echo", "sandbox/embed"]));
    add("model sandbox/echo", json!({"id": "sandbox/echo", "owned_by": "sandbox"}));
    add("model fast", json!({"id": "fast", "owned_by": "bursar"}));
    add("route", json!({"text": "Hello there", "model": "m"}));
    add("pin openai-pin:main", json!("openai-pin:main"));
    add("pin openai-pin:second", json!("openai-pin:second"));
    add("label", json!("labelled"));

    let mut fails = |check: &str, class: &str, status: Option<u16>, code: &str, param: Option<&str>| {
        let mut value = json!({"status": status, "code": code, "param": param});
        // cURL has statuses and no classes.
        if client != "php" {
            value["class"] = json!(class);
        }
        add(check, value);
    };
    fails("unknown model", "NotFoundError", Some(404), "unknown_model", Some("model"));
    fails("unknown provider's model", "NotFoundError", Some(404), "unknown_model", Some("model"));
    fails("caller", "BadRequestError", Some(400), "bad_value", None);
    fails("caller gemini", "BadRequestError", Some(400), "INVALID_ARGUMENT", None);
    fails("rate", "RateLimitError", Some(429), "rate_limited", None);
    // A provider that refuses Bursar's key is nothing that an app could mend.
    fails("credential", "InternalServerError", Some(502), "upstream_auth", None);
    fails("capability", "BadRequestError", Some(400), "capability_missing", None);
    fails("bad label", "BadRequestError", Some(400), "invalid_label", None);
    fails("bad body", "BadRequestError", Some(400), "invalid_request", Some("messages"));
    fails("too slow", "InternalServerError", Some(504), "upstream_timeout", None);
    fails("no retries", "InternalServerError", Some(502), "upstream_error", None);
    fails("cut", "APIError", None, "upstream_cut", None);
    add("cut text", json!("Hello"));
    add("hang up", json!("Hel"));
    facts
}

fn answer(text: &str, input: u64, output: u64) -> Value {
    json!({"text": text, "finish": "stop", "input": input, "output": output})
}

/// A call of `get_weather`; in a round trip, with what is said after its result.
fn call(city: &str, then: Option<&str>) -> Value {
    let mut value = json!({"name": "get_weather", "arguments": {"city": city}, "finish": "tool_calls"});
    if let Some(then) = then {
        value["then"] = json!(then);
    }
    value
}
