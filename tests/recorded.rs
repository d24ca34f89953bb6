//! Real replies of providers, replayed through the real daemon: what an app gets over the socket, and what the usage
//! record holds, must be the facts that stand beside each recording.
//!
//! The recordings lie in the folder that `BURSAR_RECORDED` names (its README.md says what a case is); no byte of them is
//! part of this project. Every case has a provider of its own, with one connection and nothing to fall back to, so that
//! no case's failure can be seen by another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test says what it expects, and its helpers belong to it"
)]

mod common;
#[path = "it/fake/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod fake;
#[path = "recorded/mended.rs"]
mod mended;
