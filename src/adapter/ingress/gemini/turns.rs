//! Google's turns as messages: instructions first, results as messages of their own, every call with an id.
//!
//! Google knows which result belongs to which call by the function's name and by order, unless ids are given. So calls
//! without one get an id by their place in the conversation, the same each time that it is sent.

use serde_json::{Map, Value, json};

use super::object::Object;
use super::{object, parts, signature};
use crate::adapter::Refusal;
use crate::adapter::hub::wrong;

/// The messages of a request.
pub(super) fn read(request: &mut Object<'_>) -> Result<Vec<Value>, Refusal> {
    let mut talk = Talk::default();
    if let Some(mut instructions) = request.object("systemInstruction")? {
        instructions.forget(&["role"]);
        let parts = spoken(&mut instructions)?.into_iter().map(|part| parts::text(part).map(parts::as_text));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        instructions.refuse_rest()?;
        if !parts.is_empty() {
            talk.messages.push(message("system", content(parts)));
        }
    }
    for (turn, said) in request.list("contents")?.into_iter().enumerate() {
        talk.add(turn, said)?;
    }
    talk.end_answer()?;
    if talk.messages.is_empty() {
        return Err(wrong("contents", "contents is empty: it must hold at least one turn"));
    }
    Ok(talk.messages)
}

/// The parts of a turn, without the model's thoughts: they are nobody's input.
fn spoken<'a>(turn: &mut Object<'a>) -> Result<Vec<Object<'a>>, Refusal> {
    let mut all = Vec::new();
    for mut part in turn.list("parts")? {
        if part.take("thought", "true or false")? != Some(true) {
            part.forget(&["partMetadata", "mediaResolution"]);
            all.push(part);
        }
    }
    Ok(all)
}

#[derive(Default)]
struct Talk<'a> {
    messages: Vec<Value>,
    /// The parts of the answer that is being read, with an id for each that should turn out to be a call. Google's SDKs
    /// hand a streamed answer back as one turn for each of its chunks.
    answer: Vec<(String, Object<'a>)>,
    /// Calls that no result has answered yet: (id, name).
    open: Vec<(String, String)>,
}

impl<'a> Talk<'a> {
    fn add(&mut self, turn: usize, mut said: Object<'a>) -> Result<(), Refusal> {
        let parts = spoken(&mut said)?;
        match said.text("role")?.as_deref() {
            // `function` is what Google called the speaker of results at first.
            None | Some("user" | "function") => self.add_user(parts)?,
            Some("model") => {
                let id = |position| format!("call_{turn}_{position}");
                self.answer.extend(parts.into_iter().enumerate().map(|(position, part)| (id(position), part)));
            }
            Some(_) => return Err(said.wrong("role", "must be user or model")),
        }
        said.refuse_rest()
    }

    /// Results go before what else is said: they must follow their calls.
    fn add_user(&mut self, all: Vec<Object<'_>>) -> Result<(), Refusal> {
        self.end_answer()?;
        let mut said = Vec::new();
        for mut part in all {
            match part.object("functionResponse")? {
                Some(result) => {
                    let result = self.result(result)?;
                    part.forget(&["thoughtSignature"]);
                    part.refuse_rest()?;
                    self.messages.push(result);
                }
                None => said.push(parts::read(part)?),
            }
        }
        if !said.is_empty() {
            self.messages.push(message("user", content(said)));
        }
        Ok(())
    }

    fn result(&mut self, mut result: Object<'_>) -> Result<Value, Refusal> {
        let (id, name) = (result.text("id")?, result.need("name")?);
        let by_id = self.open.iter().position(|(open, _)| Some(open.as_str()) == id.as_deref());
        let by_name = || self.open.iter().position(|(_, open)| *open == name);
        let Some(at) = by_id.or_else(by_name) else {
            return Err(result.wrong("name", "answers no call of a turn before it"));
        };
        let (id, _) = self.open.remove(at);
        let response: Map<String, Value> = result.take("response", "an object")?.unwrap_or_default();
        result.refuse_rest()?;
        Ok(json!({"role": "tool", "tool_call_id": id, "content": Value::Object(response).to_string()}))
    }

    fn end_answer(&mut self) -> Result<(), Refusal> {
        let (mut text, mut extra, mut calls) = (None::<String>, None, Vec::new());
        for (id, mut part) in std::mem::take(&mut self.answer) {
            let signed = part.text("thoughtSignature")?.map(|signature| signature::read(&signature));
            if let Some(call) = part.object("functionCall")? {
                calls.push(self.call(call, id, signed)?);
                part.refuse_rest()?;
            } else {
                text.get_or_insert_default().push_str(&parts::text(part)?);
                extra = signature::together(extra, signed);
            }
        }
        if text.is_none() && calls.is_empty() {
            return Ok(());
        }
        // Beside calls an empty text means nothing.
        let text = text.filter(|text| calls.is_empty() || !text.is_empty());
        self.messages.push(object([
            ("role", Some("assistant".into())),
            ("content", Some(text.into())),
            ("tool_calls", (!calls.is_empty()).then(|| calls.into())),
            ("extra_content", extra),
        ]));
        Ok(())
    }

    fn call(&mut self, mut call: Object<'_>, made_up: String, extra: Option<Value>) -> Result<Value, Refusal> {
        let id = call.text("id")?.filter(|id| !id.is_empty()).map_or(made_up, String::from);
        let name = call.need("name")?.into_owned();
        let arguments: Map<String, Value> = call.take("args", "an object")?.unwrap_or_default();
        call.refuse_rest()?;
        let function = json!({"name": name, "arguments": Value::Object(arguments).to_string()});
        self.open.push((id.clone(), name));
        let (id, kind) = (Some(id.into()), Some("function".into()));
        Ok(object([("id", id), ("type", kind), ("function", Some(function)), ("extra_content", extra)]))
    }
}

/// A content: a text where it is nothing else.
fn content(mut parts: Vec<Value>) -> Value {
    match &mut parts[..] {
        [only] => only.get_mut("text").map(Value::take).unwrap_or_else(|| parts.into()),
        _ => parts.into(),
    }
}

/// A message of a speaker.
fn message(role: &str, content: Value) -> Value {
    json!({"role": role, "content": content})
}
