//! How each provider's last check went.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::{self, Record, RecordError};
use super::volatile::{Table, Volatile};
use crate::api::{ConnectionName, Outcome, ProviderSlug};

/// The last check of a provider: it was asked for its list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// With which of its connections.
    pub connection: ConnectionName,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status, where it gave one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Why it failed, sanitised.
    pub error: Option<String>,
}

/// The table of checks. All calls block.
pub struct Checks<'a>(&'a Volatile);

impl<'a> Checks<'a> {
    pub(super) fn new(volatile: &'a Volatile) -> Self {
        Self(volatile)
    }

    /// All checks, by provider. Those that cannot be read are left out: the next check tells.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<(ProviderSlug, Check)>, StoreError> {
        let slug = |key: &[u8]| std::str::from_utf8(key).ok()?.parse().ok();
        let all = self.0.list(Table::Checks)?.into_iter();
        Ok(all.filter_map(|(key, check)| Some((slug(&key)?, check))).collect())
    }

    /// Stores checks, each in place of the provider's last one; none forgets that. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the change cannot be made durable.
    pub fn put(&self, all: &[(ProviderSlug, Option<Check>)]) -> Result<(), StoreError> {
        let all = all.iter().map(|(slug, check)| (slug.as_str().as_bytes().to_vec(), check.as_ref()));
        self.0.put(Table::Checks, all)
    }
}

#[derive(Serialize, Deserialize)]
struct CheckV1 {
    at_ms: i64,
    connection: String,
    outcome: String,
    status: Option<u16>,
    ms: u64,
    error: Option<String>,
}

impl Record for Check {
    const KIND: &'static str = "check";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let form = CheckV1 {
            at_ms: self.at_ms,
            connection: self.connection.to_string(),
            outcome: self.outcome.name().into(),
            status: self.status,
            ms: self.ms,
            error: self.error.clone(),
        };
        record::to_bytes(Self::KIND, &form)
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let CheckV1 { at_ms, connection, outcome, status, ms, error } = record::from_bytes(Self::KIND, body)?;
        let known = Outcome::ALL.iter().copied().find(|one| one.name() == outcome);
        Ok(Self {
            at_ms,
            connection: connection.parse().map_err(|error| RecordError::body(Self::KIND, error))?,
            outcome: known.ok_or_else(|| RecordError::body(Self::KIND, "an outcome of another version"))?,
            status,
            ms,
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_reads_back_as_written() {
        let check = Check {
            at_ms: 1_700_000_000_000,
            connection: "main".parse().unwrap(),
            outcome: Outcome::Credential,
            status: Some(401),
            ms: 12,
            error: Some("no".into()),
        };
        let value = record::encode(b"checks/openai", &check).unwrap();
        assert_eq!(record::decode::<Check>(b"checks/openai", &value).unwrap(), check);
    }
}
