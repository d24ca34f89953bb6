//! A conversation as Anthropic's turns: two speakers who alternate, instructions apart, results before anything else
//! that the person says.

use super::wire::{Block, Object, Payload, Speaker, Turn};
use super::{NAME, parts};
use crate::adapter::Refusal;
use crate::adapter::hub::{ExtraContent, Message, Role, ToolCall, cannot, old_form, wrong};

/// The turns of a conversation, and its instructions.
pub(super) fn encode(messages: Vec<Message<'_>>) -> Result<(Vec<Turn<'_>>, Vec<Block<'_>>), Refusal> {
    let mut turns = Turns::default();
    for (position, message) in messages.into_iter().enumerate() {
        turns.add(message, &format!("messages[{position}]"))?;
    }
    // There must be a turn. Where an app has only instructions, they are what it says.
    if turns.said.is_empty() {
        let instructions = std::mem::take(&mut turns.instructions);
        turns.say(Speaker::User, instructions);
    }
    if turns.said.is_empty() {
        return Err(wrong("messages", "messages says nothing: it must hold at least one message with a content"));
    }
    Ok((turns.said, turns.instructions))
}

#[derive(Default)]
struct Turns<'a> {
    said: Vec<Turn<'a>>,
    instructions: Vec<Block<'a>>,
}

impl<'a> Turns<'a> {
    fn add(&mut self, mut message: Message<'a>, param: &str) -> Result<(), Refusal> {
        let cache_control = message.cache_control.take();
        let (role, mut blocks) = match message.role {
            Role::System => (None, instructions(message, param)?),
            Role::User => (Some(Speaker::User), parts::encode(message.content, param)?),
            Role::Assistant => (Some(Speaker::Assistant), answer(message, param)?),
            Role::Tool => (Some(Speaker::User), vec![result(message, param)?.into()]),
            Role::Function => return Err(old_form(param, "role")),
        };
        if let Some(last) = blocks.last_mut().filter(|last| last.cache_control.is_none()) {
            last.cache_control = cache_control;
        }
        match role {
            Some(role) => self.say(role, blocks),
            None => self.instructions.extend(blocks),
        }
        Ok(())
    }

    /// Adds blocks to the speaker's turn; a turn begins where the speaker changes. Results stand in front of all else in
    /// a turn, or Anthropic does not find them.
    fn say(&mut self, role: Speaker, blocks: Vec<Block<'a>>) {
        match self.said.last_mut().filter(|last| last.role == role) {
            Some(last) => {
                let results = |blocks: &[Block<'a>]| {
                    blocks.iter().take_while(|block| matches!(block.payload, Payload::ToolResult { .. })).count()
                };
                let at = if results(&blocks) > 0 { results(&last.content) } else { last.content.len() };
                last.content.splice(at..at, blocks);
            }
            None if blocks.is_empty() => {}
            None => self.said.push(Turn { role, content: blocks }),
        }
    }
}

fn instructions<'a>(message: Message<'a>, param: &str) -> Result<Vec<Block<'a>>, Refusal> {
    let blocks = parts::encode(message.content, param)?;
    match blocks.iter().position(|block| !matches!(block.payload, Payload::Text { .. })) {
        None => Ok(blocks),
        Some(_) => {
            Err(cannot(param, format!("{param}.content must be text: {NAME} takes nothing else as instructions")))
        }
    }
}

/// An answer that the app hands back, with the thoughts that it came with in front: without them Anthropic refuses calls
/// that were thought about.
fn answer<'a>(message: Message<'a>, param: &str) -> Result<Vec<Block<'a>>, Refusal> {
    message.refuse_openais_own(param)?;
    let thoughts = message.extra_content.map(ExtraContent::into_thinking_blocks).unwrap_or_default();
    let mut blocks: Vec<_> = thoughts.into_iter().map(|thought| Payload::Own(thought).into()).collect();
    blocks.extend(parts::encode(message.content, param)?);
    let refusal = message.refusal.filter(|text| !text.trim().is_empty());
    blocks.extend(refusal.map(|text| Payload::Text { text: text.into() }.into()));
    for (position, call) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
        blocks.push(tool_use(call, &format!("{param}.tool_calls[{position}]"))?.into());
    }
    Ok(blocks)
}

fn tool_use<'a>(call: ToolCall, param: &str) -> Result<Payload<'a>, Refusal> {
    let Some(function) = call.function else {
        return Err(cannot(param, format!("{param} is no call of a function: {NAME} is only told of functions")));
    };
    let input: Object = function.object(param)?;
    Ok(Payload::ToolUse { id: written(&call.id), name: function.name, input })
}

fn result<'a>(message: Message<'a>, param: &str) -> Result<Payload<'a>, Refusal> {
    let id = message.tool_call_id.ok_or_else(|| wrong(param, format!("{param}.tool_call_id is missing")))?;
    Ok(Payload::ToolResult { tool_use_id: written(&id), content: parts::encode(message.content, param)? })
}

/// An id as Anthropic takes it (API reference, "ToolUseBlock": `^[a-zA-Z0-9_-]+$`): calls that another provider made
/// may have others. A call and its result change alike.
fn written(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}
