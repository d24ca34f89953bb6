//! A conversation as Google's turns: two speakers who alternate, instructions apart, results beside their calls.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::parts;
use super::wire::{Content, FunctionResponse, Part, Parts, Payload, SentCall, Speaker};
use crate::adapter::Refusal;
use crate::adapter::hub::{Message, Role, ToolCall, cannot, old_form, wrong};

/// What Google takes in place of a signature for calls that it did not make itself (its documentation, "Thought
/// signatures"): a conversation that fell back from another provider has none, and Gemini 3 answers 400 to calls
/// without. Models that want none pass it over.
pub(in crate::adapter) const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// The turns of a conversation, and its instructions.
pub(super) fn encode(messages: Vec<Message<'_>>) -> Result<(Vec<Content<'_>>, Option<Parts<'_>>), Refusal> {
    let mut turns = Turns::default();
    for (position, message) in messages.into_iter().enumerate() {
        turns.add(message, &format!("messages[{position}]"))?;
    }
    // There must be a turn. Where an app has only instructions, they are what it says.
    if turns.contents.is_empty() {
        let parts = std::mem::take(&mut turns.instructions);
        turns.say(Speaker::User, parts);
    }
    if turns.contents.is_empty() {
        return Err(wrong("messages", "messages is empty: it must hold at least one message"));
    }
    let instructions = (!turns.instructions.is_empty()).then_some(Parts { parts: turns.instructions });
    Ok((turns.contents, instructions))
}

#[derive(Default)]
struct Turns<'a> {
    contents: Vec<Content<'a>>,
    instructions: Vec<Part<'a>>,
    /// The function that each call so far named: OpenAI's results name the call, Google's the function too.
    called: HashMap<String, String>,
}

impl<'a> Turns<'a> {
    fn add(&mut self, message: Message<'a>, param: &str) -> Result<(), Refusal> {
        match message.role {
            Role::System => {
                let text = parts::text(message.content, param)?;
                self.instructions.push(Payload::Text(text.into()).into());
            }
            Role::User => {
                let parts = parts::encode(message.content, param)?;
                self.say(Speaker::User, parts);
            }
            Role::Assistant => self.add_answer(message, param)?,
            Role::Tool => self.add_result(message, param)?,
            Role::Function => return Err(old_form(param, "role")),
        }
        Ok(())
    }

    /// Adds parts to the speaker's turn; a turn begins where the speaker changes.
    fn say(&mut self, role: Speaker, parts: Vec<Part<'a>>) {
        match self.contents.last_mut().filter(|last| last.role == role) {
            Some(last) => last.parts.extend(parts),
            None if parts.is_empty() => {}
            None => self.contents.push(Content { role, parts }),
        }
    }

    fn add_answer(&mut self, message: Message<'a>, param: &str) -> Result<(), Refusal> {
        message.refuse_openais_own(param)?;
        let mut parts = parts::encode(message.content, param)?;
        parts.extend(message.refusal.map(|text| Payload::Text(text.into()).into()));
        // Google takes no empty text; beside calls it means nothing.
        parts.retain(|part| !matches!(&part.payload, Payload::Text(text) if text.is_empty()));
        if let (Some(extra), Some(last)) = (message.extra_content, parts.last_mut()) {
            last.thought_signature = extra.thought_signature().map(|signature| signature.to_owned().into());
        }
        parts.extend(self.calls(message.tool_calls.unwrap_or_default(), param)?);
        self.say(Speaker::Model, parts);
        Ok(())
    }

    fn calls(&mut self, calls: Vec<ToolCall>, param: &str) -> Result<Vec<Part<'a>>, Refusal> {
        let mut parts = Vec::with_capacity(calls.len());
        for (position, call) in calls.into_iter().enumerate() {
            parts.push(self.call(call, &format!("{param}.tool_calls[{position}]"))?);
        }
        // Of calls made at once only the first carries the signature.
        let unsigned = parts.iter().all(|part| part.thought_signature.is_none());
        if let Some(first) = parts.first_mut().filter(|_| unsigned) {
            first.thought_signature = Some(FOREIGN_SIGNATURE.into());
        }
        Ok(parts)
    }

    fn call(&mut self, call: ToolCall, param: &str) -> Result<Part<'a>, Refusal> {
        let Some(function) = call.function else {
            return Err(cannot(param, format!("{param} is no call of a function: Gemini is only told of functions")));
        };
        let args = function.object(param)?;
        self.called.insert(call.id.clone(), function.name.clone());
        let signature = call.extra_content.as_ref().and_then(|extra| extra.thought_signature());
        Ok(Part {
            thought_signature: signature.map(|signature| signature.to_owned().into()),
            payload: Payload::FunctionCall(SentCall { id: call.id, name: function.name, args }),
        })
    }

    fn add_result(&mut self, message: Message<'a>, param: &str) -> Result<(), Refusal> {
        let id = message.tool_call_id.ok_or_else(|| wrong(param, format!("{param}.tool_call_id is missing")))?;
        let name = self.called.get(&id).cloned().ok_or_else(|| {
            let param = format!("{param}.tool_call_id");
            wrong(&param, format!("{param} {id:?} names no call of a message before it"))
        })?;
        let response = result(parts::text(message.content, param)?);
        self.say(Speaker::User, vec![Payload::FunctionResponse(FunctionResponse { id, name, response }).into()]);
        Ok(())
    }
}

/// A result must be an object; any other text is wrapped into one, under the name that Google's documentation uses.
fn result(text: String) -> Map<String, Value> {
    serde_json::from_str(&text).unwrap_or_else(|_| Map::from_iter([("result".to_owned(), Value::String(text))]))
}
