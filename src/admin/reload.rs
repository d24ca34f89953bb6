//! Reading the configuration again, and taking it in: the same code for a hint of the watcher, a signal, `bursar reload`
//! and `bursar providers sync`, and for the plan of each.
//!
//! Everything is read and checked, the store's part is drafted, and the snapshot that would be in force is built; then
//! the draft is made durable in one step, and the snapshot published. What fails before that changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::budgets;
use super::control::{Admin, Declared, access, build, say};
use super::keeps;
use super::secrets::Secrets;
use super::stored::Draft;
use super::view;
use crate::adapter;
use crate::api::admin::{Change, ChangeAction, ChangeKind, Event, EventKind, Orphan, Plan, Reload, Sync};
use crate::api::{ConnectionId, Failure};
use crate::config::{self, Catalogue, Daemon, Durability, Problem, Report};
use crate::connection::HealthState;
use crate::store::{Scope, StoreError};

/// What a reload did.
#[derive(Debug, Clone, Default)]
pub struct Reloaded {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whether anything in the files had changed.
    pub changed: bool,
    /// The generation that is in force.
    pub generation: u64,
    /// What differs from what was in force before.
    pub changes: Vec<Change>,
    /// What the store keeps of things that are no longer declared.
    pub orphans: Vec<Orphan>,
    /// What is odd in the files that are in force.
    pub warnings: Vec<Problem>,
    /// Why the files were not taken; empty where they were.
    pub errors: Vec<Problem>,
}

/// A sync that is not taken.
enum Refused {
    /// The files have errors.
    Files(Report),
    /// What was asked for besides cannot be done.
    Asked(Failure),
}

impl From<Report> for Refused {
    fn from(report: Report) -> Self {
        Self::Files(report)
    }
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Asked(error.into())
    }
}

/// Both documents, read and checked.
struct Read {
    daemon: config::Loaded<Daemon>,
    catalogue: config::Loaded<Catalogue>,
}

/// What would be in force, and what it takes to get there.
struct Next<'a> {
    declared: Declared,
    draft: Draft<'a>,
    /// Connections whose secret is another one than was last accepted.
    renewed: Vec<ConnectionId>,
    reloaded: Reloaded,
}

impl Admin {
    /// Reads the files again. What has errors is not taken: what is in force stays, and the errors are said.
    pub fn reload(&self) -> Reloaded {
        self.sync(&Sync::default()).unwrap_or_else(|failure| {
            // The store does not take it, which is nobody's mistake in a file.
            let file: Arc<Path> = self.providers_file.as_path().into();
            let errors = vec![Problem::of_file(&file, failure.message)];
            let generation = self.declared().generation;
            Reloaded { at_ms: self.engine.clock.wall_ms(), generation, errors, ..Reloaded::default() }
        })
    }

    /// Reads the files again and takes them in, and moves or removes what the store keeps of what is no longer declared,
    /// as asked. Blocks.
    ///
    /// # Errors
    /// When what was asked for cannot be done, or the store does not take it. Files with errors are told of in what comes
    /// back. Either way nothing has changed then.
    pub fn sync(&self, wanted: &Sync) -> Result<Reloaded, Failure> {
        let mut declared = self.declared();
        let at_ms = self.engine.clock.wall_ms();
        let reloaded = match self.take_in(&mut declared, wanted) {
            Ok(reloaded) => Reloaded { at_ms, ..reloaded },
            Err(Refused::Files(Report { errors, warnings })) => {
                Reloaded { at_ms, generation: declared.generation, errors, warnings, ..Reloaded::default() }
            }
            Err(Refused::Asked(failure)) => return Err(failure),
        };
        // A look at files that stayed as they were is no news, unless it was bad news before.
        let mended = declared.last.as_ref().is_some_and(|last| !last.errors.is_empty());
        if reloaded.changed || !reloaded.errors.is_empty() || mended {
            self.engine.events.emit(news(&reloaded));
        }
        if !reloaded.changed && reloaded.errors.is_empty() {
            // Whoever asked is told, and an error is not the log's last word on files that are in order again.
            let generation = reloaded.generation;
            tracing::info!(generation, mended, "the configuration is in force again: nothing had changed");
        }
        declared.last = Some(reloaded.clone());
        Ok(reloaded)
    }

    /// Follows a hint that files may have changed: reads them again, and reloads if they say something new. The same
    /// errors as at the last time are nothing new.
    pub fn follow_hint(&self) -> Option<Reloaded> {
        let nothing_new = {
            let declared = self.declared();
            let before = declared.last.as_ref().map_or(&[][..], |last| &last.errors);
            match self.read_files(&declared) {
                Ok(read) => before.is_empty() && !read.differs(&declared),
                Err(report) => report.errors == before,
            }
        };
        (!nothing_new).then(|| self.reload())
    }

    /// What a sync would do. Blocks.
    ///
    /// # Errors
    /// When what is asked for cannot be done, or the store cannot be read.
    pub fn plan(&self, wanted: &Sync) -> Result<Plan, Failure> {
        let declared = self.declared();
        match self.next(&declared, wanted) {
            Ok(Next { reloaded, .. }) => Ok(view::plan(reloaded)),
            Err(Refused::Files(Report { errors, warnings })) => {
                Ok(view::plan(Reloaded { errors, warnings, ..Reloaded::default() }))
            }
            Err(Refused::Asked(failure)) => Err(failure),
        }
    }

    /// Reads the files again, and says what came of it. Blocks.
    ///
    /// # Errors
    /// As [`Admin::sync`].
    pub fn sync_now(&self, wanted: &Sync) -> Result<Reload, Failure> {
        Ok(view::reload(&self.sync(wanted)?))
    }

    fn read_files(&self, declared: &Declared) -> Result<Read, Report> {
        let daemon = self.paths.read_daemon(Some(&declared.daemon_sources));
        let before = Some(declared.catalogue_sources.as_slice());
        let catalogue = config::load_catalogue(&self.providers_file, &adapter::kinds(), before);
        match (daemon, catalogue) {
            (Ok(daemon), Ok(catalogue)) => Ok(Read { daemon, catalogue }),
            (daemon, catalogue) => {
                let mut all = Report::default();
                for report in daemon.err().into_iter().chain(catalogue.err()) {
                    all.errors.extend(report.errors);
                    all.warnings.extend(report.warnings);
                }
                Err(all)
            }
        }
    }

    /// What the files would put in force now, and what a sync would do in the store. Nothing is changed.
    fn next(&self, declared: &Declared, wanted: &Sync) -> Result<Next<'_>, Refused> {
        let read = self.read_files(declared)?;
        let catalogue = &read.catalogue.value;
        let mut draft = Draft::begin(&self.store)?;
        for pair in &wanted.map {
            draft.map(pair, catalogue, &self.engine.vault)?;
        }
        if wanted.prune {
            draft.prune(catalogue)?;
        }
        let secrets = Secrets::resolve(catalogue, &self.engine.vault, &draft.stored.connection_switches);
        let renewed = draft.accept(&secrets)?;
        let mut changes = read.changes(declared);
        changes.append(&mut draft.changes);
        note_secrets(&mut changes, &secrets, &declared.secrets);
        let changed = read.differs(declared) || !changes.is_empty();
        let mut warnings = read.warnings();
        let orphans = draft.stored.orphans(catalogue);
        let later = declared.daemon.restart_needed(&read.daemon.value).into_iter();
        let later =
            later.map(|table| format!("{table} has changed, and takes effect when the daemon is started again"));
        let (access, unknown) = access(&read.daemon.value);
        let notes = warnings.iter().map(ToString::to_string).chain(unknown).chain(later);
        let dangling = budgets::dangling(&read.daemon.value.budgets, catalogue);
        let notes = notes.chain(dangling).collect();
        let moved = keeps::moved_away(&secrets, &draft.stored, catalogue, &self.providers_file);
        let kept = keeps::in_words(&moved, &draft.stored, catalogue, &read.daemon.value.budgets);
        warnings.extend(moved);
        let daemon = read.daemon.value;
        let generation = declared.generation + 1;
        let next = Declared {
            generation,
            secrets,
            daemon: Daemon {
                access: daemon.access,
                apps: daemon.apps,
                usage: daemon.usage,
                budgets: daemon.budgets,
                ..declared.daemon.clone()
            },
            daemon_sources: read.daemon.sources,
            catalogue: Arc::new(read.catalogue.value),
            catalogue_sources: read.catalogue.sources,
            access,
            notes,
            kept,
            last: declared.last.clone(),
        };
        let reloaded = Reloaded { changed, generation, changes, orphans, warnings, ..Reloaded::default() };
        Ok(Next { declared: next, draft, renewed, reloaded })
    }

    fn take_in(&self, declared: &mut Declared, wanted: &Sync) -> Result<Reloaded, Refused> {
        let Next { declared: next, draft, renewed, reloaded } = self.next(declared, wanted)?;
        let file: Arc<Path> = self.providers_file.as_path().into();
        let build = |stored| {
            let built = build(&next, stored, self.outlives());
            built.map_err(|error| Report::from(Problem::of_file(&file, error.to_string())))
        };
        let stored = draft.stored.clone();
        let mut snapshot = build(&stored)?;
        let (moved, gone) = (draft.moved.clone(), draft.gone.clone());
        self.foresee_moves(&wanted.map)?;
        draft.commit()?;
        self.carry_health(&moved);
        self.carry_counters(&wanted.map);
        self.forget(&gone);
        if !renewed.is_empty() || !moved.is_empty() {
            // Now that all can be put in force, what was said of the old secrets counts no more; and the snapshot is to
            // tell attempts with the new ones apart.
            renewed.iter().for_each(|id| self.health.of(id).renew());
            snapshot = build(&stored)?;
        }
        self.publish(snapshot);
        self.engine.durable_each.store(next.daemon.usage.durability == Durability::Each, Ordering::Relaxed);
        self.engine.recorder.retain(next.daemon.usage.retention);
        *declared = next;
        if reloaded.changed {
            say(&declared.notes);
            say(&declared.kept);
        }
        Ok(reloaded)
    }

    /// Lets what is known of connections go where they go.
    fn carry_health(&self, moved: &[(ConnectionId, ConnectionId)]) {
        let now = self.engine.clock.both();
        // Of one that has not been in force for a while nothing is known, which says nothing of the new one.
        for (from, to) in moved.iter().filter(|(from, _)| self.health.knows(from)) {
            let (before, after) = (self.health.of(from), self.health.of(to));
            self.health.restore(
                &Scope::Connection(to.clone()),
                &self.health.facts(&Scope::Connection(from.clone()), now),
                now,
            );
            if before.state() == HealthState::Rejected {
                let said = before.observed().last_error;
                let (since_ms, reason) = said.map_or((now.wall_ms, String::new()), |said| (said.at_ms, said.message));
                after.reject_again(since_ms, &reason);
            }
            self.health.forget(from);
        }
    }
}

impl Read {
    fn warnings(&self) -> Vec<Problem> {
        self.daemon.warnings.iter().chain(&self.catalogue.warnings).cloned().collect()
    }

    fn differs(&self, declared: &Declared) -> bool {
        self.daemon.differs(&declared.daemon_sources) || self.catalogue.differs(&declared.catalogue_sources)
    }

    /// What differs from what is in force, by name and key.
    fn changes(&self, declared: &Declared) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.daemon.differs(&declared.daemon_sources) {
            changes.extend(config::of_daemons(&declared.daemon_sources, &self.daemon.sources));
        }
        if self.catalogue.differs(&declared.catalogue_sources) {
            changes.extend(config::of_catalogues(&declared.catalogue_sources, &self.catalogue.sources));
        }
        changes
    }
}

impl Draft<'_> {
    /// Remembers the secrets that may be sent from now on, and for which origins. The connections come back for which
    /// another one was known.
    pub(super) fn accept(&mut self, secrets: &Secrets) -> Result<Vec<ConnectionId>, StoreError> {
        let accepted: Vec<_> = secrets
            .to_accept(&self.stored.connection_switches)
            .map(|(id, switch, renewed)| (id.clone(), switch, renewed))
            .collect();
        let mut all = Vec::new();
        for (id, switch, renewed) in accepted {
            self.switch_connection(&id, switch)?;
            if renewed {
                all.push(id);
            }
        }
        Ok(all)
    }
}

/// Tells of secrets that are others than before, with the connections that change anyway or by themselves.
fn note_secrets(changes: &mut Vec<Change>, secrets: &Secrets, before: &Secrets) {
    for (id, note) in secrets.changed(before) {
        let (kind, name) = (ChangeKind::Connection, id.to_string());
        match changes.iter_mut().find(|change| change.kind == kind && change.name == name) {
            Some(change) => change.note = Some(note.into()),
            None => changes.push(Change { note: Some(note.into()), ..Change::new(kind, name, ChangeAction::Changed) }),
        }
    }
}

/// What a reload came to, for whoever watches.
fn news(reloaded: &Reloaded) -> Event {
    let Some(first) = reloaded.errors.first() else {
        let (generation, count) = (reloaded.generation, reloaded.changes.len());
        let changes = if count == 1 { "1 change".into() } else { format!("{count} changes") };
        return Event::new(EventKind::Reloaded, format!("generation {generation} is in force, with {changes}"));
    };
    let more = match reloaded.errors.len() {
        1 => String::new(),
        count => format!(" ({count} errors; this is the first)"),
    };
    Event::new(EventKind::ReloadFailed, format!("what was in force stays: {first}{more}"))
}
