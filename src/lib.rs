//! Bursar.

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
pub mod execute;
pub mod provider;
pub mod rotation;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod upstream;
pub mod usage;
