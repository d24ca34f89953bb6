//! How connections stand: their switches, their health, the room that is left, and what retries a provider may have.

use std::collections::BTreeMap;

use super::text::{Kind, Text};
use crate::admin::control::Admin;
use crate::admin::view;
use crate::api::admin::{Connection, ConnectionHealth, HealthState};
use crate::bounds;
use crate::clock::Now;
use crate::snapshot::Snapshot;

pub(super) fn put(text: &mut Text, admin: &Admin) {
    let (snapshot, now) = (admin.engine.snapshot.load(), admin.engine.clock.both());
    let all: Vec<_> = snapshot.connections.values().map(|one| view::connection_health(&snapshot, one, now)).collect();
    put_counts(text, &all);
    let some = all.get(..bounds::METRIC_CONNECTIONS_MAX.min(all.len())).unwrap_or_default();
    put_each(text, some);
    put_cooling(text, &snapshot, now);
    put_limits(text, &snapshot, now);
    let help = "Retries that a provider may have now, besides one for every few requests that come.";
    text.family("bursar_retry_budget_left", Kind::Gauge, "", help);
    for provider in snapshot.selection.providers().take(bounds::METRIC_NAMES_MAX) {
        if let Some(budget) = snapshot.selection.retries(&provider.slug) {
            text.sample("", &[("provider", provider.slug.as_str())], budget.left(now.at));
        }
    }
}

/// How many there are, whatever their number.
fn put_counts(text: &mut Text, all: &[ConnectionHealth]) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for state in HealthState::ALL {
        counts.insert(("enabled", state.name()), 0);
    }
    for one in all {
        let status = if one.provider_enabled { one.status.name() } else { "disabled" };
        *counts.entry((status, one.health.state.name())).or_default() += 1;
    }
    let help = "Connections to providers, by switch (a provider's included) and health.";
    text.family("bursar_connections", Kind::Gauge, "", help);
    for ((status, health), count) in counts {
        text.sample("", &[("status", status), ("health", health)], count);
    }
    let usable = all.iter().filter(|one| one.usable).count();
    text.one("bursar_connections_usable", Kind::Gauge, "", "Connections that a request could go to now.", usable);
    let in_flight: u64 = all.iter().map(|one| u64::from(one.health.in_flight)).sum();
    text.one("bursar_attempts_in_flight", Kind::Gauge, "", "Calls to providers that run now.", in_flight);
}

fn put_each(text: &mut Text, some: &[ConnectionHealth]) {
    let mut gauge = |name, help, value: fn(&ConnectionHealth) -> u64| {
        text.family(name, Kind::Gauge, "", help);
        for one in some {
            text.sample("", &[("connection", &one.id.to_string())], value(one));
        }
    };
    gauge("bursar_connection_enabled", "Whether its switch and its provider's are on.", |one| {
        u64::from(one.provider_enabled && one.status.is_enabled())
    });
    gauge("bursar_connection_usable", "Whether a request could go to it now.", |one| u64::from(one.usable));
    gauge("bursar_connection_in_flight", "Calls that run now.", |one| u64::from(one.health.in_flight));
    gauge("bursar_connection_consecutive_failures", "Failures since its last success.", |one| {
        u64::from(one.health.consecutive_failures)
    });
    let help = "What is observed of it; open and half_open are its breaker's states.";
    text.family("bursar_connection_health", Kind::StateSet, "", help);
    for one in some {
        let id = one.id.to_string();
        for state in HealthState::ALL {
            let labels = [("connection", id.as_str()), ("bursar_connection_health", state.name())];
            text.sample("", &labels, u64::from(one.health.state == *state));
        }
    }
}

fn put_cooling(text: &mut Text, snapshot: &Snapshot, now: Now) {
    let help = "Models that are left alone after a rate limit.";
    text.family("bursar_connection_cooling_models", Kind::Gauge, "", help);
    for one in snapshot.connections.values().take(bounds::METRIC_CONNECTIONS_MAX) {
        let cooling = one.account().read().cooling(now.at).count();
        text.sample("", &[("connection", &one.id.to_string())], cooling);
    }
}

/// The limits that there are, each once, however many connections share it.
fn put_limits(text: &mut Text, snapshot: &Snapshot, now: Now) {
    let mut limits: BTreeMap<[String; 4], (u64, u64)> = BTreeMap::new();
    for one in snapshot.connections.values() {
        if limits.len() >= bounds::METRIC_LIMITS_MAX {
            break;
        }
        let Connection { id, quotas, .. } = view::connection(snapshot, one, now);
        for quota in quotas {
            let (connection, group) = match quota.limit_group {
                Some(group) => (String::new(), group.to_string()),
                None => (id.to_string(), String::new()),
            };
            let key = [connection, group, quota.model.unwrap_or_default(), quota.figure];
            limits.insert(key, (quota.limit, quota.limit.saturating_sub(quota.used)));
        }
    }
    let mut family = |name, help, value: fn(&(u64, u64)) -> u64| {
        text.family(name, Kind::Gauge, "", help);
        for ([connection, group, model, figure], limit) in &limits {
            let labels = [("connection", connection), ("limit_group", group), ("model", model), ("figure", figure)];
            let labels: Vec<_> = labels.into_iter().map(|(name, value)| (name, value.as_str())).collect();
            let labels: Vec<_> = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            text.sample("", &labels, value(limit));
        }
    };
    family("bursar_limit", "A limit of a connection, or of a limit group.", |limit| limit.0);
    family("bursar_limit_left", "What is left of it now.", |limit| limit.1);
}
