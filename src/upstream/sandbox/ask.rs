//! What a chat request asks for: what to say, and how much of it.

use serde_json::{Value, json};

use super::error::Problem;
use super::{CHARS_PER_TOKEN, CHAT_MODEL, schema, tokens};

/// With tools at hand, a text that begins so asks for a call of the tool that it names.
const TOOL_COMMAND: &str = "/tool ";
/// Tokens that frame each message in a prompt.
const TOKENS_PER_MESSAGE: usize = 4;

/// What the reply says.
#[derive(Debug)]
pub(super) enum Said {
    Text(String),
    Call { name: String, arguments: String },
}

/// A chat request, read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) said: Said,
    pub(super) finish_reason: &'static str,
    pub(super) prompt_tokens: usize,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

impl Ask {
    pub(super) fn read(body: &Value) -> Result<Self, Problem> {
        let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
        if model != CHAT_MODEL {
            return Err(Problem::unknown_model(model));
        }
        if body.get("n").is_some_and(|n| !n.is_null() && *n != 1) {
            return Err(Problem::field("n", "the sandbox gives one choice: `n` is 1 or left out"));
        }
        let messages = messages(body)?;
        let mut said = say(body, messages)?;
        let whole = if matches!(said, Said::Text(_)) { "stop" } else { "tool_calls" };
        let was_cut = limit(body)?.is_some_and(|limit| said.cut(limit));
        Ok(Self {
            said,
            finish_reason: if was_cut { "length" } else { whole },
            prompt_tokens: messages.iter().map(|message| tokens(&text(message)) + TOKENS_PER_MESSAGE).sum(),
            stream: body.get("stream") == Some(&Value::Bool(true)),
            include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        })
    }
}

impl Said {
    pub(super) fn tokens(&self) -> usize {
        match self {
            Self::Text(text) => tokens(text),
            Self::Call { name, arguments } => tokens(name) + tokens(arguments),
        }
    }

    /// Cuts what is said to so many tokens, and tells whether anything was cut. A real model's cut call is broken JSON
    /// too.
    fn cut(&mut self, limit: usize) -> bool {
        let (Self::Text(text) | Self::Call { arguments: text, .. }) = self;
        let end = text.char_indices().nth(limit.saturating_mul(CHARS_PER_TOKEN)).map(|(at, _)| at);
        if let Some(end) = end {
            text.truncate(end);
        }
        end.is_some()
    }
}

fn messages(body: &Value) -> Result<&[Value], Problem> {
    let messages = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    messages.map(Vec::as_slice).ok_or_else(|| Problem::field("messages", "`messages` is a list, not empty"))
}

fn limit(body: &Value) -> Result<Option<usize>, Problem> {
    for name in ["max_completion_tokens", "max_tokens"] {
        if let Some(limit) = body.get(name).filter(|limit| !limit.is_null()) {
            let limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok()).filter(|&limit| limit > 0);
            return limit.map(Some).ok_or_else(|| Problem::field(name, format!("`{name}` is a whole number from 1")));
        }
    }
    Ok(None)
}

fn say(body: &Value, messages: &[Value]) -> Result<Said, Problem> {
    let role = |message: &Value| message.get("role").and_then(Value::as_str).map(str::to_owned);
    let is_users = |message: &&Value| role(message).as_deref() == Some("user");
    let heard = messages.iter().rfind(is_users).or(messages.last()).map(text).unwrap_or_default();
    // Once a tool's result came, the same command must not call it again.
    let command = messages.last().filter(is_users).and_then(|_| heard.strip_prefix(TOOL_COMMAND));
    if let Some(tool) = tool(body, command.and_then(|rest| rest.split_whitespace().next()))? {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let arguments = match tool.get("parameters").filter(|parameters| !parameters.is_null()) {
            Some(parameters) => instance("tools", parameters)?,
            None => "{}".to_owned(),
        };
        return Ok(Said::Call { name, arguments });
    }
    let format = body.pointer("/response_format/type").and_then(Value::as_str);
    Ok(Said::Text(match format {
        None | Some("text") => heard,
        Some("json_object") => json!({"echo": heard}).to_string(),
        Some("json_schema") => {
            let schema = body.pointer("/response_format/json_schema/schema").unwrap_or(&Value::Bool(true));
            instance("response_format", schema)?
        }
        Some(_) => {
            let known = "`response_format` is of type `text`, `json_object` or `json_schema`";
            return Err(Problem::field("response_format", known));
        }
    }))
}

/// The function to call, if the request wants one called.
fn tool<'a>(body: &'a Value, command: Option<&str>) -> Result<Option<&'a Value>, Problem> {
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut functions = tools.iter().filter_map(|tool| tool.get("function"));
    let name = match body.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => return Ok(None),
        Some(Value::String(word)) if word == "required" && command.is_none() => {
            let first = functions.next();
            return first.map(Some).ok_or_else(|| Problem::field("tool_choice", "there is no tool to call"));
        }
        None | Some(Value::Null | Value::String(_)) if tools.is_empty() => return Ok(None),
        None | Some(Value::Null | Value::String(_)) => command,
        Some(choice) => choice.pointer("/function/name").and_then(Value::as_str).or(Some("")),
    };
    let Some(name) = name else { return Ok(None) };
    let named = functions.find(|function| function.get("name").and_then(Value::as_str) == Some(name));
    named.map(Some).ok_or_else(|| Problem::field("tools", format!("there is no function named `{name}`")))
}

fn instance(param: &'static str, schema: &Value) -> Result<String, Problem> {
    let made = schema::instance(schema);
    made.map(|made| made.to_string())
        .ok_or_else(|| Problem::field(param, "the sandbox finds no small instance of this schema"))
}

/// The text of a message; parts that are no text stand as the name of their kind.
fn text(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(part).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn part(part: &Value) -> String {
    let text = part.get("text").and_then(Value::as_str);
    match part.get("type").and_then(Value::as_str).unwrap_or("part") {
        "text" => text.unwrap_or_default().to_owned(),
        "image_url" => "[image]".to_owned(),
        "input_audio" => "[audio]".to_owned(),
        other => format!("[{other}]"),
    }
}
