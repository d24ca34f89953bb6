//! What only shows when everything is read: parts that are right each for itself, and do not fit together. All of it is
//! taken; each is told with its place.

use super::catalogue::Catalogue;
use super::kind::KindFacts;
use super::provider::Provider;
use super::route::Route;
use super::walk::{Cursor, Fields};
use crate::api::admin::Limits;
use crate::api::{ProviderSlug, RouteName};

/// Tells of what does not fit together in a catalogue, whose document is `fields`.
pub(super) fn check(fields: &Fields<'_>, catalogue: &Catalogue, kinds: &[&KindFacts]) {
    for (name, at) in fields.entries("routes") {
        if let Some(route) = name.parse::<RouteName>().ok().and_then(|name| catalogue.routes.get(&name)) {
            check_route(&at, route, catalogue);
            check_targets(&at, route, catalogue, kinds);
        }
    }
    for (name, at) in fields.entries("providers") {
        if let Some(provider) = name.parse::<ProviderSlug>().ok().and_then(|slug| catalogue.providers.get(&slug)) {
            check_prices(&at, provider, kinds);
        }
    }
    let items = fields.items("connections");
    if items.len() != catalogue.connections.len() {
        // Some could not be read, and that has been told.
        return;
    }
    for (at, connection) in items.iter().zip(&catalogue.connections) {
        let group = connection.limit_group.as_ref().and_then(|group| catalogue.limit_groups.get_key_value(group));
        let Some((name, group)) = group else { continue };
        check_limits(at, &connection.limits, &group.limits, name.as_str());
        let models = at.inner("models");
        for (model, own) in &connection.models {
            let shared = group.models.get(model).unwrap_or(&group.limits);
            if let Some(at) = models.as_ref().and_then(|models| models.inner(model)) {
                check_limits(&at, own, shared, name.as_str());
            }
        }
    }
}

/// A route that leads nowhere.
fn check_route(at: &Cursor<'_>, route: &Route, catalogue: &Catalogue) {
    let enabled = |target: &&super::Target| catalogue.providers.get(&target.provider).is_some_and(|one| one.enabled);
    let able = |target: &super::Target| {
        let listed = catalogue.providers.get(&target.provider).and_then(|one| one.models.get(&target.model));
        let has = listed.and_then(|model| model.capabilities);
        has.is_none_or(|has| has.missing(route.require).next().is_none())
    };
    let mut on = route.targets.iter().filter(enabled).peekable();
    if on.peek().is_none() {
        at.warning_at_key("has no target that is enabled: its calls are refused until one of their providers is");
    } else if !on.any(able) {
        at.warning_at_key("has no enabled target with all that it requires: its calls are refused");
    }
}

/// Models whose use cannot be accounted for. A host of one's own charges nothing; and what is built in is known not to
/// have a price, so that is only told where a route leads there.
fn check_prices(at: &Cursor<'_>, provider: &Provider, kinds: &[&KindFacts]) {
    if provider.builtin || is_free(provider, kinds) {
        return;
    }
    let Some(models) = at.inner("models") else { return };
    for (id, _) in provider.models.iter().filter(|(_, model)| model.price.is_none()) {
        if let Some(at) = models.inner(id) {
            at.warning_at_key("has no price: what it costs will be unknown. Write price = { input = …, output = … }");
        }
    }
}

/// The targets of a route that are listed without a price.
fn check_targets(at: &Cursor<'_>, route: &Route, catalogue: &Catalogue, kinds: &[&KindFacts]) {
    let items = at.inner("targets").map(|list| list.items()).unwrap_or_default();
    for (item, target) in items.iter().zip(&route.targets) {
        let Some(provider) = catalogue.providers.get(&target.provider) else { continue };
        let unpriced = provider.models.get(&target.model).is_some_and(|model| model.price.is_none());
        if unpriced && provider.builtin && !is_free(provider, kinds) {
            item.warning(format!("{target} has no price: what it costs will be unknown"));
        }
    }
}

fn is_free(provider: &Provider, kinds: &[&KindFacts]) -> bool {
    let plays = kinds.iter().any(|facts| facts.name == provider.kind && !facts.bare_models);
    provider.allow_private || plays
}

/// A connection's figures above those of its group can never be reached.
fn check_limits(at: &Cursor<'_>, own: &Limits, shared: &Limits, group: &str) {
    for ((name, own), (_, shared)) in own.figures().into_iter().zip(shared.figures()) {
        if let (Some(own), Some(shared)) = (own, shared)
            && own > shared
            && let Some(at) = at.inner("limits").and_then(|limits| limits.inner(name))
        {
            at.warning(format!("is more than the {shared} of its limit group {group}, and is never reached"));
        }
    }
}
