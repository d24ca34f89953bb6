//! The daemon itself, as operators see it.

use super::control::Admin;
use super::view::{self, count};
use crate::api::Moment;
use crate::api::admin::{ClientCounts, ConfigStatus, ConnectionCounts, SocketPaths, Status, StoreStatus, UsageStatus};

/// What only the running process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// When it began to serve, in milliseconds since 1970.
    pub started_ms: i64,
    /// Worker threads.
    pub workers: usize,
}

impl Admin {
    /// What the daemon is doing, with so many clients connected. Blocks.
    pub fn status(&self, process: Process, clients: usize) -> Status {
        let snapshot = self.engine.snapshot.load();
        let (daemon, last) = (self.daemon(), self.last_reload());
        let usable = snapshot.connections.values().filter(|one| snapshot.selection.is_usable(one)).count();
        let in_flight = snapshot.connections.values().map(|one| u64::from(one.health.observed().in_flight)).sum();
        let waiting = count(self.engine.admission.waiting.count());
        let uptime_ms = self.engine.clock.wall_ms().saturating_sub(process.started_ms);
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started_at: Moment(process.started_ms),
            uptime_s: u64::try_from(uptime_ms / 1_000).unwrap_or_default(),
            config: ConfigStatus {
                daemon_file: self.daemon_file().map(|file| file.display().to_string()),
                providers_file: self.providers_file.display().to_string(),
                generation: snapshot.generation,
            },
            store: StoreStatus { path: self.store.dir().display().to_string(), generation: self.store.generation() },
            sockets: SocketPaths {
                app: daemon.server.socket.path.display().to_string(),
                admin: daemon.server.admin_socket.map(|socket| socket.path.display().to_string()),
            },
            workers: u32::try_from(process.workers).unwrap_or(u32::MAX),
            clients: ClientCounts { open: count(clients), in_flight, waiting },
            connections: ConnectionCounts { total: count(snapshot.connections.len()), usable: count(usable) },
            usage: UsageStatus { queued: count(self.engine.recorder.queued()), lost: self.engine.recorder.lost() },
            unexplained: self.engine.traces.lost(),
            budgets: self.budgets().budgets,
            warnings: self.store.notices().into_iter().chain(self.notes()).collect(),
            last_reload: last.as_ref().map(view::reload),
        }
    }
}
