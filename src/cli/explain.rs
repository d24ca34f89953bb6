//! `bursar explain`.

use clap::{ArgGroup, Args};

use super::client::{Client, ClientError};
use super::exit::{Exit, Outcome};
use super::output::{Cell, Format, Output, Table, Tone};
use crate::api::admin::{DryRun, ExplainAction, ExplainRequest, ExplainSource, ExplainedCandidate, ExplainedRequest};
use crate::api::{AppName, Capability, ConnectionId, Feature, RequestId};

/// Show why a request went where it went, or where one would go
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar explain req_019d4c1e22f07a1b00000000000001ff   a request, by the id in its reply's x-bursar-request-id\n  \
    bursar explain --dry-run -m fast                      where a request for the route fast would go now\n  \
    bursar explain --dry-run -m fast --require vision     one that holds a picture")]
#[command(group = ArgGroup::new("wanted").args(["model", "feature"]).multiple(true))]
pub(super) struct Explain {
    /// The request, as the header x-bursar-request-id of its reply names it
    #[arg(value_name = "REQUEST-ID", value_parser = request_id, required_unless_present = "dry_run", conflicts_with = "dry_run")]
    request: Option<RequestId>,
    /// Explain a request that is not sent: no turn is taken, nothing is called
    #[arg(long, requires = "wanted")]
    dry_run: bool,
    /// A route, provider/model, or a listed model's id
    #[arg(short, long, conflicts_with = "request")]
    model: Option<String>,
    /// What the model must be able to do, such as vision; more than once, or with commas, for several
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', conflicts_with = "request", value_parser = capability)]
    require: Vec<Capability>,
    /// What the call would be for
    #[arg(short, long, conflicts_with = "request")]
    feature: Option<Feature>,
    /// The app that would ask: its budgets count too
    #[arg(long, conflicts_with = "request")]
    app: Option<AppName>,
    /// The only connection that might be used
    #[arg(long, conflicts_with = "request")]
    connection: Option<ConnectionId>,
    /// Tokens that the request and its answer would need
    #[arg(long, value_name = "N", conflicts_with = "request")]
    tokens: Option<u64>,
}

fn request_id(text: &str) -> Result<RequestId, String> {
    let help = "write it as the header x-bursar-request-id has it: req_ and 32 hexadecimal digits";
    text.parse().map_err(|_| help.to_owned())
}

fn capability(text: &str) -> Result<Capability, String> {
    let known = || Capability::ALL.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("write one of {}", known()))
}

impl Explain {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        match self.request {
            Some(id) => sent(client, out, id).await?,
            None => self.unsent(client, out).await?,
        }
        Ok(Exit::Ok)
    }

    async fn unsent(self, client: &Client, out: &Output) -> Result<(), ClientError> {
        let Self { model, require, feature, app, connection, tokens, .. } = self;
        let asked = ExplainRequest { model, route: None, require, app, feature, connection, tokens };
        let run: DryRun = client.post("/admin/v1/explain", &asked).await?;
        let empty = "no connection is set up for it: `bursar credentials set PROVIDER` adds one";
        out.rows(&run, || candidates(&run.candidates, empty));
        if out.format == Format::Table {
            more(out, Some(run.skipped_more));
            out.remark(&run.message);
        }
        Ok(())
    }
}

async fn sent(client: &Client, out: &Output, id: RequestId) -> Result<(), ClientError> {
    let request: ExplainedRequest = client.get(&format!("/admin/v1/requests/{id}")).await?;
    if out.format == Format::Table {
        out.pairs(&request, || summary(&request));
        out.text("\n");
    }
    out.rows(&request, || candidates(&request.candidates, "no connection was tried, and none was passed over"));
    if out.format == Format::Table {
        more(out, request.skipped_more);
        request.note.iter().for_each(|note| out.remark(note));
    }
    Ok(())
}

fn more(out: &Output, count: Option<u64>) {
    if let Some(count) = count.filter(|count| *count > 0) {
        out.remark(&format!("{count} more were passed over"));
    }
}

fn summary(request: &ExplainedRequest) -> Table {
    let mut table = Table::new(["name", "value"], "");
    let mut row = |name: &str, value: Cell| table.row([Cell::text(name), value]);
    let answered = request.outcome == crate::api::Outcome::Ok;
    let streamed = if request.stream { ", streamed" } else { "" };
    row("request", Cell::text(request.id));
    row("at", Cell::text(request.at));
    row("app", Cell::text(&request.app));
    row("feature", Cell::text(&request.feature));
    row("asked for", Cell::text(format!("{} ({}{streamed})", request.model, request.operation)));
    row("ended as", Cell::text(request.outcome).tone(if answered { Tone::Good } else { Tone::Bad }));
    row("took", Cell::maybe(request.duration_ms, |ms| Cell::text(format!("{ms} ms"))));
    if let Some(ms) = request.waited_ms.filter(|ms| *ms > 0) {
        row("waited", Cell::text(format!("{ms} ms of it")));
    }
    if let Some(error) = &request.error {
        row("error", Cell::text(error));
    }
    if request.source == ExplainSource::Records {
        row("known from", Cell::text("usage records"));
    }
    table
}

fn candidates(all: &[ExplainedCandidate], empty: &str) -> Table {
    let columns = ["connection", "model", "action", "outcome", "status", "waited_ms", "ms", "why"];
    let mut table = Table::new(columns, empty);
    for one in all {
        let tone = match (one.action, one.outcome) {
            (ExplainAction::Skipped, _) => Tone::Faint,
            (ExplainAction::WouldTry, _) | (_, Some(crate::api::Outcome::Ok)) => Tone::Good,
            (ExplainAction::Tried, _) => Tone::Warn,
        };
        let word = one.action.name();
        let outcome = one.outcome.map(|outcome| outcome.name()).or(one.reason.as_deref());
        let why = one.error.as_ref().map_or_else(|| one.message.clone(), |error| format!("{}: {error}", one.message));
        table.row([
            Cell::text(&one.connection),
            Cell::maybe(one.model.as_ref(), Cell::text),
            Cell::text(word.replace('_', " ")).raw(word).tone(tone),
            Cell::maybe(outcome, Cell::text),
            Cell::maybe(one.status, Cell::number),
            Cell::maybe(one.waited_ms, Cell::number),
            Cell::maybe(one.duration_ms, Cell::number),
            Cell::text(why),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Moment, Outcome};

    fn one(connection: &str, action: ExplainAction) -> ExplainedCandidate {
        ExplainedCandidate::new(&connection.parse().unwrap(), action, "it is switched off")
    }

    #[test]
    fn candidates_are_a_line_each() {
        let skipped =
            ExplainedCandidate { reason: Some("disabled".into()), ..one("openai:old", ExplainAction::Skipped) };
        let tried = ExplainedCandidate {
            model: Some("gpt-4.1-mini".into()),
            message: "the provider's rate limit was reached".into(),
            at: Some(Moment(1_700_000_000_000)),
            waited_ms: Some(0),
            outcome: Some(Outcome::RateShort),
            status: Some(429),
            duration_ms: Some(31),
            error: Some("slow down".into()),
            ..one("openai:main", ExplainAction::Tried)
        };
        insta::assert_snapshot!(candidates(&[skipped, tried], "").to_text(false), @r"
        CONNECTION   MODEL         ACTION   OUTCOME     STATUS  WAITED MS  MS  WHY
        openai:old   -             skipped  disabled         -          -   -  it is switched off
        openai:main  gpt-4.1-mini  tried    rate_short     429          0  31  the provider's rate limit was reached: slow down
        ");
    }
}
