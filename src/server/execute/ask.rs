//! From [`ExecuteRequest`] to a chat in OpenAI's dialect.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::access::Identity;
use crate::adapter::Dialect;
use crate::api::execute::{ExecuteRequest, Input, Options};
use crate::api::{Code, Failure, Operation};
use crate::bounds;
use crate::execute::{Call, Manner, Said};
use crate::server::body::counted;
use crate::server::call::{Beside, Received, invalid};

/// The name of the schema that a reply must keep to: OpenAI wants one, and it means nothing to anybody.
const SCHEMA_NAME: &str = "reply";

/// Reads the body. What does not read is named by its place.
pub(super) fn read(body: &[u8]) -> Result<ExecuteRequest, Failure> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Failure::new(Code::InvalidRequest, "the body must be one JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let request: ExecuteRequest = serde_path_to_error::deserialize(&mut json).map_err(misread)?;
    json.end().map_err(|error| no_json(&error))?;
    check(&request)?;
    Ok(request)
}

fn misread(error: serde_path_to_error::Error<serde_json::Error>) -> Failure {
    let path = error.path().to_string();
    let error = error.into_inner();
    match path.as_str() {
        _ if !error.is_data() => no_json(&error),
        "." => Failure::new(Code::InvalidRequest, error.to_string()),
        "feature" => Failure::new(Code::InvalidLabel, format!("feature: {error}")).at(path),
        _ => Failure::new(Code::InvalidRequest, format!("{path}: {error}")).at(path),
    }
}

fn no_json(error: &serde_json::Error) -> Failure {
    Failure::new(Code::InvalidRequest, format!("the body is not valid JSON: {error}"))
}

/// What can be said in JSON, and still is no request.
fn check(request: &ExecuteRequest) -> Result<(), Failure> {
    let wrong =
        |param: String, message: &str| Err(Failure::new(Code::InvalidRequest, format!("{param} {message}")).at(param));
    if let Input::Messages(messages) = &request.input {
        if messages.is_empty() {
            return wrong("input".into(), "is empty: it must be a text or hold at least one message");
        }
        if let Some(place) = messages.iter().position(|message| !message.is_object()) {
            return wrong(format!("input[{place}]"), "must be a message: an object with a role and a content");
        }
    }
    let Options { max_output_tokens, timeout_ms, response_schema, .. } = &request.options;
    if *max_output_tokens == Some(0) {
        return wrong("options.max_output_tokens".into(), "must be at least 1");
    }
    let longest = bounds::TIMEOUT_MAX.as_millis();
    if timeout_ms.is_some_and(|ms| ms == 0 || u128::from(ms) > longest) {
        return wrong("options.timeout_ms".into(), &format!("must be from 1 to {longest}"));
    }
    if response_schema.as_ref().is_some_and(|schema| !schema.is_object()) {
        return wrong("options.response_schema".into(), "must be a JSON schema that is an object");
    }
    Ok(())
}

/// The call that a request asks for. Headers count where the body says nothing; either can switch fallback off.
pub(super) fn call(request: ExecuteRequest, received: Received, identity: Identity) -> Result<Box<Call>, Failure> {
    let beside = Beside::in_headers(&received.headers)?;
    let timeout = request.options.timeout_ms.map(Duration::from_millis);
    let model = request.wanted_model()?;
    let by = if request.route.is_some() { "route" } else { "model" };
    let body = counted(Bytes::from(chat(model, request.input, request.options).to_string()))?;
    let said = Said::json(Dialect::OpenAi, Operation::Chat, Manner::default(), body)
        .map_err(|error| Failure { param: Some(by.into()), ..invalid(error) })?;
    Ok(Box::new(Call {
        id: received.id,
        began: received.began,
        body_took: received.body_took,
        app: identity.app,
        feature: request.feature.or(beside.feature).unwrap_or(identity.feature),
        operation: Operation::Chat,
        said,
        headers: received.headers,
        require: request.require.into_iter().collect(),
        pin: request.connection.or(beside.pin),
        fallback: request.fallback && beside.fallback,
        timeout: timeout.or(beside.timeout),
        wait: beside.wait,
    }))
}

/// The chat completion request that says the same.
///
/// The limit is `max_completion_tokens`: OpenAI's reasoning models refuse `max_tokens`, which it deprecates (API
/// reference, "Create chat completion"). For a server that knows only the old name there is `rename` in its provider.
fn chat(model: String, input: Input, options: Options) -> Value {
    let messages = match input {
        Input::Text(text) => json!([{"role": "user", "content": text}]),
        Input::Messages(messages) => Value::Array(messages),
    };
    let tools = (!options.tools.is_empty()).then_some(Value::Array(options.tools));
    let format = options.response_schema.map(
        |schema| json!({"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "strict": true, "schema": schema}}),
    );
    let said = [
        ("model", Some(model.into())),
        ("messages", Some(messages)),
        ("max_completion_tokens", options.max_output_tokens.map(Value::from)),
        ("temperature", options.temperature.map(Value::from)),
        ("tools", tools),
        ("tool_choice", options.tool_choice),
        ("response_format", format),
        ("stream", options.stream.then_some(Value::Bool(true))),
    ];
    let said = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(said.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(body: Value) -> Value {
        let request = read(body.to_string().as_bytes()).unwrap();
        chat(request.wanted_model().unwrap(), request.input, request.options)
    }

    fn refused(body: &str) -> (Code, Option<String>, String) {
        let failure = read(body.as_bytes()).unwrap_err();
        (failure.code, failure.param, failure.message)
    }

    #[test]
    fn a_text_is_one_message_of_the_user() {
        let chat = translated(json!({"model": "p/m", "input": "hi"}));
        assert_eq!(chat, json!({"model": "p/m", "messages": [{"role": "user", "content": "hi"}]}));
    }

    #[test]
    fn every_option_has_its_word() {
        let tool = json!({"type": "function", "function": {"name": "now"}});
        let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]);
        let schema = json!({"type": "object"});
        let chat = translated(json!({
            "route": "fast",
            "input": messages,
            "options": {
                "max_output_tokens": 7, "temperature": 0.2, "stream": true, "timeout_ms": 5, "tools": [tool],
                "tool_choice": "required", "response_schema": schema,
            },
        }));
        let expected = json!({
            "model": "fast",
            "messages": messages,
            "max_completion_tokens": 7,
            "temperature": 0.2,
            "tools": [tool],
            "tool_choice": "required",
            "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "strict": true, "schema": schema}},
            "stream": true,
        });
        assert_eq!(chat, expected);
    }

    #[test]
    fn what_does_not_read_is_named() {
        for (body, param) in [
            (r#"{"model":"m","input":"x","modle":1}"#, "modle"),
            (r#"{"model":"m","input":"x","options":{"max_tokens":1}}"#, "options.max_tokens"),
            (r#"{"model":"m","input":"x","options":{"temperature":"hot"}}"#, "options.temperature"),
            (r#"{"model":"m","input":"x","options":{"max_output_tokens":0}}"#, "options.max_output_tokens"),
            (r#"{"model":"m","input":"x","options":{"timeout_ms":0}}"#, "options.timeout_ms"),
            (r#"{"model":"m","input":"x","options":{"timeout_ms":86400001}}"#, "options.timeout_ms"),
            (r#"{"model":"m","input":"x","options":{"response_schema":true}}"#, "options.response_schema"),
            (r#"{"model":"m","input":"x","require":["chat","flying"]}"#, "require[1]"),
            (r#"{"model":"m","input":"x","connection":"main"}"#, "connection"),
            (r#"{"model":"m","input":7}"#, "input"),
            (r#"{"model":"m","input":[]}"#, "input"),
            (r#"{"model":"m","input":[{},"x"]}"#, "input[1]"),
        ] {
            let (code, named, message) = refused(body);
            assert_eq!((code, named.as_deref()), (Code::InvalidRequest, Some(param)), "{body}");
            assert!(message.starts_with(param), "{message}");
        }
        let (code, named, message) = refused(r#"{"model":"m","input":"x","feature":"Not A Label"}"#);
        assert_eq!((code, named.as_deref()), (Code::InvalidLabel, Some("feature")));
        assert!(message.contains("use 1 to 64 of a-z"), "{message}");
        assert!(refused(r#"{"model":"m"}"#).2.contains("missing field `input`"));
        for body in ["", "[]", "\"x\"", "{", r#"{"model":"m","input":"x"} x"#] {
            assert_eq!(refused(body).0, Code::InvalidRequest, "{body}");
        }
    }
}
