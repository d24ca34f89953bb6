//! A Messages body in OpenAI's words.
//!
//! Whatever OpenAI's dialect has no word for is refused by name, unless the answer is the same without it.

use serde_json::value::RawValue;
use serde_json::{Map, Number, Value, json};

use super::object::Object;
use super::{OTHERS, tools, turns};
use crate::adapter::Refusal;
use crate::adapter::hub::{Fields, cannot, wrong};

/// Texts that end an answer: OpenAI takes no more (its API reference, `stop`).
const STOPS_MAX: usize = 4;

/// The least that Anthropic lets a model think, in tokens.
const BUDGET_MIN: u64 = 1_024;

/// A body of `POST /v1/messages` as a chat body for a model.
pub(super) fn encode(model: &str, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut fields = Fields::read(body)?;
    let mut out = Map::new();
    out.insert("model".into(), model.into());
    out.insert("messages".into(), conversation(&mut fields)?.into());
    sampling(&mut fields, &mut out)?;
    calling(&mut fields, &mut out)?;
    form(&mut fields, &mut out)?;
    if let Some(metadata) = fields.take::<&RawValue>("metadata", "an object")? {
        // All else in it is for whoever keeps the books.
        if let Some(user) = Object::read(metadata, "metadata")?.take::<String>("user_id", "a text")? {
            out.insert("user".into(), user.into());
        }
    }
    // The answer is the same without the cache.
    fields.take::<&RawValue>("cache_control", "an object")?;
    fields.refuse_rest(OTHERS)?;
    serde_json::to_vec(&out).map_err(|error| wrong("messages", error.to_string()))
}

fn conversation(fields: &mut Fields<'_>) -> Result<Vec<Value>, Refusal> {
    let mut messages = Vec::new();
    if let Some(system) = fields.take("system", "a text or a list of text blocks")? {
        turns::instructions(system, &mut messages)?;
    }
    let said: Vec<&RawValue> = fields.require("messages", "a list of messages")?;
    if said.is_empty() {
        return Err(wrong("messages", "messages is empty: it must hold at least one message"));
    }
    for (position, raw) in said.into_iter().enumerate() {
        turns::turn(position, raw, &mut messages)?;
    }
    Ok(messages)
}

fn sampling(fields: &mut Fields<'_>, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let max_tokens: u64 = fields.require("max_tokens", "a whole number")?;
    if max_tokens == 0 {
        return Err(wrong("max_tokens", "max_tokens must be at least 1"));
    }
    out.insert("max_completion_tokens".into(), max_tokens.into());
    let stops: Vec<String> = fields.take("stop_sequences", "a list of texts")?.unwrap_or_default();
    if stops.len() > STOPS_MAX {
        let message = format!("stop_sequences must hold at most {STOPS_MAX} texts for {OTHERS}");
        return Err(cannot("stop_sequences", message));
    }
    if !stops.is_empty() {
        out.insert("stop".into(), stops.into());
    }
    for name in ["temperature", "top_p"] {
        if let Some(number) = fields.take::<Number>(name, "a number")? {
            out.insert(name.into(), number.into());
        }
    }
    // Not OpenAI's, but most compatible servers know it, and who does not says so.
    if let Some(top_k) = fields.take::<u64>("top_k", "a whole number")? {
        out.insert("top_k".into(), top_k.into());
    }
    if fields.take("stream", "true or false")?.unwrap_or(false) {
        out.insert("stream".into(), true.into());
    }
    Ok(())
}

fn calling(fields: &mut Fields<'_>, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let declared: Vec<&RawValue> = fields.take("tools", "a list of tools")?.unwrap_or_default();
    let choice: Option<&RawValue> = fields.take("tool_choice", "an object with a type")?;
    let any = !declared.is_empty();
    if any {
        let tools = declared.into_iter().enumerate().map(|(position, raw)| tools::declaration(position, raw));
        out.insert("tools".into(), tools.collect::<Result<Value, _>>()?);
    }
    choice.map_or(Ok(()), |choice| tools::choose(choice, any, out))
}

/// The form of the answer, and how much to think first.
fn form(fields: &mut Fields<'_>, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let mut effort = None;
    if let Some(config) = fields.take::<&RawValue>("output_config", "an object")? {
        let mut config = Object::read(config, "output_config")?;
        effort = config.take::<String>("effort", "a word")?;
        if effort.as_deref().is_some_and(|word| !["low", "medium", "high", "xhigh", "max"].contains(&word)) {
            return Err(config.wrong("effort", "must be low, medium, high, xhigh or max"));
        }
        if let Some(format) = config.inner("format")? {
            out.insert("response_format".into(), response_format(format)?);
        }
        config.finish()?;
    }
    if let Some(raw) = fields.take::<&RawValue>("thinking", "an object with a type")? {
        effort = Some(thinking(Object::read(raw, "thinking")?, effort)?);
    }
    if let Some(effort) = effort {
        out.insert("reasoning_effort".into(), effort.into());
    }
    Ok(())
}

/// Anthropic promises that the answer keeps to the schema; so does `strict`. OpenAI wants a name.
fn response_format(mut format: Object<'_>) -> Result<Value, Refusal> {
    let kind: String = format.require("type", "json_schema")?;
    if kind != "json_schema" {
        return Err(format.wrong("type", "must be json_schema"));
    }
    let schema: Map<String, Value> = format.require("schema", "a JSON schema")?;
    format.finish()?;
    Ok(json!({"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": true}}))
}

/// How much to think, as OpenAI's word. An effort that the app named itself stands, unless there is to be no thought.
fn thinking(mut asked: Object<'_>, effort: Option<String>) -> Result<String, Refusal> {
    let kind: String = asked.require("type", "enabled, adaptive or disabled")?;
    // Whether thoughts are shown changes nothing in the answer.
    asked.take::<String>("display", "a word")?;
    let word = match kind.as_str() {
        "enabled" => {
            let budget: u64 = asked.require("budget_tokens", "a whole number")?;
            if budget < BUDGET_MIN {
                return Err(asked.wrong("budget_tokens", &format!("must be at least {BUDGET_MIN}")));
            }
            effort.unwrap_or_else(|| of_budget(budget).into())
        }
        // What Anthropic does where no effort is named (docs.claude.com, "Effort").
        "adaptive" => effort.unwrap_or_else(|| "high".into()),
        "disabled" => "none".into(),
        _ => return Err(asked.wrong("type", "must be enabled, adaptive or disabled")),
    };
    asked.finish()?;
    Ok(word)
}

/// The effort whose own budget is nearest: 1,024 tokens for low, 8,192 for medium, 24,576 for high (ai.google.dev,
/// "OpenAI compatibility", "Thinking").
fn of_budget(tokens: u64) -> &'static str {
    match tokens {
        0..=4_608 => "low",
        4_609..=16_384 => "medium",
        _ => "high",
    }
}
