//! What counts of a figure, and how much of that is still under way.

/// Requests or tokens.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::connection) struct Count {
    used: u64,
    open: u64,
}

impl Count {
    /// Everything that counts: what has arrived, and what is under way.
    pub(in crate::connection) fn used(self) -> u64 {
        self.used
    }

    /// Counts what goes out now.
    pub(in crate::connection) fn take(&mut self, amount: u64) {
        self.add(amount);
        self.open = self.open.saturating_add(amount);
    }

    /// Takes back what never went out.
    pub(in crate::connection) fn give_back(&mut self, amount: u64) {
        self.sub(amount);
        self.arrived(amount);
    }

    /// Notes that what went out has arrived, and goes on to count.
    pub(in crate::connection) fn arrived(&mut self, amount: u64) {
        self.open = self.open.saturating_sub(amount);
    }

    /// Counts what was never under way here.
    pub(in crate::connection) fn add(&mut self, amount: u64) {
        self.used = self.used.saturating_add(amount);
    }

    /// Counts so much less.
    pub(in crate::connection) fn sub(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    /// What it is when everything that has arrived counts no more.
    pub(in crate::connection) fn under_way(self) -> Self {
        Self { used: self.open, open: self.open }
    }
}
