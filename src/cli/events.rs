//! `bursar events`.

use clap::Args;

use super::client::{Client, ClientError};
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Format, Output, Table, Tone, printable};
use super::usage::moment;
use crate::api::admin::{Event, EventKind};

/// Show what happened to connections and the configuration
///
/// The daemon keeps the last events in memory, until it ends. As JSON, each is an object on a line of its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar events                     what is kept\n  \
    bursar events --since 1h          the last hour's\n  \
    bursar events --follow            and then each as it happens, until Ctrl-C")]
pub(super) struct Events {
    /// Go on with each as it happens
    #[arg(short = 'F', long)]
    follow: bool,
    /// Only what happened since: so long ago, such as 90m or 24h, or a time such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<String>,
}

impl Events {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        if self.follow && out.format == Format::Csv {
            return Err(Failed::new(Exit::Usage, "a table in CSV has an end: --follow prints text, or JSON"));
        }
        let mut stream = client.watch(&self.path()).await?;
        let mut all = Vec::new();
        while let Some((name, data)) = stream.next().await? {
            if name == "behind" {
                let help = "events came faster than they were read, and some are missing: run this again";
                return Err(Failed::new(Exit::Busy, help));
            }
            let event: Event =
                serde_json::from_slice(&data).map_err(|error| ClientError::Broken { reason: error.to_string() })?;
            match out.format {
                Format::Json => out.text(&format!("{}\n", serde_json::to_string(&event).unwrap_or_default())),
                Format::Table if self.follow => out.text(&line(&event)),
                Format::Table | Format::Csv => all.push(event),
            }
            if !out.is_read() {
                return Ok(Exit::Ok);
            }
        }
        if self.follow {
            out.remark("the daemon has ended: no more events");
        } else if out.format != Format::Json {
            out.rows(&all, || table(&all));
        }
        Ok(Exit::Ok)
    }

    fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::from("/admin/v1/events?"));
        query.append_pair("follow", if self.follow { "true" } else { "false" });
        if let Some(since) = &self.since {
            query.append_pair("since", since);
        }
        query.finish()
    }
}

/// What an event is about: a connection, a provider, or the daemon.
fn subject(event: &Event) -> Option<String> {
    let provider = || event.provider.as_ref().map(ToString::to_string);
    event.connection.as_ref().map(ToString::to_string).or_else(provider)
}

/// An event on a line of its own, for a list without an end.
fn line(event: &Event) -> String {
    let about = subject(event).unwrap_or_else(|| "-".into());
    printable(&format!("{}  {:<13}  {about:<24}  {}", event.at, event.kind.name(), event.message)) + "\n"
}

fn table(events: &[Event]) -> Table {
    let columns = ["at", "kind", "about", "model", "until", "message"];
    let mut table = Table::new(columns, "nothing has happened since the daemon began, or in this time");
    for event in events {
        let tone = match event.kind {
            EventKind::Back | EventKind::Reloaded | EventKind::ListFetched => Tone::Good,
            EventKind::Cooling | EventKind::Opened | EventKind::Budget => Tone::Warn,
            EventKind::Parked | EventKind::Rejected | EventKind::ReloadFailed => Tone::Bad,
        };
        table.row([
            Cell::text(event.at),
            Cell::text(event.kind.name()).tone(tone),
            Cell::maybe(subject(event), Cell::text),
            Cell::maybe(event.model.as_ref(), Cell::text),
            Cell::maybe(event.until, Cell::text),
            Cell::text(&event.message),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Moment;

    #[test]
    fn events_are_a_line_each_and_steer_no_terminal() {
        let at = Moment(1_700_000_000_000);
        let about = "openai:main".parse().unwrap();
        let rejected = Event { at, ..Event::new(EventKind::Rejected, "refused\u{1b}[2J").of(&about) };
        let reloaded = Event { at, ..Event::new(EventKind::Reloaded, "generation 2 is in force") };
        insta::assert_snapshot!(table(&[rejected.clone(), reloaded]).to_text(false), @r"
        AT                        KIND      ABOUT        MODEL  UNTIL  MESSAGE
        2023-11-14T22:13:20.000Z  rejected  openai:main  -      -      refused [2J
        2023-11-14T22:13:20.000Z  reloaded  -            -      -      generation 2 is in force
        ");
        assert_eq!(line(&rejected), "2023-11-14T22:13:20.000Z  rejected       openai:main               refused [2J\n");
    }
}
