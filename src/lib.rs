//! Bursar.

pub mod api;
pub mod bounds;
pub mod clock;
pub mod config;
