//! `bursar usage reprice`: costs computed anew after a price was put right.

use clap::Args;

use super::ask::moment;
use crate::api::admin::{RepriceRequest, Repriced};
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::output::{Cell, Output, Table, Tone};

/// Compute costs anew from the prices in force, after one was put right
///
/// A provider's own figure stays, and so does a cost whose price is gone. Exit code 3: a dry run that would change some.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar usage reprice --since 30d --dry-run   what would change\n  \
    bursar usage reprice --since 2026-11-01      since the day of the new price")]
pub(super) struct Reprice {
    /// The begin: so long ago, such as 24h or 7d, a date, or a time such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: String,
    /// The end, likewise [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Reprice {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        let Self { since, until, dry_run } = self;
        let asked = RepriceRequest { from: since, to: until, dry_run };
        let done: Repriced = client.at_work().post("/admin/v1/usage/reprice", &asked).await?;
        out.rows(&done, || table(&done));
        out.remark(&summary(&done));
        Ok(if dry_run && done.changed > 0 { Exit::Changes } else { Exit::Ok })
    }
}

fn table(done: &Repriced) -> Table {
    let columns =
        ["provider", "model", "records", "changed", "old_cost_usd", "new_cost_usd", "providers_own", "unknown", "why"];
    let mut table = Table::new(columns, "no call of this time may have cost anything");
    for row in &done.rows {
        let changed = Cell::number(row.changed);
        table.row([
            Cell::text(&row.provider),
            Cell::text(&row.model),
            Cell::number(row.records),
            if row.changed > 0 { changed.tone(Tone::Warn) } else { changed },
            Cell::number(row.old_cost_usd),
            Cell::number(row.new_cost_usd),
            Cell::number(row.providers_own),
            Cell::number(row.unknown),
            Cell::maybe(row.unknown_why.as_ref(), Cell::text),
        ]);
    }
    table
}

fn summary(done: &Repriced) -> String {
    let (changes, records) = (done.changed, done.records);
    let verb = if done.dry_run { "would change" } else { "changed" };
    let costs = format!("{} USD before, {} USD now", done.old_cost_usd, done.new_cost_usd);
    let unknown =
        if done.unknown > 0 { format!("; the cost of {} stays unknown", done.unknown) } else { String::new() };
    format!("{changes} of {records} costs {verb}: {costs}{unknown}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NanoUsd;
    use crate::api::admin::RepricedModel;

    #[test]
    fn what_changed_and_what_stays_unknown_is_said() {
        let row = RepricedModel {
            provider: "one".parse().unwrap(),
            model: "m".into(),
            records: 4,
            changed: 2,
            providers_own: 1,
            unknown: 1,
            unknown_why: Some("output_tokens is unknown".into()),
            old_cost_usd: NanoUsd(1_000_000),
            new_cost_usd: NanoUsd(2_000_000),
        };
        let done = Repriced {
            records: 4,
            changed: 2,
            providers_own: 1,
            unknown: 1,
            old_cost_usd: NanoUsd(1_000_000),
            new_cost_usd: NanoUsd(2_000_000),
            dry_run: true,
            rows: vec![row],
            ..Repriced::default()
        };
        let said = "2 of 4 costs would change: 0.001 USD before, 0.002 USD now; the cost of 1 stays unknown";
        assert_eq!(summary(&done), said);
        insta::assert_snapshot!(table(&done).to_csv().replace("\r\n", "\n"), @r"
        provider,model,records,changed,old_cost_usd,new_cost_usd,providers_own,unknown,why
        one,m,4,2,0.001,0.002,1,1,output_tokens is unknown
        ");
    }
}
