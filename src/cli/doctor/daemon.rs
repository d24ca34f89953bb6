//! What the daemon says itself, if it answers.

use super::{Finding, REACHABLE};
use crate::api::admin::{ConnectionList, HealthState, Status};
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::exit::{Exit, Failed};
use crate::cli::locate::Plane;
use crate::cli::status;

/// Asks the daemon how it is.
pub(super) async fn look(global: &Global) -> Vec<Finding> {
    let client = match global.client(Plane::Admin) {
        Ok(client) => client,
        Err(failed) => return vec![unreachable(&failed)],
    };
    match client.get::<Status>("/admin/v1/status").await {
        Ok(status) => {
            let mut findings = of_status(&status);
            findings.extend(of_connections(&client).await);
            findings
        }
        Err(error) => vec![unreachable(&error.into())],
    }
}

fn unreachable(failed: &Failed) -> Finding {
    match failed.exit {
        Exit::NotPermitted => {
            Finding::warn(REACHABLE, failed.message.clone(), "it may run all the same: ask it as an operator")
        }
        _ => Finding::fail(REACHABLE, failed.message.clone(), "`journalctl -u bursar` tells why it does not run"),
    }
}

fn of_status(status: &Status) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (own, running) = (env!("CARGO_PKG_VERSION"), &status.version);
    if own == running {
        findings.push(Finding::good(REACHABLE, format!("version {running} answers, as process {}", status.pid)));
    } else {
        let detail = format!("version {running} runs, and this is {own}");
        findings.push(Finding::warn(REACHABLE, detail, "start it again: `systemctl restart bursar`"));
    }
    if let Some(reload) = status.last_reload.as_ref().filter(|reload| !reload.errors.is_empty()) {
        let detail = format!("the last reload was refused: {}", status::reasons(&reload.errors));
        findings.push(Finding::fail("reload", detail, "mend the files: what was in force still is"));
    }
    let warning = |text: &String| Finding::warn("status", text.clone(), "`bursar status` shows it until it is over");
    // What is odd in the files has been told from the files.
    let of_files = |text: &&String| !text.contains(".toml:");
    findings.extend(status.warnings.iter().filter(of_files).map(warning));
    if status.usage.lost > 0 {
        let detail = format!("{} usage records were lost since it began", status.usage.lost);
        findings.push(Finding::fail("usage", detail, "look at the disk, and at the log for the reason"));
    }
    findings
}

/// Connections shown one by one, at most.
const SHOWN_MAX: usize = 10;

async fn of_connections(client: &Client) -> Vec<Finding> {
    const CHECK: &str = "connections";
    let Ok(list) = client.get::<ConnectionList>("/admin/v1/connections").await else { return Vec::new() };
    let wrong = |state| matches!(state, HealthState::NeedsSecret | HealthState::Rejected | HealthState::Parked);
    let all = list.connections.iter().filter(|one| one.status.is_enabled() && wrong(one.health.state));
    let (total, bad) = (list.connections.len(), all.clone().count());
    let mut findings = Vec::new();
    for one in all.take(SHOWN_MAX) {
        let reason = one.health.reason.as_deref().unwrap_or("no reason is known");
        let advice = format!("`bursar connections show {}` tells all", one.id);
        findings.push(Finding::warn(CHECK, format!("{} is {}: {reason}", one.id, one.health.state.name()), advice));
    }
    if bad > SHOWN_MAX {
        let more = format!("and {} more", bad - SHOWN_MAX);
        findings.push(Finding::warn(CHECK, more, "`bursar connections list` shows all"));
    }
    if total == 0 {
        findings.push(Finding::warn(CHECK, "there are none", "`bursar credentials set openai` adds the first"));
    } else if bad == 0 {
        findings.push(Finding::good(CHECK, format!("{total}, and nothing lasting stands against any that is enabled")));
    }
    findings
}
