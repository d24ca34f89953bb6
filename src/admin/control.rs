//! What is in force, and how it changes: files and store in, one snapshot out.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::watch;

use super::budgets;
use super::counters;
use super::keeps;
use super::reload::Reloaded;
use super::secrets::Secrets;
use super::stored::{Draft, Stored};
use crate::access::Access;
use crate::adapter;
use crate::clock::Clock;
use crate::config::{self, Catalogue, Daemon, Durability, Environment, Report, Source};
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
    pub fn read_daemon(&self, before: Option<&[Source]>) -> Result<config::Loaded<Daemon>, Report> {
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
    pub(super) paths: Paths,
    declared: Mutex<Declared>,
    /// Held while keys are changed: the next change sees what this one made of them.
    pub(super) rotating: Mutex<()>,
    published: watch::Sender<()>,
}

/// What the files say, as it is in force.
pub(super) struct Declared {
    pub(super) generation: u64,
    pub(super) daemon: Daemon,
    /// What was read of the daemon's own file.
    pub(super) daemon_sources: Vec<Source>,
    pub(super) catalogue: Arc<Catalogue>,
    /// What was read of the providers' file and its fragments.
    pub(super) catalogue_sources: Vec<Source>,
    pub(super) secrets: Secrets,
    pub(super) access: Access,
    /// What operators should know of the files, and of what waits for a new start.
    pub(super) notes: Vec<String>,
    /// What they should know of what the store keeps beside them.
    pub(super) kept: Vec<String>,
    /// The last reload that was asked for, or that found something new or wrong.
    pub(super) last: Option<Reloaded>,
}

impl Declared {
    /// What operators should know of what the store keeps beside the files.
    pub(super) fn told(&self, stored: &Stored, file: &Path) -> Vec<String> {
        keeps::told(&self.secrets, stored, &self.catalogue, file, &self.daemon.budgets)
    }
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
        let dangling = budgets::dangling(&daemon.value.budgets, &catalogue.value);
        let notes: Vec<String> = warnings.chain(unknown).chain(dangling).collect();
        say(&notes);
        let durable_each = AtomicBool::new(daemon.value.usage.durability == Durability::Each);
        recorder.retain(daemon.value.usage.retention);
        let value = Arc::new(catalogue.value);
        let mut draft = Draft::begin(&store)?;
        let secrets = Secrets::resolve(&value, &vault, &draft.stored.connection_switches);
        draft.accept(&secrets)?;
        let stored = draft.stored.clone();
        // Which secrets are accepted must be known before one of them is sent.
        draft.commit()?;
        let kept = keeps::told(&secrets, &stored, &value, &daemon.value.providers_file, &daemon.value.budgets);
        say(&kept);
        let declared = Declared {
            generation: 1,
            secrets,
            daemon: daemon.value,
            daemon_sources: daemon.sources,
            catalogue: value,
            catalogue_sources: catalogue.sources,
            access,
            notes,
            kept,
            last: None,
        };
        let (health, providers_file) = (Registry::default(), declared.daemon.providers_file.clone());
        let now = clock.both();
        let admission = Admission::default().restored(store.counters().list()?, now.wall_ms);
        let memory = Memory::default();
        let snapshot = build(&declared, &stored, Outlives { health: &health, admission: &admission, memory: &memory })?;
        counters::restore_minute(&store, &snapshot, now)?;
        let (snapshot, cutting) = (snapshot.into(), AtomicBool::new(false));
        let events = Arc::new(Events::new(clock.clone()));
        let (traces, ids) = (Traces::default(), Ids::new());
        let engine = Engine { snapshot, vault, recorder, clock, admission, durable_each, cutting, events, traces, ids };
        let (engine, declared) = (Arc::new(engine), Mutex::new(declared));
        let (rotating, published) = (Mutex::default(), watch::Sender::default());
        let admin = Self { engine, store, health, memory, providers_file, paths, declared, rotating, published };
        admin.restore_facts()?;
        Ok(admin)
    }

    pub(super) fn outlives(&self) -> Outlives<'_> {
        Outlives { health: &self.health, admission: &self.engine.admission, memory: &self.memory }
    }

    /// Tells whenever another snapshot was published.
    pub fn published(&self) -> watch::Receiver<()> {
        self.published.subscribe()
    }

    pub(super) fn publish(&self, snapshot: Arc<Snapshot>) {
        self.engine.snapshot.store(snapshot);
        self.published.send_replace(());
        // What requests hold that still run is let go by the next look.
        self.forget_leases(&self.sweep());
    }

    /// The files that a change of configuration may show in, and the directory of fragments.
    pub fn watched(&self) -> (Vec<PathBuf>, PathBuf) {
        let files = self.paths.daemon.iter().cloned().chain([self.providers_file.clone()]);
        (files.collect(), config::fragments_directory(&self.providers_file))
    }

    /// The daemon's own configuration, as it is in force.
    pub fn daemon(&self) -> Daemon {
        self.declared().daemon.clone()
    }

    /// The daemon's own file; none: built-in defaults.
    pub fn daemon_file(&self) -> Option<&Path> {
        self.paths.daemon.as_deref()
    }

    /// The last reload that was asked for, or that found something new or wrong.
    pub fn last_reload(&self) -> Option<Reloaded> {
        self.declared().last.clone()
    }

    /// What operators should know of the files, of what the store keeps beside them, and of what waits for a new start.
    pub fn notes(&self) -> Vec<String> {
        let declared = self.declared();
        declared.notes.iter().chain(&declared.kept).cloned().collect()
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
        let stored = Stored::read(&self.store).map_err(StartError::from)?;
        declared.kept = declared.told(&stored, &self.providers_file);
        self.publish(build(&declared, &stored, self.outlives())?);
        Ok(done)
    }

    pub(super) fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says in the log what operators find in the status too.
pub(super) fn say(notes: &[String]) {
    for note in notes {
        tracing::warn!("{note}");
    }
}

pub(super) fn access(daemon: &Daemon) -> (Access, Vec<String>) {
    let apps: Vec<_> = daemon.apps.values().cloned().collect();
    Access::resolve(&daemon.access, &apps, rustix::process::geteuid().as_raw())
}

/// What outlives snapshots, so that no reload resets it.
pub(super) struct Outlives<'a> {
    health: &'a Registry,
    admission: &'a Admission,
    memory: &'a Memory,
}

pub(super) fn build(declared: &Declared, stored: &Stored, outlives: Outlives<'_>) -> Result<Arc<Snapshot>, StartError> {
    let Outlives { health, admission, memory } = outlives;
    let parts = Parts {
        catalogue: Arc::clone(&declared.catalogue),
        secrets: &declared.secrets.sealed,
        access: declared.access.clone(),
        budgets: &declared.daemon.budgets,
        stored: &stored.connections,
        provider_switches: &stored.provider_switches,
        connection_switches: &stored.connection_switches,
        model_lists: &stored.model_lists,
        health,
        admission,
        memory,
    };
    Ok(Arc::new(Snapshot::build(declared.generation, parts)?))
}
