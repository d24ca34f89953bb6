//! The models that providers list, as they were last fetched.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::{self, Record, RecordError};
use super::state::State;
use crate::api::ProviderSlug;

const TABLE: &str = "m/";

/// A provider's list of models. Callers keep it within [`crate::bounds::MODEL_LIST_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelList {
    /// The provider.
    pub provider: ProviderSlug,
    /// Where it was fetched: the list of another address says nothing.
    pub base_url: String,
    /// When it was fetched, in milliseconds since 1970.
    pub fetched_ms: i64,
    /// The models' ids, in order.
    pub ids: Vec<String>,
}

/// The table of model lists. All calls block.
#[derive(Debug, Clone, Copy)]
pub struct ModelLists<'a> {
    state: &'a State,
}

impl<'a> ModelLists<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// Whether a record reads; none if it is not of this table.
    pub(super) fn reads(key: &[u8], value: &[u8]) -> Option<Result<(), RecordError>> {
        key.starts_with(TABLE.as_bytes()).then(|| record::decode::<ModelList>(key, value).map(drop))
    }

    /// All lists, in the order of their providers.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<ModelList>, StoreError> {
        self.state.list(TABLE.as_bytes())
    }

    /// A provider's list, if one is kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, provider: &ProviderSlug) -> Result<Option<ModelList>, StoreError> {
        self.state.get(&key(provider))
    }

    /// Stores a list, in place of the provider's old one. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, the list too large, or the change cannot be made durable.
    pub fn put(&self, list: &ModelList) -> Result<(), StoreError> {
        self.state.put(key(&list.provider), list)
    }

    /// Forgets a provider's list. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the change cannot be made durable.
    pub fn remove(&self, provider: &ProviderSlug) -> Result<(), StoreError> {
        self.state.remove(key(provider))
    }
}

pub(super) fn key(provider: &ProviderSlug) -> Vec<u8> {
    format!("{TABLE}{provider}").into_bytes()
}

#[derive(Serialize, Deserialize)]
struct ModelListV1 {
    provider: String,
    base_url: String,
    fetched_ms: i64,
    ids: Vec<String>,
}

impl Record for ModelList {
    const KIND: &'static str = "model list";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let form = ModelListV1 {
            provider: self.provider.to_string(),
            base_url: self.base_url.clone(),
            fetched_ms: self.fetched_ms,
            ids: self.ids.clone(),
        };
        record::to_bytes(Self::KIND, &form)
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let ModelListV1 { provider, base_url, fetched_ms, ids } = record::from_bytes(Self::KIND, body)?;
        let provider = provider.parse().map_err(|error| RecordError::body(Self::KIND, error))?;
        Ok(Self { provider, base_url, fetched_ms, ids })
    }
}
