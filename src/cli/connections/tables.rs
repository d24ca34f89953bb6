//! Connections as tables.

use crate::api::admin::{Connection, Limits, Quota, SecretInfo};
use crate::cli::health;
use crate::cli::output::{Cell, Table, Tone, ago, ahead};

/// Connections, a line each.
pub(super) fn list_of(connections: &[Connection], now_ms: i64) -> Table {
    let columns = [
        "connection",
        "status",
        "health",
        "until",
        "priority",
        "weight",
        "secret",
        "limits",
        "last_used",
        "managed_by",
    ];
    let mut table = Table::new(columns, "no connections: `bursar credentials set openai` adds one");
    for one in connections {
        table.row([
            Cell::text(&one.id),
            status(one),
            health::state(one.health.state),
            ahead(one.health.until, now_ms),
            Cell::number(one.priority),
            Cell::number(one.weight),
            secret(&one.secret),
            limits(&one.limits),
            ago(one.health.last_used_at, now_ms),
            Cell::text(one.managed_by.name()),
        ]);
    }
    table
}

/// All of one connection.
pub(super) fn details(one: &Connection, now_ms: i64) -> Table {
    let mut table = Table::new(["name", "value"], "");
    let mut row = |name: &str, value: Cell| table.row([Cell::text(name), value]);
    let object = |object: &crate::api::admin::Object| {
        let text = (!object.is_empty()).then(|| serde_json::to_string(object).unwrap_or_default());
        Cell::maybe(text, Cell::text)
    };
    row("connection", Cell::text(&one.id));
    row("status", status(one));
    row("health", health::state(one.health.state));
    row("reason", Cell::maybe(one.health.reason.as_ref(), Cell::text));
    row("until", ahead(one.health.until, now_ms));
    row("secret", secret(&one.secret));
    row("expires", ahead(one.expires_at, now_ms));
    row("priority", Cell::text(one.priority));
    row("weight", Cell::text(one.weight));
    row("limits", limits(&one.limits));
    for quota in &one.quotas {
        row("used", used(quota));
    }
    row("limit group", Cell::maybe(one.limit_group.as_ref(), Cell::text));
    row("settings", object(&one.settings));
    row("notes", object(&one.ui_metadata));
    row("last used", ago(one.health.last_used_at, now_ms));
    row("successes", Cell::text(one.health.successes));
    row("errors", Cell::text(format!("{}, {} in a row", one.health.errors, one.health.consecutive_failures)));
    row("last error", ago(one.health.last_error_at, now_ms));
    row("it said", Cell::maybe(one.health.last_error.as_ref(), Cell::text));
    row("in flight", Cell::text(one.health.in_flight));
    row("managed by", Cell::text(one.managed_by.name()));
    table
}

/// The operator's switch, and the provider's where that stands against it.
pub(in crate::cli) fn status(one: &Connection) -> Cell {
    let raw = one.status.name();
    match (one.status.is_enabled(), one.provider_enabled) {
        (true, true) => Cell::text(raw).tone(Tone::Good),
        (true, false) => Cell::text("enabled, provider is not").raw(raw).tone(Tone::Warn),
        (false, _) => Cell::text(raw).tone(Tone::Faint),
    }
}

/// Whether there is a secret, and its end.
pub(in crate::cli) fn secret(secret: &SecretInfo) -> Cell {
    match (&secret.hint, secret.set) {
        (Some(hint), true) => Cell::text(hint),
        (None, true) => Cell::text("set"),
        (_, false) => Cell::none(),
    }
}

/// The quotas that are there, in short.
fn limits(limits: &Limits) -> Cell {
    let short = ["req/min", "req/day", "tok/min", "tok/day", "at once"];
    let shown: Vec<_> = limits
        .figures()
        .into_iter()
        .zip(short)
        .filter_map(|((_, figure), short)| figure.map(|figure| format!("{figure} {short}")))
        .collect();
    Cell::maybe((!shown.is_empty()).then(|| shown.join(", ")), Cell::text)
}

/// What is used of one limit.
fn used(quota: &Quota) -> Cell {
    let Quota { limit_group, model, figure, used, limit } = quota;
    let of_group = limit_group.iter().map(|group| format!(" of group {group}"));
    let of_model = model.iter().map(|model| format!(" for {model}"));
    let whose: String = of_group.chain(of_model).collect();
    let cell = Cell::text(format!("{used} of {limit} {figure}{whose}"));
    if used >= limit { cell.tone(Tone::Warn) } else { cell }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::api::Moment;
    use crate::api::admin::{ConnectionStatus, Health, HealthState, ManagedBy, Object};

    const NOW_MS: i64 = 1_700_000_000_000;

    pub(in crate::cli) fn connection(id: &str) -> Connection {
        let id: crate::api::ConnectionId = id.parse().unwrap();
        Connection {
            provider: id.provider.clone(),
            name: id.name.clone(),
            id,
            status: ConnectionStatus::Enabled,
            provider_enabled: true,
            health: Health {
                state: HealthState::Ok,
                reason: None,
                until: None,
                last_used_at: Some(Moment(NOW_MS - 300_000)),
                last_error_at: None,
                last_error: None,
                successes: 12,
                errors: 1,
                consecutive_failures: 0,
                in_flight: 0,
            },
            secret: SecretInfo { set: true, hint: Some("…9876".into()) },
            priority: 1,
            weight: 1,
            limits: Limits { requests_per_minute: Some(500), concurrent: Some(32), ..Limits::default() },
            quotas: vec![Quota {
                limit_group: None,
                model: Some("m".into()),
                figure: "requests_per_minute".into(),
                used: 12,
                limit: 500,
            }],
            limit_group: None,
            settings: Object::new(),
            ui_metadata: Object::new(),
            expires_at: None,
            managed_by: ManagedBy::Store,
        }
    }

    #[test]
    fn connections_are_listed_with_what_stands_against_them() {
        let mut off = connection("gemini:main");
        off.provider_enabled = false;
        off.secret = SecretInfo { set: false, hint: None };
        off.health.state = HealthState::NeedsSecret;
        off.limits = Limits::default();
        insta::assert_snapshot!(list_of(&[connection("openai:main"), off], NOW_MS).to_text(false), @r"
        CONNECTION   STATUS                    HEALTH        UNTIL  PRIORITY  WEIGHT  SECRET  LIMITS                   LAST USED  MANAGED BY
        openai:main  enabled                   ok            -             1       1  …9876   500 req/min, 32 at once  5 min ago  store
        gemini:main  enabled, provider is not  needs secret  -             1       1  -       -                        5 min ago  store
        ");
        insta::assert_snapshot!(list_of(&[connection("openai:main")], NOW_MS).to_csv().replace("\r\n", "\n"), @r#"
        connection,status,health,until,priority,weight,secret,limits,last_used,managed_by
        openai:main,enabled,ok,,1,1,…9876,"500 req/min, 32 at once",2023-11-14T22:08:20.000Z,store
        "#);
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        let text = list_of(&[], NOW_MS).to_text(false);
        assert_eq!(text, "no connections: `bursar credentials set openai` adds one\n");
    }

    #[test]
    fn one_connection_is_shown_whole() {
        insta::assert_snapshot!(details(&connection("openai:main"), NOW_MS).to_pairs(false), @r"
        connection   openai:main
        status       enabled
        health       ok
        reason       -
        until        -
        secret       …9876
        expires      -
        priority     1
        weight       1
        limits       500 req/min, 32 at once
        used         12 of 500 requests_per_minute for m
        limit group  -
        settings     -
        notes        -
        last used    5 min ago
        successes    12
        errors       1, 0 in a row
        last error   -
        it said      -
        in flight    0
        managed by   store
        ");
    }
}
