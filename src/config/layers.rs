//! Laying a user's file over the built-in providers.
//!
//! The built-in providers are the shipped file, embedded: they are always the base, so that an untouched install works
//! and a first line in a new file takes nothing away. Laying over happens in the tree, before anything is checked, so
//! a problem leads to whichever file it was written in.

use std::collections::BTreeSet;
use std::path::Path;

use super::document::{self, Node, Table, Value};
use super::problem::Problems;
use super::source::Source;

/// The shipped `providers.toml`.
pub(super) const BUILT_IN: &str = include_str!("../../config/providers.toml");
/// How the shipped file is named in problems.
const BUILT_IN_NAME: &str = "built-in providers.toml";

/// Where table is laid over table, level by level, `*` being any key. A value anywhere else takes the whole place of the
/// built-in one: of a provider the keys that the file names, of a model again the keys that it names.
const LEVELS: &[&str] = &["providers", "*", "models", "*"];

/// The user's document over the built-in providers, and the names of those.
pub(super) fn over_built_in(mut user: Node, problems: &Problems) -> (Node, BTreeSet<String>) {
    let source = Source::from_text(Path::new(BUILT_IN_NAME), BUILT_IN.to_owned());
    let Value::Table(mut base) = document::parse(&source, problems).value else { return (user, BTreeSet::new()) };
    base.0.retain(|key, _| key == "providers");
    let names = base.0.values().flat_map(|entry| keys(&entry.node)).collect();
    if let Value::Table(over) = &mut user.value {
        lay(base, over, LEVELS);
    }
    (user, names)
}

fn keys(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Table(table) => table.0.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Lays `over` over `base`, into `over`. What stands in both takes the place, in the file, of what is over.
fn lay(base: Table, over: &mut Table, levels: &[&str]) {
    if drops_built_in(over) {
        return;
    }
    for (key, entry) in base.0 {
        match over.0.get_mut(&key) {
            None => {
                over.0.insert(key, entry);
            }
            Some(there) => {
                if let [level, deeper @ ..] = levels
                    && (*level == "*" || *level == key)
                    && let (Value::Table(over), Value::Table(base)) = (&mut there.node.value, entry.node.value)
                {
                    lay(base, over, deeper);
                }
            }
        }
    }
}

/// `builtin = false`. The key is known in providers only, so anywhere else it is an error soon.
fn drops_built_in(over: &Table) -> bool {
    over.0.get("builtin").is_some_and(|entry| matches!(entry.node.value, Value::Flag(false)))
}
