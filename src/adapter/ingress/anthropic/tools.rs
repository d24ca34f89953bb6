//! Tools, and which of them may or must be called.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::object::Object;
use crate::adapter::Refusal;
use crate::adapter::hub::wrong;

/// A tool of the app's as a function. Tools of Anthropic's own run there, or are known to its models alone.
pub(super) fn declaration(position: usize, raw: &RawValue) -> Result<Value, Refusal> {
    let mut tool = Object::read(raw, format!("tools[{position}]"))?;
    let kind: Option<String> = tool.take("type", "a text")?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        return Err(tool.cannot("type", &format!("is {kind:?}, a tool that only Anthropic has: leave it out")));
    }
    let mut function = Map::new();
    function.insert("name".into(), tool.require::<String>("name", "a text")?.into());
    if let Some(description) = tool.take::<String>("description", "a text")? {
        function.insert("description".into(), description.into());
    }
    function.insert("parameters".into(), tool.require::<Map<String, Value>>("input_schema", "a JSON schema")?.into());
    if let Some(strict) = tool.take::<bool>("strict", "true or false")? {
        function.insert("strict".into(), strict.into());
    }
    // How arguments are cut into pieces changes nothing in them.
    tool.take::<bool>("eager_input_streaming", "true or false")?;
    if tool.take("defer_loading", "true or false")?.unwrap_or(false) {
        return Err(tool.cannot("defer_loading", "needs Anthropic's search of tools: leave it out"));
    }
    let callers: Vec<String> = tool.take("allowed_callers", "a list of texts")?.unwrap_or_default();
    if callers.iter().any(|caller| caller != "direct") {
        return Err(tool.cannot("allowed_callers", "names a tool of Anthropic's own: leave it out"));
    }
    tool.finish()?;
    Ok(json!({"type": "function", "function": function}))
}

/// Says which tools may or must be called, and whether several at once.
pub(super) fn choose(raw: &RawValue, any_tools: bool, out: &mut Map<String, Value>) -> Result<(), Refusal> {
    let mut choice = Object::read(raw, "tool_choice")?;
    let kind: String = choice.require("type", "auto, any, tool or none")?;
    let one_at_a_time = choice.take("disable_parallel_tool_use", "true or false")?.unwrap_or(false);
    let (said, forces) = match kind.as_str() {
        "auto" => (json!("auto"), false),
        "none" => (json!("none"), false),
        "any" => (json!("required"), true),
        "tool" => {
            let name: String = choice.require("name", "a tool's name")?;
            (json!({"type": "function", "function": {"name": name}}), true)
        }
        _ => return Err(choice.wrong("type", "must be auto, any, tool or none")),
    };
    choice.finish()?;
    if !any_tools {
        // OpenAI takes no choice where there is none to make.
        let nothing = wrong("tool_choice", "tool_choice asks for a call, but there are no tools");
        return if forces { Err(nothing) } else { Ok(()) };
    }
    out.insert("tool_choice".into(), said);
    if one_at_a_time {
        out.insert("parallel_tool_calls".into(), false.into());
    }
    Ok(())
}
