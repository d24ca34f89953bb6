//! Bursar is a sidecar daemon, one per Linux host. It keeps the host's AI-provider connections, and the apps beside it
//! call AI models through its Unix socket without ever seeing a key. It picks a connection, rotates and falls back when
//! one fails, and accounts for every token.
//!
//! A bursar keeps the keys and the accounts of a college. Hence the name, and the two promises: **no app ever holds a
//! key, and no token goes uncounted.**
//!
//! # The way of a request
//!
//! ```text
//!  app ── Unix socket ──▶ server ─▶ access ─▶ execute ─▶ rotation ─▶ adapter ─▶ upstream ──▶ provider
//!  (kernel names it)        │                    │  ▲                                          │
//!                           │                    ▼  └────────── outcome, health ◀─────────────┘
//!  bursar (CLI) ──▶ admin ──┘                  usage ─▶ store (sled)      providers.toml ─▶ config ─▶ snapshot
//! ```
//!
//! To follow one: [`server`] takes the connection and finds the route, [`access`] says who calls, and
//! [`execute::execute`] is the whole control flow on one screen: select → attempt → classify → record → fall back.
//! [`rotation`] decides what comes next, an [`adapter`] translates, [`upstream`] sends, and the request's
//! [`execute::Ledger`] writes its records.
//!
//! Apps speak OpenAI's dialect, Anthropic's or Google's. Where the provider speaks the same one, bytes pass, read for
//! what they say ([`adapter::body`]); else an [`adapter::ingress`] says the request in OpenAI's words and the adapter
//! says those in the provider's, and the answer comes back the same way. So there is no translation for each pair.
//!
//! # The layers
//!
//! From the top down; a module may use those below it, never those above. A test reads the `use crate::` lines.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | one file per command group; talks to the daemon through the socket |
//! | [`daemon`] | the life of the process: load, open, bind, serve, ready, reload, drain, flush; each day the providers' lists of models |
//! | [`server`] | accept loop on hyper, routes with their roles, handlers, replies |
//! | [`admin`] | what operators do, once, for command line and API alike |
//! | [`execute`] | THE control flow of a request |
//! | [`snapshot`] | what is in force, as one immutable value |
//! | [`access`] | who is calling, which app that is, what it may do |
//! | [`usage`] | recorder, writer, rollups by minute, hour and day, queries, running sums for metrics |
//! | [`rotation`] | which comes next: selection of models, order among connections |
//! | [`connection`] | a connection and how it has fared |
//! | [`provider`] | providers, put together with their adapters; what a call costs |
//! | [`adapter`] | how providers are spoken to, one folder a wire format; and how apps are, in `adapter/ingress` |
//! | [`upstream`] | the way to providers; the sandbox |
//! | [`config`] | TOML, over the presets and prices that are built in → parsed → checked → immutable |
//! | [`store`] | sled, and the discipline that it needs |
//! | [`credential`] | secrets, keys, ciphers: bytes in, bytes out |
//! | [`log`] | the log: lines that nobody waits for |
//! | [`events`] | what happened, for whoever watches: a bounded ring, and a stream |
//! | [`texts`] | texts as small numbers, for what counts and packs usage |
//! | [`api`] | every type that crosses the socket, ids, outcomes, codes |
//! | [`bounds`], [`clock`] | every bound of the program; wall and monotonic time |
//!
//! # What stays true
//!
//! - Adapters do no I/O, see no clock and no store, and never log.
//! - `reqwest` is named in [`upstream`] only; `sled` in [`store`] only; `bincode` in `store/record.rs` only; `aes_gcm` in
//!   `credential/cipher.rs` only; `hyper` in [`server`], [`upstream`] and `cli/client.rs` only; `notify` in
//!   `config/watch.rs` only.
//! - Plain secret bytes exist only between the cipher and the send. No type that holds them is printable or serialisable.
//! - A request sees exactly one snapshot. The hot path takes no lock that an admin call can hold, and never touches the
//!   disk, the name service or DNS of another request.
//! - Every queue, body, stream, retry, scan and label set is bounded by a named constant in [`bounds`].
//! - Every task is spawned in [`daemon`] or [`server`] and joined at shutdown. What still blocks then is waited for, for
//!   [`bounds::BLOCKED_DRAIN_TIMEOUT`]; what is not done by then is cut as by a kill, which every change must bear.
//! - Only [`api`], [`config`], adapters' wire types and store records derive serde's traits.
//! - No decision hangs on a substring of a model's or provider's name; capabilities are data.
//! - No field or header of a client is ever read as a destination. Identity is not optional and has no default.
//! - No unsafe code; no unwrap, expect, panic, indexing or printing outside tests and the command line's output.
//!
//! A new provider that is compatible with OpenAI's API is TOML only, and a preset where many will want it. A new wire
//! format is one folder in [`adapter`] and one line in its table; a new dialect of apps is one in `adapter/ingress`, one
//! line in its table, and its paths in `server/routes.rs`.

pub mod access;
pub mod adapter;
pub mod admin;
pub mod api;
pub mod bounds;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod credential;
pub mod daemon;
pub mod events;
pub mod execute;
pub mod log;
pub mod provider;
pub mod rotation;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod texts;
pub mod upstream;
pub mod usage;
