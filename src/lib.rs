//! Bursar.

pub mod api;
pub mod bounds;
pub mod clock;
pub mod credential;
pub mod store;
pub mod usage;
