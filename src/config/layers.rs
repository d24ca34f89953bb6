//! Laying a user's file over the built-in providers.
//!
//! The built-in providers are the shipped file, embedded: they are always the base, so that an untouched install works
//! and a first line in a new file takes nothing away. A preset is laid under a provider that names it in the same way:
//! it is a provider's table under another name, and knows no key that a provider does not. Laying over happens in the
//! tree, before anything is checked, so a problem leads to whichever file it was written in.

use std::collections::BTreeSet;
use std::path::Path;

use super::document::{self, Node, Table, Value};
use super::problem::{Problem, Problems};
use super::source::Source;
use super::{fragments, walk};

/// The shipped `providers.toml`.
pub(super) const BUILT_IN: &str = include_str!("../../config/providers.toml");
/// How the shipped file is named in problems.
const BUILT_IN_NAME: &str = "built-in providers.toml";

/// The shipped `presets.toml`.
pub(super) const PRESETS: &str = include_str!("../../config/presets.toml");
/// How that file is named in problems.
const PRESETS_NAME: &str = "built-in presets.toml";

/// Where table is laid over table, level by level, `*` being any key. A value anywhere else takes the whole place of the
/// built-in one: of a provider the keys that the file names, of a model again the keys that it names.
const LEVELS: &[&str] = &["providers", "*", "models", "*"];
/// The same within one provider.
const PROVIDER_LEVELS: &[&str] = &["models", "*"];

/// The names that come with the program.
#[derive(Debug, Default)]
pub(super) struct Shipped {
    /// The built-in providers.
    pub(super) providers: BTreeSet<String>,
    /// The presets.
    pub(super) presets: BTreeSet<String>,
}

/// What a set of files says, put together and laid over the presets that it names and the built-in providers.
pub(super) fn whole(sources: &[Source], problems: &Problems) -> (Node, Shipped) {
    let parsed = sources.iter().map(|source| document::parse(source, problems));
    let user = fragments::merged(parsed, problems);
    over_built_in(user.unwrap_or_else(|| document::parse(&nothing(), problems)), problems)
}

fn nothing() -> Source {
    Source::from_text(Path::new("providers.toml"), String::new())
}

/// The user's document over the presets that it names and the built-in providers.
fn over_built_in(mut user: Node, problems: &Problems) -> (Node, Shipped) {
    let mut base = shipped(BUILT_IN_NAME, BUILT_IN, problems);
    base.0.retain(|key, _| key == "providers");
    let presets = entry(&shipped(PRESETS_NAME, PRESETS, problems), "presets");
    let names = |table: &Table| table.0.keys().cloned().collect();
    let shipped = Shipped { providers: names(&entry(&base, "providers")), presets: names(&presets) };
    if let Value::Table(over) = &mut user.value {
        over_presets(over, &presets, problems);
        warn_of_overridden(&entry(&base, "providers"), over, problems);
        lay(base, over, LEVELS);
    }
    (user, shipped)
}

fn shipped(name: &str, text: &str, problems: &Problems) -> Table {
    let source = Source::from_text(Path::new(name), text.to_owned());
    match document::parse(&source, problems).value {
        Value::Table(table) => table,
        _ => Table::default(),
    }
}

/// A table in a table; none is an empty one.
fn entry(table: &Table, key: &str) -> Table {
    match table.0.get(key).map(|entry| &entry.node.value) {
        Some(Value::Table(table)) => table.clone(),
        _ => Table::default(),
    }
}

/// Lays each provider that names a preset over that. A preset that is not there is told of where the key is read.
fn over_presets(user: &mut Table, presets: &Table, problems: &Problems) {
    let Some(Value::Table(providers)) = user.0.get_mut("providers").map(|entry| &mut entry.node.value) else { return };
    for (slug, entry) in &mut providers.0 {
        let Value::Table(provider) = &mut entry.node.value else { continue };
        let Some(Value::Text(name)) = provider.0.get("preset").map(|entry| &entry.node.value) else { continue };
        if presets.0.contains_key(name) {
            let preset = self::entry(presets, name);
            overridden(slug, provider, &preset, &format!("the preset {name}"), problems);
            lay(preset, provider, PROVIDER_LEVELS);
        }
    }
}

/// What says where a provider's key goes, and how. Whoever overrides that should know.
const SHAPE: &[&str] = &["kind", "base_url", "auth", "paths"];

/// Tells of what a user's file says otherwise than a built-in provider.
fn warn_of_overridden(built_in: &Table, user: &Table, problems: &Problems) {
    let Some(Value::Table(providers)) = user.0.get("providers").map(|entry| &entry.node.value) else { return };
    for (slug, there) in &providers.0 {
        if let Value::Table(provider) = &there.node.value
            && built_in.0.contains_key(slug)
            && !drops_built_in(provider)
        {
            let under = entry(built_in, slug);
            overridden(slug, provider, &under, "the built-in provider", problems);
            // What is built in mostly has the address of its kind, and does not repeat it.
            if let (Some(over), None) = (provider.0.get("base_url"), under.0.get("base_url")) {
                let path = format!("providers.{}.base_url", walk::quoted_key(slug));
                let message = "takes the place of the built-in address: keys go there";
                problems.warning(Problem::at(&over.key_place, &path, message));
            }
        }
    }
}

/// Tells of each key of a provider that takes the place of another one of `base`. A host of the operator's own has an
/// address of its own, and that is no news.
fn overridden(slug: &str, provider: &Table, base: &Table, what: &str, problems: &Problems) {
    let is_private =
        |of: &Table| of.0.get("allow_private").is_some_and(|entry| matches!(entry.node.value, Value::Flag(true)));
    let own_host = is_private(provider) || is_private(base);
    for &key in SHAPE.iter().filter(|&&key| !(own_host && key == "base_url")) {
        let (Some(over), Some(under)) = (provider.0.get(key), base.0.get(key)) else { continue };
        if !over.node.says(&under.node) {
            let path = format!("providers.{}.{key}", walk::quoted_key(slug));
            let message = format!("takes the place of what {what} says: {}", under.node);
            problems.warning(Problem::at(&over.key_place, &path, message));
        }
    }
}

/// Lays `over` over `base`, into `over`. What stands in both takes the place, in the file, of what is over.
fn lay(base: Table, over: &mut Table, levels: &[&str]) {
    for (key, entry) in base.0 {
        match over.0.get_mut(&key) {
            None => {
                over.0.insert(key, entry);
            }
            Some(there) => {
                if let [level, deeper @ ..] = levels
                    && (*level == "*" || *level == key)
                    && let (Value::Table(over), Value::Table(base)) = (&mut there.node.value, entry.node.value)
                    && !drops_built_in(over)
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
