//! `bursar demo`: a daemon of its own, three calls, and what they used. Nothing has to be set up before it, and nothing
//! is left after it.

mod process;
mod real;
mod snippets;
mod stage;

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::real::Real;
use self::stage::Stage;
use super::client::{Client, ClientError};
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Format, Output, Table, Tone, printable};
use crate::api::error::ErrorBody;
use crate::api::execute::{ExecuteReply, ExecuteRequest};
use crate::api::usage::Dimension;
use crate::api::usage::UsageReport;

/// See it work, with nothing set up before
///
/// Starts a daemon in a temporary directory, makes three calls (one of Bursar's own, one streamed chat, one whose first
/// connection fails) and shows what they used. The sandbox answers all of them: a provider inside Bursar that repeats
/// what it is told and costs nothing. Then the daemon is stopped and its directory removed.
///
/// Where OPENAI_API_KEY, GEMINI_API_KEY or OPENROUTER_API_KEY is set, its provider gets a real connection too. The demo
/// itself never calls one, because those calls cost money: with --keep you can.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Leave the daemon running, and print how to call it from curl, Python and Node
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(super) async fn run(self, out: &Output) -> Outcome {
        if out.format != Format::Table {
            return Err(Failed::new(Exit::Usage, "the demo is for people: leave --format out"));
        }
        let mut interrupts = Interrupts::new()?;
        tokio::select! {
            shown = self.show(out) => shown,
            // The stage goes with the future that holds it: first its daemon, then its directory.
            () = interrupts.next() => Ok(Exit::Interrupted),
        }
    }

    async fn show(&self, out: &Output) -> Outcome {
        let real = real::found(|variable| std::env::var_os(variable));
        introduce(out, &real);
        let stage = Stage::start(&real).await?;
        let client = Client::new(&stage.socket());
        out.text(&format!("Its daemon runs in {}\n", stage.path().display()));
        execute(&client, out).await?;
        chat(&client, out).await?;
        fall_back(&client, out).await?;
        usage(&client, out).await?;
        drop(client);
        if self.keep {
            snippets::show(out, &stage.keep(), &real);
        } else {
            stage.stop().await?;
            out.text(
                "\nThe daemon is stopped and its directory removed. With --keep they stay, for\ncalls of your own.\n",
            );
        }
        Ok(Exit::Ok)
    }
}

/// What asks the demo to end early.
struct Interrupts([Signal; 3]);

impl Interrupts {
    fn new() -> Result<Self, Failed> {
        let listen =
            |kind| signal(kind).map_err(|error| Failed::new(Exit::System, format!("signals cannot be heard: {error}")));
        let kinds = (SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup());
        Ok(Self([listen(kinds.0)?, listen(kinds.1)?, listen(kinds.2)?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn introduce(out: &Output, real: &[&Real]) {
    out.heading("Bursar demo");
    out.text(
        "The sandbox answers all calls: a provider inside Bursar that repeats what it is\n\
         told, needs no key and costs nothing. Nothing leaves this host.\n\n",
    );
    if real.is_empty() {
        let variables: Vec<_> = real::ALL.iter().map(|one| one.variable).collect();
        out.text(&format!("No real provider: none of {}\nis set.\n", variables.join(", ")));
    } else {
        out.text("Real providers, ready but not called by the demo: calls to them cost money.\n");
        let mut table = Table::new(["connection", "key"], "");
        for one in real {
            table.row([Cell::text(one.connection()).tone(Tone::Warn), Cell::text(format!("from {}", one.variable))]);
        }
        out.pairs(&Value::Null, || table);
    }
    out.text("\n");
}

/// Who speaks, in a column of its own.
fn speaker(out: &Output, name: &str, tone: Tone) {
    out.toned(&format!("{name:<9}"), tone);
}

/// What is asked, and of whom; what the sandbox says is to follow.
fn ask(out: &Output, title: &str, prompt: &str) {
    out.text("\n");
    out.heading(title);
    speaker(out, "you", Tone::Faint);
    out.text(&format!("{prompt}\n"));
    speaker(out, "sandbox", Tone::Good);
}

async fn execute(client: &Client, out: &Output) -> Result<(), Failed> {
    let prompt = "Good morning, Bursar!";
    ask(out, "1. An execute call: one shape for every provider", prompt);
    let request = json!({"route": "demo", "feature": "demo-execute", "input": prompt});
    answer(out, &own_call(client, request).await?);
    Ok(())
}

async fn fall_back(client: &Client, out: &Output) -> Result<(), Failed> {
    let prompt = "Does anybody hear me?";
    ask(out, "3. A call whose first connection fails: the second answers", prompt);
    let request = json!({"model": "sandbox-flaky/echo", "feature": "demo-fallback", "input": prompt});
    answer(out, &own_call(client, request).await?);
    Ok(())
}

async fn own_call(client: &Client, request: Value) -> Result<ExecuteReply, Failed> {
    let request: ExecuteRequest =
        serde_json::from_value(request).map_err(|error| Failed::state(format!("the demo's call is none: {error}")))?;
    Ok(client.at_work().post("/v1/execute", &request).await?)
}

/// What was answered, by which attempts, at what cost.
fn answer(out: &Output, reply: &ExecuteReply) {
    out.text(&format!("{}\n", printable(reply.output.text.as_deref().unwrap_or_default())));
    let mut table = Table::new(["connection", "status", "outcome", "ms"], "");
    for attempt in &reply.attempts {
        let tone = if attempt.outcome == crate::api::Outcome::Ok { Tone::Good } else { Tone::Bad };
        table.row([
            Cell::text(format!("         {}", attempt.connection)).tone(Tone::Faint),
            Cell::maybe(attempt.status, Cell::text),
            Cell::text(attempt.outcome).tone(tone),
            Cell::text(format!("{} ms", attempt.ms)).tone(Tone::Faint),
        ]);
    }
    out.pairs(reply, || table);
    let known = |figure: Option<u64>| figure.map_or_else(|| "?".into(), |figure| figure.to_string());
    let (input, output) = (known(reply.usage.tokens.input), known(reply.usage.tokens.output));
    let cost = reply.usage.cost_usd.map_or_else(|| "unknown cost".into(), |cost| format!("{cost} USD"));
    out.toned(&format!("         {input} tokens in, {output} out, {cost}\n"), Tone::Faint);
}

async fn chat(client: &Client, out: &Output) -> Result<(), Failed> {
    let prompt = "These words come back one by one, and are printed as they come.";
    ask(out, "2. A streamed chat, as OpenAI's SDKs make it", prompt);
    let body = json!({
        "model": "demo",
        "stream": true,
        "messages": [{"role": "user", "content": prompt}],
        "metadata": {"bursar_feature": "demo-chat"},
    });
    let mut events = client.at_work().events("/v1/chat/completions", &body).await?;
    let mut pieces = 0;
    while let Some((_, data)) = events.next().await? {
        if data == b"[DONE]" {
            out.text("\n");
            out.toned(&format!("         in {pieces} pieces\n"), Tone::Faint);
            return Ok(());
        }
        let piece = piece(&data)?;
        pieces += u32::from(!piece.is_empty());
        out.text(&printable(&piece));
    }
    Err(Failed::new(Exit::Upstream, "the streamed chat ended before it was complete"))
}

/// The text in a chunk of a chat.
fn piece(data: &[u8]) -> Result<String, Failed> {
    if let Ok(ErrorBody { error }) = serde_json::from_slice(data) {
        return Err(Failed::new(Exit::Upstream, error.message));
    }
    let broken = |error: serde_json::Error| ClientError::Broken { reason: error.to_string() };
    let chunk: Value = serde_json::from_slice(data).map_err(broken)?;
    let text = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str);
    Ok(text.unwrap_or_default().to_owned())
}

async fn usage(client: &Client, out: &Output) -> Result<(), Failed> {
    let report: UsageReport = client.get("/admin/v1/usage?from=-1h&by=connection").await?;
    out.text("\n");
    out.heading("What was used");
    let columns = ["connection", "requests", "attempts", "errors", "tokens_in", "tokens_out", "cost_usd"];
    let mut table = Table::new(columns, "nothing");
    let rows = report.rows.iter().map(|row| (row.labels.get(&Dimension::Connection).cloned().flatten(), &row.figures));
    for (connection, figures) in rows.chain([(Some("total".to_owned()), &report.totals)]) {
        table.row([
            Cell::maybe(connection, Cell::text),
            Cell::number(figures.requests),
            Cell::number(figures.attempts),
            Cell::number(figures.errors),
            Cell::number(figures.input_tokens),
            Cell::number(figures.output_tokens),
            Cell::number(figures.cost_usd),
        ]);
    }
    out.rows(&report, || table);
    Ok(())
}
