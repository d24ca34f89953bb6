//! A conversation as OpenAI's messages: results of tools apart, each a message of its own, and calls beside the text.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::object::{Content, Object};
use super::{extra, parts};
use crate::adapter::Refusal;
use crate::adapter::hub::wrong;

/// Adds the instructions above a conversation.
pub(super) fn instructions(system: &RawValue, messages: &mut Vec<Value>) -> Result<(), Refusal> {
    let parts = match Content::read(system, "system")? {
        Content::Blocks(blocks) if blocks.iter().any(|(kind, _)| kind != "text") => {
            return Err(wrong("system", "system must be a text or a list of text blocks"));
        }
        content => parts::of_content(content)?,
    };
    if !parts.is_empty() {
        messages.push(json!({"role": "system", "content": parts::content(parts)}));
    }
    Ok(())
}

/// Adds one turn.
pub(super) fn turn(position: usize, raw: &RawValue, messages: &mut Vec<Value>) -> Result<(), Refusal> {
    let place = format!("messages[{position}]");
    let mut message = Object::read(raw, &place)?;
    let role: String = message.require("role", "user or assistant")?;
    let raw: &RawValue = message.require("content", "a text or a list of blocks")?;
    let content = Content::read(raw, &message.at("content"))?;
    if matches!(&content, Content::Blocks(blocks) if blocks.is_empty()) {
        return Err(message.wrong("content", "must not be empty"));
    }
    match role.as_str() {
        "user" => user(content, messages)?,
        "assistant" => messages.extend(assistant(content)?),
        _ => return Err(message.wrong("role", "must be user or assistant")),
    }
    message.finish()
}

/// A person's turn. Results come first, wherever they stand: OpenAI wants them right behind their calls.
fn user(content: Content<'_>, messages: &mut Vec<Value>) -> Result<(), Refusal> {
    let blocks = match content {
        Content::Text(text) => {
            messages.push(json!({"role": "user", "content": text}));
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    let (mut shown, mut said) = (Vec::new(), Vec::new());
    for (kind, block) in blocks {
        if kind == "tool_result" {
            messages.push(result(block, &mut shown)?);
        } else {
            said.extend(parts::of_block(&kind, block)?);
        }
    }
    shown.append(&mut said);
    if !shown.is_empty() {
        messages.push(json!({"role": "user", "content": parts::content(shown)}));
    }
    Ok(())
}

/// A tool's result. OpenAI's message of a tool holds text alone, so that all else is shown in the turn behind it.
fn result(mut block: Object<'_>, shown: &mut Vec<Value>) -> Result<Value, Refusal> {
    let id: String = block.require("tool_use_id", "the id of a call")?;
    let failed = block.take("is_error", "true or false")?.unwrap_or(false);
    let content: Option<&RawValue> = block.take("content", "a text or a list of blocks")?;
    let parts = match content {
        Some(raw) => parts::of_content(Content::read(raw, &block.at("content"))?)?,
        None => Vec::new(),
    };
    let (texts, others): (Vec<Value>, Vec<Value>) = parts.into_iter().partition(|part| parts::as_text(part).is_some());
    let mut text = texts.iter().filter_map(parts::as_text).collect::<Vec<_>>().join("\n");
    if !others.is_empty() {
        if text.is_empty() {
            text = "The result is shown in the next message.".into();
        }
        shown.push(parts::text(format!("The result of the call {id}:")));
        shown.extend(others);
    }
    // OpenAI has no mark for a failure; the model has to read it.
    if failed {
        text = format!("Error: {text}");
    }
    block.finish()?;
    Ok(json!({"role": "tool", "tool_call_id": id, "content": text}))
}

/// The model's turn; none where nothing of it can be said.
///
/// Thoughts are for the model that thought them: no other reads them, and the answer is the same without. What a
/// provider of another dialect wants back hides in one of them, before what it belongs to, or at the end.
fn assistant(content: Content<'_>) -> Result<Option<Value>, Refusal> {
    let blocks = match content {
        Content::Text(text) => return Ok(Some(json!({"role": "assistant", "content": text}))),
        Content::Blocks(blocks) => blocks,
    };
    let (mut text, mut calls, mut message, mut hidden) = (String::new(), Vec::new(), Map::new(), None);
    for (kind, mut block) in blocks {
        match kind.as_str() {
            "text" => {
                text.push_str(&parts::said(&mut block)?);
                hidden.take().map(|extra| message.insert("extra_content".into(), extra));
                block.finish()?;
            }
            "tool_use" => calls.push(call(block, hidden.take())?),
            "redacted_thinking" => hidden = extra::of_block(&mut block)?.or(hidden),
            "thinking" => {}
            _ => return Err(parts::unknown(&kind, &block)),
        }
    }
    hidden.take().map(|extra| message.insert("extra_content".into(), extra));
    if text.is_empty() && calls.is_empty() && message.is_empty() {
        return Ok(None);
    }
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() });
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Ok(Some(message.into()))
}

fn call(mut block: Object<'_>, extra: Option<Value>) -> Result<Value, Refusal> {
    let id: String = block.require("id", "a text")?;
    let name: String = block.require("name", "a text")?;
    let input: &RawValue = block.require("input", "an object")?;
    if !input.get().starts_with('{') {
        return Err(block.wrong("input", "must be an object"));
    }
    if let Some(mut caller) = block.inner("caller")? {
        let kind: String = caller.require("type", "a text")?;
        if kind != "direct" {
            return Err(block.cannot("caller", "is a tool of Anthropic's own, which no other provider has"));
        }
    }
    let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": input.get()}});
    if let (Some(extra), Some(members)) = (extra, call.as_object_mut()) {
        members.insert("extra_content".into(), extra);
    }
    block.finish()?;
    Ok(call)
}
