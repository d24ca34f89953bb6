//! Tools, and which of them may or must be used.

use serde_json::json;

use super::NAME;
use super::wire::{ChoiceMode, Object, Tool, ToolChoice};
use crate::adapter::Refusal;
use crate::adapter::hub::{self, AllowedTools, Function, Mode, wrong};

/// The functions, and which of them may or must be used. Anthropic has no word for some of the tools: where an app
/// allows only some, only those are sent.
pub(super) fn encode(
    tools: Vec<hub::Tool>,
    choice: Option<hub::ToolChoice>,
    parallel: Option<bool>,
) -> Result<(Vec<Tool>, Option<ToolChoice>), Refusal> {
    let mut tools = declarations(tools)?;
    let (mode, name) = match choice {
        None => (None, None),
        Some(hub::ToolChoice::Mode(mode)) => (Some(choice_mode(mode)), None),
        Some(hub::ToolChoice::Named { function }) => (Some(ChoiceMode::Tool), Some(function.name)),
        Some(hub::ToolChoice::Allowed { allowed_tools: AllowedTools { mode, tools: allowed } }) => {
            if mode != Mode::None {
                restrict(&mut tools, allowed)?;
            }
            (Some(choice_mode(mode)), None)
        }
    };
    if tools.is_empty() {
        return match mode {
            None | Some(ChoiceMode::Auto | ChoiceMode::None) => Ok((tools, None)),
            Some(_) => Err(wrong("tool_choice", "tool_choice asks for a call, but there are no tools")),
        };
    }
    let one_call_only = parallel == Some(false);
    let choice = match mode {
        None if !one_call_only => None,
        mode => {
            let mode = mode.unwrap_or(ChoiceMode::Auto);
            let disable_parallel_tool_use = one_call_only && mode != ChoiceMode::None;
            Some(ToolChoice { mode, name, disable_parallel_tool_use })
        }
    };
    Ok((tools, choice))
}

fn choice_mode(mode: Mode) -> ChoiceMode {
    match mode {
        Mode::None => ChoiceMode::None,
        Mode::Auto => ChoiceMode::Auto,
        Mode::Required => ChoiceMode::Any,
    }
}

fn declarations(tools: Vec<hub::Tool>) -> Result<Vec<Tool>, Refusal> {
    let one = |(position, mut tool): (usize, hub::Tool)| {
        let cache_control = tool.cache_control.take();
        let Function { name, description, parameters, strict } =
            tool.into_function(&format!("tools[{position}]"), NAME)?;
        let input_schema = parameters.filter(|schema| !schema.is_empty()).unwrap_or_else(no_parameters);
        Ok(Tool { name, description, input_schema, strict: strict.filter(|&strict| strict), cache_control })
    };
    tools.into_iter().enumerate().map(one).collect()
}

/// The schema of a function without parameters: Anthropic wants one.
fn no_parameters() -> Object {
    Object::from_iter([("type".to_owned(), json!("object"))])
}

/// Leaves the tools that are allowed.
fn restrict(tools: &mut Vec<Tool>, allowed: Vec<hub::Tool>) -> Result<(), Refusal> {
    let mut names = Vec::with_capacity(allowed.len());
    for (position, tool) in allowed.into_iter().enumerate() {
        let param = format!("tool_choice.allowed_tools.tools[{position}]");
        let name = tool.into_function(&param, NAME)?.name;
        if !tools.iter().any(|tool| tool.name == name) {
            return Err(wrong(&param, format!("{param} names {name:?}, which is none of the tools")));
        }
        names.push(name);
    }
    tools.retain(|tool| names.contains(&tool.name));
    Ok(())
}
