//! The socket: accept loop on hyper, routes with their roles, handlers, replies.
//!
//! One acceptor hands each connection to the worker with the fewest open ones; a worker is a thread with a runtime of its
//! own. Whoever connects is known from the kernel before a byte is read.

mod accept;
mod admin;
mod admitted;
mod answer;
mod ask;
mod body;
mod call;
mod dialect;
mod execute;
mod io;
mod link;
mod listen;
mod models;
mod reply;
pub mod routes;
mod seats;
mod unread;
mod worker;

use std::sync::Arc;

use tokio::sync::watch;

pub use accept::{Acceptor, accept};
pub use listen::{Binding, ListenError, Plane, bind, inherited};
pub use seats::Clients;
pub use worker::{Pool, WorkerError};

use crate::access::Names;
use crate::admin::{Admin, Process};
use crate::execute::{Engine, Worker};

/// What the handlers of one worker hold.
#[derive(Clone)]
pub struct Context {
    /// The worker's own way upstream, and what all share.
    pub worker: Arc<Worker>,
    /// What operators do.
    pub admin: Arc<Admin>,
    /// The name service, with a memory.
    pub names: Arc<Names>,
    /// Who is connected.
    pub clients: Clients,
    /// What only the running process knows.
    pub process: Process,
}

impl Context {
    /// What all workers share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.worker.engine
    }
}

/// Waits until a switch has been turned, or can no longer be.
pub(crate) async fn turned(switch: &mut watch::Receiver<bool>) {
    let _ = switch.wait_for(|on| *on).await;
}
