//! What a model said, read back out of OpenAI's dialect: a whole chat completion or one chunk of a stream.
//!
//! Permissive where compatible servers differ: a content may come in parts, arguments as an object, calls without
//! numbers, and a missing list as `null`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::message::Content;
use crate::adapter::Invalid;
use crate::api::error::ErrorObject;

/// What the first answer says, all of it or in a stream what is new. Other answers (`n`) are passed over.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// Text, or a refusal in its place.
    pub text: Option<String>,
    /// Calls of tools, or pieces of them.
    pub calls: Vec<CallPiece>,
    /// Why the model stopped, once it has.
    pub finish_reason: Option<String>,
    /// The error that ends a stream.
    pub error: Option<ErrorObject>,
}

/// A call of a tool, or a piece of one.
#[derive(Debug, Default, PartialEq)]
pub struct CallPiece {
    /// The provider's number for the call that it belongs to.
    pub index: Option<u32>,
    /// The call's id, in its first piece.
    pub id: Option<String>,
    /// The tool, in its first piece.
    pub name: Option<String>,
    /// JSON as text, or more of it.
    pub arguments: String,
}

impl Said {
    /// Reads a reply's body or a frame's data.
    ///
    /// # Errors
    /// When it is neither a chat completion nor a chunk of one.
    pub fn read(data: &[u8]) -> Result<Self, Invalid> {
        if !data.trim_ascii_start().starts_with(b"{") {
            return Err(Invalid("it is no JSON object".into()));
        }
        let body: Body<'_> = serde_json::from_slice(data).map_err(|error| Invalid(error.to_string()))?;
        // Neither decides whether there is an answer.
        let model = body.model.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let error = body.error.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let mut said = Self { model, error, ..Self::default() };
        let Some(first) = body.choices.unwrap_or_default().into_iter().find(|choice| choice.index.unwrap_or(0) == 0)
        else {
            return Ok(said);
        };
        said.finish_reason = first.finish_reason.filter(|reason| !reason.is_empty());
        let whole = first.message.is_some();
        let Some(message) = first.message.or(first.delta) else { return Ok(said) };
        said.text = message.content.and_then(text).or(message.refusal);
        said.calls = message.tool_calls.unwrap_or_default().into_iter().map(CallPiece::from).collect();
        if whole {
            // A whole message's calls are told apart by where they stand.
            for (position, call) in (0..).zip(&mut said.calls) {
                call.index = Some(position);
            }
        }
        Ok(said)
    }
}

/// A whole answer's message, of which nothing is copied.
#[derive(Deserialize)]
pub struct RawMessage<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
}

impl RawMessage<'_> {
    /// Whether [`Said::read`] will read it. What most messages hold, a text, is not looked at a second time.
    pub fn is_readable(&self) -> bool {
        let content = self.content.is_none_or(|raw| is_text(raw) || reads::<Option<Content<'_>>>(raw));
        let calls = self.tool_calls.is_none_or(reads::<Option<Vec<Call>>>);
        content && calls && self.refusal.is_none_or(is_text_or_null)
    }
}

/// Whether a finish reason, or another text that may be missing, is one.
pub fn is_text_or_null(raw: &RawValue) -> bool {
    is_text(raw) || raw.get() == "null"
}

fn is_text(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

fn reads<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> bool {
    serde_json::from_str::<T>(raw.get()).is_ok()
}

/// The text of a content; parts that are no text, such as a model's thoughts, are not what it says.
fn text(content: Content<'_>) -> Option<String> {
    match content {
        Content::Text(text) => Some(text.into_owned()),
        Content::Parts(parts) => {
            let texts: Vec<String> =
                parts.into_iter().filter(|part| part.kind == "text").filter_map(|part| part.text).collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
    #[serde(default, borrow)]
    delta: Option<Message<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<Content<'a>>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Default, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

impl From<Call> for CallPiece {
    fn from(call: Call) -> Self {
        let function = call.function.unwrap_or_default();
        let some = |text: &String| !text.is_empty();
        Self {
            index: call.index,
            id: call.id.filter(some),
            name: function.name.filter(some),
            arguments: match function.arguments {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(json) => json.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Said {
        Said::read(data.as_bytes()).unwrap()
    }

    #[test]
    fn a_whole_answer_is_read() {
        let said = read(
            r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#,
        );
        assert_eq!((said.model.as_deref(), said.text.as_deref()), (Some("m"), Some("hi")));
        assert_eq!((said.finish_reason.as_deref(), said.calls.len()), (Some("stop"), 0));
    }

    #[test]
    fn a_refusal_and_parts_are_text_and_thoughts_are_not() {
        let text = |message: &str| read(&format!(r#"{{"choices":[{{"message":{message}}}]}}"#)).text;
        assert_eq!(text(r#"{"content":null,"refusal":"no"}"#).as_deref(), Some("no"));
        let parts =
            r#"{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
        assert_eq!(text(parts).as_deref(), Some("ab"));
        assert_eq!(text(r#"{"content":[{"type":"thinking"}]}"#), None);
    }

    #[test]
    fn calls_are_read_whole_and_in_pieces() {
        let whole = r#"{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":{"x":1}}}]}}]}"#;
        let calls = read(whole).calls;
        assert_eq!((calls[0].index, calls[0].id.as_deref(), calls[0].arguments.as_str()), (Some(0), Some("a"), "{}"));
        assert_eq!(
            (calls[1].index, calls[1].id.as_deref(), calls[1].arguments.as_str()),
            (Some(1), None, r#"{"x":1}"#)
        );
        let piece =
            read(r#"{"choices":[{"delta":{"tool_calls":[{"index":3,"id":null,"function":{"arguments":"{"}}]}}]}"#);
        assert_eq!(piece.calls, [CallPiece { index: Some(3), arguments: "{".into(), ..CallPiece::default() }]);
    }

    #[test]
    fn chunks_without_an_answer_say_nothing_and_an_error_is_an_error() {
        assert_eq!(read(r#"{"choices":[],"usage":{}}"#), Said::default());
        assert_eq!(read(r#"{"choices":[{"index":1,"delta":{"content":"other"}}],"error":null}"#), Said::default());
        let error =
            read(r#"{"error":{"message":"cut","type":"server_error","param":null,"code":"upstream_cut"}}"#).error;
        assert_eq!(error.unwrap().code.as_deref(), Some("upstream_cut"));
        assert!(Said::read(b"[1]").is_err() && Said::read(b"").is_err());
    }
}
