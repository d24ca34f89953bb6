//! What differs between two readings of the configuration, by the names and keys that stand in the files.
//!
//! Compared is what the files say, put together and laid over what is built in: a comment, an order of keys, or a value
//! that says what is built in anyway is no difference. Whole documents are compared and not what was read from them, so
//! that no part of the configuration can be forgotten here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::budget;
use super::document::{self, Entry, Node, Place, Table, Value};
use super::layers;
use super::problem::Problems;
use super::source::Source;
use super::walk::quoted_key;
use crate::api::admin::{Change, ChangeAction, ChangeKind, KeyChange};
use crate::bounds;

/// What differs between two readings of `bursar.toml`: apps and budgets by their names, the rest by its tables.
pub fn of_daemons(old: &[Source], new: &[Source]) -> Vec<Change> {
    let parse = |sources: &[Source]| match sources.first() {
        Some(source) => table(document::parse(source, &Problems::default())),
        None => Table::default(),
    };
    let (mut old, mut new) = (parse(old), parse(new));
    let mut changes = Vec::new();
    for (section, kind) in [("apps", ChangeKind::App), ("budgets", ChangeKind::Budget)] {
        let all = |of: &mut Table| of.0.remove(section).map(|entry| named(entry.node)).unwrap_or_default();
        changes.extend(between(kind, &all(&mut old), &all(&mut new)));
    }
    let bracketed = |(name, entry): (String, Entry)| (format!("[{name}]"), entry.node);
    let all = |table: Table| table.0.into_iter().map(bracketed).collect();
    changes.extend(between(ChangeKind::Daemon, &all(old), &all(new)));
    changes
}

/// What differs between two readings of `providers.toml` and its fragments.
pub fn of_catalogues(old: &[Source], new: &[Source]) -> Vec<Change> {
    let whole = |sources: &[Source]| table(layers::whole(sources, &Problems::default()).0);
    let (mut old, mut new) = (whole(old), whole(new));
    let mut changes = Vec::new();
    let sections: BTreeSet<String> = old.0.keys().chain(new.0.keys()).cloned().collect();
    // What other things refer to first, as the files have it.
    let order = |section: &String| ORDER.iter().position(|(name, _)| name == section).unwrap_or(ORDER.len());
    let mut sections: Vec<_> = sections.into_iter().collect();
    sections.sort_by_key(order);
    for section in sections {
        let Some(&(_, kind)) = ORDER.iter().find(|(name, _)| *name == section) else { continue };
        let named = |of: Option<Entry>| of.map(|entry| named(entry.node)).unwrap_or_default();
        changes.extend(between(kind, &named(old.0.remove(&section)), &named(new.0.remove(&section))));
    }
    changes
}

/// The tables of a catalogue, and what their entries are.
const ORDER: &[(&str, ChangeKind)] = &[
    ("providers", ChangeKind::Provider),
    ("connections", ChangeKind::Connection),
    ("routes", ChangeKind::Route),
    ("features", ChangeKind::Feature),
    ("limit_groups", ChangeKind::LimitGroup),
    ("defaults", ChangeKind::Defaults),
];

fn table(node: Node) -> Table {
    match node.value {
        Value::Table(table) => table,
        _ => Table::default(),
    }
}

/// The entries of a table or of a list, by their names.
fn named(node: Node) -> BTreeMap<String, Node> {
    match node.value {
        Value::Table(table) => table.0.into_iter().map(|(key, entry)| (key, entry.node)).collect(),
        Value::List(items) => {
            items.into_iter().enumerate().map(|(index, item)| (name_of(&item, index), item)).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// What an item of a list is called: `provider:name`, its name, what a budget without one is called, or its place in the
/// list.
fn name_of(item: &Node, index: usize) -> String {
    let text = |key: &str| match &item.value {
        Value::Table(table) => match table.0.get(key).map(|entry| &entry.node.value) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    };
    match (text("provider"), text("name")) {
        (Some(provider), Some(name)) => format!("{provider}:{name}"),
        (None, Some(name)) => name.to_owned(),
        _ => {
            let spent = budget::SPENDERS.iter().find_map(|kind| Some((kind, text(kind)?))).zip(text("per"));
            spent.map_or_else(|| format!("[{index}]"), |((kind, of), per)| budget::made_up_name(kind, of, per))
        }
    }
}

fn between(kind: ChangeKind, old: &BTreeMap<String, Node>, new: &BTreeMap<String, Node>) -> Vec<Change> {
    let change = |name: &str, action, keys| Change { keys, ..Change::new(kind, name, action) };
    let there = new.iter().filter_map(|(name, node)| match old.get(name) {
        None => Some(change(name, ChangeAction::Added, Vec::new())),
        Some(before) if !before.says(node) => Some(change(name, ChangeAction::Changed, keys(before, node))),
        Some(_) => None,
    });
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let gone = gone.map(|name| change(name, ChangeAction::Removed, Vec::new()));
    there.chain(gone).collect()
}

/// The keys that differ below two nodes, at most as many as anyone will read.
fn keys(old: &Node, new: &Node) -> Vec<KeyChange> {
    let mut all = Vec::new();
    walk("", Some(old), Some(new), &new.place, &mut all);
    all.truncate(bounds::CONFIG_PROBLEMS_MAX);
    all
}

fn walk(path: &str, old: Option<&Node>, new: Option<&Node>, place: &Place, all: &mut Vec<KeyChange>) {
    match (old.map(|node| &node.value), new.map(|node| &node.value)) {
        (Some(Value::Table(old)), Some(Value::Table(new))) => {
            let keys: BTreeSet<&String> = old.0.keys().chain(new.0.keys()).collect();
            for key in keys {
                let (was, now) = (old.0.get(key), new.0.get(key));
                let path = if path.is_empty() { quoted_key(key) } else { format!("{path}.{}", quoted_key(key)) };
                let place = now.map_or(place, |entry| &entry.key_place);
                walk(&path, was.map(|entry| &entry.node), now.map(|entry| &entry.node), place, all);
            }
        }
        _ if old.zip(new).is_some_and(|(old, new)| old.says(new)) => {}
        _ => all.push(KeyChange {
            key: path.to_owned(),
            was: old.map(shown),
            now: new.map(shown),
            file: new.map(|_| place.file.display().to_string()),
            line: new.map(|_| place.line),
        }),
    }
}

fn shown(node: &Node) -> String {
    let text = node.to_string();
    let end = text.floor_char_boundary(bounds::ERROR_TEXT_BYTES_MAX);
    let shown: Cow<'_, str> = match text.get(..end) {
        Some(begin) if end < text.len() => format!("{begin}…").into(),
        _ => text.into(),
    };
    shown.into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn source(text: &str) -> Vec<Source> {
        vec![Source::from_text(Path::new("providers.toml"), text.into())]
    }

    fn differences(old: &str, new: &str) -> Vec<String> {
        let line = |key: &KeyChange| {
            let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
            format!(" {}: {} -> {}", key.key, said(&key.was), said(&key.now))
        };
        let shown = |change: &Change| {
            let keys: String = change.keys.iter().map(line).collect();
            format!("{} {} {}{keys}", change.action.name(), change.kind.name(), change.name)
        };
        of_catalogues(&source(old), &source(new)).iter().map(shown).collect()
    }

    #[test]
    fn differences_are_named_by_what_was_declared() {
        let lan = "[providers.lan]\nkind = \"openai\"\nbase_url = \"https://a.example/v1\"\n";
        let old = format!("{lan}[routes.fast]\ntargets = [\"openai/gpt-4.1-mini\"]\n");
        let new = "[providers.openai]\nenabled = false\n[routes.fast]\ntargets = [\"openai/gpt-4.1-mini\"]\n\
                   [limit_groups.acme]\nlimits = { concurrent = 3 }\n[features.a]\nroute = \"fast\"\n";
        let shown = differences(&old, new);
        assert_eq!(
            shown,
            [
                "changed provider openai enabled: true -> false",
                "removed provider lan",
                "added feature a",
                "added limit_group acme",
            ]
        );
        assert_eq!(differences(new, new), [""; 0]);
    }

    #[test]
    fn what_says_the_same_is_no_difference() {
        let said = "# a comment\n[providers.openai]\nenabled = true\nkind = \"openai\"\n";
        assert_eq!(differences("", said), [""; 0], "both are built in");
    }

    #[test]
    fn a_budget_without_a_name_is_called_as_everywhere() {
        let one = "[[budgets]]\nconnection = \"openai:main\"\nper = \"month\"\nusd = 5\n";
        let [dropped] = &of_daemons(&source(one), &source(""))[..] else { panic!("one change") };
        assert_eq!((dropped.action, dropped.name.as_str()), (ChangeAction::Removed, "connection-openai-main-month"));
    }

    #[test]
    fn connections_are_told_apart_by_their_names_and_not_by_their_places() {
        let one = |name: &str, priority: u32| {
            format!("[[connections]]\nprovider = \"openai\"\nname = \"{name}\"\npriority = {priority}\n")
        };
        let (old, new) = (one("a", 1) + &one("b", 2), one("b", 3) + &one("a", 1));
        assert_eq!(differences(&old, &new), ["changed connection openai:b priority: 2 -> 3"]);
    }
}
