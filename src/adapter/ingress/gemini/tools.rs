//! Functions, and which of them may or must be called. Whatever else Google calls a tool is its own.

use serde_json::{Map, Value, json};

use super::object::Object;
use super::schema;
use crate::adapter::Refusal;

/// Tools and choice, as OpenAI has them.
#[derive(Default)]
pub(super) struct Declared {
    pub(super) tools: Option<Value>,
    pub(super) choice: Option<Value>,
}

/// What a request says of tools.
pub(super) fn read(request: &mut Object<'_>) -> Result<Declared, Refusal> {
    let mut functions = Vec::new();
    for mut tool in request.list("tools")? {
        for function in tool.list("functionDeclarations")? {
            functions.push(declaration(function)?);
        }
        tool.refuse_rest()?;
    }
    let (choice, strict) = choice(request, !functions.is_empty())?;
    let tool = |mut function: Map<String, Value>| {
        if strict {
            function.insert("strict".into(), true.into());
        }
        json!({"type": "function", "function": function})
    };
    let tools: Vec<Value> = functions.into_iter().map(tool).collect();
    Ok(Declared { tools: (!tools.is_empty()).then(|| tools.into()), choice })
}

fn declaration(mut function: Object<'_>) -> Result<Map<String, Value>, Refusal> {
    let mut said = Map::new();
    said.insert("name".into(), function.need("name")?.into());
    let description = function.text("description")?.unwrap_or_default();
    // What a function gives back has no place of its own elsewhere, and the description is where a model looks for it.
    let gives = match schema::either(&mut function, "response", "responseJsonSchema")? {
        Some(schema) => format!("{description}\n\nIt gives JSON of this schema: {schema}").trim_start().to_owned(),
        None => description.into_owned(),
    };
    if !gives.is_empty() {
        said.insert("description".into(), gives.into());
    }
    if let Some(parameters) = schema::either(&mut function, "parameters", "parametersJsonSchema")? {
        said.insert("parameters".into(), parameters);
    }
    if matches!(function.text("behavior")?.as_deref(), Some("NON_BLOCKING")) {
        return Err(function.cannot("behavior", "cannot be NON_BLOCKING elsewhere: leave it out"));
    }
    function.refuse_rest()?;
    Ok(said)
}

/// The choice, and whether calls must keep to their schemas.
fn choice(request: &mut Object<'_>, any: bool) -> Result<(Option<Value>, bool), Refusal> {
    let Some(mut config) = request.object("toolConfig")? else { return Ok((None, false)) };
    let Some(mut calling) = config.object("functionCallingConfig")? else {
        config.refuse_rest()?;
        return Ok((None, false));
    };
    let mode = calling.text("mode")?;
    let names: Vec<String> = calling.take("allowedFunctionNames", "a list of names")?.unwrap_or_default();
    // Arguments come whole where they are not streamed, and say the same.
    calling.forget(&["streamFunctionCallArguments"]);
    calling.refuse_rest()?;
    config.refuse_rest()?;
    let (word, strict) = match mode.as_deref() {
        None | Some("MODE_UNSPECIFIED" | "AUTO") => ("auto", false),
        Some("VALIDATED") => ("auto", true),
        Some("ANY") => ("required", false),
        Some("NONE") => ("none", false),
        Some(_) => return Err(calling.wrong("mode", "must be AUTO, ANY, NONE or VALIDATED")),
    };
    match (word, &*names) {
        ("required", _) if !any => Err(calling.wrong("mode", "asks for a call, but there are no functions")),
        _ if !any || (word == "auto" && !strict) => Ok((None, strict)),
        ("none", _) | (_, []) => Ok((Some(word.into()), strict)),
        ("required", [only]) => Ok((Some(json!({"type": "function", "function": {"name": only}})), strict)),
        _ => {
            let tool = |name: &String| json!({"type": "function", "function": {"name": name}});
            let tools: Vec<Value> = names.iter().map(tool).collect();
            Ok((Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": word, "tools": tools}})), strict))
        }
    }
}
