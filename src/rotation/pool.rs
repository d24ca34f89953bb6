//! What a request wants, and the pools of connections that may give it.

use std::sync::Arc;

use super::tier::Tier;
use crate::api::{Capabilities, Capability, ConnectionId, Feature, Operation};
use crate::clock::Instant;
use crate::config::{Model, Rotation};
use crate::connection::{Connection, HealthState};
use crate::provider::Provider;

/// The model of a request that leaves the choice to its feature's route.
pub(super) use crate::api::execute::AUTO;

/// What a request wants.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A route's name, `provider/model`, a bare model id, or [`AUTO`].
    pub model: String,
    /// What for; it may have a route of its own.
    pub feature: Option<Feature>,
    /// The kind of call.
    pub operation: Option<Operation>,
    /// What the model must be able to do.
    pub needs: Capabilities,
    /// The only connection that may be used.
    pub pin: Option<ConnectionId>,
    /// Tokens that the request and its reply need at least, as far as they are known.
    pub tokens: Option<u64>,
}

/// One provider's connections of one priority, for one model.
#[derive(Clone)]
pub(super) struct Pool {
    pub(super) provider: Arc<Provider>,
    pub(super) model: Arc<str>,
    /// What is known of the model, where it is listed.
    pub(super) facts: Option<Arc<Model>>,
    pub(super) tier: Arc<Tier>,
    /// The order among the tier's connections.
    pub(super) rotation: Rotation,
    /// What the route asks for beyond the request.
    pub(super) require: Capabilities,
}

impl Pool {
    /// Why none of its connections may be tried with a request.
    pub(super) fn why_none(&self, wanted: &Wanted) -> Option<Skip> {
        if !self.provider.enabled {
            return Some(Skip::ProviderDisabled);
        }
        if let Some(operation) = wanted.operation.filter(|operation| !self.provider.has(*operation)) {
            return operation.capability().map(Skip::Lacks);
        }
        let facts = self.facts.as_ref()?;
        let lacking = |needs| facts.capabilities.and_then(|has| has.missing(needs).next());
        if let Some(lacking) = lacking(wanted.needs).or_else(|| lacking(self.require)) {
            return Some(Skip::Lacks(lacking));
        }
        self.is_too_small(wanted).then_some(Skip::TooLarge)
    }

    /// Whether the request is known to be larger than the model's context window.
    pub(super) fn is_too_small(&self, wanted: &Wanted) -> bool {
        let window = self.facts.as_ref().and_then(|facts| facts.context_window);
        window.zip(wanted.tokens).is_some_and(|(window, tokens)| tokens > window)
    }

    /// What a typical call costs here: three tokens in for one out, in pico-dollars. Of an unknown price nothing is known.
    pub(super) fn price(&self) -> Option<u128> {
        let rates = &self.facts.as_ref()?.price.as_ref()?.rates;
        let tokens = rates.input?.0.saturating_mul(3).saturating_add(rates.output.unwrap_or_default().0);
        Some(tokens)
    }
}

/// Why a connection was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Its provider is switched off.
    ProviderDisabled,
    /// It is switched off.
    Disabled,
    /// It has no credential.
    NeedsSecret,
    /// The provider refused its credential.
    Rejected,
    /// One of its limits, or of its group's, is used up.
    OutOfRoom {
        /// There is no room before then; in the past where it may come at any moment.
        until: Instant,
    },
    /// Its account is out of money or quota.
    Parked,
    /// The model cools after a rate limit.
    Cooling {
        /// Until then.
        until: Instant,
    },
    /// It failed too often of late, and its breaker is open.
    Open {
        /// Until then one probe may try it; in the past while that is under way.
        until: Instant,
    },
    /// The model is not for its key.
    NotForKey {
        /// Until then it is not tried again.
        until: Instant,
    },
    /// The model, or its provider, lacks a capability.
    Lacks(Capability),
    /// The request is larger than the model's context window.
    TooLarge,
    /// The request is pinned to another connection.
    NotPinned,
    /// The request has taken as long as it may with this one.
    Overdue,
    /// Its provider failed the request before, and so many others of late that no more is asked of it twice.
    RetryBudget,
    /// A budget of the app's, the feature's or the connection's has nothing left for it.
    Budget {
        /// There is nothing before then.
        until: Instant,
    },
}

impl Skip {
    /// Until when it holds, where it ends by itself.
    pub fn until(self) -> Option<Instant> {
        match self {
            Self::NotForKey { until } => Some(until),
            other => other.returns(),
        }
    }

    /// When it is over by itself, so that waiting for it makes sense.
    pub fn returns(self) -> Option<Instant> {
        match self {
            Self::OutOfRoom { until } | Self::Cooling { until } | Self::Open { until } | Self::Budget { until } => {
                Some(until)
            }
            _ => None,
        }
    }
}

/// Whether a connection may be tried at all, whatever the request and the moment.
pub(super) fn usable(provider: &Provider, connection: &Connection) -> Result<(), Skip> {
    if !provider.enabled {
        return Err(Skip::ProviderDisabled);
    }
    if !connection.enabled {
        return Err(Skip::Disabled);
    }
    if connection.lacks_secret(provider) {
        return Err(Skip::NeedsSecret);
    }
    match connection.health.state() {
        HealthState::Ok if connection.account().is_parked() => Err(Skip::Parked),
        HealthState::Ok => Ok(()),
        HealthState::Rejected => Err(Skip::Rejected),
        HealthState::NeedsSecret => Err(Skip::NeedsSecret),
    }
}
