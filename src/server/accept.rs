//! The accept loop: takes connections, knows their peers, and hands each to the worker with the fewest open.

use std::io;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::admitted::Caller;
use super::listen::{Binding, Plane};
use super::seats::Clients;
use super::worker::{Arrival, Pool};
use crate::bounds;

/// What all sockets share: who serves connections, and whose are open.
#[derive(Clone)]
pub struct Acceptor {
    pool: Pool,
    clients: Clients,
}

impl Acceptor {
    /// An acceptor that hands connections to a pool of workers, and keeps count of them.
    pub fn new(pool: Pool, clients: Clients) -> Self {
        Self { pool, clients }
    }

    /// Hands one connection on, or drops it where its user has too many.
    fn hand_on(&self, stream: UnixStream, plane: Plane, permit: OwnedSemaphorePermit) {
        let Ok(peer) = stream.peer_cred() else { return };
        let room = self.clients.room(plane);
        let Some(seat) = room.seat(peer.uid()) else {
            tracing::warn!(uid = peer.uid(), most = room.per_user_max(), "too many connections of one user");
            return;
        };
        let Ok(stream) = stream.into_std() else { return };
        let caller = Caller { uid: peer.uid(), gid: peer.gid() };
        self.pool.hand_on(Arrival { stream, caller, plane, _room: (permit, seat) });
    }
}

/// Accepts on one socket until `stop` turns true.
///
/// # Errors
/// When the socket cannot be waited on at all.
pub async fn accept(binding: &Binding, acceptor: Acceptor, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let listener = UnixListener::from_std(binding.listener.try_clone()?)?;
    let mut pause = Pause::default();
    loop {
        // Room comes first: a connection that is not accepted waits in the kernel, at no cost.
        let permit = tokio::select! {
            permit = acceptor.clients.room(binding.plane).permit() => permit,
            () = super::turned(&mut stop) => return Ok(()),
        };
        let Ok(permit) = permit else { return Ok(()) };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = super::turned(&mut stop) => return Ok(()),
        };
        match accepted {
            Ok((stream, _)) => {
                pause = Pause::default();
                acceptor.hand_on(stream, binding.plane, permit);
            }
            // The client was gone before it was its turn.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            // Out of file descriptors or memory: others will give some back.
            Err(error) => {
                pause.longer();
                tracing::warn!(%error, pause_ms = pause.0.as_millis(), "accepting failed; trying again");
                tokio::time::sleep(pause.0).await;
            }
        }
    }
}

/// How long to wait after an error.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(5))
    }
}

impl Pause {
    fn longer(&mut self) {
        self.0 = (self.0 * 2).min(bounds::ACCEPT_PAUSE_MAX);
    }
}
