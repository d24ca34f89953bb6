//! Configuration: TOML → parsed → checked → immutable; every problem at once, with file, line and key.
//!
//! Two documents. `bursar.toml` is the daemon's ([`Daemon`]); `providers.toml`, together with the fragments in the directory
//! `providers.d` beside it, says what may be called ([`Catalogue`]) and always lies over the built-in providers. What must
//! stay true:
//!
//! - A value is published only if the *whole* document is free of errors. There is no half of a configuration.
//! - Unknown keys are errors: a misspelled limit must not be a limit that is not there.
//! - Secrets are references. One that was written out is refused and never repeated, in no message and no log.
//! - Nothing here names a command to run, and nothing is read from the environment but what the caller hands in.
//! - A watch's event is a hint to read again, never data; a vanished or emptied file is never "no configuration".

mod budget;
mod catalogue;
mod connection;
mod consistency;
mod daemon;
mod difference;
mod document;
mod environment;
mod fragments;
mod json;
mod kind;
mod layers;
mod limit;
mod model;
mod price;
mod problem;
mod provider;
mod rate_limit;
mod rotation;
mod route;
mod secret;
mod shape;
mod source;
mod suggest;
mod timeout;
mod values;
mod walk;
mod watch;

use std::path::Path;

pub use budget::{Budget, Most, OnExceed, Per, Spender};
pub use catalogue::{Catalogue, Places, ProviderPlace};
pub use connection::{Connection, Fault, Settings};
pub use daemon::{Access, App, Daemon, Durability, Keys, Match, Members, Principal, Retention, Server, Socket, Usage};
pub use difference::{of_catalogues, of_daemons};
pub use document::Place;
pub use environment::Environment;
pub use fragments::directory_of as fragments_directory;
pub use kind::{KindFacts, StreamUsage};
pub use limit::GroupLimits;

pub use crate::api::admin::Limits;
pub use model::Model;
pub use price::{Each, Price, Rates, Tier};
pub use problem::{Problem, Report};
pub use provider::{OnTimeout, Provider};
pub use rate_limit::{Counted, Figure, RateLimitHeader, ResetFormat};
pub use rotation::{Order, Rotation, Sticky};
pub use route::{Route, Target};
pub use secret::{SecretRef, looks_like_one as looks_like_secret, names_one as names_secret};
pub use shape::{MODEL, Part, Paths, Template};
pub use source::{Fingerprint, Source, open_regular, stranger};
pub use timeout::{TimeoutOverrides, Timeouts};
pub use watch::Watcher;

use document::Node;
use problem::Problems;
use walk::Cursor;

/// A checked value, with what was odd about its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// The value, to be taken as a whole.
    pub value: T,
    /// What is odd, and taken all the same.
    pub warnings: Vec<Problem>,
    /// What was read, to compare the next reading with.
    pub sources: Vec<Source>,
}

impl<T> Loaded<T> {
    /// Whether another reading found something else.
    pub fn differs(&self, sources: &[Source]) -> bool {
        differ(&self.sources, sources)
    }
}

/// Whether two readings found something different.
pub fn differ(a: &[Source], b: &[Source]) -> bool {
    a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.file != b.file || a.fingerprint != b.fingerprint)
}

/// Reads and checks `bursar.toml`: `file`, or the built-in defaults without one ([`Environment::daemon_file`] finds it).
/// `before` is the reading that is in force; none at start.
///
/// # Errors
/// When the file is missing or cannot be trusted, has vanished or become empty since `before`, or says something that
/// cannot be taken.
pub fn load_daemon(
    file: Option<&Path>,
    environment: &Environment,
    before: Option<&[Source]>,
) -> Result<Loaded<Daemon>, Report> {
    let Some(file) = file else {
        let nothing = Source::from_text(Path::new("built-in defaults"), String::new());
        return check_daemon(&nothing, None, environment);
    };
    let source = Source::read(file)?;
    source::follows(std::slice::from_ref(&source), before, |_| false)?;
    if source.fingerprint == Fingerprint::Missing {
        return Err(Problem::of_file(&source.file, "there is no such file").into());
    }
    check_daemon(&source, Some(file), environment)
}

/// Reads and checks `providers.toml` and its fragments. Missing files are no error at start: the built-in providers alone
/// are in force. `before` is the reading that is in force; none at start.
///
/// # Errors
/// When a file cannot be trusted, has become empty since `before`, or says something that cannot be taken; when
/// `providers.toml` or the directory of the fragments has vanished since `before`.
pub fn load_catalogue(
    file: &Path,
    kinds: &[&KindFacts],
    before: Option<&[Source]>,
) -> Result<Loaded<Catalogue>, Report> {
    let sources = fragments::read_all(file)?;
    let directory = fragments_directory(file);
    let stays = directory.is_dir();
    source::follows(&sources, before, |old| stays && old.file.parent() == Some(&directory))?;
    check_sources(sources, kinds)
}

/// Checks the text of a `bursar.toml`. `file` is where it lies, for what is looked for beside it.
///
/// # Errors
/// When it says something that cannot be taken: everything of that sort at once.
pub fn check_daemon(source: &Source, file: Option<&Path>, environment: &Environment) -> Result<Loaded<Daemon>, Report> {
    let problems = Problems::default();
    let root = document::parse(source, &problems);
    let read = |root: &Cursor<'_>| Daemon::read(root, &environment.directories(file));
    checked(vec![source.clone()], problems, &root, read)
}

/// Checks the text of a `providers.toml`, laid over the built-in providers.
///
/// # Errors
/// When it says something that cannot be taken: everything of that sort at once.
pub fn check_catalogue(source: &Source, kinds: &[&KindFacts]) -> Result<Loaded<Catalogue>, Report> {
    check_sources(vec![source.clone()], kinds)
}

/// Checks what `providers.toml` and its fragments would say together after a change of one of them, or with a further one.
/// A text of any other file is checked by itself.
///
/// # Errors
/// When they say something that cannot be taken: everything of that sort at once.
pub fn check_change(file: &Path, change: &Source, kinds: &[&KindFacts]) -> Result<Loaded<Catalogue>, Report> {
    let sources = fragments::with_change(file, change)?;
    check_sources(sources.unwrap_or_else(|| vec![change.clone()]), kinds)
}

/// Checks the texts of a `providers.toml` and its fragments, put together and laid over the built-in providers.
fn check_sources(sources: Vec<Source>, kinds: &[&KindFacts]) -> Result<Loaded<Catalogue>, Report> {
    let problems = Problems::default();
    let (root, shipped) = layers::whole(&sources, &problems);
    checked(sources, problems, &root, |root| catalogue::read(root, kinds, &shipped))
}

/// A text as TOML writes it, quotes included.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Reads a parsed document, unless it could not be parsed: then most of what would be found comes from that.
fn checked<T>(
    sources: Vec<Source>,
    problems: Problems,
    root: &Node,
    read: impl FnOnce(&Cursor<'_>) -> Option<T>,
) -> Result<Loaded<T>, Report> {
    let value = if problems.any_error() { None } else { read(&Cursor::root(root, &problems)) };
    let report = problems.into_report();
    match value {
        Some(value) if report.errors.is_empty() => Ok(Loaded { value, warnings: report.warnings, sources }),
        _ => Err(report),
    }
}

#[cfg(test)]
mod tests;
