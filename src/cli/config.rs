//! `bursar config`.

use clap::Subcommand;

use super::client::Client;
use super::exit::{Exit, Outcome};
use super::output::{Cell, Format, Output, Table};
use super::status;
use crate::api::admin::{Change, ChangeAction, KeyChange, Plan};

/// Compare the configuration in force with the files
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Show, key by key, how the files differ from what is in force; ends with 3 if they do
    Diff,
}

impl Config {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        let Self::Diff = self;
        let plan: Plan = client.get("/admin/v1/config/plan").await?;
        match out.format {
            _ if !plan.errors.is_empty() => out.rows(&plan, || status::problems(&plan.errors)),
            Format::Table if plan.changes.is_empty() => out.text("what is in force is what the files say\n"),
            Format::Table => plan.changes.iter().for_each(|change| show(out, change)),
            Format::Json | Format::Csv => out.rows(&plan, || table(&plan.changes)),
        }
        status::orphans(out, &plan.orphans);
        status::warn(out, &plan.warnings);
        status::refused(&plan.errors, "what is in force stays, whatever the files say")?;
        Ok(if plan.changes.is_empty() { Exit::Ok } else { Exit::Changes })
    }
}

fn show(out: &Output, change: &Change) {
    let sign = match change.action {
        ChangeAction::Added => '+',
        ChangeAction::Changed | ChangeAction::Moved => '~',
        ChangeAction::Removed | ChangeAction::Pruned => '-',
    };
    let note = change.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    let line = format!("{sign} {} {}{note}\n", change.kind.name().replace('_', " "), change.name);
    out.toned(&line, status::tone(change.action));
    change.keys.iter().for_each(|key| out.text(&line_of(key)));
}

fn line_of(change: &KeyChange) -> String {
    let said = |value: &Option<String>| value.as_deref().map_or_else(|| "(nothing)".into(), super::output::printable);
    let place = match (&change.file, change.line) {
        (Some(file), Some(line)) => format!("   {file}:{line}"),
        _ => String::new(),
    };
    format!("    {}: {} -> {}{place}\n", super::output::printable(&change.key), said(&change.was), said(&change.now))
}

/// A row a key; a row for each change that is of no key.
fn table(changes: &[Change]) -> Table {
    let mut table = Table::new(["action", "kind", "name", "key", "was", "now", "file", "line"], "nothing would change");
    for change in changes {
        let whole = KeyChange { key: String::new(), was: None, now: None, file: None, line: None };
        let keys = if change.keys.is_empty() { std::slice::from_ref(&whole) } else { &change.keys };
        for key in keys {
            table.row([
                Cell::text(change.action.name()),
                Cell::text(change.kind.name()),
                Cell::text(&change.name),
                Cell::text(&key.key),
                Cell::maybe(key.was.as_ref(), Cell::text),
                Cell::maybe(key.now.as_ref(), Cell::text),
                Cell::maybe(key.file.as_ref(), Cell::text),
                Cell::maybe(key.line, Cell::number),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_both_values_and_the_line() {
        let key = KeyChange {
            key: "base_url".into(),
            was: Some("\"https://a.example\"".into()),
            now: None,
            file: Some("/etc/bursar/providers.toml".into()),
            line: Some(7),
        };
        let line = "    base_url: \"https://a.example\" -> (nothing)   /etc/bursar/providers.toml:7\n";
        assert_eq!(line_of(&key), line);
        let steering = KeyChange { key: "a\u{1b}[2J".into(), file: None, ..key };
        assert!(!line_of(&steering).contains('\u{1b}'));
    }
}
