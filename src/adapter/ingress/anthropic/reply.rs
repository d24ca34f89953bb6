//! A whole chat completion as a message.

use serde_json::Value;

use super::{answer, extra};
use crate::adapter::hub::{Answer, Said};
use crate::adapter::{Asked, Invalid};

/// The message that says what a chat completion says.
pub(super) fn write(asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Invalid> {
    let said = Said::read(body)?;
    if said.answers.is_empty() {
        return Err(Invalid("it has no choices".into()));
    }
    let id = answer::id(asked, said.id.clone());
    let model = said.model.clone().unwrap_or_else(|| asked.model.clone());
    let tokens = said.used.map(|used| used.tokens).unwrap_or_default();
    let first = said.first();
    let content = blocks(&first, &asked.seed)?;
    let calls = !first.calls.is_empty();
    let reason = answer::stop_reason(first.finish_reason.as_deref(), first.refusal.is_some(), calls);
    Ok(answer::message(&id, &model, content, Some(reason), tokens).to_string().into_bytes())
}

fn blocks(said: &Answer, seed: &str) -> Result<Vec<Value>, Invalid> {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut blocks: Vec<Value> = some(&said.reasoning).iter().map(|text| answer::thinking(text)).collect();
    let texts: Vec<String> = [some(&said.text), some(&said.refusal)].into_iter().flatten().collect();
    // Before a text it is the message's; before a call it would be the call's.
    let mut hidden = said.extra_content.as_ref().and_then(extra::block);
    if !texts.is_empty() {
        blocks.extend(hidden.take());
    }
    blocks.extend(texts.iter().map(|text| answer::text(text)));
    let cut = said.finish_reason.as_deref() == Some("length");
    for (position, call) in said.calls.iter().enumerate() {
        let input = match answer::input(&call.arguments) {
            // The last call of an answer that grew too long is no call, and `max_tokens` says why.
            Err(_) if cut && position + 1 == said.calls.len() => break,
            input => input?,
        };
        let id = call.id.clone().unwrap_or_else(|| answer::call_id(seed, position));
        blocks.extend(call.extra_content.as_ref().and_then(extra::block));
        blocks.push(answer::tool_use(&id, answer::name(call)?, input));
    }
    blocks.extend(hidden);
    Ok(blocks)
}
