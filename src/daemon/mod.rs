//! The life of the process: load, open, bind, serve, ready, reload, drain, flush.
//!
//! Every background task of the program is spawned here or in [`crate::server`], and joined before the process ends.

mod leases;
mod lists;
mod prober;
mod secrets;
mod sockets;
mod sweeper;
mod systemd;
mod tasks;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use rustix::fs::Mode;
use rustix::process::DumpableBehavior;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::access::Names;
use crate::admin::keys::{self, KeyError};
use crate::admin::{Admin, Paths, Process, Reloaded, StartError};
use crate::bounds;
use crate::clock::Clock;
use crate::config::{self, Environment, Report};
use crate::execute::{Engine, Worker};
use crate::server::{self, Acceptor, Binding, Clients, Context, ListenError, Pool, WorkerError};
use crate::store::{OpenError, Store};
use crate::upstream::Upstream;
use crate::usage;
use tasks::{Tasks, Without};

/// Why the daemon does not run.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The configuration has errors.
    #[error("{0}")]
    Config(Report),
    /// There is no master key, or not the right one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The state cannot be put together.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A socket cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A worker cannot be started.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A task ended while the daemon ran, and it is of no use without.
    #[error("a task ended that the daemon is of no use without: {0}")]
    Lost(&'static str),
    /// The system refused something.
    #[error("failed to {doing}: {error}")]
    System {
        /// What.
        doing: &'static str,
        /// Why.
        error: std::io::Error,
    },
}

impl DaemonError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Key(_) => 78,
            Self::Start(StartError::Config(_) | StartError::Provider(_)) => 78,
            Self::Store(error) => error.exit_code(),
            Self::Listen(ListenError::Group(_) | ListenError::TooLong(_)) => 78,
            Self::Listen(_) => 75,
            Self::Start(_) | Self::Worker(_) | Self::Lost(_) | Self::System { .. } => 71,
        }
    }
}

/// Serves until a signal says to stop. `config` and `socket` take the place of what would be found without them.
///
/// # Errors
/// When the daemon cannot start, or has lost what it is of no use without.
pub fn serve(config: Option<PathBuf>, socket: Option<PathBuf>, environment: Environment) -> Result<(), DaemonError> {
    close_up();
    let paths = Paths { daemon: environment.daemon_file(config.as_deref()), environment, socket };
    let daemon = paths.read_daemon(None).map_err(DaemonError::Config)?;
    let settings = daemon.value.clone();
    let masters = keys::load_all(&settings.keys)?;
    let store = Arc::new(Store::open_with(&settings.store_path, &masters)?);
    drop(masters);
    for notice in store.notices() {
        tracing::warn!("{notice}");
    }
    let (recorder, writer) = usage::recorder(Arc::clone(&store));
    let admin = Arc::new(Admin::open(paths, daemon, store, recorder.clone(), Clock::system())?);
    admin.begin_leases();
    let bindings = sockets::open(&settings.server)?;
    let writing = thread::Builder::new().name("usage-writer".into()).spawn(move || writer.run());
    let writing = writing.map_err(|error| DaemonError::System { doing: "start the usage writer", error })?;
    let facts = Arc::clone(&admin);
    let facts = thread::Builder::new().name("health-facts".into()).spawn(move || facts.keep_facts());
    let facts = facts.map_err(|error| DaemonError::System { doing: "start to keep health", error })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| DaemonError::System { doing: "start the runtime", error })?;
    let served = runtime.block_on(run(&admin, bindings, settings.server.workers));
    runtime.shutdown_timeout(bounds::BLOCKED_DRAIN_TIMEOUT);
    admin.end_leases();
    // Nothing more is recorded: what waits is written, flushed and synced.
    recorder.close();
    admin.close_facts();
    let _ = writing.join();
    let _ = facts.join();
    tracing::info!(lost = recorder.lost(), "stopped");
    served
}

/// Files and sockets that are made from here on are the daemon's alone until a mode is given to them, and nobody but root
/// may look into the process: its memory holds keys.
fn close_up() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process can be dumped and traced by its own user");
    }
}

/// From the open sockets to the last reply.
async fn run(admin: &Arc<Admin>, bindings: Vec<Binding>, workers: Option<usize>) -> Result<(), DaemonError> {
    let mut signals = Signals::new().map_err(|error| DaemonError::System { doing: "listen for signals", error })?;
    let (stop, stopping) = watch::channel(false);
    let (kill, killing) = watch::channel(false);
    let clients = Clients::default();
    let workers = workers.unwrap_or_else(workers_by_default).clamp(1, bounds::WORKERS_MAX);
    let (pool, threads) = Pool::start(contexts(admin, &clients, workers), &stopping, &killing)?;
    let acceptor = Acceptor::new(pool, clients);
    let bindings: Vec<_> = bindings.into_iter().map(Arc::new).collect();
    let mut tasks = Tasks::default();
    for binding in &bindings {
        tasks.spawn("socket", Without::Useless, accept(Arc::clone(binding), acceptor.clone(), stopping.clone()));
    }
    spawn(&mut tasks, admin, &stopping, &killing);
    let (watcher, hints) = watch_files(admin);
    systemd::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), workers = threads.len(), "ready");
    let lost = attend(admin, &mut signals, &mut tasks, hints).await;
    systemd::stopping();
    tracing::info!("stopping: no new connections; running requests may end");
    let _ = stop.send(true);
    admin.engine.events.close();
    bindings.iter().for_each(|binding| binding.remove());
    drain(&mut signals, &admin.engine, kill, threads).await;
    tasks.join().await;
    drop(watcher);
    lost.map_or(Ok(()), |task| Err(DaemonError::Lost(task)))
}

/// What the handlers of each worker hold.
fn contexts(admin: &Arc<Admin>, clients: &Clients, workers: usize) -> Vec<Context> {
    let names = Arc::new(Names::default());
    let process = Process { started_ms: admin.engine.clock.wall_ms(), workers };
    let context = || Context {
        worker: Arc::new(Worker { engine: Arc::clone(&admin.engine), upstream: Upstream::new() }),
        admin: Arc::clone(admin),
        names: Arc::clone(&names),
        clients: clients.clone(),
        process,
    };
    (0..workers).map(|_| context()).collect()
}

/// Accepts on one socket, until `stopping` turns true.
async fn accept(binding: Arc<Binding>, acceptor: Acceptor, stopping: watch::Receiver<bool>) {
    if let Err(error) = server::accept(&binding, acceptor, stopping).await {
        tracing::error!(%error, "a socket failed");
    }
}

/// Starts what runs beside requests.
fn spawn(tasks: &mut Tasks, admin: &Arc<Admin>, stopping: &watch::Receiver<bool>, killing: &watch::Receiver<bool>) {
    // Requests that run on after a stop may wait for room all the same.
    let waiting = Arc::clone(&admin.engine.admission.waiting).keep(killing.clone());
    tasks.spawn("waiting calls", Without::Useless, waiting);
    tasks.spawn("day counters", Without::Useless, leases::keep(Arc::clone(admin), killing.clone()));
    tasks.spawn("lists of models", Without::Good, lists::keep(Arc::clone(admin), stopping.clone()));
    tasks.spawn("secrets", Without::Good, secrets::keep(Arc::clone(admin), stopping.clone()));
    tasks.spawn("prober", Without::Good, prober::keep(Arc::clone(admin), stopping.clone()));
    tasks.spawn("sweeper", Without::Good, sweeper::keep(Arc::clone(admin), stopping.clone()));
    let admin = Arc::clone(admin);
    tasks.spawn_blocking("resealing", move || admin.go_on_resealing());
}

/// Does what signals and changed files ask for until the daemon is to stop; names the task whose loss is why.
async fn attend(
    admin: &Arc<Admin>,
    signals: &mut Signals,
    tasks: &mut Tasks,
    mut hints: watch::Receiver<u64>,
) -> Option<&'static str> {
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return None,
                Asked::Reload => {
                    systemd::reloading();
                    reload(admin, "SIGHUP", |admin| Some(admin.reload())).await;
                    systemd::ready();
                }
            },
            Ok(()) = hints.changed() => reload(admin, "a file changed", Admin::follow_hint).await,
            task = tasks.lost() => {
                tracing::error!(task, "a task ended that the daemon is of no use without: stopping");
                return Some(task);
            }
        }
    }
}

/// Waits for the workers, and for no longer than running requests may take. A second signal ends the wait.
async fn drain(
    signals: &mut Signals,
    engine: &Engine,
    kill: watch::Sender<bool>,
    threads: Vec<thread::JoinHandle<()>>,
) {
    let mut joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
    tokio::select! {
        _ = &mut joined => return,
        () = tokio::time::sleep(bounds::DRAIN_TIMEOUT) => tracing::warn!("running requests took too long: cutting them"),
        () = signals.stop() => tracing::warn!("asked a second time: cutting running requests"),
    }
    // Before the cut, so that no record says that the app hung up.
    engine.cutting.store(true, Ordering::Relaxed);
    let _ = kill.send(true);
    let _ = joined.await;
}

/// Watches the configuration's directories. What comes is a hint to read again, never data.
fn watch_files(admin: &Arc<Admin>) -> (Option<config::Watcher>, watch::Receiver<u64>) {
    let (hint, hints) = watch::channel(0_u64);
    let (files, fragments) = admin.watched();
    let watcher = config::Watcher::new(files, [fragments], move || hint.send_modify(|count| *count += 1));
    match watcher {
        Ok(watcher) => (Some(watcher), hints),
        Err(error) => {
            tracing::warn!(%error, "configuration files are not watched: use `bursar reload` after a change");
            (None, hints)
        }
    }
}

/// Reads the configuration again, and says how that went.
async fn reload(admin: &Arc<Admin>, why: &'static str, how: fn(&Admin) -> Option<Reloaded>) {
    let admin = Arc::clone(admin);
    let reloaded = tokio::task::spawn_blocking(move || how(&admin)).await;
    let Ok(Some(reloaded)) = reloaded else { return };
    for problem in &reloaded.errors {
        tracing::error!("{problem}");
    }
    let generation = reloaded.generation;
    if !reloaded.errors.is_empty() {
        tracing::error!(why, generation, "the configuration has errors: the old one stays in force");
    } else if reloaded.changed {
        tracing::info!(why, generation, changes = changes(&reloaded), "the configuration was read again");
    }
}

/// What a reload changed, by name, on one line of the log.
fn changes(reloaded: &Reloaded) -> String {
    let shown = reloaded.changes.iter().take(bounds::LOGGED_CHANGES_MAX);
    let shown: Vec<_> = shown.map(|one| format!("{} {} {}", one.action.name(), one.kind.name(), one.name)).collect();
    match reloaded.changes.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// One for each processor: connections are spread over them, and a worker without any costs next to nothing.
fn workers_by_default() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

/// The signals that the daemon answers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
