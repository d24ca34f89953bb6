//! The matrix of faults: each thing that a provider, or the way to it, may do, for a whole reply, for a stream before
//! content and for one after it, with one connection and with two, for apps and providers of OpenAI's dialect and of
//! Anthropic's.
//!
//! In every case six things must hold, and `check.rs` says how:
//! 1. the app is told the right thing, in its own dialect;
//! 2. in time;
//! 3. the daemon's memory stays within bounds;
//! 4. the request has exactly one final record, and one for each attempt before it;
//! 5. the connection is left in the right state, and nothing runs on;
//! 6. no key and no prompt is anywhere.
//!
//! Each test prints how many cases it held.

mod case;
mod check;
mod client;
mod streams;
mod table;
mod transport;
mod words;
mod world;

use crate::spoken::Dialect::{self, Anthropic, OpenAi};
use words::Words;

async fn matrix(app: Dialect, provider: Dialect) {
    let mut cases = table::cases(Words(provider));
    cases.extend(transport::cases());
    let held = world::hold(app, Words(provider), &cases).await;
    // One for each cell, so that none is left out unseen.
    assert_eq!(held, cases.len());
    eprintln!("faults: {held} cases held, an app of {app:?}'s dialect before a provider of {provider:?}'s");
}

#[tokio::test]
async fn an_app_of_openais_before_a_provider_of_openais() {
    matrix(OpenAi, OpenAi).await;
}

#[tokio::test]
async fn an_app_of_anthropics_before_a_provider_of_openais() {
    matrix(Anthropic, OpenAi).await;
}

#[tokio::test]
async fn an_app_of_openais_before_a_provider_of_anthropics() {
    matrix(OpenAi, Anthropic).await;
}

#[tokio::test]
async fn an_app_of_anthropics_before_a_provider_of_anthropics() {
    matrix(Anthropic, Anthropic).await;
}
