//! What the store holds of providers and connections, as a sync works on it: read once, changed here and in a batch at
//! the same time, and only made durable when all of it can be put in force.

use std::collections::{BTreeMap, BTreeSet};

use super::failure;
use super::secrets::Switches;
use crate::api::admin::{Change, ChangeAction, ChangeKind, Orphan};
use crate::api::{Code, ConnectionId, Failure, ProviderSlug};
use crate::config::Catalogue;
use crate::credential::{Origin, SealedSecret, Vault};
use crate::store::{Changes, ConnectionSwitch, ModelList, ProviderSwitch, Store, StoreError, StoredConnection};

/// The store's part of what is in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub(super) connections: BTreeMap<ConnectionId, StoredConnection>,
    pub(super) provider_switches: BTreeMap<ProviderSlug, ProviderSwitch>,
    pub(super) connection_switches: Switches,
    pub(super) model_lists: Vec<ModelList>,
}

impl Stored {
    /// Reads all of it. Blocks.
    pub(super) fn read(store: &Store) -> Result<Self, StoreError> {
        let connections = store.connections().list()?.into_iter();
        Ok(Self {
            connections: connections.map(|one| (one.id.clone(), one)).collect(),
            provider_switches: store.provider_switches().list()?.into_iter().collect(),
            connection_switches: store.connection_switches().list()?.into_iter().collect(),
            model_lists: store.model_lists().list()?,
        })
    }

    /// What is kept of things that are no longer declared.
    pub(super) fn orphans(&self, catalogue: &Catalogue) -> Vec<Orphan> {
        let declared: BTreeSet<_> = catalogue.connections.iter().map(|one| &one.id).collect();
        let gone = |slug: &ProviderSlug| !catalogue.providers.contains_key(slug);
        let orphan = |kind, name: String, keeps: &str| Orphan { kind, name, keeps: keeps.into() };
        let switches = self.provider_switches.keys().filter(|slug| gone(slug));
        let connections = self.connections.values().filter(|one| gone(&one.id.provider));
        let declared_once = self.connection_switches.keys();
        let declared_once = declared_once.filter(|id| !declared.contains(id));
        switches
            .map(|slug| orphan(ChangeKind::Provider, slug.to_string(), "switches"))
            .chain(connections.map(|one| {
                let keeps = if one.secret.is_some() { "a secret and settings" } else { "settings" };
                orphan(ChangeKind::Connection, one.id.to_string(), keeps)
            }))
            .chain(declared_once.map(|id| orphan(ChangeKind::Connection, id.to_string(), "switches")))
            .collect()
    }
}

/// Changes of what is stored, in the making.
pub(super) struct Draft<'a> {
    pub(super) stored: Stored,
    batch: Changes<'a>,
    /// What is done, for operators.
    pub(super) changes: Vec<Change>,
    /// Connections that go under another name: (from, to).
    pub(super) moved: Vec<(ConnectionId, ConnectionId)>,
    /// Connections that go for good.
    pub(super) gone: Vec<ConnectionId>,
}

impl<'a> Draft<'a> {
    /// Nothing changed as yet. Blocks.
    pub(super) fn begin(store: &'a Store) -> Result<Self, StoreError> {
        let (stored, batch) = (Stored::read(store)?, store.changes());
        Ok(Self { stored, batch, changes: Vec::new(), moved: Vec::new(), gone: Vec::new() })
    }

    /// Makes all of it durable, in one step. Blocks.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        self.batch.commit()
    }

    /// Stores what operators switched on a declared connection, or which secret was accepted for it.
    pub(super) fn switch_connection(&mut self, id: &ConnectionId, switch: ConnectionSwitch) -> Result<(), StoreError> {
        self.batch.put_connection_switch(id, &switch)?;
        self.stored.connection_switches.insert(id.clone(), switch);
        Ok(())
    }

    /// Moves all that is kept of a provider to its new name. Nothing to move is no error: then it has been moved.
    ///
    /// # Errors
    /// When the old name is still declared, the new one is not, or a connection would take the place of another one.
    pub(super) fn map(
        &mut self,
        (from, to): (&ProviderSlug, &ProviderSlug),
        catalogue: &Catalogue,
        vault: &Vault,
    ) -> Result<(), Failure> {
        if catalogue.providers.contains_key(from) {
            let message = format!("{from} is still declared: take it out of the file, or rename it there, first");
            return Err(Failure::new(Code::Conflict, message).at("map"));
        }
        let Some(provider) = catalogue.providers.get(to) else {
            return Err(failure::at(
                "map",
                &format!("{to} is not declared: a new name must be, before it is mapped to"),
            ));
        };
        let origin = Origin::of(&provider.base_url).ok();
        let ids: Vec<_> = self.stored.connections.keys().filter(|id| id.provider == *from).cloned().collect();
        for id in ids {
            self.move_connection(&id, to, catalogue, vault, origin.as_ref())?;
        }
        self.move_switches(from, to, catalogue)
    }

    fn move_connection(
        &mut self,
        id: &ConnectionId,
        to: &ProviderSlug,
        catalogue: &Catalogue,
        vault: &Vault,
        origin: Option<&Origin>,
    ) -> Result<(), Failure> {
        let new = ConnectionId::new(to.clone(), id.name.clone());
        let taken = self.stored.connections.contains_key(&new) || catalogue.connections.iter().any(|one| one.id == new);
        if taken {
            let message = format!("{id} cannot become {new}: there is one of that name. Remove one of the two first");
            return Err(Failure::new(Code::Conflict, message).at("map"));
        }
        let Some(before) = self.stored.connections.remove(id) else { return Ok(()) };
        let secret = before.secret.as_ref().map(|sealed| reseal(vault, id, &new, sealed)).transpose()?;
        let kept = secret.as_ref().is_none_or(|sealed| Some(&sealed.origin) == origin);
        let note = match (&secret, kept) {
            (None, _) => format!("to {new}"),
            (Some(_), true) => format!("to {new}, with its secret"),
            (Some(sealed), false) => {
                format!(
                    "to {new}, which needs its secret again: it was given for {}, and {to} is elsewhere",
                    sealed.origin
                )
            }
        };
        let after = StoredConnection { id: new.clone(), secret, ..before };
        self.batch.remove_connection(id);
        self.batch.put_connection(&after)?;
        self.stored.connections.insert(new.clone(), after);
        self.told(ChangeKind::Connection, id.to_string(), ChangeAction::Moved, note);
        self.moved.push((id.clone(), new));
        Ok(())
    }

    /// The switches of a provider and of connections that a file declared go along. What was switched under the new name
    /// already stays.
    fn move_switches(&mut self, from: &ProviderSlug, to: &ProviderSlug, catalogue: &Catalogue) -> Result<(), Failure> {
        if let Some(old) = self.stored.provider_switches.remove(from) {
            let there = self.stored.provider_switches.get(to).cloned().unwrap_or_default();
            let ui_preferences =
                if there.ui_preferences.is_empty() { old.ui_preferences } else { there.ui_preferences.clone() };
            let after = ProviderSwitch {
                enabled: there.enabled.or(old.enabled),
                default_connection: there.default_connection.or(old.default_connection),
                ui_preferences,
            };
            self.batch.put_provider_switch(from, &ProviderSwitch::default())?;
            self.batch.put_provider_switch(to, &after)?;
            self.stored.provider_switches.insert(to.clone(), after);
            self.told(ChangeKind::Provider, from.to_string(), ChangeAction::Moved, format!("its switches to {to}"));
        }
        let ids: Vec<_> = self.stored.connection_switches.keys().filter(|id| id.provider == *from).cloned().collect();
        for id in ids {
            let new = ConnectionId::new(to.clone(), id.name.clone());
            if !catalogue.connections.iter().any(|one| one.id == new) {
                continue;
            }
            let Some(old) = self.stored.connection_switches.remove(&id) else { continue };
            // The watcher may have come first: then the secret was accepted under the new name, and nothing switched yet.
            let there = self.stored.connection_switches.get(&new).cloned().unwrap_or_default();
            let accepted = if there.fingerprint.is_some() { &there } else { &old };
            let after = ConnectionSwitch {
                enabled: there.enabled.or(old.enabled),
                fingerprint: accepted.fingerprint,
                origin: accepted.origin.clone(),
            };
            self.batch.put_connection_switch(&id, &ConnectionSwitch::default())?;
            self.batch.put_connection_switch(&new, &after)?;
            self.stored.connection_switches.insert(new.clone(), after);
            self.told(ChangeKind::Connection, id.to_string(), ChangeAction::Moved, format!("its switches to {new}"));
            self.moved.push((id, new));
        }
        self.drop_model_list(from);
        Ok(())
    }

    /// Removes what is kept of things that are no longer declared, and default connections that are not there.
    pub(super) fn prune(&mut self, catalogue: &Catalogue) -> Result<(), StoreError> {
        for Orphan { kind, name, keeps } in self.stored.orphans(catalogue) {
            match (kind, name.parse::<ConnectionId>(), name.parse::<ProviderSlug>()) {
                (ChangeKind::Connection, Ok(id), _) => self.remove_connection(&id)?,
                (ChangeKind::Provider, _, Ok(slug)) => self.remove_switches(&slug)?,
                _ => continue,
            }
            self.told(kind, name, ChangeAction::Pruned, keeps);
        }
        let declared: BTreeSet<_> = catalogue.connections.iter().map(|one| &one.id).collect();
        let mut dangling = Vec::new();
        for (slug, switch) in &self.stored.provider_switches {
            let default = switch.default_connection.clone().map(|name| ConnectionId::new(slug.clone(), name));
            let there = |id: &ConnectionId| declared.contains(id) || self.stored.connections.contains_key(id);
            if let Some(id) = default.filter(|id| !there(id)) {
                dangling.push((slug.clone(), ProviderSwitch { default_connection: None, ..switch.clone() }, id));
            }
        }
        for (slug, switch, id) in dangling {
            self.batch.put_provider_switch(&slug, &switch)?;
            self.stored.provider_switches.insert(slug.clone(), switch);
            let note = format!("its default connection {id}, which is not there");
            self.told(ChangeKind::Provider, slug.to_string(), ChangeAction::Pruned, note);
        }
        Ok(())
    }

    /// Removes everything that is kept of a provider: its connections with their secrets, its switches, its list of models.
    /// What is kept of connections that a file declares stays: they are the file's.
    pub(super) fn remove_provider(&mut self, slug: &ProviderSlug, catalogue: &Catalogue) -> Result<(), StoreError> {
        let of = |id: &&ConnectionId| id.provider == *slug && !catalogue.connections.iter().any(|one| one.id == **id);
        let connections: Vec<_> = self.stored.connections.keys().filter(of).cloned().collect();
        let switched: Vec<_> = self.stored.connection_switches.keys().filter(of).cloned().collect();
        for id in &connections {
            let secret = self.stored.connections.get(id).is_some_and(|one| one.secret.is_some());
            let keeps = if secret { "with its secret" } else { "without a secret" };
            self.remove_connection(id)?;
            self.told(ChangeKind::Connection, id.to_string(), ChangeAction::Removed, keeps.into());
        }
        for id in switched.iter().filter(|id| !connections.contains(id)) {
            self.remove_connection(id)?;
            self.told(ChangeKind::Connection, id.to_string(), ChangeAction::Removed, "its switches".into());
        }
        if self.stored.provider_switches.contains_key(slug) {
            self.remove_switches(slug)?;
            self.told(ChangeKind::Provider, slug.to_string(), ChangeAction::Removed, "its switches".into());
        }
        self.drop_model_list(slug);
        Ok(())
    }

    /// Removes one connection with its secret and switches; a provider whose default it was has none then.
    pub(super) fn remove_connection(&mut self, id: &ConnectionId) -> Result<(), StoreError> {
        self.stored.connections.remove(id);
        self.batch.remove_connection(id);
        if self.stored.connection_switches.remove(id).is_some() {
            self.batch.put_connection_switch(id, &ConnectionSwitch::default())?;
        }
        if let Some(switch) = self.stored.provider_switches.get_mut(&id.provider)
            && switch.default_connection.as_ref() == Some(&id.name)
        {
            switch.default_connection = None;
            self.batch.put_provider_switch(&id.provider, switch)?;
        }
        self.gone.push(id.clone());
        Ok(())
    }

    fn remove_switches(&mut self, slug: &ProviderSlug) -> Result<(), StoreError> {
        self.stored.provider_switches.remove(slug);
        self.batch.put_provider_switch(slug, &ProviderSwitch::default())?;
        self.drop_model_list(slug);
        Ok(())
    }

    fn drop_model_list(&mut self, slug: &ProviderSlug) {
        let before = self.stored.model_lists.len();
        self.stored.model_lists.retain(|list| list.provider != *slug);
        if self.stored.model_lists.len() < before {
            self.batch.remove_model_list(slug);
        }
    }

    fn told(&mut self, kind: ChangeKind, name: String, action: ChangeAction, note: String) {
        self.changes.push(Change { note: Some(note), ..Change::new(kind, name, action) });
    }
}

/// The same secret for a connection of another name, bound to the same origin as before.
fn reseal(
    vault: &Vault,
    from: &ConnectionId,
    to: &ConnectionId,
    sealed: &SealedSecret,
) -> Result<SealedSecret, Failure> {
    let secret = vault.open(from, &sealed.origin, sealed)?;
    Ok(vault.seal(to, &sealed.origin, &secret)?)
}
