//! What operators do, once, for command line, API and dashboard alike.
//!
//! Everything here may block: on the store, on files, on the name service. It runs on threads that may wait, never on a
//! worker. A change is durable, and the snapshot that holds it published, before the call returns.

mod control;
mod secrets;

pub use control::{Admin, Paths, Reloaded, StartError};
