//! Changes of several records that are made together, or not at all.

use super::change_log::Change;
use super::connections;
use super::models;
use super::state::{self, State};
use super::{ConnectionSwitch, ConnectionSwitches, ProviderSwitch, ProviderSwitches, StoreError, StoredConnection};
use crate::api::{ConnectionId, ProviderSlug};

/// Changes in the making. Nothing is stored before [`Changes::commit`], and what is dropped never was.
#[derive(Debug)]
pub struct Changes<'a> {
    state: &'a State,
    all: Vec<Change>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state, all: Vec::new() }
    }

    /// Creates or replaces a connection.
    ///
    /// # Errors
    /// When the record is too large.
    pub fn put_connection(&mut self, connection: &StoredConnection) -> Result<(), StoreError> {
        self.all.push(state::encoded(connections::key(&connection.id), connection)?);
        Ok(())
    }

    /// Removes a connection and its secret, if it is there.
    pub fn remove_connection(&mut self, id: &ConnectionId) {
        self.all.push((connections::key(id), None));
    }

    /// Stores a provider's switch; one that says nothing is removed.
    ///
    /// # Errors
    /// When the record is too large.
    pub fn put_provider_switch(&mut self, slug: &ProviderSlug, switch: &ProviderSwitch) -> Result<(), StoreError> {
        if *switch == ProviderSwitch::default() {
            self.all.push((ProviderSwitches::key(slug), None));
        } else {
            self.all.push(ProviderSwitches::change(slug, switch)?);
        }
        Ok(())
    }

    /// Stores the switch of a connection that TOML manages; one that says nothing is removed.
    ///
    /// # Errors
    /// When the record is too large.
    pub fn put_connection_switch(&mut self, id: &ConnectionId, switch: &ConnectionSwitch) -> Result<(), StoreError> {
        if *switch == ConnectionSwitch::default() {
            self.all.push((ConnectionSwitches::key(id), None));
        } else {
            self.all.push(ConnectionSwitches::change(id, switch)?);
        }
        Ok(())
    }

    /// Forgets a provider's list of models.
    pub fn remove_model_list(&mut self, slug: &ProviderSlug) {
        self.all.push((models::key(slug), None));
    }

    /// Makes all of them, in one step. Durable when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the changes cannot be made durable. Then none is made.
    pub fn commit(self) -> Result<(), StoreError> {
        if self.all.is_empty() { Ok(()) } else { self.state.commit(self.all) }
    }
}
