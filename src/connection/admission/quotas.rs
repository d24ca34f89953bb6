//! The quotas of one connection as a snapshot has them: its own and its group's, for all models and for single ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::permit::{Counted, Limited};
use super::{Admission, Figure, Holder, ScopeKey};
use crate::api::{ConnectionId, LimitGroup};
use crate::clock::Now;
use crate::config::{GroupLimits, Limits};

/// The quotas that count for one connection. Where no figure is set, nothing is counted.
#[derive(Debug, Clone, Default)]
pub struct Quotas {
    own: Quota,
    group: Quota,
}

/// The quotas of one holder.
#[derive(Debug, Clone, Default)]
struct Quota {
    all: Option<Limited>,
    by_model: BTreeMap<Arc<str>, Limited>,
}

impl Quotas {
    /// Puts a connection's quotas together. Its days, and its group's where that says nothing else, begin in `zone`.
    pub fn new(
        admission: &Admission,
        (id, limits, models): (&ConnectionId, &Limits, &BTreeMap<String, Limits>),
        group: Option<(&LimitGroup, &GroupLimits)>,
        zone: &TimeZone,
    ) -> Self {
        let own = Quota::new(admission, &Holder::Connection(id.clone()), limits, models, zone);
        let group = group.map(|(name, group)| {
            let zone = group.day_resets.as_ref().unwrap_or(zone);
            Quota::new(admission, &Holder::Group(name.clone()), &group.limits, &group.models, zone)
        });
        Self { own, group: group.unwrap_or_default() }
    }

    /// The scopes that a call to a model counts in, in the order in which all lock them.
    pub fn of(&self, model: &str) -> Counted<'_> {
        let Self { own, group } = self;
        [own.all.as_ref(), own.by_model.get(model), group.all.as_ref(), group.by_model.get(model)]
    }

    /// Everything that is limited.
    pub fn all(&self) -> impl Iterator<Item = &Limited> {
        [&self.own, &self.group].into_iter().flat_map(|quota| quota.all.iter().chain(quota.by_model.values()))
    }

    /// Counts a call that a process before this one made, which had arrived by then. Records name a model as it was asked
    /// for, or as the provider calls it; where neither is limited here, the call counts for every model that is.
    pub fn restore(&self, names: &[&str], tokens: u64, arrived: Instant) {
        for quota in [&self.own, &self.group] {
            let named = |model: &str| names.contains(&model);
            let known = quota.by_model.keys().any(|model| named(model));
            let of_model = quota.by_model.iter().filter(|(model, _)| !known || named(model)).map(|(_, one)| one);
            quota.all.iter().chain(of_model).for_each(|limited| limited.scope.restore_call(tokens, arrived));
        }
    }

    /// Takes the provider's word for what remains of a quota of a model's: it counts in the narrowest scope that has such
    /// a figure.
    pub fn observe_remaining(&self, model: &str, figure: Figure, remaining: u64, now: Now) {
        let has = |limited: &&Limited| figure.of(&limited.limits).is_some();
        let of = self.of(model);
        let narrowest = of.iter().flatten().copied().filter(has).max_by_key(|one| one.scope.key().model.is_some());
        if let Some(limited) = narrowest {
            limited.scope.observe_remaining(figure, remaining, now);
        }
    }
}

impl Quota {
    fn new(
        admission: &Admission,
        holder: &Holder,
        limits: &Limits,
        models: &BTreeMap<String, Limits>,
        zone: &TimeZone,
    ) -> Self {
        let limited = |model: Option<Arc<str>>, limits: &Limits| {
            let any = limits.figures().iter().any(|(_, limit)| limit.is_some());
            let key = || ScopeKey { holder: holder.clone(), model: model.clone() };
            any.then(|| Limited { scope: admission.scope(&key(), limits, zone), limits: *limits })
        };
        let by_model = models.iter().filter_map(|(model, limits)| {
            let model: Arc<str> = model.as_str().into();
            Some((Arc::clone(&model), limited(Some(model), limits)?))
        });
        Self { all: limited(None, limits), by_model: by_model.collect() }
    }
}
