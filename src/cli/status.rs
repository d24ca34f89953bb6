//! `bursar status` and `bursar reload`.

use super::client::Client;
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Format, Output, Table, Tone, span};
use crate::api::admin::{
    BudgetFigure, BudgetStatus, Change, ChangeAction, ClientCounts, ConfigProblem, Orphan, Reload, Status,
};

/// Shows what the daemon is doing.
pub(super) async fn status(client: &Client, out: &Output) -> Outcome {
    let status: Status = client.get("/admin/v1/status").await?;
    out.pairs(&status, || table(&status, out.now_ms));
    Ok(Exit::Ok)
}

fn table(status: &Status, now_ms: i64) -> Table {
    let mut table = Table::new(["name", "value"], "");
    let mut row = |name: &str, value: Cell| table.row([Cell::text(name), value]);
    let uptime = span(i64::try_from(status.uptime_s).unwrap_or(i64::MAX));
    row("version", Cell::text(&status.version));
    row("running", Cell::text(format!("for {uptime}, since {}, as process {}", status.started_at, status.pid)));
    row("daemon file", Cell::maybe(status.config.daemon_file.as_ref(), Cell::text));
    row("providers file", Cell::text(&status.config.providers_file));
    row("configuration", Cell::text(format!("generation {}", status.config.generation)));
    row("store", Cell::text(format!("{}, generation {}", status.store.path, status.store.generation)));
    row("apps' socket", Cell::text(&status.sockets.app));
    row("admin socket", Cell::maybe(status.sockets.admin.as_ref(), Cell::text));
    row("workers", Cell::text(status.workers));
    let ClientCounts { open, in_flight, waiting } = status.clients;
    row("clients", Cell::text(format!("{open} connected, {in_flight} calls in flight, {waiting} waiting for room")));
    row("connections", connections(status));
    row("usage records", usage(status));
    for one in &status.budgets {
        row(&format!("budget {}", one.name), budget(one, now_ms));
    }
    if status.unexplained > 0 {
        row("unexplained", Cell::text(format!("{} requests were not remembered", status.unexplained)).tone(Tone::Warn));
    }
    row("last reload", Cell::maybe(status.last_reload.as_ref(), |reload| last(reload, now_ms)));
    for warning in &status.warnings {
        row("warning", Cell::text(warning).tone(Tone::Warn));
    }
    table
}

fn connections(status: &Status) -> Cell {
    let (usable, total) = (status.connections.usable, status.connections.total);
    let tone = if usable == 0 { Tone::Bad } else { Tone::Good };
    let next = if total == 0 { ": `bursar credentials set openai` adds one" } else { "" };
    Cell::text(format!("{usable} of {total} usable{next}")).tone(tone)
}

fn usage(status: &Status) -> Cell {
    let (queued, lost) = (status.usage.queued, status.usage.lost);
    let cell = Cell::text(format!("{queued} waiting, {lost} lost"));
    if lost > 0 { cell.tone(Tone::Bad) } else { cell }
}

/// What is left of a budget.
fn budget(one: &BudgetStatus, now_ms: i64) -> Cell {
    let count = |figure: BudgetFigure, unit: &str| format!("{} of {} {unit}", figure.left, figure.limit);
    let usd = one.usd.map(|usd| format!("{} of {} USD", usd.left, usd.limit));
    let tokens = one.tokens.map(|figure| count(figure, "tokens"));
    let requests = one.requests.map(|figure| count(figure, "requests"));
    let figures: Vec<String> = [usd, tokens, requests].into_iter().flatten().collect();
    let back = span(one.resets_at.0.saturating_sub(now_ms) / 1_000);
    let (of, who, figures) = (&one.of, &one.who, figures.join(", "));
    let cell = Cell::text(format!("{figures} left to {of} {who} this {}, anew in {back}", one.per));
    match (one.spent, one.on_exceed.as_str()) {
        (false, _) => cell,
        (true, "deny") => cell.tone(Tone::Bad),
        (true, _) => cell.tone(Tone::Warn),
    }
}

fn last(reload: &Reload, now_ms: i64) -> Cell {
    let ago = span(now_ms.saturating_sub(reload.at.0) / 1_000);
    match reload.errors.len() {
        0 if reload.changed => Cell::text(format!("{ago} ago, taken")).tone(Tone::Good),
        0 => Cell::text(format!("{ago} ago, nothing had changed")),
        _ => Cell::text(format!("{ago} ago, refused: {}", reasons(&reload.errors))).tone(Tone::Bad),
    }
}

/// Why files were refused. What only a running daemon minds, such as a file that has vanished, `bursar check` cannot know.
pub(super) fn reasons(errors: &[ConfigProblem]) -> String {
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    match errors.len() {
        0 | 1 => first,
        count => format!("{first} ({}; `bursar config diff` shows all)", counted(count)),
    }
}

/// Makes the daemon read its configuration again, and shows what came of it.
pub(super) async fn reload(client: &Client, out: &Output) -> Outcome {
    let reload: Reload = client.at_work().ask("/admin/v1/reload").await?;
    reloaded(out, &reload)
}

/// Shows what reading the configuration again came to.
pub(super) fn reloaded(out: &Output, reload: &Reload) -> Outcome {
    if reload.errors.is_empty() {
        out.rows(reload, || changes(&reload.changes, "nothing had changed"));
        orphans(out, &reload.orphans);
    } else {
        out.rows(reload, || problems(&reload.errors));
    }
    warn(out, &reload.warnings);
    refused(&reload.errors, "the configuration in force stays as it was")
}

/// The differences between two configurations, and what is done in the store.
pub(super) fn changes(changes: &[Change], empty: &str) -> Table {
    let mut table = Table::new(["action", "kind", "name", "what"], empty);
    for change in changes {
        let keys = || change.keys.iter().map(|one| one.key.as_str()).collect::<Vec<_>>().join(", ");
        let what = match &change.note {
            None => keys(),
            Some(note) if change.keys.is_empty() => note.clone(),
            Some(note) => format!("{}; {note}", keys()),
        };
        let kind = change.kind.name();
        table.row([
            Cell::text(change.action.name()).tone(tone(change.action)),
            Cell::text(kind.replace('_', " ")).raw(kind),
            Cell::text(&change.name),
            Cell::text(what),
        ]);
    }
    table
}

/// How good a change is to meet unprepared.
pub(super) fn tone(action: ChangeAction) -> Tone {
    match action {
        ChangeAction::Added => Tone::Good,
        ChangeAction::Changed | ChangeAction::Moved => Tone::Warn,
        ChangeAction::Removed | ChangeAction::Pruned => Tone::Bad,
    }
}

/// What the store keeps of things that are no longer declared, beside the answer.
pub(super) fn orphans(out: &Output, orphans: &[Orphan]) {
    if orphans.is_empty() || out.format != Format::Table {
        return;
    }
    for Orphan { kind, name, keeps } in orphans {
        out.remark(&format!("orphan: {} {name} is no longer declared; the store keeps {keeps}", kind.name()));
    }
    out.remark("`bursar providers sync --map OLD=NEW` moves what a renamed provider had, --prune removes all orphans");
}

/// What is wrong with configuration files.
pub(super) fn problems(problems: &[ConfigProblem]) -> Table {
    let mut table = Table::new(["file", "line", "key", "message"], "no errors");
    for problem in problems {
        table.row([
            Cell::text(&problem.file),
            Cell::maybe(problem.line, Cell::number),
            Cell::text(&problem.key),
            Cell::text(&problem.message),
        ]);
    }
    table
}

/// Tells of what is odd, beside the answer.
pub(super) fn warn(out: &Output, warnings: &[ConfigProblem]) {
    for warning in warnings {
        out.remark(&format!("warning: {warning}"));
    }
}

/// The end of a command that found so many errors in a configuration.
pub(super) fn refused(errors: &[ConfigProblem], meanwhile: &str) -> Outcome {
    match errors.len() {
        0 => Ok(Exit::Ok),
        count => Err(Failed::state(format!("{}: {meanwhile}", counted(count)))),
    }
}

/// So many errors, in words.
pub(super) fn counted(errors: usize) -> String {
    if errors == 1 { "1 error".into() } else { format!("{errors} errors") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Moment;
    use crate::api::admin::{
        ChangeKind, ConfigStatus, ConnectionCounts, KeyChange, SocketPaths, StoreStatus, UsageStatus,
    };

    const NOW_MS: i64 = 1_700_000_000_000;

    fn a_status() -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 4_711,
            started_at: Moment(NOW_MS - 7_200_000),
            uptime_s: 7_200,
            config: ConfigStatus {
                daemon_file: Some("/etc/bursar/bursar.toml".into()),
                providers_file: "/etc/bursar/providers.toml".into(),
                generation: 3,
            },
            store: StoreStatus { path: "/var/lib/bursar".into(), generation: 12 },
            sockets: SocketPaths { app: "/run/bursar/bursar.sock".into(), admin: None },
            workers: 2,
            clients: ClientCounts { open: 5, in_flight: 1, waiting: 0 },
            connections: ConnectionCounts { total: 0, usable: 0 },
            usage: UsageStatus { queued: 0, lost: 0 },
            unexplained: 0,
            budgets: Vec::new(),
            warnings: vec!["the disk has 40 MB left".into()],
            last_reload: None,
        }
    }

    #[test]
    fn status_is_a_name_and_a_value_a_line() {
        insta::assert_snapshot!(table(&a_status(), NOW_MS).to_pairs(false), @r"
        version         0.1.0
        running         for 2 h, since 2023-11-14T20:13:20.000Z, as process 4711
        daemon file     /etc/bursar/bursar.toml
        providers file  /etc/bursar/providers.toml
        configuration   generation 3
        store           /var/lib/bursar, generation 12
        apps' socket    /run/bursar/bursar.sock
        admin socket    -
        workers         2
        clients         5 connected, 1 calls in flight, 0 waiting for room
        connections     0 of 0 usable: `bursar credentials set openai` adds one
        usage records   0 waiting, 0 lost
        last reload     -
        warning         the disk has 40 MB left
        ");
    }

    #[test]
    fn a_refused_reload_says_why_and_where_the_other_reasons_are() {
        let error = |message: &str| ConfigProblem {
            file: "/etc/bursar/providers.toml".into(),
            line: None,
            column: None,
            key: String::new(),
            message: message.into(),
        };
        let errors = [error("the file has vanished; nothing was changed"), error("b")];
        let told = |errors: &[ConfigProblem]| {
            let reload = Reload {
                at: Moment(NOW_MS - 5_000),
                changed: false,
                generation: 3,
                changes: Vec::new(),
                orphans: Vec::new(),
                warnings: Vec::new(),
                errors: errors.to_vec(),
            };
            table(&Status { last_reload: Some(reload), ..a_status() }, NOW_MS).to_pairs(false)
        };
        let vanished = "5 s ago, refused: /etc/bursar/providers.toml: the file has vanished; nothing was changed";
        assert!(told(&errors[..1]).contains(&format!("{vanished}\n")), "{}", told(&errors[..1]));
        let all = format!("{vanished} (2 errors; `bursar config diff` shows all)\n");
        assert!(told(&errors).contains(&all), "{}", told(&errors));
    }

    #[test]
    fn a_reload_shows_its_changes() {
        let key = |key: &str| KeyChange { key: key.into(), was: None, now: None, file: None, line: None };
        let mut openai = Change::new(ChangeKind::Provider, "openai", ChangeAction::Changed);
        openai.keys = vec![key("base_url"), key("models.m.price.input")];
        let mut moved = Change::new(ChangeKind::Connection, "old:main", ChangeAction::Moved);
        moved.note = Some("to new:main, with its secret".into());
        let all = [
            openai,
            Change::new(ChangeKind::Route, "fast", ChangeAction::Added),
            Change::new(ChangeKind::LimitGroup, "org-acme", ChangeAction::Removed),
            moved,
        ];
        insta::assert_snapshot!(changes(&all, "").to_text(false), @r"
        ACTION   KIND         NAME      WHAT
        changed  provider     openai    base_url, models.m.price.input
        added    route        fast
        removed  limit group  org-acme
        moved    connection   old:main  to new:main, with its secret
        ");
        assert_eq!(changes(&[], "nothing had changed").to_text(false), "nothing had changed\n");
    }
}
