//! The targets, as a library for their programs.

pub mod targets;
