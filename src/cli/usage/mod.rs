//! `bursar usage`: what was used and what it cost, summed up, record by record, or all of it for other programs.

mod ask;
mod export;
mod records;
mod report;
mod reprice;

use clap::{Args, Subcommand};

pub(super) use ask::moment;

use super::client::Client;
use super::exit::Outcome;
use super::output::Output;

/// Show what was used, and what it cost
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        bursar usage                                  the last 24 hours by connection\n  \
        bursar usage --by feature,model --since 7d    a week by feature and model\n  \
        bursar usage --by app --step day --since 30d  a month, with its course day by day\n  \
        bursar usage --provider openai --format csv   for a spreadsheet\n  \
        bursar usage records --outcome rate_short     the last attempts that met a limit\n  \
        bursar usage export --since 2026-01-01 --output 2026.jsonl"
)]
pub(super) struct Usage {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    report: report::Report,
}

#[derive(Debug, Subcommand)]
enum Command {
    Records(records::Records),
    Export(export::Export),
    Reprice(reprice::Reprice),
}

impl Usage {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        match self.command {
            None => self.report.run(client, out).await,
            Some(Command::Records(records)) => records.run(client, out).await,
            Some(Command::Export(export)) => export.run(client, out).await,
            Some(Command::Reprice(reprice)) => reprice.run(client, out).await,
        }
    }
}
