//! What is in force, as operators see it.

use crate::api::admin::{
    self, ConfigProblem, ConnectionHealth, ConnectionStatus, HealthCheck, HealthState, ManagedBy, Object, Plan,
    PriceRates, PriceTier, Quota, Reload, SecretInfo,
};
use crate::api::money::{UsdEach, UsdPerMillion};
use crate::api::{Capability, ConnectionId, Moment, Operation, PicoUsd};
use crate::clock::{Instant, Now};
use crate::config::{Model, Price, Problem, Rates};
use crate::connection::admission::{Figure, Holder, Limited};
use crate::connection::{self, Connection, Stand};
use crate::provider::Provider;
use crate::snapshot::Snapshot;
use crate::store::Check;

/// What the store knows of a provider, and how many connections it has.
pub(super) struct Kept<'a> {
    /// What a user interface keeps with it.
    pub(super) ui_preferences: &'a str,
    /// The age of its list of models.
    pub(super) models_fetched_at: Option<Moment>,
    /// How its last check went.
    pub(super) last_check: Option<&'a Check>,
    /// How many connections there are, disabled ones included.
    pub(super) connections: usize,
    /// How many requests went to it; none where nobody counted.
    pub(super) usage_count: Option<u64>,
}

/// A provider.
pub(super) fn provider(
    snapshot: &Snapshot,
    provider: &Provider,
    Kept { ui_preferences, models_fetched_at, last_check, connections, usage_count }: Kept<'_>,
) -> admin::Provider {
    let fetched = provider.fetched.iter().map(|id| model(id, &Model::default()));
    let facts = provider.adapter.facts();
    admin::Provider {
        slug: provider.slug.clone(),
        kind: facts.kind.name.into(),
        preset: provider.preset.clone(),
        operations: provider.operations.iter().copied().filter(|one| *one != Operation::Models).collect(),
        enabled: provider.enabled,
        declared_enabled: provider.declared_enabled,
        builtin: provider.builtin,
        sandbox: facts.in_process,
        available: snapshot.selection.is_provider_available(&provider.slug),
        base_url: provider.base_url.as_str().trim_end_matches('/').into(),
        // One that a file no longer declares is remembered, should it come back, and is none meanwhile.
        default_connection: provider
            .default_connection
            .clone()
            .filter(|name| snapshot.connections.contains_key(&ConnectionId::new(provider.slug.clone(), name.clone()))),
        ui_preferences: object(ui_preferences),
        capabilities: Capability::ALL.iter().copied().filter(|one| can(provider, *one)).collect(),
        usage_count,
        last_health_check: last_check.map(check),
        connections: count(connections),
        models_fetched_at,
        models: provider.models.iter().map(|(id, facts)| model(id, facts)).chain(fetched).collect(),
    }
}

fn can(provider: &Provider, capability: Capability) -> bool {
    provider.models.values().any(|model| model.capabilities.is_some_and(|has| has.has(capability)))
}

fn check(check: &Check) -> HealthCheck {
    HealthCheck {
        at: Moment(check.at_ms),
        connection: check.connection.clone(),
        outcome: check.outcome,
        status: check.status,
        ms: check.ms,
        error: check.error.clone(),
    }
}

fn model(id: &str, facts: &Model) -> admin::Model {
    admin::Model {
        id: id.into(),
        capabilities: facts.capabilities.map(|all| all.iter().collect()),
        context_window: facts.context_window,
        max_output_tokens: facts.max_output_tokens,
        price: facts.price.as_ref().map(price),
    }
}

fn price(price: &Price) -> admin::Price {
    let tier = |tier: &crate::config::Tier| PriceTier {
        above_input_tokens: tier.above_input_tokens,
        rates: rates(&tier.rates),
    };
    admin::Price {
        rates: rates(&price.rates),
        request: price.each.request.map(UsdEach),
        image: price.each.image.map(UsdEach),
        search: price.each.search.map(UsdEach),
        characters: price.each.characters.map(UsdPerMillion),
        audio_minute: price.each.audio_minute.map(UsdEach),
        tiers: price.tiers.iter().map(tier).collect(),
    }
}

fn rates(rates: &Rates) -> PriceRates {
    let token = |price: Option<PicoUsd>| price.map(UsdPerMillion);
    PriceRates {
        input: token(rates.input),
        cached_input: token(rates.cached_input),
        cache_write: token(rates.cache_write),
        cache_write_1h: token(rates.cache_write_1h),
        output: token(rates.output),
        reasoning: token(rates.reasoning),
        audio_input: token(rates.audio_input),
        audio_output: token(rates.audio_output),
        image_input: token(rates.image_input),
        image_output: token(rates.image_output),
    }
}

/// A connection, without its secret.
pub(super) fn connection(snapshot: &Snapshot, one: &Connection, now: Now) -> admin::Connection {
    let provider = snapshot.selection.provider(one.id.provider.as_str());
    admin::Connection {
        id: one.id.clone(),
        provider: one.id.provider.clone(),
        name: one.id.name.clone(),
        status: ConnectionStatus::of(one.enabled),
        provider_enabled: provider.is_some_and(|provider| provider.enabled),
        health: health(one, provider.map(AsRef::as_ref), now),
        secret: SecretInfo { set: one.secret.is_some(), hint: one.secret_hint().map(Into::into) },
        priority: one.priority,
        weight: one.weight,
        limits: one.limits,
        quotas: quotas(one, now),
        limit_group: one.limit_group.clone(),
        settings: object(&one.settings),
        ui_metadata: object(&one.ui_metadata),
        expires_at: one.expires_ms.map(Moment),
        managed_by: match one.managed_by {
            connection::ManagedBy::Toml => ManagedBy::Toml,
            connection::ManagedBy::Store => ManagedBy::Store,
        },
    }
}

/// What is used of every limit that counts for a connection.
fn quotas(one: &Connection, now: Now) -> Vec<Quota> {
    let of_scope = |limited: &Limited| {
        let (key, used) = (limited.scope.key().clone(), limited.scope.used(now));
        let limit_group = match key.holder {
            Holder::Group(group) => Some(group),
            Holder::Connection(_) => None,
        };
        let shown = move |(figure, limit): (Figure, u64)| Quota {
            limit_group: limit_group.clone(),
            model: key.model.as_deref().map(str::to_owned),
            figure: figure.name().into(),
            used: figure.used(&used),
            limit,
        };
        let limits = limited.limits;
        Figure::ALL.iter().filter_map(move |figure| Some((*figure, figure.of(&limits)?))).map(shown)
    };
    one.quotas.all().flat_map(of_scope).collect()
}

/// A connection's health, beside the switches that concern it.
pub(super) fn connection_health(snapshot: &Snapshot, one: &Connection, now: Now) -> ConnectionHealth {
    let provider = snapshot.selection.provider(one.id.provider.as_str());
    ConnectionHealth {
        id: one.id.clone(),
        status: ConnectionStatus::of(one.enabled),
        provider_enabled: provider.is_some_and(|provider| provider.enabled),
        usable: snapshot.selection.is_usable(one) && !matches!(one.health.stand(now.at), Stand::Open { .. }),
        health: health(one, provider.map(AsRef::as_ref), now),
    }
}

fn health(one: &Connection, provider: Option<&Provider>, now: Now) -> admin::Health {
    let observed = one.health.observed();
    let (state, reason, until) = state(one, provider, now);
    let last_error = observed.last_error;
    admin::Health {
        state,
        reason,
        until: until.map(|until| Moment(now.wall_of(until))),
        last_used_at: observed.last_used_ms.map(Moment),
        last_error_at: last_error.as_ref().map(|error| Moment(error.at_ms)),
        last_error: last_error.map(|error| error.message),
        successes: observed.successes,
        errors: observed.errors,
        consecutive_failures: observed.consecutive_failures,
        in_flight: observed.in_flight,
    }
}

/// What stands against a connection, why, and until when: the most lasting first.
fn state(one: &Connection, provider: Option<&Provider>, now: Now) -> (HealthState, Option<String>, Option<Instant>) {
    let Some(provider) = provider else {
        let reason = format!("provider {} is no longer declared", one.id.provider);
        return (HealthState::NeedsSecret, Some(reason), None);
    };
    let no_secret = || one.secret_problem.clone().unwrap_or_else(|| "no secret is set".into());
    if one.lacks_secret(provider) {
        return (HealthState::NeedsSecret, Some(no_secret()), None);
    }
    match one.health.state() {
        connection::HealthState::Ok => passing(one, now),
        connection::HealthState::NeedsSecret => (HealthState::NeedsSecret, Some(no_secret()), None),
        connection::HealthState::Rejected => {
            let said = one.health.observed().last_error.map(|error| error.message);
            (HealthState::Rejected, Some(said.unwrap_or_else(|| "the provider refused the secret".into())), None)
        }
    }
}

/// What stands against a connection whose secret is not refused.
fn passing(one: &Connection, now: Now) -> (HealthState, Option<String>, Option<Instant>) {
    let account = one.account().read();
    if let Some(reason) = account.parked() {
        return (HealthState::Parked, Some(reason.to_owned()), None);
    }
    let failing = || Some(format!("{} failures in a row", one.health.observed().consecutive_failures));
    match one.health.stand(now.at) {
        Stand::Open { until } => return (HealthState::Open, failing(), Some(until)),
        Stand::HalfOpen => return (HealthState::HalfOpen, failing(), None),
        Stand::Closed => {}
    }
    if let Some((model, until)) = account.cooling(now.at).max_by_key(|(_, until)| *until) {
        return (HealthState::Cooling, Some(format!("a rate limit of {model}")), Some(until));
    }
    drop(account);
    match one.health.own().read().barred(now.at).max_by_key(|(_, until)| *until) {
        Some((model, until)) => (HealthState::Ok, Some(format!("not for {model}")), Some(until)),
        None => (HealthState::Ok, None, None),
    }
}

/// What a reload did.
pub(super) fn reload(reloaded: &super::Reloaded) -> Reload {
    Reload {
        at: Moment(reloaded.at_ms),
        changed: reloaded.changed,
        generation: reloaded.generation,
        changes: reloaded.changes.clone(),
        orphans: reloaded.orphans.clone(),
        warnings: problems(&reloaded.warnings),
        errors: problems(&reloaded.errors),
    }
}

/// What a sync would do.
pub(super) fn plan(reloaded: super::Reloaded) -> Plan {
    Plan {
        warnings: problems(&reloaded.warnings),
        errors: problems(&reloaded.errors),
        changes: reloaded.changes,
        orphans: reloaded.orphans,
    }
}

fn problems(problems: &[Problem]) -> Vec<ConfigProblem> {
    let shown = |problem: &Problem| ConfigProblem {
        file: problem.file.display().to_string(),
        line: problem.line,
        column: problem.column,
        key: problem.key.clone(),
        message: problem.message.clone(),
    };
    problems.iter().map(shown).collect()
}

/// A stored JSON object; empty where there is none.
pub(super) fn object(text: &str) -> Object {
    serde_json::from_str(text).unwrap_or_default()
}

/// A count, for replies.
pub(super) fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
