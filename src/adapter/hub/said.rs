//! What a model said, read back out of OpenAI's dialect: a whole chat completion or one chunk of a stream.
//!
//! Permissive where compatible servers differ: a content may come in parts, arguments as an object, calls without
//! numbers, and a missing list as `null`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::message::{Content, ExtraContent};
use super::used::Used;
use crate::adapter::Invalid;
use crate::api::error::ErrorObject;

/// What a model says: all of it, or in a stream what is new.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    /// The answer's id.
    pub id: Option<String>,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// The answers (`n`); in a stream those of which something is new.
    pub answers: Vec<Answer>,
    /// What was used, where it is said.
    pub used: Option<Used>,
    /// The error that ends a stream.
    pub error: Option<ErrorObject>,
}

/// One answer, or what is new in it.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Its number.
    pub index: u32,
    /// Text.
    pub text: Option<String>,
    /// The model's refusal.
    pub refusal: Option<String>,
    /// Its thoughts.
    pub reasoning: Option<String>,
    /// Calls of tools, or pieces of them.
    pub calls: Vec<CallPiece>,
    /// What the provider wants back with this message.
    pub extra_content: Option<ExtraContent>,
    /// The tokens' probabilities, as OpenAI writes them.
    pub logprobs: Option<Value>,
    /// Why the model stopped, once it has.
    pub finish_reason: Option<String>,
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
    /// What the provider wants back with the call.
    pub extra_content: Option<ExtraContent>,
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
        // None of these decides whether there is an answer.
        let model = body.model.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let id = body.id.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let error = body.error.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let used = body.usage.and_then(Used::read);
        let answers = (0..).zip(body.choices.unwrap_or_default()).map(|(place, choice)| choice.answer(place)).collect();
        Ok(Self { id, model, answers, used, error })
    }

    /// The first answer, where any is said.
    pub fn first(self) -> Answer {
        self.answers.into_iter().find(|answer| answer.index == 0).unwrap_or_default()
    }
}

impl Choice<'_> {
    fn answer(self, place: u32) -> Answer {
        let mut answer = Answer {
            index: self.index.unwrap_or(place),
            finish_reason: self.finish_reason.filter(|reason| !reason.is_empty()),
            logprobs: self.logprobs.filter(|logprobs| !logprobs.is_null()),
            ..Answer::default()
        };
        let whole = self.message.is_some();
        let Some(message) = self.message.or(self.delta) else { return answer };
        answer.text = message.content.and_then(text);
        answer.refusal = message.refusal;
        answer.reasoning = message.reasoning_content.or(message.reasoning);
        answer.extra_content = message.extra_content;
        answer.calls = message.tool_calls.unwrap_or_default().into_iter().map(CallPiece::from).collect();
        if whole {
            // A whole message's calls are told apart by where they stand.
            for (position, call) in (0..).zip(&mut answer.calls) {
                call.index = Some(position);
            }
        }
        answer
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
    /// Bytes of text and calls in it.
    pub fn written(&self) -> u64 {
        [self.content, self.refusal, self.tool_calls].into_iter().map(written).sum()
    }

    /// Whether [`Said::read`] will read it. What most messages hold, a text, is not looked at a second time.
    pub fn is_readable(&self) -> bool {
        let content = self.content.is_none_or(|raw| is_text(raw) || reads::<Option<Content<'_>>>(raw));
        let calls = self.tool_calls.is_none_or(reads::<Option<Vec<Call>>>);
        content && calls && self.refusal.is_none_or(is_text_or_null)
    }
}

/// Bytes of a text as JSON writes it, or of something else that may stand in its place.
pub fn written(raw: Option<&RawValue>) -> u64 {
    let text = raw.map_or("", |raw| raw.get());
    if text == "null" { 0 } else { text.trim_matches('"').len() as u64 }
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
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
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
    #[serde(default)]
    logprobs: Option<Value>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<Content<'a>>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
    #[serde(default, deserialize_with = "lenient")]
    reasoning_content: Option<String>,
    /// OpenRouter's word for it.
    #[serde(default, deserialize_with = "lenient")]
    reasoning: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    extra_content: Option<ExtraContent>,
}

/// What stands beside the answer may be of any shape: what does not read as expected is passed over.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(deserializer).map(|value| serde_json::from_value(value).ok())
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
    #[serde(default, deserialize_with = "lenient")]
    extra_content: Option<ExtraContent>,
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
            extra_content: call.extra_content,
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
        assert_eq!(said.model.as_deref(), Some("m"));
        let first = said.first();
        assert_eq!((first.text.as_deref(), first.finish_reason.as_deref()), (Some("hi"), Some("stop")));
        assert_eq!(first.calls.len(), 0);
    }

    #[test]
    fn a_refusal_and_parts_are_text_and_thoughts_are_not() {
        let text = |message: &str| {
            let first = read(&format!(r#"{{"choices":[{{"message":{message}}}]}}"#)).first();
            first.text.or(first.refusal)
        };
        assert_eq!(text(r#"{"content":null,"refusal":"no"}"#).as_deref(), Some("no"));
        let parts =
            r#"{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
        assert_eq!(text(parts).as_deref(), Some("ab"));
        assert_eq!(text(r#"{"content":[{"type":"thinking"}]}"#), None);
    }

    #[test]
    fn calls_are_read_whole_and_in_pieces() {
        let whole = r#"{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":{"x":1}}}]}}]}"#;
        let calls = read(whole).first().calls;
        assert_eq!((calls[0].index, calls[0].id.as_deref(), calls[0].arguments.as_str()), (Some(0), Some("a"), "{}"));
        assert_eq!(
            (calls[1].index, calls[1].id.as_deref(), calls[1].arguments.as_str()),
            (Some(1), None, r#"{"x":1}"#)
        );
        let piece =
            read(r#"{"choices":[{"delta":{"tool_calls":[{"index":3,"id":null,"function":{"arguments":"{"}}]}}]}"#);
        assert_eq!(piece.first().calls, [CallPiece { index: Some(3), arguments: "{".into(), ..CallPiece::default() }]);
    }

    #[test]
    fn chunks_without_an_answer_say_nothing_and_an_error_is_an_error() {
        assert_eq!(read(r#"{"choices":[],"usage":{}}"#).first(), Answer::default());
        let other = read(r#"{"choices":[{"index":1,"delta":{"content":"other"}}],"error":null}"#);
        assert_eq!((other.error.clone(), other.first()), (None, Answer::default()));
        let error =
            read(r#"{"error":{"message":"cut","type":"server_error","param":null,"code":"upstream_cut"}}"#).error;
        assert_eq!(error.unwrap().code.as_deref(), Some("upstream_cut"));
        assert!(Said::read(b"[1]").is_err() && Said::read(b"").is_err());
    }
}
