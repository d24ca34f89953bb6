//! A request body of the OpenAI dialect, scanned once, and sent on with only the bytes changed that must be.
//!
//! The scan is a full JSON validation of one UTF-8 object. It looks at keys of the first level only, compared
//! unescaped; a key that Bursar reads may stand there once. What it yields are byte ranges, so that everything that
//! Bursar does not know passes through as the app wrote it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::api::{Capabilities, Capability, Operation};
use crate::bounds;

/// A body that cannot be served, and the field that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct BodyError {
    /// What is wrong and what to do.
    pub message: String,
    /// The field.
    pub param: Option<String>,
}

/// What routing needs to know of a body, and where in it the fields stand that may have to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The model as asked for.
    pub model: String,
    /// Whether the reply is to be streamed.
    pub stream: bool,
    /// Whether the app wants usage in the stream.
    pub include_usage: bool,
    /// `metadata.bursar_feature`.
    pub feature: Option<String>,
    /// The most tokens that the reply may have.
    pub max_output_tokens: Option<u64>,
    /// What the request needs of a model.
    pub needs: Capabilities,
    /// The model's value, quotes included.
    model_at: Range<usize>,
    /// Where the label goes out, and what stays in its place.
    label: Option<(Range<usize>, Vec<u8>)>,
    /// Where usage is asked for, and the text that asks.
    ask_usage: (Range<usize>, Vec<u8>),
}

/// Scans a body.
///
/// # Errors
/// When it is not one JSON object, repeats a key that Bursar reads, or has a wrong type where Bursar reads.
pub fn scan(operation: Operation, body: &[u8]) -> Result<Scan, BodyError> {
    let members: Members<'_> = serde_json::from_slice(body).map_err(|error| BodyError {
        message: if error.is_data() {
            "the body must be one JSON object".into()
        } else {
            format!("the body is not valid JSON: {error}")
        },
        param: None,
    })?;
    let fields = Fields::of(&members, body)?;
    let model: Cow<'_, str> = fields.required("model", fields.model, "a string that names a model or a route")?;
    if model.is_empty() || model.len() > bounds::MODEL_BYTES_MAX {
        return Err(wrong("model", format!("model must have 1 to {} bytes", bounds::MODEL_BYTES_MAX)));
    }
    let stream = fields.optional("stream", fields.stream, "true or false")?.unwrap_or(false);
    let options: Option<serde_json::Map<String, serde_json::Value>> =
        fields.optional("stream_options", fields.stream_options, "an object")?;
    let limit = fields.max_completion_tokens.or(fields.max_tokens);
    let label = fields.label()?;
    Ok(Scan {
        model: model.into_owned(),
        stream: stream && operation == Operation::Chat,
        include_usage: options.as_ref().and_then(|all| all.get("include_usage")).and_then(serde_json::Value::as_bool)
            == Some(true),
        feature: label.as_ref().map(|label| label.feature.clone()),
        max_output_tokens: fields.optional("max_tokens", limit, "a whole number")?,
        needs: fields.needs(operation, stream)?,
        model_at: range_of(body, fields.model.map_or("", RawValue::get)),
        label: label.map(|label| (label.at, label.rest)),
        ask_usage: fields.ask_usage(body, options),
    })
}

/// A body on its way out: pieces of what came in, with the changed bytes between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spliced {
    /// The pieces, in order.
    pub parts: Vec<Bytes>,
}

impl Spliced {
    /// The exact length of all pieces together.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces in one.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts.concat()
    }
}

impl Scan {
    /// The body with another model in it, without Bursar's own label, and asking for usage if it must.
    pub fn splice(&self, body: &Bytes, model: &str, ask_usage: bool) -> Spliced {
        let quoted = serde_json::Value::from(model).to_string().into_bytes();
        let mut edits = vec![(self.model_at.clone(), quoted)];
        edits.extend(self.label.clone());
        if ask_usage {
            edits.push(self.ask_usage.clone());
        }
        // What is put in at a place stands before what is cut out behind it.
        edits.sort_by_key(|(at, _)| (at.start, at.end));
        if body.len() <= bounds::SPLICE_COPIED_BYTES_MAX {
            return Spliced { parts: vec![copied(body, &edits)] };
        }
        let mut parts = Vec::with_capacity(edits.len() * 2 + 1);
        let mut done = 0;
        for (at, text) in edits {
            parts.push(body.slice(done.min(at.start)..at.start));
            parts.push(Bytes::from(text));
            done = at.end;
        }
        parts.push(body.slice(done..));
        parts.retain(|part| !part.is_empty());
        Spliced { parts }
    }
}

/// A small body in one piece: one write costs less than the copy saves.
fn copied(body: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Bytes {
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut done = 0;
    for (at, text) in edits {
        out.extend_from_slice(body.get(done..at.start).unwrap_or_default());
        out.extend_from_slice(text);
        done = at.end;
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    out.into()
}

fn wrong(param: &str, message: impl Into<String>) -> BodyError {
    BodyError { message: message.into(), param: Some(param.into()) }
}

/// Where a slice of the body stands in it.
fn range_of(body: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + part.len()
}

/// The members of an object: keys unescaped, values as they stand.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Text(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A string, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields that Bursar reads, as they stand in the body.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
    max_tokens: Option<&'a RawValue>,
    max_completion_tokens: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    /// From the end of the member before `metadata` to the value's end.
    metadata_at: Range<usize>,
    metadata_first: bool,
    messages: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    tools: Option<&'a RawValue>,
    response_format: Option<&'a RawValue>,
    logprobs: Option<&'a RawValue>,
    body: &'a [u8],
}

struct Label {
    feature: String,
    at: Range<usize>,
    rest: Vec<u8>,
}

impl<'a> Fields<'a> {
    fn of(members: &Members<'a>, body: &'a [u8]) -> Result<Self, BodyError> {
        let mut fields = Fields { body, ..Fields::default() };
        let mut before = inside(body);
        for (position, (key, value)) in members.0.iter().enumerate() {
            let at = range_of(body, value.get());
            let slot = match &**key {
                "model" => &mut fields.model,
                "stream" => &mut fields.stream,
                "stream_options" => &mut fields.stream_options,
                "max_tokens" => &mut fields.max_tokens,
                "max_completion_tokens" => &mut fields.max_completion_tokens,
                "messages" => &mut fields.messages,
                "input" => &mut fields.input,
                "tools" => &mut fields.tools,
                "response_format" => &mut fields.response_format,
                "logprobs" => &mut fields.logprobs,
                "metadata" => {
                    fields.metadata_at = before..at.end;
                    fields.metadata_first = position == 0;
                    &mut fields.metadata
                }
                _ => {
                    before = at.end;
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(wrong(key, format!("the key {key:?} stands twice: send it once")));
            }
            before = at.end;
        }
        Ok(fields)
    }

    fn optional<T: Deserialize<'a>>(
        &self,
        key: &str,
        raw: Option<&'a RawValue>,
        what: &str,
    ) -> Result<Option<T>, BodyError> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(key, format!("{key} must be {what}")))
    }

    fn required(&self, key: &str, raw: Option<&'a RawValue>, what: &str) -> Result<Cow<'a, str>, BodyError> {
        let text: Option<Text<'a>> = self.optional(key, raw, what)?;
        text.map(|text| text.0).ok_or_else(|| wrong(key, format!("{key} is missing: it must be {what}")))
    }

    /// `metadata.bursar_feature`, and the metadata without it.
    fn label(&self) -> Result<Option<Label>, BodyError> {
        let Some(raw) = self.metadata else { return Ok(None) };
        let Ok(serde_json::Value::Object(mut rest)) = serde_json::from_str(raw.get()) else { return Ok(None) };
        let Some(label) = rest.shift_remove("bursar_feature") else { return Ok(None) };
        let serde_json::Value::String(feature) = label else {
            return Err(wrong("metadata.bursar_feature", "metadata.bursar_feature must be a string"));
        };
        if !rest.is_empty() {
            let at = range_of(self.body, raw.get());
            return Ok(Some(Label { feature, at, rest: serde_json::Value::Object(rest).to_string().into_bytes() }));
        }
        let mut at = self.metadata_at.clone();
        if self.metadata_first {
            at.end = after_comma(self.body, at.end);
        }
        Ok(Some(Label { feature, at, rest: Vec::new() }))
    }

    /// Where and how `stream_options.include_usage` is set.
    fn ask_usage(
        &self,
        body: &[u8],
        options: Option<serde_json::Map<String, serde_json::Value>>,
    ) -> (Range<usize>, Vec<u8>) {
        match self.stream_options {
            Some(raw) => {
                let mut options = options.unwrap_or_default();
                options.insert("include_usage".into(), true.into());
                (range_of(body, raw.get()), serde_json::Value::Object(options).to_string().into_bytes())
            }
            None => {
                // Behind the model's value, which is always there.
                let end = range_of(body, self.model.map_or("", RawValue::get)).end;
                (end..end, br#","stream_options":{"include_usage":true}"#.to_vec())
            }
        }
    }

    fn needs(&self, operation: Operation, stream: bool) -> Result<Capabilities, BodyError> {
        if operation == Operation::Embeddings {
            if self.input.is_none() {
                return Err(wrong("input", "input is missing: it must be a text or a list of texts"));
            }
            return Ok(Capabilities::NONE.with(Capability::Embeddings));
        }
        let messages = self.messages.ok_or_else(|| wrong("messages", "messages is missing: it must be an array"))?;
        let messages: Vec<Message<'_>> = serde_json::from_str(messages.get())
            .map_err(|_| wrong("messages", "messages must be an array of objects, each with a role and a content"))?;
        if messages.is_empty() {
            return Err(wrong("messages", "messages is empty: it must hold at least one message"));
        }
        let mut needs = Capabilities::NONE.with(Capability::Chat);
        if stream {
            needs = needs.with(Capability::Stream);
        }
        if self.tools.is_some_and(|tools| !matches!(tools.get(), "null" | "[]")) {
            needs = needs.with(Capability::Tools);
        }
        if self.logprobs.is_some_and(|logprobs| logprobs.get() == "true") {
            needs = needs.with(Capability::Logprobs);
        }
        if let Some(Kind { kind: Some(Text(kind)) }) =
            self.response_format.and_then(|raw| serde_json::from_str(raw.get()).ok())
            && kind == "json_schema"
        {
            needs = needs.with(Capability::JsonSchema);
        }
        Ok(messages.iter().filter_map(|message| message.content).fold(needs, with_parts))
    }
}

/// The needs of a message's parts, where its content is an array of them.
fn with_parts(needs: Capabilities, content: &RawValue) -> Capabilities {
    if !content.get().starts_with('[') {
        return needs;
    }
    let parts: Vec<Kind<'_>> = serde_json::from_str(content.get()).unwrap_or_default();
    parts.iter().filter_map(|part| part.kind.as_ref()).fold(needs, |needs, Text(kind)| match &**kind {
        "image_url" => needs.with(Capability::Vision),
        "input_audio" => needs.with(Capability::AudioInput),
        "file" => needs.with(Capability::Pdf),
        _ => needs,
    })
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

/// The place behind the opening brace.
fn inside(body: &[u8]) -> usize {
    body.iter().position(|&b| b == b'{').map_or(0, |at| at + 1)
}

/// The place behind the comma that follows, or the same place where none does.
fn after_comma(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    let spaces = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
    if rest.get(spaces) == Some(&b',') { at + spaces + 1 } else { at }
}

/// The body with parameters of the first level left out, or under another name. What a provider is sent that knows
/// some parameters by other names, or not at all.
///
/// # Errors
/// When it is not one JSON object.
pub fn rewrite(body: &[u8], drop: &[String], rename: &[(String, String)]) -> Result<Vec<u8>, BodyError> {
    let members: Members<'_> = serde_json::from_slice(body)
        .map_err(|error| BodyError { message: format!("the body is not valid JSON: {error}"), param: None })?;
    let mut out = vec![b'{'];
    for (key, value) in members.0.iter().filter(|(key, _)| !drop.iter().any(|name| name == key)) {
        let key = rename.iter().find(|(from, _)| from == key).map_or(&**key, |(_, to)| to);
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(serde_json::Value::from(key).to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chat(body: &str) -> Result<Scan, BodyError> {
        scan(Operation::Chat, body.as_bytes())
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
            (
                r#"{"metadata":{"bursar_feature":"f"} , "model":"m","messages":[{}]}"#,
                r#"{ "model":"m","messages":[{}]}"#,
            ),
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
            (
                "{\"model\":\"m\",\"messages\":{}}",
                "messages must be an array of objects, each with a role and a content",
            ),
            ("{\"model\":\"m\",\"messages\":[]}", "messages is empty: it must hold at least one message"),
            ("{\"model\":\"m\",\"stream\":\"yes\"}", "stream must be true or false"),
            ("{\"model\":\"m\"} x", "the body is not valid JSON: trailing characters at line 1 column 15"),
        ] {
            assert_eq!(chat(body).unwrap_err().to_string(), expected, "{body}");
        }
        assert!(scan(Operation::Chat, b"{\"model\":\"\xFF\"}").is_err());
    }

    #[test]
    fn parameters_are_left_out_and_renamed() {
        let body = br#"{"max_completion_tokens":5,"store":true,"model":"m","n":1e400}"#;
        let rename = [("max_completion_tokens".to_owned(), "max_tokens".to_owned())];
        let out = rewrite(body, &["store".to_owned()], &rename).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"max_tokens":5,"model":"m","n":1e400}"#);
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = format!(
            "{{\"model\":\"m\",\"messages\":[{{\"content\":{}1{}}}]}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let _ = chat(&deep);
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
}
