//! `bursar execute`.

use std::io::{IsTerminal, Read};

use clap::Args;

use super::client::{Client, ClientError, exit_of};
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Format, Output, Table, printable};
use crate::api::error::ErrorBody;
use crate::api::execute::{ExecuteEvent, ExecuteReply, ExecuteRequest, Input, Options};
use crate::api::{Code, ConnectionId, Feature};
use crate::bounds;

/// Call a model
///
/// The answer goes to standard output; who gave it and what it cost to standard error. Whoever calls must have the role
/// client.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar execute -m openai/gpt-4.1-mini \"Say hello\"\n  \
    git diff | bursar execute -m fast -f commit-message -")]
pub(super) struct Execute {
    /// A route, provider/model, or a listed model's id; without one, the route of the feature
    #[arg(short, long)]
    model: Option<String>,
    /// What the call is for: the label that usage is grouped by
    #[arg(short, long)]
    feature: Option<Feature>,
    /// The only connection that may be used
    #[arg(long)]
    connection: Option<ConnectionId>,
    /// Try no other connection after the first
    #[arg(long)]
    no_fallback: bool,
    /// Print the answer as it comes; --format json and csv print it whole
    #[arg(long)]
    stream: bool,
    /// The most tokens of the answer
    #[arg(long, value_name = "N")]
    max_output_tokens: Option<u64>,
    /// What to say; `-`, or nothing, for standard input
    prompt: Option<String>,
}

impl Execute {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        // Other formats are of the whole reply: it is not asked for in parts then.
        let stream = self.stream && out.format == Format::Table;
        let request = self.request(stream)?;
        let reply = if stream {
            streamed(client, out, &request).await?
        } else {
            let reply: ExecuteReply = client.at_work().post("/v1/execute", &request).await?;
            show(out, &reply);
            reply
        };
        if out.format == Format::Table {
            out.remark(&summary(&reply));
        }
        Ok(Exit::Ok)
    }

    fn request(self, stream: bool) -> Result<ExecuteRequest, Failed> {
        if self.model.is_none() && self.feature.is_none() {
            let help = "name a model with -m, such as -m openai/gpt-4.1-mini: \
                `bursar providers show openai` lists some, and -m takes a route's name too";
            return Err(Failed::new(Exit::Usage, help));
        }
        let prompt = match self.prompt.as_deref() {
            Some("-") | None => piped()?,
            Some(prompt) => prompt.to_owned(),
        };
        let options = Options { stream, max_output_tokens: self.max_output_tokens, ..Options::default() };
        Ok(ExecuteRequest {
            feature: self.feature,
            model: self.model,
            route: None,
            provider: None,
            connection: self.connection,
            input: Input::Text(prompt),
            options,
            require: Vec::new(),
            fallback: !self.no_fallback,
        })
    }
}

fn piped() -> Result<String, Failed> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        super::output::ask("What to say (end with Ctrl-D):\n");
    }
    let mut prompt = String::new();
    let most = bounds::REQUEST_BODY_BYTES_MAX as u64;
    let unread = |error| Failed::data(format!("the prompt cannot be read: {error}"));
    stdin.lock().take(most).read_to_string(&mut prompt).map_err(unread)?;
    if prompt.trim().is_empty() {
        return Err(Failed::data("the prompt is empty"));
    }
    Ok(prompt)
}

/// Prints the answer as it comes.
async fn streamed(client: &Client, out: &Output, request: &ExecuteRequest) -> Result<ExecuteReply, Failed> {
    let mut events = client.at_work().events("/v1/execute", request).await?;
    let mut newline = true;
    while let Some((name, data)) = events.next().await? {
        let broken = |error: serde_json::Error| ClientError::Broken { reason: error.to_string() };
        match ExecuteEvent::parse(&name, &data).map_err(broken)? {
            Some(ExecuteEvent::Text(text)) => {
                newline = text.delta.ends_with('\n');
                out.text(&text.delta);
            }
            Some(ExecuteEvent::Done(reply)) => {
                if !newline {
                    out.text("\n");
                }
                show_calls(out, &reply);
                return Ok(*reply);
            }
            Some(ExecuteEvent::Error(error)) => {
                out.text("\n");
                return Err(failed(error));
            }
            // The whole call comes with the end.
            Some(ExecuteEvent::ToolCall(_)) | None => {}
        }
    }
    Err(Failed::new(Exit::Upstream, "the answer ended before it was complete"))
}

fn failed(error: ErrorBody) -> Failed {
    let code = error.error.code.and_then(|code| Code::ALL.iter().copied().find(|one| one.name() == code));
    Failed::new(code.map_or(Exit::Upstream, exit_of), error.error.message)
}

fn show(out: &Output, reply: &ExecuteReply) {
    if out.format != Format::Table {
        out.rows(reply, || table(reply));
        return;
    }
    if let Some(text) = &reply.output.text {
        out.text(text);
        if !text.ends_with('\n') {
            out.text("\n");
        }
    }
    show_calls(out, reply);
}

fn show_calls(out: &Output, reply: &ExecuteReply) {
    for call in &reply.output.tool_calls {
        out.text(&format!("{}({})\n", printable(&call.name), printable(&call.arguments)));
    }
}

fn table(reply: &ExecuteReply) -> Table {
    let columns = ["id", "connection", "model", "input_tokens", "output_tokens", "cost_usd", "duration_ms", "text"];
    let mut table = Table::new(columns, "");
    table.row([
        Cell::text(reply.id),
        Cell::text(&reply.connection),
        Cell::text(&reply.model),
        Cell::maybe(reply.usage.tokens.input, Cell::number),
        Cell::maybe(reply.usage.tokens.output, Cell::number),
        Cell::maybe(reply.usage.cost_usd, Cell::number),
        Cell::number(reply.duration_ms),
        Cell::maybe(reply.output.text.as_ref(), Cell::text),
    ]);
    table
}

/// Who answered, at what cost.
fn summary(reply: &ExecuteReply) -> String {
    let known = |figure: Option<u64>| figure.map_or_else(|| "?".into(), |figure| figure.to_string());
    let tokens = &reply.usage.tokens;
    let cost = reply.usage.cost_usd.map_or_else(|| "unknown cost".into(), |cost| format!("{cost} USD"));
    let tries = match reply.attempts.len() {
        0 | 1 => String::new(),
        count => format!(", {count} attempts"),
    };
    let (id, connection, model) = (reply.id, &reply.connection, printable(&reply.model));
    let (input, output, ms) = (known(tokens.input), known(tokens.output), reply.duration_ms);
    format!("-- {connection}, {model}: {input} tokens in, {output} out, {cost}, {ms} ms{tries} ({id})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::execute::{Attempt, ExecuteUsage, Output as Answer};
    use crate::api::{NanoUsd, RequestId, Tokens};

    fn reply() -> ExecuteReply {
        let attempt = Attempt {
            connection: "openai:main".parse().unwrap(),
            outcome: crate::api::Outcome::Ok,
            status: Some(200),
            ms: 400,
        };
        ExecuteReply {
            id: RequestId::from_parts(1, 2),
            provider: "openai".parse().unwrap(),
            connection: "openai:main".parse().unwrap(),
            model: "gpt-4.1-mini".into(),
            output: Answer { text: Some("hi, \"you\"".into()), ..Answer::default() },
            usage: ExecuteUsage {
                tokens: Tokens { input: Some(8), output: None, ..Tokens::default() },
                cost_usd: Some(NanoUsd(4_400)),
                estimated: false,
            },
            attempts: vec![attempt.clone(), attempt],
            duration_ms: 412,
        }
    }

    #[test]
    fn the_summary_says_who_answered_and_what_it_cost() {
        insta::assert_snapshot!(summary(&reply()), @"-- openai:main, gpt-4.1-mini: 8 tokens in, ? out, 0.0000044 USD, 412 ms, 2 attempts (req_00000000000100000000000000000002)");
    }

    #[test]
    fn an_answer_is_one_row_of_csv() {
        insta::assert_snapshot!(table(&reply()).to_csv().replace("\r\n", "\n"), @r#"
        id,connection,model,input_tokens,output_tokens,cost_usd,duration_ms,text
        req_00000000000100000000000000000002,openai:main,gpt-4.1-mini,8,,0.0000044,412,"hi, ""you"""
        "#);
    }
}
