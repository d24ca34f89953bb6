//! What an app may ask for, in OpenAI's dialect.
//!
//! Types are permissive where an adapter has to look anyway (a tool's `type`), so that it can refuse with the place and
//! the reason.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::fields::{Fields, cannot, wrong};
use super::message::{Message, messages};
use crate::adapter::Refusal;

/// A chat completion request.
#[derive(Debug)]
pub struct ChatRequest<'a> {
    /// The conversation.
    pub messages: Vec<Message<'a>>,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it may or must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// How tokens are chosen, and how many.
    pub sampling: Sampling,
    /// How much to think first.
    pub reasoning_effort: Option<Effort>,
    /// What no other adapter knows; each takes its own out and refuses the rest.
    pub rest: Fields<'a>,
}

/// How tokens are chosen, and how many.
#[derive(Debug, Default)]
pub struct Sampling {
    /// `max_completion_tokens`, else `max_tokens`.
    pub max_tokens: Option<u64>,
    /// 0 to 2.
    pub temperature: Option<Number>,
    /// 0 to 1.
    pub top_p: Option<Number>,
    /// Not OpenAI's, but most compatible servers'.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<u32>,
    /// For answers that repeat.
    pub seed: Option<i64>,
    /// −2 to 2.
    pub presence_penalty: Option<Number>,
    /// −2 to 2.
    pub frequency_penalty: Option<Number>,
    /// Whether the tokens' probabilities are wanted.
    pub logprobs: bool,
    /// How many alternatives a token is shown with.
    pub top_logprobs: Option<u32>,
}

impl<'a> ChatRequest<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is no JSON object, or a field is of a wrong type.
    pub fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::read(body)?;
        Ok(Self {
            messages: messages(&mut fields)?,
            tools: fields.take("tools", "a list of tools")?.unwrap_or_default(),
            tool_choice: fields.take("tool_choice", "a word, or an object that names tools")?,
            parallel_tool_calls: fields.take("parallel_tool_calls", "true or false")?,
            response_format: fields.take("response_format", "an object with a type")?,
            sampling: Sampling::take(&mut fields)?,
            reasoning_effort: fields.take("reasoning_effort", "a word")?,
            rest: fields,
        })
    }
}

impl Sampling {
    fn take(fields: &mut Fields<'_>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "neither a text nor a list of texts")]
        enum Stop {
            One(String),
            Several(Vec<String>),
        }
        let old = fields.take("max_tokens", "a whole number")?;
        Ok(Self {
            max_tokens: fields.take("max_completion_tokens", "a whole number")?.or(old),
            temperature: fields.take("temperature", "a number")?,
            top_p: fields.take("top_p", "a number")?,
            top_k: fields.take("top_k", "a whole number")?,
            stop: match fields.take("stop", "a text or a list of texts")? {
                None => Vec::new(),
                Some(Stop::One(stop)) => vec![stop],
                Some(Stop::Several(stops)) => stops,
            },
            n: fields.take("n", "a whole number")?,
            seed: fields.take("seed", "a whole number")?,
            presence_penalty: fields.take("presence_penalty", "a number")?,
            frequency_penalty: fields.take("frequency_penalty", "a number")?,
            logprobs: fields.take("logprobs", "true or false")?.unwrap_or(false),
            top_logprobs: fields.take("top_logprobs", "a whole number")?,
        })
    }
}

/// Something that the model may call.
#[derive(Debug, Deserialize)]
pub struct Tool {
    /// `function`, or a kind that only OpenAI has.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of a function.
    #[serde(default)]
    pub function: Option<Function>,
    /// Anthropic's mark that the tools up to here are worth keeping, as gateways take it.
    #[serde(default)]
    pub cache_control: Option<Value>,
}

impl Tool {
    /// The function that the tool is.
    ///
    /// # Errors
    /// When it is none: other kinds run at OpenAI. `param` is where the tool stands.
    pub fn into_function(self, param: &str, provider: &str) -> Result<Function, Refusal> {
        match self.function {
            Some(function) if self.kind == "function" => Ok(function),
            _ if self.kind == "function" => {
                Err(wrong(param, format!("{param} is a function without its function object")))
            }
            _ => {
                let kind = self.kind;
                Err(cannot(param, format!("{param} is a tool of type {kind:?}: {provider} is only told of functions")))
            }
        }
    }
}

/// A function that the model may call.
#[derive(Debug, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// A JSON schema of its arguments.
    #[serde(default)]
    pub parameters: Option<Map<String, Value>>,
    /// Whether the arguments must keep to the schema.
    #[serde(default)]
    pub strict: Option<bool>,
}

/// Which tools the model may or must call.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected none, auto, required, {type: function, function: {name}} or {type: allowed_tools, …}"
)]
pub enum ToolChoice {
    /// Any of them, in this mode.
    Mode(Mode),
    /// This one, and it must.
    Named {
        /// Which.
        function: Named,
    },
    /// These, in this mode.
    Allowed {
        /// Which, and how.
        allowed_tools: AllowedTools,
    },
}

/// Whether the model may call, must, or must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It must not.
    None,
    /// It may.
    Auto,
    /// It must.
    Required,
}

/// A tool by name.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// Some of the tools.
#[derive(Debug, Deserialize)]
pub struct AllowedTools {
    /// How they may be used.
    pub mode: Mode,
    /// Which they are.
    pub tools: Vec<Tool>,
}

/// The form of the answer.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that keeps to a schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchema,
    },
}

/// A schema with a name; the name tells the model nothing that the schema does not.
#[derive(Debug, Deserialize)]
pub struct JsonSchema {
    /// What the answer is for, as the model is told.
    #[serde(default)]
    pub description: Option<String>,
    /// The schema itself.
    #[serde(default)]
    pub schema: Option<Map<String, Value>>,
}

/// How much a model should think before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are OpenAI's own, from least to most")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// An embeddings request.
#[derive(Debug)]
pub struct EmbeddingRequest<'a> {
    /// The texts.
    pub input: Vec<String>,
    /// The length that the vectors shall have.
    pub dimensions: Option<u32>,
    /// How the vectors are to be written.
    pub encoding_format: EncodingFormat,
    /// What no other adapter knows.
    pub rest: Fields<'a>,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// A list of numbers.
    #[default]
    Float,
    /// Base64 of little-endian f32 values.
    Base64,
}

/// Whether an embeddings body asks for vectors as base64. A body that cannot be read asks for nothing.
pub fn wants_base64(body: &[u8]) -> bool {
    let format = Fields::read(body).and_then(|mut fields| fields.take("encoding_format", "float or base64"));
    format.is_ok_and(|format| format == Some(EncodingFormat::Base64))
}

impl<'a> EmbeddingRequest<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is no JSON object, a field is of a wrong type, or the input is tokens: those are OpenAI's own numbers,
    /// and mean nothing elsewhere.
    pub fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "lists of tokens mean nothing to this provider: send texts")]
        enum Input {
            One(String),
            Several(Vec<String>),
        }
        let mut fields = Fields::read(body)?;
        Ok(Self {
            input: match fields.require("input", "a text or a list of texts")? {
                Input::One(text) => vec![text],
                Input::Several(texts) => texts,
            },
            dimensions: fields.take("dimensions", "a whole number")?,
            encoding_format: fields.take("encoding_format", "float or base64")?.unwrap_or_default(),
            rest: fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_asked_for_by_its_name_alone() {
        assert!(wants_base64(br#"{"input":"x","encoding_format":"base64"}"#));
        for body in
            [&br#"{"input":"base64","encoding_format":"float"}"#[..], br#"{"encoding_format":null}"#, b"{}", b"x"]
        {
            assert!(!wants_base64(body));
        }
    }

    #[test]
    fn the_newer_limit_wins_and_a_stop_may_be_alone() {
        let body = br#"{"messages":[],"max_tokens":1,"max_completion_tokens":2,"stop":"a"}"#;
        let asked = ChatRequest::read(body).unwrap();
        assert_eq!((asked.sampling.max_tokens, asked.sampling.stop), (Some(2), vec!["a".to_owned()]));
    }
}
