//! Changes the keys of a store that is in use, and goes on with that after a crash.
//!
//! Another master key wraps the same data keys: one change. Other data keys seal from one change on; then each credential
//! is sealed anew, some at a time, and a last change lets go of the old key. Which credentials are still to be sealed
//! anew, they say themselves: each names its key.

use super::change_log::Change;
use super::connections::{self, StoredConnection};
use super::state::{self, NewKeys, State};
use super::{ChangeKeyError, StoreError, record};
use crate::bounds;
use crate::credential::{Cipher, KeyId, Keyring, MasterKey, Vault};

/// Which key seals what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The master key that wraps the data keys.
    pub master: KeyId,
    /// Each data key, with what it is for.
    pub data_keys: Vec<(&'static str, KeyId)>,
    /// How many credentials each key seals.
    pub credentials: Vec<(KeyId, u64)>,
    /// Whether credentials are being sealed anew.
    pub resealing: bool,
}

/// Tells which key seals what.
pub(super) fn status(state: &State) -> Result<KeyStatus, StoreError> {
    let wrapped = state.wrapped_keys()?;
    let mut credentials = std::collections::BTreeMap::new();
    for connection in state.list::<StoredConnection>(connections::TABLE.as_bytes())? {
        let key = connection.secret.as_ref().and_then(|secret| Cipher::key_of(&secret.sealed));
        if let Some(key) = key {
            *credentials.entry(key.0).or_insert(0) += 1;
        }
    }
    Ok(KeyStatus {
        master: wrapped.master,
        data_keys: state.vault().keyring().ids().to_vec(),
        credentials: credentials.into_iter().map(|(key, count)| (KeyId(key), count)).collect(),
        resealing: wrapped.is_resealing(),
    })
}

/// Begins to seal with other data keys, unless that was begun already.
pub(super) fn renew(state: &State, master: &MasterKey) -> Result<(), ChangeKeyError> {
    state.change_keys(|_, wrapped| {
        if wrapped.is_resealing() {
            return Ok(None);
        }
        let (keyring, wrapped) = state.vault().keyring().renewed(master, wrapped)?;
        Ok(Some(NewKeys { wrapped, keyring: Some(keyring) }))
    })
}

/// Wraps the data keys under another master key.
pub(super) fn rewrap(state: &State, from: &MasterKey, to: &MasterKey) -> Result<(), ChangeKeyError> {
    state.change_keys(|_, wrapped| Ok(Some(NewKeys { wrapped: Keyring::rewrap(from, to, wrapped)?, keyring: None })))
}

/// Seals anew every credential that an older key sealed, and lets go of that key; tells how many there were.
pub(super) fn reseal(state: &State) -> Result<u64, StoreError> {
    let mut resealed = 0;
    while state.wrapped_keys()?.is_resealing() {
        let mut now = 0;
        state.update(|all| {
            let mut changes = Vec::new();
            all.visit(connections::TABLE.as_bytes(), |key, value| {
                changes.extend(resealed_one(state.vault(), key, value)?);
                Ok(changes.len() < bounds::RESEAL_AT_ONCE)
            })?;
            now = changes.len() as u64;
            Ok(changes)
        })?;
        resealed += now;
        if now == 0 {
            settle(state)?;
        }
    }
    Ok(resealed)
}

/// Lets go of the old key, unless a credential still needs it: since it was looked, another call may have let go of it
/// and begun with a new one.
fn settle(state: &State) -> Result<(), StoreError> {
    state.change_keys(|all, wrapped| {
        let mut stays = !wrapped.is_resealing();
        all.visit(connections::TABLE.as_bytes(), |key, value| {
            stays |= outdated(state.vault(), key, value)?.is_some();
            Ok(!stays)
        })?;
        Ok((!stays).then(|| NewKeys { wrapped: Keyring::settled(wrapped), keyring: None }))
    })
}

/// Changes in which no credential is sealed by a key that is no longer in force: whoever made them may have read it
/// before the keys changed.
pub(super) fn refreshed(vault: &Vault, mut changes: Vec<Change>) -> Result<Vec<Change>, StoreError> {
    if !vault.keyring().has_retired() {
        return Ok(changes);
    }
    for change in &mut changes {
        let (key, Some(value)) = &*change else { continue };
        let fresh = if connections::is_key(key) { resealed_one(vault, key, value)? } else { None };
        if let Some(fresh) = fresh {
            *change = fresh;
        }
    }
    Ok(changes)
}

/// A connection with its credential sealed anew; none if it needs none.
fn resealed_one(vault: &Vault, key: &[u8], value: &[u8]) -> Result<Option<Change>, StoreError> {
    let Some(mut connection) = outdated(vault, key, value)? else { return Ok(None) };
    let Some(secret) = &connection.secret else { return Ok(None) };
    let sealed = vault.resealed(&connection.id, secret);
    let failed = |error| StoreError::failed(&format!("seal the credential of {} anew", connection.id), error);
    connection.secret = Some(sealed.map_err(failed)?);
    state::encoded(key.to_vec(), &connection).map(Some)
}

/// A connection if an older key sealed its credential.
fn outdated(vault: &Vault, key: &[u8], value: &[u8]) -> Result<Option<StoredConnection>, StoreError> {
    let connection: StoredConnection = record::decode(key, value)?;
    let is_outdated = connection.secret.as_ref().is_some_and(|secret| !vault.is_current(secret));
    Ok(is_outdated.then_some(connection))
}
