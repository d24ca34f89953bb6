//! The integration tests, all in one binary so that they link once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test says what it expects, and its helpers belong to it"
)]

mod anthropic;
mod basics;
mod budgets;
mod configuration;
mod corpora;
mod demo;
mod dialects;
mod events;
mod execute;
mod explain;
mod failures;
mod fake;
mod fake_tests;
mod faults;
mod full_disk;
mod harness;
mod health;
mod import;
mod layers;
mod life;
mod limits;
mod meanings;
mod mended;
mod metering;
mod metrics;
mod model_lists;
mod operators;
mod orders;
mod passing;
mod presets;
mod refusals;
mod reloads;
mod reprice;
mod rotation;
mod sandbox;
mod secrets;
mod socket;
mod spoken;
mod storage;
mod usage;
mod usage_asked;
mod walks;
