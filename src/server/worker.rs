//! Workers: threads with a runtime, a way upstream and connections of their own. Nothing is shared between them on the
//! way of a request but what is immutable.

use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;

use super::admitted::Caller;
use super::listen::Plane;
use super::seats::Seat;
use super::{Context, link};
use crate::bounds;

/// A worker that cannot be started.
#[derive(Debug, Error)]
#[error("failed to start a worker: {0}")]
pub struct WorkerError(#[from] std::io::Error);

/// A connection on its way to a worker.
pub(super) struct Arrival {
    pub(super) stream: StdStream,
    pub(super) caller: Caller,
    pub(super) plane: Plane,
    pub(super) _room: (OwnedSemaphorePermit, Seat),
}

/// The workers, as the acceptor sees them.
#[derive(Clone)]
pub struct Pool(Arc<[Entrance]>);

struct Entrance {
    open: Arc<AtomicUsize>,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl Pool {
    /// Starts a worker for each context. They end when `stop` has turned true and their connections are done, or when
    /// `kill` turns true.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(
        contexts: Vec<Context>,
        stop: &watch::Receiver<bool>,
        kill: &watch::Receiver<bool>,
    ) -> Result<(Self, Vec<JoinHandle<()>>), WorkerError> {
        let mut entrances = Vec::with_capacity(contexts.len());
        let mut threads = Vec::with_capacity(contexts.len());
        for (number, context) in contexts.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(bounds::BLOCKING_THREADS_MAX)
                .build()?;
            // Bounded by the room for clients, which every arrival holds a part of.
            let (arrivals, inbox) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let work = Work { context, inbox, open: Arc::clone(&open), stop: stop.clone(), kill: kill.clone() };
            let name = format!("worker-{number}");
            threads.push(thread::Builder::new().name(name).spawn(move || {
                runtime.block_on(work.run());
                // A change that was begun is brought to its end, also where nobody waits for its reply any more.
                runtime.shutdown_timeout(bounds::BLOCKED_DRAIN_TIMEOUT);
            })?);
            entrances.push(Entrance { open, arrivals });
        }
        Ok((Self(entrances.into()), threads))
    }

    /// Hands a connection to the worker with the fewest open ones.
    pub(super) fn hand_on(&self, arrival: Arrival) {
        let fewest = self.0.iter().min_by_key(|entrance| entrance.open.load(Ordering::Relaxed));
        if let Some(entrance) = fewest {
            entrance.open.fetch_add(1, Ordering::Relaxed);
            let _ = entrance.arrivals.send(arrival);
        }
    }
}

struct Work {
    context: Context,
    inbox: mpsc::UnboundedReceiver<Arrival>,
    open: Arc<AtomicUsize>,
    stop: watch::Receiver<bool>,
    kill: watch::Receiver<bool>,
}

impl Work {
    async fn run(mut self) {
        let mut links = JoinSet::new();
        loop {
            let arrival = tokio::select! {
                arrival = self.inbox.recv() => arrival,
                Some(_) = links.join_next(), if !links.is_empty() => continue,
                () = super::turned(&mut self.stop) => None,
            };
            match arrival {
                Some(arrival) => self.begin(&mut links, arrival),
                None => break,
            }
        }
        // What was handed on in the last moment is served too.
        while let Ok(arrival) = self.inbox.try_recv() {
            self.begin(&mut links, arrival);
        }
        let drained = async { while links.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = super::turned(&mut self.kill) => {}
        }
        // What is cut lets go of what it waited for.
        links.shutdown().await;
    }

    fn begin(&self, links: &mut JoinSet<()>, arrival: Arrival) {
        let (context, stop) = (self.context.clone(), self.stop.clone());
        let counted = Open(Arc::clone(&self.open));
        links.spawn(async move {
            let _counted = counted;
            let Arrival { stream, caller, plane, _room } = arrival;
            if let Ok(stream) = UnixStream::from_std(stream) {
                link::serve(context, stream, caller, plane, stop).await;
            }
        });
    }
}

/// One open connection of a worker.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
