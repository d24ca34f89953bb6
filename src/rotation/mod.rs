//! Which comes next.
//!
//! [`Selection`] knows routes, models and capabilities: it turns what an app asked for into pools of connections.
//! [`Candidates`] walks them: route targets in order, within a target the lowest priority number first, within one
//! priority the operator's default connection and then the order that the route asks for. [`decide`] says what an
//! attempt's class means for the next step, and a [`RetryBudget`] how many retries there may be. All of it is pure: no
//! I/O, no clock.

mod budget;
mod candidates;
mod decision;
mod memory;
mod pool;
mod round;
mod selection;
mod tier;
mod wording;

pub use budget::{RetryBudget, Trouble};
pub use candidates::{Candidate, Candidates, Skipped};
pub use decision::{Step, decide, pause};
pub use memory::Memory;
pub use pool::{Skip, Wanted};
pub use selection::{Selection, SelectionError};

#[cfg(test)]
mod tests;
