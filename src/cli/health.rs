//! `bursar health`, and how health and tests are shown elsewhere.

use clap::Args;
use serde::Serialize;

use super::client::Client;
use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Output, Table, Tone, ago, ahead};
use crate::api::admin::{self, CheckReport, ConnectionHealth, ConnectionStatus, HealthList, HealthState, TestResult};

/// Show how connections fare
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Ask every enabled connection's provider now; ends with 76 if any fails
    #[arg(long)]
    check: bool,
}

impl Health {
    pub(super) async fn run(self, client: &Client, out: &Output) -> Outcome {
        if self.check {
            let report: CheckReport = client.at_work().ask("/admin/v1/health/check").await?;
            return show_results(out, &report, &report.results);
        }
        let list: HealthList = client.get("/admin/v1/health").await?;
        out.rows(&list, || table(&list.connections, out.now_ms));
        Ok(Exit::Ok)
    }
}

fn table(connections: &[ConnectionHealth], now_ms: i64) -> Table {
    let columns = [
        "connection",
        "health",
        "until",
        "last_used",
        "last_error",
        "successes",
        "errors",
        "in_a_row",
        "in_flight",
        "reason",
    ];
    let mut table = Table::new(columns, "no connections yet: `bursar credentials set openai` adds one");
    for one in connections {
        let health = &one.health;
        table.row([
            Cell::text(&one.id),
            overall(one),
            ahead(health.until, now_ms),
            ago(health.last_used_at, now_ms),
            ago(health.last_error_at, now_ms),
            Cell::number(health.successes),
            Cell::number(health.errors),
            Cell::number(health.consecutive_failures),
            Cell::number(health.in_flight),
            Cell::maybe(reason(health), Cell::text),
        ]);
    }
    table
}

fn reason(health: &admin::Health) -> Option<&str> {
    health.reason.as_deref().or(health.last_error.as_deref())
}

/// The state of a connection, unless a switch says that it does not matter.
fn overall(one: &ConnectionHealth) -> Cell {
    let raw = one.health.state.name();
    match (one.status, one.provider_enabled) {
        (ConnectionStatus::Disabled, _) => Cell::text("disabled").raw(raw).tone(Tone::Faint),
        (_, false) => Cell::text("provider disabled").raw(raw).tone(Tone::Faint),
        _ => state(one.health.state),
    }
}

/// A state of health, in its colour.
pub(super) fn state(state: HealthState) -> Cell {
    let tone = match state {
        HealthState::Ok => Tone::Good,
        HealthState::Cooling | HealthState::HalfOpen => Tone::Warn,
        HealthState::Parked | HealthState::Rejected | HealthState::Open | HealthState::NeedsSecret => Tone::Bad,
    };
    Cell::text(state.name().replace('_', " ")).raw(state.name()).tone(tone)
}

/// Shows tests of connections; a failed one is the command's failure.
pub(super) fn show_results(out: &Output, object: &impl Serialize, results: &[TestResult]) -> Outcome {
    out.rows(object, || tested(results));
    match results.iter().filter(|result| !passed(result)).count() {
        0 => Ok(Exit::Ok),
        failed => Err(Failed::new(Exit::Upstream, format!("{failed} of {} tests failed", results.len()))),
    }
}

fn passed(result: &TestResult) -> bool {
    result.outcome == crate::api::Outcome::Ok
}

fn tested(results: &[TestResult]) -> Table {
    let columns = ["connection", "outcome", "status", "ms", "models", "error"];
    let mut table = Table::new(columns, "nothing to test: no connection is enabled at an enabled provider");
    for result in results {
        let tone = if passed(result) { Tone::Good } else { Tone::Bad };
        table.row([
            Cell::text(&result.connection),
            Cell::text(result.outcome).tone(tone),
            Cell::maybe(result.status, Cell::number),
            Cell::number(result.ms),
            Cell::number(result.models.len()),
            Cell::maybe(result.error.as_ref(), Cell::text),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Moment, Outcome};

    const NOW_MS: i64 = 1_700_000_000_000;

    #[test]
    fn health_says_why_and_until_when() {
        let one = |id: &str, state, reason: Option<&str>, until: Option<i64>| ConnectionHealth {
            id: id.parse().unwrap(),
            status: ConnectionStatus::Enabled,
            provider_enabled: id != "gemini:main",
            usable: state == HealthState::Ok,
            health: admin::Health {
                state,
                reason: reason.map(Into::into),
                until: until.map(Moment),
                last_used_at: Some(Moment(NOW_MS - 5_000)),
                last_error_at: (state == HealthState::Cooling).then_some(Moment(NOW_MS - 5_000)),
                last_error: None,
                successes: 1_204,
                errors: 3,
                consecutive_failures: 0,
                in_flight: 2,
            },
        };
        let all = [
            one("openai:main", HealthState::Ok, None, None),
            one("openai:second", HealthState::Cooling, Some("429: slow down"), Some(NOW_MS + 30_000)),
            one("gemini:main", HealthState::NeedsSecret, Some("no secret is set"), None),
        ];
        insta::assert_snapshot!(table(&all, NOW_MS).to_text(false), @r"
        CONNECTION     HEALTH             UNTIL    LAST USED  LAST ERROR  SUCCESSES  ERRORS  IN A ROW  IN FLIGHT  REASON
        openai:main    ok                 -        5 s ago    -                1204       3         0          2  -
        openai:second  cooling            in 30 s  5 s ago    5 s ago          1204       3         0          2  429: slow down
        gemini:main    provider disabled  -        5 s ago    -                1204       3         0          2  no secret is set
        ");
    }

    #[test]
    fn tests_show_what_the_provider_said() {
        let result = |outcome, status, error: Option<&str>| TestResult {
            connection: "openai:main".parse().unwrap(),
            outcome,
            status,
            ms: 312,
            error: error.map(Into::into),
            models: vec!["a".into(), "b".into()],
        };
        let all = [result(Outcome::Ok, Some(200), None), result(Outcome::Credential, Some(401), Some("invalid key"))];
        insta::assert_snapshot!(tested(&all).to_text(false), @r"
        CONNECTION   OUTCOME     STATUS   MS  MODELS  ERROR
        openai:main  ok             200  312       2  -
        openai:main  credential     401  312       2  invalid key
        ");
    }
}
