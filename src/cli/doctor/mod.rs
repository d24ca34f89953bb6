//! `bursar doctor`: everything that has to be right around the daemon, looked at from outside, whether it runs or not.
//!
//! Each look is a function that gives findings; none changes anything, and none stops at what it may not see.

mod daemon;
mod host;

use clap::Args;
use serde_json::json;

use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Format, Output, Table, Tone};
use super::{Global, locate};
use crate::adapter;
use crate::config::{self, Daemon};

/// Look for what keeps Bursar from working, or soon will
///
/// Looks at configuration, keys, the store, the disk, sockets, groups, TLS roots, the clock, files' modes and the daemon
/// itself, and says of each what to do. Nothing is changed, and it works while the daemon is down. Ends with 78 if
/// something is broken, with 69 if that is the daemon alone, which is not reachable.
#[derive(Debug, Args)]
pub(super) struct Doctor {}

/// How it stands with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Warn,
    Fail,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Good => Tone::Good,
            Self::Warn => Tone::Warn,
            Self::Fail => Tone::Bad,
        }
    }
}

/// What was found of one thing, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    check: &'static str,
    state: State,
    detail: String,
    advice: Option<String>,
}

impl Finding {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Good, detail: detail.into(), advice: None }
    }

    fn warn(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Warn, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn fail(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Fail, detail: detail.into(), advice: Some(advice.into()) }
    }
}

/// The check that fails when no daemon answers.
const REACHABLE: &str = "daemon";

impl Doctor {
    pub(super) async fn run(self, global: &Global, out: &Output, now_ms: i64) -> Outcome {
        let findings = look(global, now_ms).await;
        let shown: Vec<_> = findings
            .iter()
            .map(|one| {
                json!({ "check": one.check, "state": one.state.name(), "detail": one.detail, "advice": one.advice })
            })
            .collect();
        match out.format {
            Format::Table => findings.iter().for_each(|one| show(out, one)),
            Format::Json | Format::Csv => out.rows(&json!({ "checks": shown }), || table(&findings)),
        }
        end(&findings)
    }
}

fn end(findings: &[Finding]) -> Outcome {
    let failed: Vec<_> = findings.iter().filter(|one| one.state == State::Fail).collect();
    let warned = findings.iter().filter(|one| one.state == State::Warn).count();
    let message = match (failed.len(), warned) {
        (0, _) => return Ok(Exit::Ok),
        (1, _) => "1 thing is broken".to_owned(),
        (count, _) => format!("{count} things are broken"),
    };
    let only_daemon = failed.iter().all(|one| one.check == REACHABLE);
    Err(Failed::new(if only_daemon { Exit::Unreachable } else { Exit::State }, message))
}

async fn look(global: &Global, now_ms: i64) -> Vec<Finding> {
    let environment = locate::environment();
    let file = environment.daemon_file(global.config.as_deref());
    let mut findings = Vec::new();
    let daemon = match config::load_daemon(file.as_deref(), &environment, None) {
        Ok(loaded) => {
            let place = file.as_ref().map_or_else(|| "built-in defaults".into(), |file| file.display().to_string());
            findings.push(Finding::good("configuration", place));
            findings.extend(host::warnings(&loaded.warnings));
            Some(loaded.value)
        }
        Err(report) => {
            findings.extend(host::errors(&report));
            None
        }
    };
    if let Some(daemon) = &daemon {
        around(daemon, now_ms, &mut findings);
    }
    findings.extend(daemon::look(global).await);
    findings
}

/// What can be seen from the files alone.
fn around(daemon: &Daemon, now_ms: i64, findings: &mut Vec<Finding>) {
    let catalogue = config::load_catalogue(&daemon.providers_file, &adapter::kinds(), None);
    match &catalogue {
        Ok(loaded) => {
            findings.push(host::providers_file(daemon, &loaded.sources));
            findings.extend(host::warnings(&loaded.warnings));
        }
        Err(report) => findings.extend(host::errors(report)),
    }
    findings.push(host::master_key(daemon));
    findings.extend(host::store(&daemon.store_path));
    findings.push(host::disk(&daemon.store_path));
    findings.extend(host::sockets(&daemon.server));
    findings.extend(host::groups(daemon));
    let catalogue = catalogue.ok().map(|loaded| loaded.value);
    findings.extend(host::roots(catalogue.as_ref()));
    findings.extend(host::clock(&daemon.store_path, now_ms));
    if let Some(catalogue) = &catalogue {
        findings.extend(host::secrets(catalogue));
        findings.extend(host::sandbox(catalogue));
    }
}

fn show(out: &Output, finding: &Finding) {
    let Finding { check, state, detail, advice } = finding;
    out.toned(&format!("{:<5}", state.name()), state.tone());
    out.text(&format!("{check:<14}{}\n", super::output::printable(detail)));
    if let Some(advice) = advice {
        out.text(&format!("{:<19}-> {}\n", "", super::output::printable(advice)));
    }
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(["state", "check", "detail", "advice"], "nothing was looked at");
    for one in findings {
        table.row([
            Cell::text(one.state.name()).tone(one.state.tone()),
            Cell::text(one.check),
            Cell::text(&one.detail),
            Cell::maybe(one.advice.as_ref(), Cell::text),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_how_bad_it_is() {
        let (good, warn) = (Finding::good("a", ""), Finding::warn("b", "", ""));
        let (fail, gone) = (Finding::fail("c", "", ""), Finding::fail(REACHABLE, "", ""));
        let exit = |all: &[&Finding]| {
            let all: Vec<_> = all.iter().map(|one| (*one).clone()).collect();
            end(&all).unwrap_or_else(|failed| failed.exit)
        };
        assert_eq!(exit(&[&good, &warn]), Exit::Ok);
        assert_eq!(exit(&[&good, &gone]), Exit::Unreachable);
        assert_eq!(exit(&[&fail, &gone]), Exit::State);
    }
}
