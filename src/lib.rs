//! Bursar.

pub mod adapter;
pub mod api;
pub mod bounds;
pub mod clock;
pub mod config;
pub mod upstream;
