//! What stands against accounts and connections, by scope.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::{self, Record, RecordError};
use super::volatile::{Table, Volatile};
use crate::api::{ConnectionId, LimitGroup};
use crate::credential::Fingerprint;

/// Whose facts they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A connection's.
    Connection(ConnectionId),
    /// Those of the account that a group of connections shares.
    Group(LimitGroup),
}

/// What stands against a scope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The account is out of money or quota.
    pub parked: Option<ParkedFact>,
    /// The credential was refused.
    pub rejected: Option<RejectedFact>,
    /// What stands against single models.
    pub models: Vec<ModelFact>,
}

/// An account that is parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedFact {
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// What the provider said, sanitised.
    pub reason: String,
}

/// A credential that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedFact {
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// Which one: another secret, or another origin, is not rejected.
    pub print: Fingerprint,
    /// What the provider said, sanitised.
    pub reason: String,
}

/// What stands against a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFact {
    /// The model, as the provider names it.
    pub model: String,
    /// It cools.
    pub cooling: Option<CoolingFact>,
    /// It is not for this credential, until then, in milliseconds since 1970.
    pub barred_until_ms: Option<i64>,
}

/// A cooldown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoolingFact {
    /// When it began, in milliseconds since 1970.
    pub began_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub until_ms: i64,
    /// Limits in a row that were hit without a hint.
    pub strikes: u32,
    /// Whether the provider said how long.
    pub said: bool,
}

impl Facts {
    /// Whether nothing stands against the scope.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The table of facts. All calls block.
pub struct FactsTable<'a>(&'a Volatile);

impl<'a> FactsTable<'a> {
    pub(super) fn new(volatile: &'a Volatile) -> Self {
        Self(volatile)
    }

    /// All facts, by scope. Records that cannot be read are left out: what they said is learned again.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<(Scope, Facts)>, StoreError> {
        let all = self.0.list(Table::Facts)?.into_iter();
        Ok(all.filter_map(|(key, facts)| Some((scope_of(&key)?, facts))).collect())
    }

    /// Stores the facts of scopes, in place of what there was; empty ones are removed. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the change cannot be made durable.
    pub fn put(&self, all: &[(Scope, Facts)]) -> Result<(), StoreError> {
        let all = all.iter().map(|(scope, facts)| (key_of(scope), (!facts.is_empty()).then_some(facts)));
        self.0.put(Table::Facts, all)
    }
}

fn key_of(scope: &Scope) -> Vec<u8> {
    match scope {
        Scope::Connection(id) => format!("c/{id}").into_bytes(),
        Scope::Group(group) => format!("g/{group}").into_bytes(),
    }
}

fn scope_of(key: &[u8]) -> Option<Scope> {
    let key = std::str::from_utf8(key).ok()?;
    match key.split_once('/')? {
        ("c", id) => Some(Scope::Connection(id.parse().ok()?)),
        ("g", group) => Some(Scope::Group(group.parse().ok()?)),
        _ => None,
    }
}

#[derive(Serialize, Deserialize)]
struct FactsV1 {
    parked: Option<(i64, String)>,
    rejected: Option<([u8; 16], i64, String)>,
    models: Vec<(String, Option<CoolingV1>, Option<i64>)>,
}

#[derive(Serialize, Deserialize)]
struct CoolingV1 {
    began_ms: i64,
    until_ms: i64,
    strikes: u32,
    said: bool,
}

impl Record for Facts {
    const KIND: &'static str = "facts";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let Self { parked, rejected, models } = self.clone();
        let cooling =
            |CoolingFact { began_ms, until_ms, strikes, said }| CoolingV1 { began_ms, until_ms, strikes, said };
        let model = |one: ModelFact| (one.model, one.cooling.map(cooling), one.barred_until_ms);
        let form = FactsV1 {
            parked: parked.map(|one| (one.since_ms, one.reason)),
            rejected: rejected.map(|one| (one.print.0, one.since_ms, one.reason)),
            models: models.into_iter().map(model).collect(),
        };
        record::to_bytes(Self::KIND, &form)
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let FactsV1 { parked, rejected, models } = record::from_bytes(Self::KIND, body)?;
        let cooling =
            |CoolingV1 { began_ms, until_ms, strikes, said }| CoolingFact { began_ms, until_ms, strikes, said };
        let model = |(model, cooled, barred_until_ms): (_, Option<CoolingV1>, _)| ModelFact {
            model,
            cooling: cooled.map(cooling),
            barred_until_ms,
        };
        Ok(Self {
            parked: parked.map(|(since_ms, reason)| ParkedFact { since_ms, reason }),
            rejected: rejected.map(|(print, since_ms, reason)| RejectedFact {
                since_ms,
                print: Fingerprint(print),
                reason,
            }),
            models: models.into_iter().map(model).collect(),
        })
    }
}
