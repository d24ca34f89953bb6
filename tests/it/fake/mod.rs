//! A provider that does what a test tells it to, byte by byte.
//!
//! It listens on a port of its own, speaks its own HTTP, and so can say what no HTTP library would: half a head, a
//! length that is wrong, a reset in mid-stream. A test scripts it, lets Bursar call it, and asks what it saw:
//!
//! ```ignore
//! let fake = FakeProvider::start().await;
//! fake.for_key("sk-a").script([openai::error(429).retry_after(3)]);
//! fake.for_key("sk-b").always(openai::stream(&["Hel", "lo"]));
//! // … call Bursar …
//! assert_eq!(fake.seen().len(), 2);
//! ```
//!
//! Behaviours are made in layers, each of which can be changed before it becomes the next:
//! [`Events`] (what a stream says) → [`Reply`] (how HTTP frames it, where it ends) → [`Behaviour`] (the very steps, how
//! the bytes are split and when they come). [`openai`] and [`gemini`] have their providers' shapes, [`broken`] what no
//! provider should do. Nothing sleeps: a test waits for what it expects, with a deadline, and paces a reply by a
//! [`Gate`].

#![allow(dead_code, reason = "a harness offers more than the tests of one day use")]

pub mod anthropic;
mod behaviour;
pub mod broken;
mod connection;
mod events;
pub mod gemini;
pub mod openai;
mod reply;
mod request;
mod script;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use behaviour::{Behaviour, Gate, Step};
pub use events::Events;
pub use reply::{Framing, Reply};
pub use request::SeenRequest;
pub use script::Scripting;

use script::{Scripts, Which};

/// How long a test waits for what must happen. Far more than it takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A scripted server on a port of its own; it ends with its value.
pub struct FakeProvider {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accepting: JoinHandle<()>,
}

/// What the server is to do, and what it saw.
#[derive(Default)]
struct State {
    scripts: Scripts,
    seen: Vec<SeenRequest>,
    open_connections: usize,
    aborted: usize,
}

impl FakeProvider {
    /// Starts one. Until it is scripted, it answers every request with a 500 that says so.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port of the loopback");
        let address = listener.local_addr().expect("the port that it got");
        let state = Arc::new(watch::Sender::new(State::default()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// Where it listens, without a path: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does these things, one a request, for requests that no narrower script is for.
    pub fn script<B: Into<Behaviour>>(&self, behaviours: impl IntoIterator<Item = B>) {
        self.scripting(Which::Any).script(behaviours);
    }

    /// Does this when no script has anything left.
    pub fn always(&self, behaviour: impl Into<Behaviour>) {
        self.scripting(Which::Any).always(behaviour);
    }

    /// What to do for requests with this key, in whichever header. Goes before the path's script.
    pub fn for_key(&self, key: &str) -> Scripting<'_> {
        self.scripting(Which::Key(key.to_owned()))
    }

    /// What to do for requests to this path, its query left out.
    pub fn for_path(&self, path: &str) -> Scripting<'_> {
        self.scripting(Which::Path(path.to_owned()))
    }

    fn scripting(&self, which: Which) -> Scripting<'_> {
        Scripting { state: &self.state, which }
    }

    /// The requests so far, in the order in which their last byte came.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.state.borrow().seen.clone()
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.state.borrow().open_connections
    }

    /// Replies so far during which the client hung up.
    pub fn aborted(&self) -> usize {
        self.state.borrow().aborted
    }

    /// Waits for so many requests, and gives them.
    pub async fn until_seen(&self, count: usize) -> Vec<SeenRequest> {
        self.until(&format!("{count} requests seen"), |state| state.seen.len() >= count).await;
        self.seen()
    }

    /// Waits for so many replies to be aborted by the client.
    pub async fn until_aborted(&self, count: usize) {
        self.until(&format!("{count} replies aborted"), |state| state.aborted >= count).await;
    }

    /// Waits for all connections to be closed.
    pub async fn until_closed(&self) {
        self.until("no connection open", |state| state.open_connections == 0).await;
    }

    async fn until(&self, what: &str, is: impl Fn(&State) -> bool) {
        let mut states = self.state.subscribe();
        let waited = tokio::time::timeout(DEADLINE, states.wait_for(|state| is(state))).await.is_ok();
        assert!(
            waited,
            "waited in vain for {what}: {} seen, {} aborted, {} open",
            self.seen().len(),
            self.aborted(),
            self.open_connections()
        );
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<watch::Sender<State>>) {
    // Owned here, so that all connections end with the server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection::serve(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

/// An address at which connections are refused, for as long as the value lives: bound, but never listening.
pub struct Refusing {
    address: SocketAddr,
    _bound: socket2::Socket,
}

impl Refusing {
    pub fn bind() -> Self {
        let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port of the loopback");
        let address = bound.local_addr().ok().and_then(|address| address.as_socket()).expect("the port that it got");
        Self { address, _bound: bound }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
