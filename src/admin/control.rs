//! What is in force, and how it changes: files and store in, one snapshot out.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::watch;

use super::secrets::Secrets;
use super::{counters, difference};
use crate::access::Access;
use crate::adapter;
use crate::api::admin::{Change, ChangeAction, ChangeKind, Event, EventKind};
use crate::clock::Clock;
use crate::config::{self, Catalogue, Daemon, Durability, Environment, Fingerprint, Problem, Report};
use crate::connection::admission::Admission;
use crate::connection::health::Registry;
use crate::events::Events;
use crate::execute::{Engine, Ids, Traces};
use crate::provider::ProviderError;
use crate::rotation::Memory;
use crate::snapshot::{Parts, Snapshot};
use crate::store::{Store, StoreError};
use crate::usage::Recorder;

/// Where the configuration is.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `bursar.toml`; none: built-in defaults.
    pub daemon: Option<PathBuf>,
    /// What defaults depend on.
    pub environment: Environment,
    /// The apps' socket, in place of the one that the file names.
    pub socket: Option<PathBuf>,
}

impl Paths {
    /// Reads the daemon's own configuration. `before` is the reading that is in force; none at start.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub fn read_daemon(&self, before: Option<Fingerprint>) -> Result<config::Loaded<Daemon>, Report> {
        let mut loaded = config::load_daemon(self.daemon.as_deref(), &self.environment, before)?;
        if let Some(socket) = &self.socket {
            loaded.value.server.socket.path.clone_from(socket);
        }
        Ok(loaded)
    }
}

/// A daemon that cannot be put together.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration has errors.
    #[error("{0}")]
    Config(Report),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A declared provider cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

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
    /// What is odd in the files that are in force.
    pub warnings: Vec<Problem>,
    /// Why the files were not taken; empty where they were.
    pub errors: Vec<Problem>,
}

/// The operators' side of the daemon.
pub struct Admin {
    /// What requests run in.
    pub engine: Arc<Engine>,
    /// The store.
    pub store: Arc<Store>,
    /// How connections have fared.
    pub health: Registry,
    /// What choosing among them remembers.
    memory: Memory,
    /// The file of providers. Another one takes a new start.
    pub providers_file: PathBuf,
    paths: Paths,
    declared: Mutex<Declared>,
    published: watch::Sender<()>,
}

/// What the files say, as it is in force.
struct Declared {
    generation: u64,
    daemon: Daemon,
    daemon_fingerprint: Fingerprint,
    catalogue: Arc<Catalogue>,
    catalogue_fingerprint: Fingerprint,
    secrets: Secrets,
    access: Access,
    /// What operators should know of the files, and of what waits for a new start.
    notes: Vec<String>,
    /// The last reload that found something new, or something wrong.
    last: Option<Reloaded>,
}

impl Admin {
    /// Puts the daemon's state together. `daemon` was read from `paths` just before.
    ///
    /// # Errors
    /// When the provider file has errors, or the store fails.
    pub fn open(
        paths: Paths,
        daemon: config::Loaded<Daemon>,
        store: Arc<Store>,
        recorder: Recorder,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let catalogue = config::load_catalogue(&daemon.value.providers_file, &adapter::kinds(), None);
        let catalogue = catalogue.map_err(StartError::Config)?;
        let vault = store.vault();
        let (access, unknown) = access(&daemon.value);
        let warnings = daemon.warnings.iter().chain(&catalogue.warnings).map(ToString::to_string);
        let notes: Vec<String> = warnings.chain(unknown).collect();
        say(&notes);
        let durable_each = AtomicBool::new(daemon.value.usage.durability == Durability::Each);
        let value = Arc::new(catalogue.value);
        let declared = Declared {
            generation: 1,
            secrets: Secrets::resolve(&value, &vault, &Secrets::default()),
            daemon: daemon.value,
            daemon_fingerprint: daemon.fingerprint,
            catalogue: value,
            catalogue_fingerprint: catalogue.fingerprint,
            access,
            notes,
            last: None,
        };
        let (health, providers_file) = (Registry::default(), declared.daemon.providers_file.clone());
        let now = clock.both();
        let admission = Admission::default().restored(store.counters().list()?, now.wall_ms);
        let memory = Memory::default();
        let snapshot = build(&declared, &store, Outlives { health: &health, admission: &admission, memory: &memory })?;
        counters::restore_minute(&store, &snapshot, now)?;
        let (snapshot, cutting) = (snapshot.into(), AtomicBool::new(false));
        let events = Arc::new(Events::new(clock.clone()));
        let (traces, ids) = (Traces::default(), Ids::new());
        let engine = Engine { snapshot, vault, recorder, clock, admission, durable_each, cutting, events, traces, ids };
        let (engine, declared) = (Arc::new(engine), Mutex::new(declared));
        let published = watch::Sender::default();
        let admin = Self { engine, store, health, memory, providers_file, paths, declared, published };
        admin.restore_facts()?;
        Ok(admin)
    }

    fn outlives(&self) -> Outlives<'_> {
        Outlives { health: &self.health, admission: &self.engine.admission, memory: &self.memory }
    }

    /// Tells whenever another snapshot was published.
    pub fn published(&self) -> watch::Receiver<()> {
        self.published.subscribe()
    }

    fn publish(&self, snapshot: Arc<Snapshot>) {
        self.engine.snapshot.store(snapshot);
        self.published.send_replace(());
        // What requests hold that still run is let go by the next look.
        self.forget_leases(&self.sweep());
    }

    /// The directories and files that a change of configuration may show in.
    pub fn watched(&self) -> Vec<PathBuf> {
        self.paths.daemon.iter().cloned().chain([self.providers_file.clone()]).collect()
    }

    /// The daemon's own configuration, as it is in force.
    pub fn daemon(&self) -> Daemon {
        self.declared().daemon.clone()
    }

    /// The daemon's own file; none: built-in defaults.
    pub fn daemon_file(&self) -> Option<&Path> {
        self.paths.daemon.as_deref()
    }

    /// The last reload that found something new, or something wrong.
    pub fn last_reload(&self) -> Option<Reloaded> {
        self.declared().last.clone()
    }

    /// What operators should know of the files, and of what waits for a new start.
    pub fn notes(&self) -> Vec<String> {
        self.declared().notes.clone()
    }

    /// Reads the files again. What has errors is not taken: what is in force stays, and the errors are said.
    pub fn reload(&self) -> Reloaded {
        let mut declared = self.declared();
        let at_ms = self.engine.clock.wall_ms();
        let reloaded = match self.take_in(&mut declared) {
            Ok(reloaded) => Reloaded { at_ms, ..reloaded },
            Err(Report { errors, warnings }) => {
                Reloaded { at_ms, generation: declared.generation, errors, warnings, ..Reloaded::default() }
            }
        };
        // A look at files that stayed as they were is no news, unless it was bad news before.
        let mended = declared.last.as_ref().is_some_and(|last| !last.errors.is_empty());
        if reloaded.changed || !reloaded.errors.is_empty() || mended {
            declared.last = Some(reloaded.clone());
            self.engine.events.emit(news(&reloaded));
        }
        reloaded
    }

    /// Follows a hint that files may have changed: reads them again, and reloads if they say something new. The same
    /// errors as at the last time are nothing new.
    pub fn follow_hint(&self) -> Option<Reloaded> {
        let nothing_new = {
            let declared = self.declared();
            let before = declared.last.as_ref().map_or(&[][..], |last| &last.errors);
            match self.read_files(&declared) {
                Ok(read) => before.is_empty() && !declared.differs(&read),
                Err(report) => report.errors == before,
            }
        };
        (!nothing_new).then(|| self.reload())
    }

    /// What a reload would change, and what would be warned of.
    ///
    /// # Errors
    /// When the files have errors.
    pub fn read_again(&self) -> Result<(Vec<Change>, Vec<Problem>), Report> {
        let declared = self.declared();
        let read = self.read_files(&declared)?;
        let secrets = self.secrets(&declared, &read);
        Ok((declared.changes(&read, &secrets), read.warnings()))
    }

    fn read_files(&self, declared: &Declared) -> Result<Read, Report> {
        let daemon = self.paths.read_daemon(Some(declared.daemon_fingerprint))?;
        let before = declared.catalogue_fingerprint;
        let catalogue = config::load_catalogue(&self.providers_file, &adapter::kinds(), Some(before))?;
        Ok(Read { daemon, catalogue })
    }

    /// The secrets that files refer to, as they are now.
    fn secrets(&self, declared: &Declared, read: &Read) -> Secrets {
        Secrets::resolve(&read.catalogue.value, &self.engine.vault, &declared.secrets)
    }

    fn take_in(&self, declared: &mut Declared) -> Result<Reloaded, Report> {
        let read = self.read_files(declared)?;
        let secrets = self.secrets(declared, &read);
        let (changes, warnings) = (declared.changes(&read, &secrets), read.warnings());
        let changed = declared.differs(&read) || !secrets.changed(&declared.secrets).is_empty();
        let later = declared.daemon.restart_needed(&read.daemon.value).into_iter();
        let later =
            later.map(|table| format!("{table} has changed, and takes effect when the daemon is started again"));
        let (access, unknown) = access(&read.daemon.value);
        let notes = warnings.iter().map(ToString::to_string).chain(unknown).chain(later).collect();
        let file: Arc<Path> = self.providers_file.as_path().into();
        let catalogue = Arc::new(read.catalogue.value);
        let daemon = read.daemon.value;
        let next = Declared {
            generation: declared.generation + 1,
            secrets,
            daemon: Daemon { access: daemon.access, apps: daemon.apps, usage: daemon.usage, ..declared.daemon.clone() },
            daemon_fingerprint: read.daemon.fingerprint,
            catalogue,
            catalogue_fingerprint: read.catalogue.fingerprint,
            access,
            notes,
            last: declared.last.take(),
        };
        let build =
            || build(&next, &self.store, self.outlives()).map_err(|error| Problem::of_file(&file, error.to_string()));
        let mut snapshot = build()?;
        let renewed: Vec<_> = next.secrets.renewed(&declared.secrets).collect();
        if !renewed.is_empty() {
            // Now that all can be put in force, what was said of the old secrets counts no more; and the snapshot is to
            // tell attempts with the new ones apart.
            renewed.into_iter().for_each(|id| self.health.of(id).renew());
            snapshot = build()?;
        }
        self.publish(snapshot);
        self.engine.durable_each.store(next.daemon.usage.durability == Durability::Each, Ordering::Relaxed);
        *declared = next;
        if changed {
            say(&declared.notes);
        }
        let generation = declared.generation;
        Ok(Reloaded { changed, generation, changes, warnings, ..Reloaded::default() })
    }

    /// Publishes a snapshot of what the store holds now. Changes of the store go through here, one after the other:
    /// `change` is made and durable before the snapshot that shows it is published. It may not ask for what the files
    /// say (`daemon`, `notes`, `last_reload`), because nobody else may meanwhile.
    ///
    /// # Errors
    /// When the change, or reading the store after it, fails.
    pub fn change<T, E: From<StartError>>(&self, change: impl FnOnce(&Store) -> Result<T, E>) -> Result<T, E> {
        let mut declared = self.declared();
        let done = change(&self.store)?;
        declared.generation += 1;
        self.publish(build(&declared, &self.store, self.outlives())?);
        Ok(done)
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both files, read and checked.
struct Read {
    daemon: config::Loaded<Daemon>,
    catalogue: config::Loaded<Catalogue>,
}

impl Read {
    fn warnings(&self) -> Vec<Problem> {
        self.daemon.warnings.iter().chain(&self.catalogue.warnings).cloned().collect()
    }
}

impl Declared {
    fn differs(&self, read: &Read) -> bool {
        read.daemon.fingerprint != self.daemon_fingerprint || read.catalogue.fingerprint != self.catalogue_fingerprint
    }

    fn changes(&self, read: &Read, secrets: &Secrets) -> Vec<Change> {
        let mut changes = difference::of_daemons(&self.daemon, &read.daemon.value);
        changes.extend(difference::of_catalogues(&self.catalogue, &read.catalogue.value));
        for id in secrets.changed(&self.secrets) {
            let (kind, name) = (ChangeKind::Connection, id.to_string());
            if !changes.iter().any(|change| change.kind == kind && change.name == name) {
                changes.push(Change { kind, name, action: ChangeAction::Changed });
            }
        }
        changes
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

/// Says in the log what operators find in the status too.
fn say(notes: &[String]) {
    for note in notes {
        tracing::warn!("{note}");
    }
}

fn access(daemon: &Daemon) -> (Access, Vec<String>) {
    let apps: Vec<_> = daemon.apps.values().cloned().collect();
    Access::resolve(&daemon.access, &apps, rustix::process::geteuid().as_raw())
}

/// What outlives snapshots, so that no reload resets it.
struct Outlives<'a> {
    health: &'a Registry,
    admission: &'a Admission,
    memory: &'a Memory,
}

fn build(declared: &Declared, store: &Store, outlives: Outlives<'_>) -> Result<Arc<Snapshot>, StartError> {
    let Outlives { health, admission, memory } = outlives;
    let parts = Parts {
        catalogue: Arc::clone(&declared.catalogue),
        secrets: &declared.secrets.sealed,
        access: declared.access.clone(),
        stored: store.connections().list()?,
        provider_switches: store.provider_switches().list()?.into_iter().collect(),
        connection_switches: store.connection_switches().list()?.into_iter().collect(),
        model_lists: store.model_lists().list()?,
        health,
        admission,
        memory,
    };
    Ok(Arc::new(Snapshot::build(declared.generation, parts)?))
}
