//! Routes: the model aliases that apps use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::kind::KindFacts;
use super::provider::Provider;
use super::rotation::Rotation;
use super::suggest;
use super::walk::{Cursor, Fields};
use crate::api::{Capabilities, ProviderSlug, RouteName};

/// A model alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is tried, in order. Not empty.
    pub targets: Vec<Target>,
    /// What every target that is used must be able to do, beyond what the request itself needs.
    pub require: Capabilities,
    /// How connections are chosen.
    pub rotation: Rotation,
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The provider, which is declared.
    pub provider: ProviderSlug,
    /// The model's id there, which may hold slashes, and may be unlisted if the provider allows that.
    pub model: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// What reading a route needs to know of the rest.
pub(super) struct Surroundings<'a> {
    /// The kinds there are.
    pub(super) kinds: &'a [&'a KindFacts],
    /// The names of the declared providers.
    pub(super) declared: &'a BTreeSet<&'a str>,
    /// Those of them that could be read.
    pub(super) providers: &'a BTreeMap<ProviderSlug, Provider>,
    /// How connections are chosen where a route says nothing.
    pub(super) rotation: Rotation,
}

/// Reads `[routes]`.
pub(super) fn read_all(fields: &Fields<'_>, around: &Surroundings<'_>) -> BTreeMap<RouteName, Route> {
    let bare = around.bare_models();
    let one = |(name, at): (&str, Cursor<'_>)| {
        let route_name = at.key_as(name);
        if around.declared.contains(name) {
            at.error_at_key(format!("{name:?} is a provider already: give the route another name"));
        } else if let Some(provider) = bare.get(name) {
            at.error_at_key(format!("{name:?} is a model of {provider} already: give the route another name"));
        }
        let route = Route::read(&at, around);
        Some((route_name?, route?))
    };
    fields.entries("routes").into_iter().filter_map(one).collect()
}

impl Surroundings<'_> {
    /// The models that a bare id may mean, with one provider that lists each.
    fn bare_models(&self) -> BTreeMap<&str, &ProviderSlug> {
        let takes_bare =
            |provider: &Provider| self.kinds.iter().any(|facts| facts.name == provider.kind && facts.bare_models);
        self.providers
            .values()
            .filter(|provider| takes_bare(provider))
            .flat_map(|provider| provider.models.keys().map(|id| (id.as_str(), &provider.slug)))
            .collect()
    }
}

impl Route {
    fn read(at: &Cursor<'_>, around: &Surroundings<'_>) -> Option<Self> {
        let fields = at.fields(&["targets", "require", "order", "sticky"])?;
        let require = fields.get("require").map(|list| list.capabilities()).unwrap_or_default();
        let list = fields.require("targets", "targets = [\"provider/model\"]")?;
        let mut targets = Vec::new();
        let items = list.items();
        for item in &items {
            let Some(target) = Target::read(item, require, around) else { continue };
            if targets.contains(&target) {
                item.error(format!("{target} stands here twice: name it once"));
            }
            targets.push(target);
        }
        if items.is_empty() {
            list.error("must hold at least one \"provider/model\"");
        }
        Some(Self { targets, require, rotation: around.rotation.with(&fields) })
    }
}

impl Target {
    fn read(at: &Cursor<'_>, require: Capabilities, around: &Surroundings<'_>) -> Option<Self> {
        let text = at.text()?;
        let Some((provider, id)) = text.split_once('/') else {
            at.error(format!("{text:?} names no provider: write \"provider/model\""));
            return None;
        };
        let model = at.model_id(id);
        if !around.declared.contains(provider) {
            at.dangling("provider", provider, around.declared.iter().copied());
            return None;
        }
        let target = Self { provider: provider.parse().ok()?, model: model? };
        target.check(at, require, around.providers.get(provider)?);
        Some(target)
    }

    /// Tells of a model that is not listed, and of one that the route can never use.
    fn check(&self, at: &Cursor<'_>, require: Capabilities, provider: &Provider) {
        match provider.models.get(&self.model) {
            Some(model) => {
                let known = model.capabilities.unwrap_or(require);
                if let Some(missing) = known.missing(require).next() {
                    at.warning(format!("{self} lacks {missing}, which the route requires, and is never used"));
                }
            }
            None => {
                let hint = suggest::did_you_mean(&self.model, provider.listed());
                let (slug, id) = (&provider.slug, &self.model);
                if provider.unlisted_models {
                    at.warning(format!("{slug} lists no model {id:?}: its price is unknown{hint}"));
                } else {
                    at.error(format!("{slug} lists no model {id:?}, and takes no others{hint}"));
                }
            }
        }
    }
}
