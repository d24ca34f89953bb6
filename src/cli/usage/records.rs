//! `bursar usage records`: one record after the other, page by page.

use clap::Args;

use super::ask::{self, Filters, moment};
use crate::api::records::record_fields;
use crate::api::usage::RecordId;
use crate::api::{Outcome, RecordPage, UsageRecord};
use crate::bounds;
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Outcome as Ended};
use crate::cli::output::{Cell, Format, Output, Table, Tone, csv_line, seconds};

/// Show the records themselves, newest first
///
/// Every attempt has one, and every request exactly one that is final.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar usage records --outcome rate_short --since 1h\n  \
    bursar usage records --app shop --limit 200 --format csv")]
pub(super) struct Records {
    /// The begin: so long ago, such as 24h or 7d, a date, or a time such as 2026-01-31T00:00:00Z [default: the first one]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: Option<String>,
    /// The end, likewise [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<String>,
    /// How many to show
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Go on after this record, to older ones: the last line says after which
    #[arg(long, value_name = "ID", value_parser = record)]
    after: Option<RecordId>,
    #[command(flatten)]
    filters: Filters,
}

/// A record's id.
pub(super) fn record(text: &str) -> Result<RecordId, String> {
    text.parse().map_err(|()| String::from("write a record's id: 32 hexadecimal digits"))
}

impl Records {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Ended {
        let page = self.read(client).await?;
        match out.format {
            Format::Csv => out.text(&csv(&page.records)),
            _ => out.rows(&page, || table(&page.records)),
        }
        if let Some(next) = page.next.filter(|_| out.format != Format::Json) {
            out.remark(&format!("older ones: the same with --after {next}"));
        }
        Ok(Exit::Ok)
    }

    /// Pages until there are as many as are wanted, or no more.
    async fn read(&self, client: &Client) -> Result<RecordPage<UsageRecord>, crate::cli::exit::Failed> {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut all = RecordPage { records: Vec::new(), next: self.after };
        loop {
            let left = wanted.saturating_sub(all.records.len()).min(bounds::USAGE_PAGE_MAX);
            let page: RecordPage<UsageRecord> = client.get(&self.path(all.next, left)).await?;
            all.records.extend(page.records);
            all.next = page.next;
            if all.next.is_none() || all.records.len() >= wanted {
                return Ok(all);
            }
        }
    }

    fn path(&self, after: Option<RecordId>, limit: usize) -> String {
        let (after, limit) = (after.map(|id| id.to_string()), limit.to_string());
        let pairs = [
            ("from", self.since.as_deref()),
            ("to", self.until.as_deref()),
            ("after", after.as_deref()),
            ("limit", Some(limit.as_str())),
        ];
        ask::path("/admin/v1/usage/records", &pairs, &self.filters)
    }
}

const COLUMNS: [&str; 13] = [
    "at",
    "app",
    "feature",
    "connection",
    "model",
    "outcome",
    "status",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "ttft_ms",
    "ms",
    "request",
];
const FIRST_TO_GO: [&str; 8] =
    ["request", "ttft_ms", "status", "feature", "app", "tokens_in", "tokens_out", "connection"];

fn table(records: &[UsageRecord]) -> Table {
    let mut table = Table::new(COLUMNS, "there are no such records").optional(FIRST_TO_GO);
    for record in records {
        table.row(cells(record));
    }
    table
}

fn cells(record: &UsageRecord) -> [Cell; 13] {
    let estimated = |count: u64| Cell::number(if record.estimated { format!("~{count}") } else { count.to_string() });
    let outcome = record.outcome.name();
    // Another attempt of the same request came after it.
    let outcome = if record.is_final { outcome.to_owned() } else { format!("{outcome}, then") };
    [
        Cell::text(seconds(&crate::api::usage::timestamp(record.at_ms))),
        Cell::text(&record.app),
        Cell::text(&record.feature),
        Cell::maybe(record.connection.as_ref(), Cell::text),
        Cell::text(record.model_served.as_deref().unwrap_or(&record.model)),
        Cell::text(outcome).tone(tone(record.outcome)),
        Cell::maybe(record.status, Cell::number),
        Cell::maybe(record.tokens.input, estimated),
        Cell::maybe(record.tokens.output, estimated),
        Cell::maybe(record.cost, Cell::number),
        Cell::maybe(record.ttft_ms, Cell::number),
        Cell::number(record.duration_ms),
        Cell::text(record.request_id).tone(Tone::Faint),
    ]
}

fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Ok => Tone::Good,
        Outcome::Caller | Outcome::ClientGone | Outcome::TooLarge => Tone::Faint,
        Outcome::Credential | Outcome::Quota | Outcome::Unavailable => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// All fields of all records.
fn csv(records: &[UsageRecord]) -> String {
    let mut text = csv_line(record_fields());
    for record in records {
        if let Ok(serde_json::Value::Object(object)) = serde_json::to_value(record) {
            text.push_str(&csv_of(&object));
        }
    }
    text
}

/// A record as one line of CSV, with every field in its place.
pub(super) fn csv_of(record: &crate::api::admin::Object) -> String {
    let field = |name: &'static str| match record.get(name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        // Without an exponent, which not every spreadsheet reads.
        Some(serde_json::Value::Number(number)) if name == "cost_usd" => {
            let exact = crate::api::NanoUsd::from_decimal(&number.to_string());
            exact.map_or_else(|| number.to_string(), |cost| cost.to_string())
        }
        Some(other) => other.to_string(),
    };
    let fields: Vec<String> = record_fields().map(field).collect();
    csv_line(fields.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CostSource, NanoUsd, Operation, RequestId, Tokens};

    fn sample() -> UsageRecord {
        let request_id = RequestId::from_parts(1_700_000_000_000, 0);
        UsageRecord {
            id: RecordId(request_id.as_u128() + 1),
            request_id,
            at_ms: 1_700_000_000_000,
            is_final: true,
            app: "shop".parse().unwrap(),
            feature: "auto-translation".parse().unwrap(),
            provider: Some("openai".parse().unwrap()),
            connection: Some("openai:main".parse().unwrap()),
            model: "fast".into(),
            model_sent: Some("gpt-4.1-mini".into()),
            model_served: Some("gpt-4.1-mini".into()),
            operation: Operation::Chat,
            stream: true,
            outcome: Outcome::Cut,
            status: Some(200),
            tokens: Tokens { input: Some(10), output: Some(5), ..Tokens::default() },
            cost: Some(NanoUsd(4_400)),
            cost_source: Some(CostSource::Prices),
            estimated: true,
            partial: true,
            ttft_ms: Some(100),
            duration_ms: 900,
            error: Some("=HYPERLINK(\"x\"), and \"more\"".into()),
        }
    }

    #[test]
    fn the_fields_of_a_record_are_those_of_its_json() {
        let tokens = Tokens::of_figures(Tokens::NAMES.iter().map(|_| Some(1)).collect::<Vec<_>>().try_into().unwrap());
        let full = UsageRecord { tokens, ..sample() };
        let json = serde_json::to_value(&full).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, record_fields().collect::<Vec<_>>());
        assert_eq!(serde_json::from_value::<UsageRecord>(json).unwrap(), full);
    }

    #[test]
    fn records_are_shown_with_what_is_estimated_marked() {
        let failed = UsageRecord { is_final: false, outcome: Outcome::RateShort, connection: None, ..sample() };
        let failed = UsageRecord { tokens: Tokens::default(), cost: None, estimated: false, ..failed };
        let (table, _) = table(&[sample(), failed]).fitted(Some(100));
        insta::assert_snapshot!(table.to_text(false), @r"
        AT                   CONNECTION   MODEL         OUTCOME           TOKENS OUT   COST USD   MS
        2023-11-14 22:13:20  openai:main  gpt-4.1-mini  cut                       ~5  0.0000044  900
        2023-11-14 22:13:20  -            gpt-4.1-mini  rate_short, then           -          -  900
        ");
    }

    #[test]
    fn csv_has_every_field_and_no_formula() {
        let text = csv(&[sample()]);
        let (names, values) = text.split_once("\r\n").unwrap();
        assert_eq!(names.split(',').count(), record_fields().count());
        assert!(
            values.contains(",0.0000044,prices,true,true,100,900,\"'=HYPERLINK(\"\"x\"\"), and \"\"more\"\"\""),
            "{values}"
        );
    }
}
