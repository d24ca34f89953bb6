//! A chat request in Anthropic's words.
//!
//! Whatever Anthropic has no word for is refused by name, unless the answer is the same without it.

use serde_json::{Number, Value, json};

use super::wire::{CreateMessage, Format, Metadata, Object, OutputConfig};
use super::{NAME, tools, turns};
use crate::adapter::hub::{ChatRequest, Effort, Fields, ResponseFormat, Sampling, cannot, unsayable, wrong};
use crate::adapter::{Asked, Refusal};

/// Tokens of an answer where neither the app nor the catalogue says how many: Anthropic wants a figure, and refuses one
/// that is more than the model can. So it is the least that any model can that its own list names.
const MAX_TOKENS: u64 = 32_000;

/// Characters of a user's id (API reference, "Metadata").
const USER_ID_CHARS_MAX: usize = 512;

/// An OpenAI chat body as a body of `/messages`.
pub(super) fn encode(asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut said = ChatRequest::read(body)?;
    let own = Own::take(&mut said.rest)?;
    said.rest.refuse_rest(NAME)?;
    refuse_sampling(&said.sampling)?;
    let (tools, tool_choice) = tools::encode(said.tools, said.tool_choice, said.parallel_tool_calls)?;
    let format = format(said.response_format)?;
    let (thinking, effort) = thinking(said.reasoning_effort, own.thinking)?;
    let (messages, system) = turns::encode(said.messages)?;
    let sent = CreateMessage {
        model: &asked.model,
        max_tokens: said.sampling.max_tokens.unwrap_or_else(|| default_max_tokens(asked, thinking.as_ref())),
        messages,
        system,
        tools,
        tool_choice,
        thinking,
        output_config: OutputConfig { format, effort },
        temperature: unless_default(said.sampling.temperature),
        top_p: unless_default(said.sampling.top_p),
        top_k: said.sampling.top_k,
        stop_sequences: said.sampling.stop,
        metadata: own.user.map(|user_id| Metadata { user_id }),
        cache_control: own.cache_control,
        stream: asked.stream,
    };
    serde_json::to_vec(&sent).map_err(|error| wrong("messages", error.to_string()))
}

/// What OpenAI's format has no place for, or another one.
struct Own {
    /// As Anthropic's own surface of OpenAI's format takes it (docs.anthropic.com, "OpenAI SDK compatibility").
    thinking: Option<Object>,
    /// Automatic caching (API reference, "Create a Message").
    cache_control: Option<Value>,
    user: Option<String>,
}

impl Own {
    fn take(fields: &mut Fields<'_>) -> Result<Self, Refusal> {
        let user: Option<String> = fields.take("user", "a text")?;
        Ok(Self {
            thinking: fields.take("thinking", "an object with a type")?,
            cache_control: fields.take("cache_control", "an object with a type")?,
            // The answer is the same without one, and a longer one would be refused.
            user: user.filter(|user| !user.is_empty() && user.chars().count() <= USER_ID_CHARS_MAX),
        })
    }
}

/// Refuses what would make another answer, and cannot be said. A temperature above 1 is not made 1: that is another
/// answer too.
fn refuse_sampling(asked: &Sampling) -> Result<(), Refusal> {
    let is =
        |number: &Option<Number>, test: fn(f64) -> bool| number.as_ref().and_then(Number::as_f64).is_some_and(test);
    let unsaid = [
        ("n", asked.n.is_some_and(|n| n != 1)),
        ("seed", asked.seed.is_some()),
        ("presence_penalty", is(&asked.presence_penalty, |penalty| penalty != 0.0)),
        ("frequency_penalty", is(&asked.frequency_penalty, |penalty| penalty != 0.0)),
        ("logprobs", asked.logprobs),
        ("top_logprobs", asked.top_logprobs.is_some_and(|top| top > 0)),
    ];
    if let Some((name, _)) = unsaid.iter().find(|(_, unsaid)| *unsaid) {
        return Err(unsayable(name, NAME));
    }
    if is(&asked.temperature, |temperature| temperature > 1.0) {
        return Err(cannot(
            "temperature",
            format!("temperature goes from 0 to 1 for {NAME}: lower it, or ask another provider"),
        ));
    }
    if asked.stop.iter().any(|stop| stop.trim().is_empty()) {
        return Err(cannot(
            "stop",
            format!("stop must hold more than white space for {NAME}: leave it out, or ask another provider"),
        ));
    }
    Ok(())
}

/// A figure that is not what holds without it. Newer models refuse these parameters (API reference, "Create a Message"),
/// and many apps always send them.
fn unless_default(number: Option<Number>) -> Option<Number> {
    number.filter(|number| number.as_f64() != Some(1.0))
}

/// As much as the model can, which is what holds at OpenAI; where that is not known, enough for what is thought as well.
fn default_max_tokens(asked: &Asked, thinking: Option<&Object>) -> u64 {
    let budget = thinking.and_then(|thinking| thinking.get("budget_tokens")).and_then(Value::as_u64).unwrap_or(0);
    asked.max_output_tokens.unwrap_or(MAX_TOKENS.saturating_add(budget))
}

/// The form of the answer. "Any JSON object" cannot be said: Anthropic keeps an answer to a schema or to nothing.
fn format(asked: Option<ResponseFormat>) -> Result<Option<Format>, Refusal> {
    let schema = match asked {
        None | Some(ResponseFormat::Text) => return Ok(None),
        Some(ResponseFormat::JsonObject) => None,
        Some(ResponseFormat::JsonSchema { json_schema }) => json_schema.schema,
    };
    let unsaid =
        || cannot("response_format", format!("response_format must hold a schema for {NAME}: send type json_schema"));
    schema.map(|schema| Some(Format { kind: "json_schema", schema })).ok_or_else(unsaid)
}

/// How much to think, and how much to put into the answer.
///
/// Anthropic has two ways: newer models choose themselves how much to think, guided by an effort; older ones are given
/// a budget in tokens, which newer ones refuse (docs.anthropic.com, "Adaptive thinking"; the `capabilities` of its model
/// list). Which a model wants is not told by any data that Bursar has, and a name is not data. So `reasoning_effort` is
/// said in the newer way; an app that asks an older model sends `thinking` itself, which passes as it is.
fn thinking(effort: Option<Effort>, own: Option<Object>) -> Result<(Option<Object>, Option<&'static str>), Refusal> {
    let word = match effort {
        None | Some(Effort::None) => None,
        // Anthropic knows nothing below `low`.
        Some(Effort::Minimal | Effort::Low) => Some("low"),
        Some(Effort::Medium) => Some("medium"),
        Some(Effort::High) => Some("high"),
        Some(Effort::Xhigh) => Some("xhigh"),
        Some(Effort::Max) => Some("max"),
    };
    let kind = match effort {
        None => return Ok((own, None)),
        Some(Effort::None) if own.is_some() => {
            return Err(wrong("reasoning_effort", "reasoning_effort: none and thinking say two things: send one"));
        }
        Some(Effort::None) => "disabled",
        Some(_) => "adaptive",
    };
    let said = || Object::from_iter([("type".to_owned(), json!(kind))]);
    Ok((Some(own.unwrap_or_else(said)), word))
}
