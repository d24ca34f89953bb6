//! Blocks of a person's turn, or of a tool's result, as OpenAI's parts.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::object::{Content, Object};
use crate::adapter::Refusal;

/// A content's parts.
pub(super) fn of_content(content: Content<'_>) -> Result<Vec<Value>, Refusal> {
    match content {
        Content::Text(said) => Ok(vec![text(said)]),
        Content::Blocks(blocks) => {
            let parts: Vec<Vec<Value>> =
                blocks.into_iter().map(|(kind, block)| of_block(&kind, block)).collect::<Result<_, _>>()?;
            Ok(parts.concat())
        }
    }
}

/// A block's parts; a document may come to several.
pub(super) fn of_block(kind: &str, mut block: Object<'_>) -> Result<Vec<Value>, Refusal> {
    let parts = match kind {
        "text" => vec![text(said(&mut block)?)],
        "image" => vec![image(&mut block)?],
        "document" => document(&mut block)?,
        "search_result" => vec![search_result(&mut block)?],
        _ => return Err(unknown(kind, &block)),
    };
    block.finish()?;
    Ok(parts)
}

/// The text of a text block. What it cites in a history stands in the history itself, so that it goes unsaid.
pub(super) fn said(block: &mut Object<'_>) -> Result<String, Refusal> {
    block.take::<&RawValue>("citations", "a list")?;
    block.require("text", "a text")
}

/// The refusal of a block that has no counterpart.
pub(super) fn unknown(kind: &str, block: &Object<'_>) -> Refusal {
    block.cannot("type", &format!("is {kind:?}, which only Anthropic understands there"))
}

/// A text as a part.
pub(super) fn text(text: impl Into<String>) -> Value {
    json!({"type": "text", "text": text.into()})
}

/// The text of a part that is one.
pub(super) fn as_text(part: &Value) -> Option<&str> {
    part.get("text").and_then(Value::as_str)
}

/// Parts as a content. Where all are texts they are one: many compatible servers take no list then.
pub(super) fn content(parts: Vec<Value>) -> Value {
    let texts: Option<Vec<&str>> = parts.iter().map(as_text).collect();
    match texts {
        Some(texts) => texts.join("\n\n").into(),
        None => parts.into(),
    }
}

fn source<'a>(block: &mut Object<'a>) -> Result<(String, Object<'a>), Refusal> {
    let Some(mut source) = block.inner("source")? else { return Err(block.wrong("source", "is missing")) };
    Ok((source.require("type", "a text")?, source))
}

fn image(block: &mut Object<'_>) -> Result<Value, Refusal> {
    let (kind, mut source) = source(block)?;
    let url: String = match kind.as_str() {
        "base64" => data_url(&mut source)?,
        "url" => source.require("url", "an address")?,
        _ => return Err(elsewhere(&kind, &source, "base64 or a url")),
    };
    source.finish()?;
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

fn data_url(source: &mut Object<'_>) -> Result<String, Refusal> {
    let media_type: String = source.require("media_type", "a media type")?;
    let data: String = source.require("data", "base64")?;
    Ok(format!("data:{media_type};base64,{data}"))
}

fn elsewhere(kind: &str, source: &Object<'_>, instead: &str) -> Refusal {
    source.cannot("type", &format!("is {kind:?}, which only Anthropic can look up: send {instead}"))
}

/// A document: its text, or a file inside the request. OpenAI wants files to have names, and has no place for a
/// context, which goes before it.
fn document(block: &mut Object<'_>) -> Result<Vec<Value>, Refusal> {
    let title: Option<String> = block.take("title", "a text")?;
    let context: Option<String> = block.take("context", "a text")?;
    if cites(block)? {
        return Err(block.cannot("citations", "asks for citations, which only Anthropic gives: leave it out"));
    }
    let (kind, mut source) = source(block)?;
    let mut parts: Vec<Value> = Vec::new();
    match kind.as_str() {
        "base64" => {
            let data = data_url(&mut source)?;
            let filename = title.unwrap_or_else(|| "document.pdf".into());
            parts.extend(context.map(text));
            parts.push(json!({"type": "file", "file": {"filename": filename, "file_data": data}}));
        }
        "text" => {
            source.take::<String>("media_type", "text/plain")?;
            let data: String = source.require("data", "a text")?;
            parts.push(text(under(title.into_iter().chain(context), data)));
        }
        "content" => {
            let raw: &RawValue = source.require("content", "a text or a list of blocks")?;
            parts.extend(title.into_iter().chain(context).map(text));
            parts.extend(of_content(Content::read(raw, &source.at("content"))?)?);
        }
        _ => return Err(elsewhere(&kind, &source, "base64, text or content")),
    }
    source.finish()?;
    Ok(parts)
}

fn search_result(block: &mut Object<'_>) -> Result<Value, Refusal> {
    if cites(block)? {
        return Err(block.cannot("citations", "asks for citations, which only Anthropic gives: leave it out"));
    }
    let head: [String; 2] = [block.require("title", "a text")?, block.require("source", "a text")?];
    let raw: &RawValue = block.require("content", "a list of texts")?;
    let texts = of_content(Content::read(raw, &block.at("content"))?)?;
    let texts: Option<Vec<&str>> = texts.iter().map(as_text).collect();
    let Some(texts) = texts else { return Err(block.wrong("content", "must hold texts only")) };
    Ok(text(under(head.into_iter(), texts.join("\n\n"))))
}

/// Whether a document asks that the answer cite it.
fn cites(block: &mut Object<'_>) -> Result<bool, Refusal> {
    let Some(mut citations) = block.inner("citations")? else { return Ok(false) };
    Ok(citations.take("enabled", "true or false")?.unwrap_or(false))
}

/// A text under its heads, each on a line.
fn under(heads: impl Iterator<Item = String>, text: String) -> String {
    let head: String = heads.map(|head| head + "\n").collect();
    if head.is_empty() { text } else { format!("{head}\n{text}") }
}
