//! A body of `generateContent` as a chat completion request.

use serde_json::{Map, Value};

use super::object::Object;
use super::{config, tools, turns};
use crate::adapter::{Asked, Refusal};

/// What says nothing about the answer: the path names the model, and safety settings, labels and what Google keeps of a
/// call are Google's own matter.
const FORGOTTEN: &[&str] = &["model", "safetySettings", "labels", "store", "serviceTier"];

/// The chat completion request that says the same.
pub(super) fn read(asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut request = Object::body(body)?;
    let mut said = Map::new();
    said.insert("model".into(), asked.model.clone().into());
    said.insert("messages".into(), turns::read(&mut request)?.into());
    let declared = tools::read(&mut request)?;
    if let Some(tools) = declared.tools {
        said.insert("tools".into(), tools);
    }
    if let Some(choice) = declared.choice {
        said.insert("tool_choice".into(), choice);
    }
    if let Some(config) = request.object("generationConfig")? {
        config::read(config, &mut said)?;
    }
    if asked.stream {
        said.insert("stream".into(), true.into());
    }
    request.forget(FORGOTTEN);
    request.refuse_rest()?;
    Ok(Value::Object(said).to_string().into_bytes())
}
