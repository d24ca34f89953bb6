//! `bursar check`: configuration files, read by the daemon's own code.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::{Exit, Failed, Outcome};
use super::output::{Cell, Format, Output, Table, Tone};
use super::{Global, locate, status};
use crate::access::Access;
use crate::adapter;
use crate::admin;
use crate::config::{self, Catalogue, Daemon, Environment, Fingerprint, Principal, Problem, Report, Source};

/// Check configuration files, with the daemon's own code
///
/// Nothing is changed, and no daemon is asked. What the configuration names and this host does not have is a warning: it
/// may be meant for another one. Ends with 78 if there is an error.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The files [default: those that the daemon would read]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What was found in one file.
struct Checked {
    file: PathBuf,
    report: Report,
}

impl Check {
    pub(super) fn run(self, global: &Global, out: &Output) -> Outcome {
        let environment = locate::environment();
        let checked: Vec<_> = if self.files.is_empty() {
            in_force(global.config.as_deref(), &environment)
        } else {
            self.files.into_iter().map(|file| one(file, &environment)).collect()
        };
        show(out, &checked);
        match checked.iter().map(|one| one.report.errors.len()).sum::<usize>() {
            0 => Ok(Exit::Ok),
            count => Err(Failed::state(status::counted(count))),
        }
    }
}

/// The files that the daemon would read.
fn in_force(asked: Option<&Path>, environment: &Environment) -> Vec<Checked> {
    let file = environment.daemon_file(asked);
    let loaded = config::load_daemon(file.as_deref(), environment, None);
    let providers = loaded.as_ref().ok().map(|loaded| loaded.value.providers_file.clone());
    let catalogue = providers.as_ref().map(|file| config::load_catalogue(file, &adapter::kinds(), None));
    let mut odd = loaded.as_ref().map(|loaded| unknown_names(&loaded.value)).unwrap_or_default();
    if let (Ok(daemon), Some(Ok(catalogue))) = (&loaded, &catalogue) {
        odd.extend(astray(&daemon.value, &catalogue.value));
    }
    let daemon = file.map(|file| Checked { report: with(&file, report(loaded), odd), file });
    let catalogue = providers.zip(catalogue).map(|(file, loaded)| {
        let missing = loaded.as_ref().is_ok_and(|loaded| loaded.sources.first().is_none_or(is_missing));
        let odd = missing.then(|| "is not there: the built-in providers alone would be in force".into());
        Checked { report: with(&file, report(loaded), odd), file }
    });
    daemon.into_iter().chain(catalogue).collect()
}

fn is_missing(source: &Source) -> bool {
    source.fingerprint == Fingerprint::Missing
}

/// What the daemon would warn of too, beside what stands in one place of a file.
fn with(file: &Path, report: Report, odd: impl IntoIterator<Item = String>) -> Report {
    let file = file.into();
    let odd = odd.into_iter().map(|message| Problem::of_file(&file, message));
    Report { warnings: report.warnings.into_iter().chain(odd).collect(), ..report }
}

/// Users and groups that are named, and that this host does not have.
pub(super) fn unknown_names(daemon: &Daemon) -> Vec<String> {
    let apps: Vec<_> = daemon.apps.values().cloned().collect();
    let (_, mut unknown) = Access::resolve(&daemon.access, &apps, rustix::process::geteuid().as_raw());
    let sockets = [Some(&daemon.server.socket), daemon.server.admin_socket.as_ref()];
    for socket in sockets.into_iter().flatten() {
        if let Some(Principal::Name(name)) = &socket.group
            && !nix::unistd::Group::from_name(name).is_ok_and(|group| group.is_some())
        {
            let path = socket.path.display();
            unknown
                .push(format!("there is no group {name}, which {path} is to belong to: no daemon starts without it"));
        }
    }
    unknown
}

/// What one file names and the other does not have.
fn astray(daemon: &Daemon, catalogue: &Catalogue) -> Vec<String> {
    let idle = "which no file declares: it counts nothing unless `bursar connections add` has made it";
    let mut odd = admin::dangling_budgets(&daemon.budgets, catalogue);
    odd.extend(admin::budgets_of_no_connection(&daemon.budgets, catalogue, |_| false, idle));
    odd
}

/// A file of either sort: the sort that it fits better is the one that was meant.
fn one(file: PathBuf, environment: &Environment) -> Checked {
    let source = match Source::read(&file) {
        Ok(source) if is_missing(&source) => {
            return Checked { report: missing(&file, environment), file };
        }
        Ok(source) => source,
        Err(report) => return Checked { file, report },
    };
    let catalogue = report(config::load_catalogue(&whole(&file), &adapter::kinds(), None));
    let daemon = config::check_daemon(&source, Some(&file), environment);
    let odd = daemon.as_ref().map(|loaded| unknown_names(&loaded.value)).unwrap_or_default();
    let daemon = with(&file, report(daemon), odd);
    let named = file.file_name().is_some_and(|name| name == "bursar.toml");
    let meant = match foreign(&daemon).cmp(&foreign(&catalogue)) {
        Ordering::Less => daemon,
        Ordering::Equal if named => daemon,
        _ => catalogue,
    };
    Checked { report: meant, file }
}

/// The file that a fragment is read together with: what it refers to may stand there.
fn whole(file: &Path) -> PathBuf {
    let whole = file.parent().map(|directory| directory.with_extension("toml"));
    let is_fragment = |whole: &PathBuf| config::fragments_directory(whole) == file.parent().unwrap_or(file);
    whole.filter(|whole| is_fragment(whole) && whole.is_file()).unwrap_or_else(|| file.to_path_buf())
}

/// How many tables of a file are of the other sort.
fn foreign(report: &Report) -> usize {
    report.errors.iter().filter(|problem| !problem.key.is_empty() && !problem.key.contains('.')).count()
}

/// The daemon's own words on a file that is not there.
fn missing(file: &Path, environment: &Environment) -> Report {
    report(config::load_daemon(Some(file), environment, None))
}

fn report<T>(loaded: Result<config::Loaded<T>, Report>) -> Report {
    match loaded {
        Ok(loaded) => Report { errors: Vec::new(), warnings: loaded.warnings },
        Err(report) => report,
    }
}

fn show(out: &Output, checked: &[Checked]) {
    let files: Vec<_> = checked
        .iter()
        .map(|one| json!({ "file": one.file, "errors": one.report.errors, "warnings": one.report.warnings }))
        .collect();
    match out.format {
        // A line a problem, as compilers write them: editors jump to such places.
        Format::Table => checked.iter().for_each(|one| out.text(&lines(one))),
        Format::Json | Format::Csv => out.rows(&json!({ "files": files }), || table(checked)),
    }
}

fn lines(checked: &Checked) -> String {
    let line = |word: &str, problem: &Problem| format!("{word}: {problem}\n");
    let errors = checked.report.errors.iter().map(|problem| line("error", problem));
    let warnings = checked.report.warnings.iter().map(|problem| line("warning", problem));
    let text: String = errors.chain(warnings).collect();
    let ok = checked.report.errors.is_empty() && checked.file.exists();
    if ok { format!("{text}{}: ok\n", checked.file.display()) } else { text }
}

fn table(checked: &[Checked]) -> Table {
    let mut table = Table::new(["severity", "file", "line", "key", "message"], "no problems");
    for one in checked {
        let errors = one.report.errors.iter().map(|problem| (Cell::text("error").tone(Tone::Bad), problem));
        let warnings = one.report.warnings.iter().map(|problem| (Cell::text("warning").tone(Tone::Warn), problem));
        for (severity, problem) in errors.chain(warnings) {
            table.row([
                severity,
                Cell::text(problem.file.display()),
                Cell::maybe(problem.line, Cell::number),
                Cell::text(&problem.key),
                Cell::text(&problem.message),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::new(false, |name| (name == "HOME").then(|| "/nonexistent".into()))
    }

    fn checked(name: &str, text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        lines(&one(file, &environment())).replace(&dir.path().display().to_string(), "")
    }

    #[test]
    fn a_file_of_either_sort_is_known_by_what_it_says() {
        assert_eq!(checked("a.toml", "[server]\nsocket = \"/a.sock\"\n"), "/a.toml: ok\n");
        assert_eq!(checked("b.toml", "[providers.openai]\nenabled = false\n"), "/b.toml: ok\n");
    }

    #[test]
    fn a_file_and_its_fragments_are_checked_together() {
        let dir = tempfile::tempdir().unwrap();
        let (main, fragment) = (dir.path().join("providers.toml"), dir.path().join("providers.d/a.toml"));
        std::fs::create_dir(dir.path().join("providers.d")).unwrap();
        std::fs::write(&main, "[routes.fast]\ntargets = [\"lan/m\"]\n").unwrap();
        let lan = "[providers.lan]\nkind = \"openai\"\nbase_url = \"http://10.0.0.7/v1\"\nallow_private = true\n";
        std::fs::write(&fragment, format!("{lan}[providers.lan.models.m]\n")).unwrap();
        for file in [&main, &fragment] {
            assert_eq!(lines(&one(file.clone(), &environment())), format!("{}: ok\n", file.display()));
        }
        std::fs::write(&fragment, format!("{lan}[routes.fast]\ntargets = [\"lan/m\"]\n")).unwrap();
        let said = lines(&one(main.clone(), &environment()));
        assert!(
            said.contains("providers.d/a.toml:5: routes.fast: stands in ") && said.contains("providers.toml:1 too"),
            "{said}"
        );
    }

    #[test]
    fn what_the_daemon_would_warn_of_is_told_before_it_starts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bursar.toml");
        let text = "[server]\nsocket_group = \"nosuch\"\n[access]\nclient = { users = [\"nobody-here\"] }\n\
                    [[budgets]]\napp = \"a\"\nper = \"day\"\nusd = 1\non_exceed = \"route:nosuch\"\n\
                    [[budgets]]\nconnection = \"openai:nosuch\"\nper = \"day\"\nusd = 1\n";
        std::fs::write(&file, text).unwrap();
        let told = || {
            let all = in_force(Some(&file), &environment());
            assert!(all.iter().all(|one| one.report.errors.is_empty()));
            all.iter().map(lines).collect::<String>()
        };
        let said = told();
        for warning in [
            "there is no group nosuch, which ",
            "there is no user \"nobody-here\"",
            "the budget \"app-a-day\" leads to the route nosuch, which is not declared",
            "the budget \"connection-openai-nosuch-day\" is of openai:nosuch, which no file declares",
            "providers.toml: is not there: the built-in providers alone would be in force",
        ] {
            assert!(said.contains(warning), "{warning}: {said}");
        }
        assert!(said.contains("bursar.toml: ok") && !said.contains("providers.toml: ok"), "{said}");
        let providers = dir.path().join("there.toml");
        std::fs::write(&file, format!("[config]\nproviders = {:?}\n", providers)).unwrap();
        std::fs::write(&providers, "").unwrap();
        assert_eq!(told(), format!("{}: ok\n{}: ok\n", file.display(), providers.display()));
    }

    #[test]
    fn a_problem_is_told_with_its_place() {
        let said = checked("a.toml", "[server]\nsokket = \"/a.sock\"\n");
        assert!(said.starts_with("error: /a.toml:2: server.sokket: "), "{said}");
        let said = checked("b.toml", "[providers.openai]\nenabled = 1\n");
        assert!(said.starts_with("error: /b.toml:2: providers.openai.enabled: "), "{said}");
        let said = lines(&one("/nonexistent/bursar.toml".into(), &environment()));
        assert!(said.starts_with("error: /nonexistent/bursar.toml: "), "{said}");
    }
}
