//! Tools, and which of them may or must be called.

use super::NAME;
use super::wire::{CallingMode, FunctionCallingConfig, FunctionDeclaration, ToolConfig, Tools};
use crate::adapter::Refusal;
use crate::adapter::hub::{AllowedTools, Function, Mode, Tool, ToolChoice, wrong};

/// The functions, all in one tool, as Google wants them. Their schemas go as JSON Schema, untouched: they guide the
/// model, and Google takes the whole vocabulary there.
pub(super) fn declarations(tools: Vec<Tool>) -> Result<Vec<Tools>, Refusal> {
    let mut function_declarations = Vec::with_capacity(tools.len());
    for (position, tool) in tools.into_iter().enumerate() {
        let Function { name, description, parameters, .. } = tool.into_function(&format!("tools[{position}]"), NAME)?;
        let parameters_json_schema = parameters.filter(|schema| !schema.is_empty());
        function_declarations.push(FunctionDeclaration { name, description, parameters_json_schema });
    }
    if function_declarations.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Tools { function_declarations }])
}

/// Which functions may or must be called. `strict` asks that calls keep to their schemas: of Google's modes, `VALIDATED`
/// promises that and leaves the choice to the model (Gemini API reference, "FunctionCallingConfig").
pub(super) fn config(choice: Option<ToolChoice>, tools: &[Tool]) -> Result<Option<ToolConfig>, Refusal> {
    let strict = tools.iter().any(|tool| tool.function.as_ref().and_then(|function| function.strict) == Some(true));
    let freely = if strict { CallingMode::Validated } else { CallingMode::Auto };
    let (mode, allowed_function_names) = match choice {
        None if strict => (freely, Vec::new()),
        None => return Ok(None),
        Some(ToolChoice::Mode(Mode::Auto)) => (freely, Vec::new()),
        Some(ToolChoice::Mode(Mode::None)) => (CallingMode::None, Vec::new()),
        Some(ToolChoice::Mode(Mode::Required)) => (CallingMode::Any, Vec::new()),
        Some(ToolChoice::Named { function }) => (CallingMode::Any, vec![function.name]),
        Some(ToolChoice::Allowed { allowed_tools: AllowedTools { mode, tools } }) => match mode {
            Mode::None => (CallingMode::None, Vec::new()),
            Mode::Required => (CallingMode::Any, names(tools)?),
            // Names are only heeded in the modes ANY and VALIDATED.
            Mode::Auto => (CallingMode::Validated, names(tools)?),
        },
    };
    match mode {
        CallingMode::Auto | CallingMode::None if tools.is_empty() => Ok(None),
        _ if tools.is_empty() => Err(wrong("tool_choice", "tool_choice asks for a call, but there are no tools")),
        _ => {
            let function_calling_config = FunctionCallingConfig { mode, allowed_function_names };
            Ok(Some(ToolConfig { function_calling_config }))
        }
    }
}

fn names(tools: Vec<Tool>) -> Result<Vec<String>, Refusal> {
    let name = |(position, tool): (usize, Tool)| {
        let function = tool.into_function(&format!("tool_choice.allowed_tools.tools[{position}]"), NAME);
        function.map(|function| function.name)
    };
    tools.into_iter().enumerate().map(name).collect()
}
