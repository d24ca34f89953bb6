//! What differs between two configurations.

use std::collections::BTreeMap;

use crate::api::admin::{Change, ChangeAction, ChangeKind};
use crate::config::{Catalogue, Daemon};

/// What differs in the daemon's own file, as far as a reload takes it.
pub(super) fn of_daemons(old: &Daemon, new: &Daemon) -> Vec<Change> {
    let tables = [
        ("[access]", old.access != new.access),
        ("[apps]", old.apps != new.apps),
        ("[usage]", old.usage != new.usage),
        ("[[budgets]]", old.budgets != new.budgets),
    ];
    let changed = |table: &str| Change { kind: ChangeKind::Daemon, name: table.into(), action: ChangeAction::Changed };
    tables.into_iter().filter(|(_, differs)| *differs).map(|(table, _)| changed(table)).collect()
}

/// What differs between two catalogues.
pub(super) fn of_catalogues(old: &Catalogue, new: &Catalogue) -> Vec<Change> {
    let by_id = |catalogue: &Catalogue| -> BTreeMap<_, _> {
        catalogue.connections.iter().map(|one| (one.id.clone(), one.clone())).collect()
    };
    let mut changes = of_maps(ChangeKind::Provider, &old.providers, &new.providers);
    changes.extend(of_maps(ChangeKind::Connection, &by_id(old), &by_id(new)));
    changes.extend(of_maps(ChangeKind::Route, &old.routes, &new.routes));
    changes.extend(of_maps(ChangeKind::LimitGroup, &old.limit_groups, &new.limit_groups));
    if old.default_timeouts != new.default_timeouts {
        let (kind, name) = (ChangeKind::Defaults, "timeouts".to_owned());
        changes.push(Change { kind, name, action: ChangeAction::Changed });
    }
    changes
}

fn of_maps<K: Ord + ToString, V: PartialEq>(
    kind: ChangeKind,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> Vec<Change> {
    let named = |name: &K, action| Change { kind, name: name.to_string(), action };
    let gone = old.keys().filter(|name| !new.contains_key(name)).map(|name| named(name, ChangeAction::Removed));
    let there = new.iter().filter_map(|(name, value)| match old.get(name) {
        None => Some(named(name, ChangeAction::Added)),
        Some(before) if before != value => Some(named(name, ChangeAction::Changed)),
        Some(_) => None,
    });
    there.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Source};

    fn catalogue(text: &str) -> Catalogue {
        let source = Source::from_text(Path::new("providers.toml"), text.into());
        config::check_catalogue(&source, &crate::adapter::kinds()).unwrap().value
    }

    #[test]
    fn differences_are_named_by_what_was_declared() {
        let old = catalogue(
            "[providers.openai]\nenabled = true\n[providers.lan]\nkind = \"openai\"\nbase_url = \"https://a.example/v1\"\n\
             [routes.fast]\ntargets = [\"openai/gpt-4.1-mini\"]\n",
        );
        let new = catalogue(
            "[providers.openai]\nenabled = false\n[routes.fast]\ntargets = [\"openai/gpt-4.1-mini\"]\n\
             [limit_groups.acme]\nlimits = { concurrent = 3 }\n",
        );
        let shown: Vec<_> = of_catalogues(&old, &new)
            .iter()
            .map(|change| format!("{} {} {}", change.action.name(), change.kind.name(), change.name))
            .collect();
        assert_eq!(shown, ["changed provider openai", "removed provider lan", "added limit_group acme"]);
        assert_eq!(of_catalogues(&new, &new), []);
    }
}
