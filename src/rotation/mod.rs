//! Which comes next.
//!
//! [`Selection`] knows routes, models and capabilities: it turns what an app asked for into pools of connections.
//! [`Candidates`] walks them: route targets in order, within a target the lowest priority number first, within one
//! priority the operator's default connection and then a smooth weighted round robin. [`decide`] says what an
//! attempt's class means for the next step. All of it is pure: no I/O, no clock.

mod candidates;
mod decision;
mod pool;
mod selection;
mod tier;
mod wording;

pub use candidates::{Candidate, Candidates, Skipped};
pub use decision::{Step, decide, pause};
pub use pool::{Skip, Wanted};
pub use selection::{Selection, SelectionError};
pub use tier::Tier;
