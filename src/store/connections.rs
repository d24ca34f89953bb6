//! The connections that the store manages, with their sealed credentials.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::{self, Record, RecordError};
use super::state::State;
use crate::api::admin::Limits;
use crate::api::{ConnectionId, LimitGroup};
use crate::credential::SealedSecret;

pub(super) const TABLE: &str = "c/";

/// A connection as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConnection {
    /// `provider:name`.
    pub id: ConnectionId,
    /// The credential; none where the provider needs none, or it has yet to be given.
    pub secret: Option<SealedSecret>,
    /// The operator's switch.
    pub enabled: bool,
    /// Lower goes first.
    pub priority: u32,
    /// The share among equals of one priority.
    pub weight: u32,
    /// Its own quotas.
    pub limits: Limits,
    /// The account or project whose quotas it shares.
    pub limit_group: Option<LimitGroup>,
    /// Settings of its kind: a JSON object's text.
    pub settings: String,
    /// What the dashboard keeps with it: a JSON object's text.
    pub ui_metadata: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// When the credential ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// The table of connections. All calls block.
#[derive(Debug, Clone, Copy)]
pub struct Connections<'a> {
    state: &'a State,
}

impl<'a> Connections<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// All connections, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<StoredConnection>, StoreError> {
        self.state.list(TABLE.as_bytes())
    }

    /// One connection.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&self, id: &ConnectionId) -> Result<Option<StoredConnection>, StoreError> {
        self.state.get(&key(id))
    }

    /// Creates or replaces a connection. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, the record too large, or the change cannot be made durable.
    pub fn put(&self, connection: &StoredConnection) -> Result<(), StoreError> {
        self.state.put(key(&connection.id), connection)
    }

    /// Removes a connection, if it is there. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the change cannot be made durable.
    pub fn remove(&self, id: &ConnectionId) -> Result<(), StoreError> {
        self.state.remove(key(id))
    }
}

pub(super) fn key(id: &ConnectionId) -> Vec<u8> {
    format!("{TABLE}{id}").into_bytes()
}

/// Whether a record of the state is a connection.
pub(super) fn is_key(key: &[u8]) -> bool {
    key.starts_with(TABLE.as_bytes())
}

#[derive(Serialize, Deserialize)]
struct ConnectionV1 {
    id: String,
    secret: Option<SecretV1>,
    enabled: bool,
    priority: u32,
    weight: u32,
    /// In the order of the fields of [`Limits`].
    limits: [Option<u64>; 5],
    limit_group: Option<String>,
    settings: String,
    ui_metadata: String,
    created_ms: i64,
    updated_ms: i64,
    expires_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct SecretV1 {
    origin: String,
    sealed: Vec<u8>,
    hint: Option<String>,
}

impl Record for StoredConnection {
    const KIND: &'static str = "connection";
    const FORMAT: u8 = 1;

    fn to_body(&self) -> Result<Vec<u8>, RecordError> {
        let limits = &self.limits;
        let form = ConnectionV1 {
            id: self.id.to_string(),
            secret: self.secret.as_ref().map(SecretV1::of),
            enabled: self.enabled,
            priority: self.priority,
            weight: self.weight,
            limits: [
                limits.requests_per_minute,
                limits.requests_per_day,
                limits.tokens_per_minute,
                limits.tokens_per_day,
                limits.concurrent,
            ],
            limit_group: self.limit_group.as_ref().map(ToString::to_string),
            settings: self.settings.clone(),
            ui_metadata: self.ui_metadata.clone(),
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            expires_ms: self.expires_ms,
        };
        record::to_bytes(Self::KIND, &form)
    }

    fn from_body(_format: u8, body: &[u8]) -> Result<Self, RecordError> {
        let form: ConnectionV1 = record::from_bytes(Self::KIND, body)?;
        let wrong = |reason: &dyn ToString| RecordError::body(Self::KIND, reason.to_string());
        let [requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, concurrent] = form.limits;
        Ok(Self {
            id: form.id.parse().map_err(|error| wrong(&error))?,
            secret: form.secret.map(SecretV1::read).transpose()?,
            enabled: form.enabled,
            priority: form.priority,
            weight: form.weight,
            limits: Limits { requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, concurrent },
            limit_group: form.limit_group.map(|name| name.parse()).transpose().map_err(|error| wrong(&error))?,
            settings: form.settings,
            ui_metadata: form.ui_metadata,
            created_ms: form.created_ms,
            updated_ms: form.updated_ms,
            expires_ms: form.expires_ms,
        })
    }
}

impl SecretV1 {
    fn of(secret: &SealedSecret) -> Self {
        Self { origin: secret.origin.to_string(), sealed: secret.sealed.to_vec(), hint: secret.hint.clone() }
    }

    fn read(self) -> Result<SealedSecret, RecordError> {
        let origin = self.origin.parse().map_err(|error| RecordError::body(StoredConnection::KIND, error))?;
        Ok(SealedSecret { origin, sealed: self.sealed.into(), hint: self.hint })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::store) fn any_connection() -> impl Strategy<Value = StoredConnection> {
        let limits = proptest::array::uniform5(any::<Option<u64>>());
        let secret = proptest::option::of((proptest::collection::vec(any::<u8>(), 0..100), any::<Option<[char; 5]>>()));
        let times = (any::<i64>(), any::<i64>(), any::<Option<i64>>());
        let texts = (".{0,100}", ".{0,100}", proptest::option::of("[a-z0-9][a-z0-9._-]{0,63}"));
        (("[a-z0-9]{1,9}:[a-z0-9]{1,9}", secret, limits), any::<(bool, u32, u32)>(), times, texts).prop_map(
            |((id, secret, limits), (enabled, priority, weight), times, (settings, ui_metadata, group))| {
                let [requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, concurrent] = limits;
                StoredConnection {
                    id: id.parse().unwrap(),
                    secret: secret.map(|(sealed, hint)| SealedSecret {
                        origin: "https://api.example:8443".parse().unwrap(),
                        sealed: sealed.into(),
                        hint: hint.map(|hint| hint.iter().collect()),
                    }),
                    enabled,
                    priority,
                    weight,
                    limits: Limits {
                        requests_per_minute,
                        requests_per_day,
                        tokens_per_minute,
                        tokens_per_day,
                        concurrent,
                    },
                    limit_group: group.map(|group| group.parse().unwrap()),
                    settings,
                    ui_metadata,
                    created_ms: times.0,
                    updated_ms: times.1,
                    expires_ms: times.2,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_connection_reads_back_as_written(connection in any_connection()) {
            let key = key(&connection.id);
            let value = record::encode(&key, &connection).unwrap();
            prop_assert_eq!(record::decode::<StoredConnection>(&key, &value).unwrap(), connection);
        }
    }
}
