//! What operators should know of what the store keeps beside the files, or does not: secrets that stay behind when a
//! provider moves, what nobody declares any more, and budgets of connections that are nowhere.

use std::collections::BTreeMap;
use std::path::Path;

use super::budgets;
use super::secrets::Secrets;
use super::stored::Stored;
use crate::api::{ConnectionId, ProviderSlug};
use crate::config::{Budget, Catalogue, Problem};
use crate::credential::Origin;

/// All of it, in words.
pub(super) fn told(
    secrets: &Secrets,
    stored: &Stored,
    catalogue: &Catalogue,
    file: &Path,
    budgets: &[Budget],
) -> Vec<String> {
    in_words(&moved_away(secrets, stored, catalogue, file), stored, catalogue, budgets)
}

/// The same, where it is known already which secrets wait or stay behind.
pub(super) fn in_words(moved: &[Problem], stored: &Stored, catalogue: &Catalogue, budgets: &[Budget]) -> Vec<String> {
    let known = |id: &ConnectionId| stored.connections.contains_key(id);
    let idle =
        budgets::of_no_connection(budgets, catalogue, known, "and there is no such connection: it counts nothing");
    moved.iter().map(ToString::to_string).chain(orphans(stored, catalogue)).chain(idle).collect()
}

/// Tells of secrets that wait because their provider has moved, where its address stands.
pub(super) fn moved_away(secrets: &Secrets, stored: &Stored, catalogue: &Catalogue, file: &Path) -> Vec<Problem> {
    let warning = |slug: &ProviderSlug, message: String| match catalogue.places.0.get(slug) {
        Some(place) => Problem::at(&place.address, &format!("providers.{slug}.base_url"), message),
        None => Problem::of_file(&file.into(), message),
    };
    let declared = secrets.waiting().map(|id| {
        let message = format!(
            "the provider has moved, and the secret of {id} waits: `bursar credentials confirm {id}` lets it go there"
        );
        warning(&id.provider, message)
    });
    let given = left_behind(stored, catalogue).into_iter().map(|(slug, ids)| {
        let first = ids.first().map(ToString::to_string).unwrap_or_default();
        let which = match ids.len() {
            1 => format!("the secret of {first} was given for its address before"),
            count => format!("the secrets of {count} connections ({first}, …) were given for its address before"),
        };
        warning(slug, format!("the provider has moved, and {which}: `bursar credentials set {first}` gives it anew"))
    });
    declared.chain(given).collect()
}

/// The connections whose secret was given for another address than their provider has now, by provider.
fn left_behind<'a>(stored: &'a Stored, catalogue: &'a Catalogue) -> BTreeMap<&'a ProviderSlug, Vec<&'a ConnectionId>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let origins: BTreeMap<_, _> = catalogue
        .providers
        .values()
        .filter_map(|provider| Some((&provider.slug, Origin::of(&provider.base_url).ok()?)))
        .collect();
    for one in stored.connections.values() {
        let given = one.secret.as_ref().map(|sealed| &sealed.origin);
        if given.zip(origins.get(&one.id.provider)).is_some_and(|(given, now)| given != now) {
            all.entry(&one.id.provider).or_default().push(&one.id);
        }
    }
    all
}

/// What operators should know of what the store keeps, and nobody declares any more.
fn orphans(stored: &Stored, catalogue: &Catalogue) -> Option<String> {
    let count = stored.orphans(catalogue).len();
    (count > 0).then(|| {
        let (what, they) = if count == 1 { ("1 orphan is".to_owned(), "it") } else { (format!("{count} orphans are"), "them") };
        format!(
            "{what} kept of what is no longer declared: `bursar providers sync --dry-run` names {they}, --map moves and \
             --prune removes {they}"
        )
    })
}
