//! What is in force, and how it changes: files and store in, one snapshot out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::secrets;
use crate::access::Access;
use crate::adapter;
use crate::api::ConnectionId;
use crate::clock::Clock;
use crate::config::{self, Catalogue, Daemon, Durability, Environment, Fingerprint, Problem, Report};
use crate::connection::health::Registry;
use crate::execute::{Engine, Ids};
use crate::provider::ProviderError;
use crate::snapshot::{DeclaredSecret, Parts, Snapshot};
use crate::store::{Store, StoreError};
use crate::usage::Recorder;

/// Where the configuration is.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `bursar.toml`; none: built-in defaults.
    pub daemon: Option<PathBuf>,
    /// What defaults depend on.
    pub environment: Environment,
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
    /// Whether anything in the files had changed.
    pub changed: bool,
    /// The generation that is in force.
    pub generation: u64,
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
    paths: Paths,
    declared: Mutex<Declared>,
}

/// What the files say, as it is in force.
struct Declared {
    generation: u64,
    daemon: Daemon,
    daemon_fingerprint: Fingerprint,
    catalogue: Arc<Catalogue>,
    catalogue_fingerprint: Fingerprint,
    secrets: HashMap<ConnectionId, DeclaredSecret>,
    access: Access,
    last: Reloaded,
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
        let mut warnings = daemon.warnings;
        warnings.extend(catalogue.warnings);
        for message in unknown {
            tracing::warn!("[access] {message}");
        }
        let durable_each = daemon.value.usage.durability == Durability::Each;
        let value = Arc::new(catalogue.value);
        let declared = Declared {
            generation: 1,
            secrets: secrets::resolve(&value, &vault),
            daemon: daemon.value,
            daemon_fingerprint: daemon.fingerprint,
            catalogue: value,
            catalogue_fingerprint: catalogue.fingerprint,
            access,
            last: Reloaded { changed: true, generation: 1, warnings, errors: Vec::new() },
        };
        let health = Registry::default();
        let snapshot = build(&declared, &store, &health)?;
        let engine = Engine { snapshot: snapshot.into(), vault, recorder, clock, durable_each, ids: Ids::new() };
        Ok(Self { engine: Arc::new(engine), store, health, paths, declared: Mutex::new(declared) })
    }

    /// The directories and files that a change of configuration may show in.
    pub fn watched(&self) -> Vec<PathBuf> {
        let declared = self.declared();
        self.paths.daemon.iter().cloned().chain([declared.daemon.providers_file.clone()]).collect()
    }

    /// The daemon's own configuration, as it is in force.
    pub fn daemon(&self) -> Daemon {
        self.declared().daemon.clone()
    }

    /// What the last reload did.
    pub fn last_reload(&self) -> Reloaded {
        self.declared().last.clone()
    }

    /// Reads the files again. What has errors is not taken: what is in force stays, and the errors are said.
    pub fn reload(&self) -> Reloaded {
        let mut declared = self.declared();
        let outcome = match self.reread(&mut declared) {
            Ok(outcome) => outcome,
            Err(errors) => Reloaded { generation: declared.generation, errors, ..Reloaded::default() },
        };
        declared.last = outcome.clone();
        outcome
    }

    fn reread(&self, declared: &mut Declared) -> Result<Reloaded, Vec<Problem>> {
        let refused = |report: Report| report.errors;
        let daemon = config::load_daemon(
            self.paths.daemon.as_deref(),
            &self.paths.environment,
            Some(declared.daemon_fingerprint),
        );
        let daemon = daemon.map_err(refused)?;
        let file = &declared.daemon.providers_file;
        let catalogue = config::load_catalogue(file, &adapter::kinds(), Some(declared.catalogue_fingerprint));
        let catalogue = catalogue.map_err(refused)?;
        let changed = daemon.fingerprint != declared.daemon_fingerprint
            || catalogue.fingerprint != declared.catalogue_fingerprint;
        let mut warnings = daemon.warnings;
        warnings.extend(catalogue.warnings);
        for table in declared.daemon.restart_needed(&daemon.value) {
            tracing::warn!("[{table}] has changed, and takes effect when the daemon is started again");
        }
        let value = Arc::new(catalogue.value);
        let (access, unknown) = access(&daemon.value);
        for message in unknown {
            tracing::warn!("[access] {message}");
        }
        let next = Declared {
            generation: declared.generation + 1,
            secrets: secrets::resolve(&value, &self.engine.vault),
            daemon: Daemon { access: daemon.value.access, apps: daemon.value.apps, ..declared.daemon.clone() },
            daemon_fingerprint: daemon.fingerprint,
            catalogue: value,
            catalogue_fingerprint: catalogue.fingerprint,
            access,
            last: Reloaded { changed, generation: declared.generation + 1, warnings, errors: Vec::new() },
        };
        let outcome = next.last.clone();
        let snapshot = build(&next, &self.store, &self.health)
            .map_err(|error| vec![Problem::of_file(&Arc::from(file.as_path()), error.to_string())])?;
        self.engine.snapshot.store(snapshot);
        *declared = next;
        Ok(outcome)
    }

    /// Publishes a snapshot of what the store holds now. Changes of the store go through here, one after the other:
    /// `change` is made and durable before the snapshot that shows it is published.
    ///
    /// # Errors
    /// When the change, or reading the store after it, fails.
    pub fn change<T, E: From<StartError>>(&self, change: impl FnOnce(&Store) -> Result<T, E>) -> Result<T, E> {
        let mut declared = self.declared();
        let done = change(&self.store)?;
        declared.generation += 1;
        self.engine.snapshot.store(build(&declared, &self.store, &self.health)?);
        Ok(done)
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn access(daemon: &Daemon) -> (Access, Vec<String>) {
    let apps: Vec<_> = daemon.apps.values().cloned().collect();
    Access::resolve(&daemon.access, &apps, rustix::process::geteuid().as_raw())
}

fn build(declared: &Declared, store: &Store, health: &Registry) -> Result<Arc<Snapshot>, StartError> {
    let parts = Parts {
        catalogue: Arc::clone(&declared.catalogue),
        secrets: &declared.secrets,
        access: declared.access.clone(),
        stored: store.connections().list()?,
        provider_switches: store.provider_switches().list()?.into_iter().collect(),
        connection_switches: store.connection_switches().list()?.into_iter().collect(),
        health,
    };
    Ok(Arc::new(Snapshot::build(declared.generation, parts)?))
}
