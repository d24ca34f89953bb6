//! The accounts: every attempt's record on its way to the store, and the questions that are asked of them.
//!
//! [`Recorder`] takes records from the workers without ever blocking, [`Writer`] brings them to the store in blocks on a
//! thread of its own, [`Rollups`] keep what they amount to, from which [`totals`] answers, and the [`Meter`] sums up what
//! goes by for whoever scrapes. What must stay true: a worker never waits for the disk; and a record
//! that has to be dropped is counted.

mod histogram;
pub mod meter;
mod query;
mod recorder;
mod rollup;
mod tally;
mod writer;

pub use meter::Meter;
pub use query::{Query, totals};
pub use recorder::{NotDurable, Receipt, Recorder, recorder};
pub use rollup::{Change, Changes, Rollups};
pub use writer::Writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod measure_tests;
#[cfg(test)]
pub(crate) mod testing;
