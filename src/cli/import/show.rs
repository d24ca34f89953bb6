//! A plan as people and programs read it. No secret is in it, nor any part of one.

use std::path::Path;

use serde_json::{Value, json};

use super::found::FoundSecret;
use super::plan::{Fate, Plan, Planned};
use crate::cli::output::{Cell, Format, Output, Table, Tone};

/// Shows all of a plan.
pub(super) fn plan(out: &Output, file: &Path, plan: &Plan) {
    match out.format {
        Format::Json => out.rows(&object(file, plan, None), || connections(plan)),
        Format::Csv => out.rows(&Value::Null, || connections(plan)),
        Format::Table => {
            if !plan.fragment.is_empty() {
                out.heading("For providers.toml");
                out.text(&format!("\n{}", plan.fragment));
            }
            out.heading("Connections");
            out.rows(&Value::Null, || connections(plan));
            notes(out, file, plan);
        }
    }
}

/// Says that all is there already.
pub(super) fn nothing(out: &Output, file: &Path, plan: &Plan) {
    out.done(&object(file, plan, Some(&[])), "nothing to do: everything that could be taken over is there");
}

/// What has no counterpart, line by line.
fn notes(out: &Output, file: &Path, plan: &Plan) {
    if plan.notes.is_empty() {
        return;
    }
    out.text("\n");
    out.heading("Not taken over");
    for note in &plan.notes {
        let line = if note.line > 0 { format!("{}:", note.line) } else { String::new() };
        out.text(&format!("{}:{line} {}\n", file.display(), crate::cli::output::printable(&note.text)));
    }
}

fn connections(plan: &Plan) -> Table {
    let columns = ["connection", "line", "secret", "status", "priority", "limits", "what"];
    let mut table = Table::new(columns, "no connections were found").optional(["status", "priority", "line"]);
    for one in &plan.connections {
        let found = &one.found;
        table.row([
            Cell::text(format!("{}:{}", found.provider, found.name)),
            Cell::number(found.line),
            Cell::text(secret(&found.secret)),
            Cell::text(if found.enabled { "enabled" } else { "disabled" }),
            Cell::maybe(found.priority, Cell::number),
            limits(one),
            what(&one.fate),
        ]);
    }
    table
}

fn secret(secret: &FoundSecret) -> &'static str {
    match secret {
        FoundSecret::Given(_) => "found",
        FoundSecret::Missing(_) => "missing",
        FoundSecret::Unneeded => "not needed",
    }
}

fn limits(one: &Planned) -> Cell {
    let figures = one.found.limits.figures().into_iter();
    let mut said: Vec<_> = figures
        .filter_map(|(name, figure)| Some(format!("{name} {}", figure?)).map(|one| one.replace('_', " ")))
        .collect();
    said.extend(one.limit_group.as_ref().map(|group| format!("group {group}")));
    if said.is_empty() { Cell::none() } else { Cell::text(said.join(", ")) }
}

fn what(fate: &Fate) -> Cell {
    match fate {
        Fate::Add => Cell::text("add").tone(Tone::Good),
        Fate::There => Cell::text("is there").tone(Tone::Faint),
        Fate::Differs(why) => Cell::text(format!("stays: {why}")).tone(Tone::Warn),
        Fate::NoSecret(why) => Cell::text(format!("left out: {why}")).tone(Tone::Warn),
    }
}

/// A plan, and what was made of it, for programs.
pub(super) fn object(file: &Path, plan: &Plan, added: Option<&[String]>) -> Value {
    let connection = |one: &Planned| {
        let (found, (action, why)) = (&one.found, action(&one.fate));
        json!({
            "id": format!("{}:{}", found.provider, found.name),
            "line": found.line,
            "secret": secret(&found.secret),
            "enabled": found.enabled,
            "priority": found.priority,
            "weight": found.weight,
            "limits": found.limits,
            "limit_group": one.limit_group,
            "settings": found.settings,
            "action": action,
            "why": why,
        })
    };
    json!({
        "file": file,
        "providers": plan.providers,
        "routes": plan.routes,
        "fragment": plan.fragment,
        "connections": plan.connections.iter().map(connection).collect::<Vec<_>>(),
        "notes": plan.notes.iter().map(|note| json!({ "line": note.line, "text": note.text })).collect::<Vec<_>>(),
        "changes": plan.changes(),
        "added": added,
    })
}

fn action(fate: &Fate) -> (&'static str, Option<&str>) {
    match fate {
        Fate::Add => ("add", None),
        Fate::There => ("there", None),
        Fate::Differs(why) => ("stays", Some(why)),
        Fate::NoSecret(why) => ("left_out", Some(why)),
    }
}
