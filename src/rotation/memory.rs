//! What choosing remembers beyond a snapshot.

use super::budget::RetryBudget;
use super::tier::Turn;
use crate::api::{ConnectionId, ProviderSlug};
use crate::connection::Pace;
use crate::connection::pace::Kept;

/// Whose turn it is among equals, how fast connections answer, and how many retries providers may still have. It outlives
/// snapshots, so that a reload resets nothing.
#[derive(Debug, Default)]
pub struct Memory {
    /// How fast each connection answers.
    pub paces: Kept<ConnectionId, Pace>,
    /// Whose turn it is among a provider's connections of one priority.
    pub(super) turns: Kept<(ProviderSlug, u32), Turn>,
    /// Providers' retries.
    pub(super) budgets: Kept<ProviderSlug, RetryBudget>,
}

impl Memory {
    /// Lets go what the snapshots that are left do not hold.
    pub fn sweep(&self) {
        self.paces.sweep();
        self.turns.sweep();
        self.budgets.sweep();
    }
}
