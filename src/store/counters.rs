//! What has been used of the quotas of a day, by scope, and of budgets in their time.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::{self, Record, RecordError};
use super::volatile::{Table, Volatile};

/// What is written down of a scope's day: as much as has been used, and some more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The scope, as its owner names it.
    pub scope: String,
    /// The first moment of the day, in milliseconds since 1970.
    pub starts_ms: i64,
    /// The first moment of the next.
    pub ends_ms: i64,
    /// Requests that may have been used on it.
    pub requests: u64,
    /// Tokens that may have been used on it.
    pub tokens: u64,
    /// Requests that may have been used on a later day before anything was written down for that.
    pub requests_ahead: u64,
    /// Tokens likewise.
    pub tokens_ahead: u64,
    /// Nano-dollars that may have been spent on it.
    pub nano_usd: u64,
    /// Nano-dollars likewise.
    pub nano_usd_ahead: u64,
}

/// The table of day counters. All calls block.
pub struct Counters<'a>(&'a Volatile);

impl<'a> Counters<'a> {
    pub(super) fn new(volatile: &'a Volatile) -> Self {
        Self(volatile)
    }

    /// All leases. Records that cannot be read are left out, and said.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<Lease>, StoreError> {
        let all = self.0.list::<Lease>(Table::Days)?.into_iter();
        Ok(all.map(|(scope, lease)| Lease { scope: String::from_utf8_lossy(&scope).into_owned(), ..lease }).collect())
    }

    /// Stores leases, each in place of its scope's old one. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the change cannot be made durable.
    pub fn put(&self, leases: &[Lease]) -> Result<(), StoreError> {
        self.0.put(Table::Days, leases.iter().map(|lease| (lease.scope.clone().into_bytes(), Some(lease))))
    }

    /// Removes the leases of scopes. Durable when this returns.
    ///
    /// # Errors
    /// As [`Counters::put`].
    pub fn remove(&self, scopes: &[String]) -> Result<(), StoreError> {
        self.0.put::<Lease>(Table::Days, scopes.iter().map(|scope| (scope.clone().into_bytes(), None)))
    }
}

/// The day, what was used of it, and what may be of the next: requests, tokens, nano-dollars.
#[derive(Serialize, Deserialize)]
struct LeaseV2 {
    day: (i64, i64),
    used: (u64, u64, u64),
    ahead: (u64, u64, u64),
}

/// Format 1 knew nothing of money.
#[derive(Serialize, Deserialize)]
struct LeaseV1 {
    day: (i64, i64),
    used: (u64, u64),
    ahead: (u64, u64),
}

impl Record for Lease {
    const KIND: &'static str = "day counter";
    const FORMAT: u8 = 2;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let form = LeaseV2 {
            day: (self.starts_ms, self.ends_ms),
            used: (self.requests, self.tokens, self.nano_usd),
            ahead: (self.requests_ahead, self.tokens_ahead, self.nano_usd_ahead),
        };
        record::to_bytes(Self::KIND, &form)
    }

    fn from_body(format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let LeaseV2 { day, used, ahead } = if format == 1 {
            let LeaseV1 { day, used, ahead } = record::from_bytes(Self::KIND, body)?;
            LeaseV2 { day, used: (used.0, used.1, 0), ahead: (ahead.0, ahead.1, 0) }
        } else {
            record::from_bytes(Self::KIND, body)?
        };
        Ok(Self {
            scope: String::new(),
            starts_ms: day.0,
            ends_ms: day.1,
            requests: used.0,
            tokens: used.1,
            requests_ahead: ahead.0,
            tokens_ahead: ahead.1,
            nano_usd: used.2,
            nano_usd_ahead: ahead.2,
        })
    }
}
