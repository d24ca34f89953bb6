//! The manifest of `state`: how many records there are, their sum, and how often they changed, authenticated.
//!
//! It stands inside the database, changed in the same transaction as the records, and outside it in a file that is
//! replaced after each sync. So at open the one inside is that of the file, or one ahead of it (the process ended
//! between sync and replacement); everything else is damage: lost records do not match the sum inside, and a lost tail
//! or an older copy of the database is behind the file.

use serde::{Deserialize, Serialize};

use super::record::{self, Record, RecordError};
use crate::credential::Vault;

/// The key of the manifest inside the database, and of its record outside.
pub(super) const KEY: &[u8] = b"manifest";

/// What the records amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Contents {
    /// Transactions since the state was made.
    pub(super) generation: u64,
    /// Records, without the manifest.
    pub(super) records: u64,
    /// The sum of the records' keyed hashes, modulo 2¹²⁸: the same whatever their order.
    pub(super) sum: u128,
}

impl Contents {
    pub(super) fn add(&mut self, vault: &Vault, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(vault, key, value));
    }

    pub(super) fn subtract(&mut self, vault: &Vault, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(vault, key, value));
    }
}

fn hash(vault: &Vault, key: &[u8], value: &[u8]) -> u128 {
    let tag = vault.mac("record", &[key, value]);
    tag.iter().take(16).fold(0, |sum, &byte| sum << 8 | u128::from(byte))
}

/// Contents with proof that this store wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manifest {
    contents: Contents,
    mac: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct ManifestV1 {
    generation: u64,
    records: u64,
    sum: u128,
    mac: [u8; 32],
}

impl Manifest {
    pub(super) fn of(vault: &Vault, contents: Contents) -> Self {
        Self { contents, mac: mac(vault, &contents) }
    }

    /// The contents, if this store's keys vouch for them.
    pub(super) fn verified(&self, vault: &Vault) -> Option<Contents> {
        (mac(vault, &self.contents) == self.mac).then_some(self.contents)
    }
}

fn mac(vault: &Vault, contents: &Contents) -> [u8; 32] {
    let Contents { generation, records, sum } = contents;
    vault.mac("manifest", &[&generation.to_be_bytes(), &records.to_be_bytes(), &sum.to_be_bytes()])
}

impl Record for Manifest {
    const KIND: &'static str = "manifest";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let Contents { generation, records, sum } = self.contents;
        record::to_bytes(Self::KIND, &ManifestV1 { generation, records, sum, mac: self.mac })
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let ManifestV1 { generation, records, sum, mac } = record::from_bytes(Self::KIND, body)?;
        Ok(Self { contents: Contents { generation, records, sum }, mac })
    }
}
