//! Connections: what operators see of them, and how they change those that the store manages.

use super::control::Admin;
use super::providers::{NotesChange, declared};
use super::stored::Draft;
use super::{failure, notes, view};
use crate::api::admin::{
    Connection, ConnectionList, ConnectionStatus, CreateConnection, Event, EventKind, HealthList, HealthState, Limits,
    Object, PatchConnection, SecretText,
};
use crate::api::{Code, ConnectionId, Failure, LimitGroup, ProviderSlug};
use crate::bounds;
use crate::config::{self, Settings};
use crate::connection::{self, ManagedBy};
use crate::credential::{SealedSecret, Secret};
use crate::provider::Provider;
use crate::snapshot::Snapshot;
use crate::store::{Store, StoredConnection};

/// Which connections to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Only those of this provider.
    pub provider: Option<ProviderSlug>,
    /// Only those with this status.
    pub status: Option<ConnectionStatus>,
    /// Only those in this state.
    pub health: Option<HealthState>,
    /// In the order in which a provider's are tried, instead of by id.
    pub by_priority: bool,
}

impl Admin {
    /// The connections that a filter lets through.
    pub fn connections(&self, filter: &ConnectionFilter) -> ConnectionList {
        let snapshot = self.engine.snapshot.load();
        let now = self.engine.clock.both();
        // What is left out is not described first: that is most of it where one provider's are asked for.
        let asked = snapshot.connections.values().filter(|one| filter.asks_for(one));
        let all = asked.map(|one| view::connection(&snapshot, one, now));
        let mut connections: Vec<Connection> = all.filter(|one| filter.takes(one)).collect();
        if filter.by_priority {
            connections.sort_by(|a, b| (&a.provider, a.priority, &a.name).cmp(&(&b.provider, b.priority, &b.name)));
        }
        ConnectionList { connections }
    }

    /// One connection.
    ///
    /// # Errors
    /// When there is none.
    pub fn connection(&self, id: &ConnectionId) -> Result<Connection, Failure> {
        let snapshot = self.engine.snapshot.load();
        let one = snapshot.connections.get(id).ok_or_else(|| unknown(id))?;
        Ok(view::connection(&snapshot, one, self.engine.clock.both()))
    }

    /// The health of all connections.
    pub fn health(&self) -> HealthList {
        let snapshot = self.engine.snapshot.load();
        let now = self.engine.clock.both();
        let shown = snapshot.connections.values().map(|one| view::connection_health(&snapshot, one, now));
        HealthList { connections: shown.collect() }
    }

    /// Adds a connection. Durable and in force when this returns. Blocks.
    ///
    /// # Errors
    /// When there is one already, the provider or something else that is named is not there, or the store does not take
    /// it.
    pub fn add_connection(&self, create: CreateConnection) -> Result<Connection, Failure> {
        let id = ConnectionId::new(create.provider.clone(), create.name.clone());
        self.change(|store| {
            let snapshot = self.engine.snapshot.load();
            let provider = declared(&snapshot, &id.provider)?;
            if snapshot.connections.contains_key(&id) {
                let message = format!("{id} is there already: a new secret alone takes its place (PUT …/secret)");
                return Err(Failure::new(Code::Conflict, message));
            }
            if snapshot.connections.len() >= bounds::CONNECTIONS_MAX {
                let message =
                    format!("there are {} connections already, and that is the most", bounds::CONNECTIONS_MAX);
                return Err(Failure::new(Code::Conflict, message));
            }
            let secret = create.secret.as_ref().map(|secret| seal(store, &id, provider, secret)).transpose()?;
            let connection = StoredConnection { secret, ..self.stored(&snapshot, provider, &id, create)? };
            Ok(store.connections().put(&connection)?)
        })?;
        self.connection(&id)
    }

    /// A new connection, checked, as yet without a secret.
    fn stored(
        &self,
        snapshot: &Snapshot,
        provider: &Provider,
        id: &ConnectionId,
        create: CreateConnection,
    ) -> Result<StoredConnection, Failure> {
        let now_ms = self.engine.clock.wall_ms();
        Ok(StoredConnection {
            id: id.clone(),
            secret: None,
            enabled: true,
            priority: create.priority.unwrap_or(config::Connection::PRIORITY_DEFAULT),
            weight: weight(create.weight.unwrap_or(config::Connection::WEIGHT_DEFAULT))?,
            limits: limits(create.limits.unwrap_or_default())?,
            limit_group: create.limit_group.map(|group| limit_group(snapshot, group)).transpose()?,
            settings: settings(provider, create.settings.unwrap_or_default())?,
            ui_metadata: notes::checked("ui_metadata", &create.ui_metadata.unwrap_or_default())?,
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: create.expires_at.map(|at| at.0),
        })
    }

    /// Changes a connection. Durable and in force when this returns. Blocks.
    ///
    /// # Errors
    /// When there is none, a file manages what is to be changed, something that is named is not there, or the store does
    /// not take the change.
    pub fn change_connection(&self, id: &ConnectionId, patch: PatchConnection) -> Result<Connection, Failure> {
        self.change(|store| {
            let snapshot = self.engine.snapshot.load();
            let one = snapshot.connections.get(id).ok_or_else(|| unknown(id))?;
            let enables = patch.status.is_some_and(ConnectionStatus::is_enabled);
            if one.managed_by == ManagedBy::Toml {
                self.switch_declared(store, id, &patch)?;
            } else {
                let before = store.connections().get(id)?.ok_or_else(|| unknown(id))?;
                store.connections().put(&self.changed(&snapshot, before, patch)?)?;
            }
            // Whoever switches it on wants it to be tried, whatever was said of it before.
            if enables {
                one.clear();
                let message = format!("{id} was switched on: whatever stood against it is forgotten");
                self.engine.events.emit(Event::new(EventKind::Back, message).of(id));
            }
            Ok::<_, Failure>(())
        })?;
        self.connection(id)
    }

    fn switch_declared(&self, store: &Store, id: &ConnectionId, patch: &PatchConnection) -> Result<(), Failure> {
        if patch.edits() {
            return Err(self.declared_elsewhere(id));
        }
        let mut switch = store.connection_switches().get(id)?;
        switch.enabled = patch.status.map(ConnectionStatus::is_enabled).or(switch.enabled);
        Ok(store.connection_switches().put(id, &switch)?)
    }

    /// A stored connection with a change, checked.
    fn changed(
        &self,
        snapshot: &Snapshot,
        before: StoredConnection,
        patch: PatchConnection,
    ) -> Result<StoredConnection, Failure> {
        let mut after = before;
        after.enabled = patch.status.map_or(after.enabled, ConnectionStatus::is_enabled);
        after.priority = patch.priority.unwrap_or(after.priority);
        after.weight = weight(patch.weight.unwrap_or(after.weight))?;
        after.limits = limits(patch.limits.unwrap_or(after.limits))?;
        if let Some(group) = patch.limit_group {
            after.limit_group = group.map(|group| limit_group(snapshot, group)).transpose()?;
        }
        if let Some(given) = patch.settings {
            after.settings = settings(declared(snapshot, &after.id.provider)?, given)?;
        }
        if let Some(given) = patch.ui_metadata {
            after.ui_metadata = notes::checked("ui_metadata", &given)?;
        }
        if let Some(at) = patch.expires_at {
            after.expires_ms = at.map(|at| at.0);
        }
        after.updated_ms = self.engine.clock.wall_ms();
        Ok(after)
    }

    /// Removes a connection and its secret. Durable and in force when this returns. Blocks.
    ///
    /// # Errors
    /// When there is none, a file manages it, or the store does not take the change.
    pub fn remove_connection(&self, id: &ConnectionId) -> Result<(), Failure> {
        self.change(|store| {
            self.managed_here(id)?;
            let mut draft = Draft::begin(store)?;
            draft.remove_connection(id)?;
            draft.commit()?;
            // Before another of its name can be added.
            self.forget(std::slice::from_ref(id));
            Ok(())
        })
    }

    /// What a user interface keeps with a connection.
    ///
    /// # Errors
    /// When there is no such connection.
    pub fn ui_metadata(&self, id: &ConnectionId) -> Result<Object, Failure> {
        let snapshot = self.engine.snapshot.load();
        Ok(view::object(&snapshot.connections.get(id).ok_or_else(|| unknown(id))?.ui_metadata))
    }

    /// Changes what a user interface keeps with a connection, and gives what is kept then. Blocks.
    ///
    /// # Errors
    /// When there is no such connection, a file manages it, the object is not fit to be kept, or the store does not take it.
    pub fn change_ui_metadata(&self, id: &ConnectionId, change: NotesChange) -> Result<Object, Failure> {
        self.change(|store| {
            self.managed_here(id)?;
            let before = store.connections().get(id)?.ok_or_else(|| unknown(id))?;
            let kept = change.applied_to(view::object(&before.ui_metadata));
            let ui_metadata = notes::checked("ui_metadata", &kept)?;
            let updated_ms = self.engine.clock.wall_ms();
            store.connections().put(&StoredConnection { ui_metadata, updated_ms, ..before })?;
            Ok::<_, Failure>(kept)
        })
    }

    /// Puts a sealed secret in place of the old one, and forgives what the provider said of that. Durable and in force
    /// when this returns. Blocks.
    ///
    /// # Errors
    /// When there is no such connection, a file manages it, the provider has moved meanwhile, or the store does not take
    /// the change.
    pub fn replace_secret(&self, id: &ConnectionId, sealed: SealedSecret) -> Result<Connection, Failure> {
        self.change(|store| {
            self.managed_here(id)?;
            let snapshot = self.engine.snapshot.load();
            if declared(&snapshot, &id.provider)?.origin != sealed.origin {
                let message = format!("provider {} has moved meanwhile: give the secret again", id.provider);
                return Err(Failure::new(Code::Conflict, message));
            }
            let before = store.connections().get(id)?.ok_or_else(|| unknown(id))?;
            let updated_ms = self.engine.clock.wall_ms();
            let after = StoredConnection { secret: Some(sealed), updated_ms, ..before };
            store.connections().put(&after)?;
            self.health.of(id).renew();
            Ok(())
        })?;
        self.connection(id)
    }

    /// Whether the store manages a connection.
    ///
    /// # Errors
    /// When there is none, or a file manages it.
    pub(super) fn managed_here(&self, id: &ConnectionId) -> Result<(), Failure> {
        match self.engine.snapshot.load().connections.get(id) {
            None => Err(unknown(id)),
            Some(one) if one.managed_by == ManagedBy::Toml => Err(self.declared_elsewhere(id)),
            Some(_) => Ok(()),
        }
    }

    fn declared_elsewhere(&self, id: &ConnectionId) -> Failure {
        let file = &self.providers_file;
        let message =
            format!("{id} is declared in {}: change it there; here it is only enabled and disabled", file.display());
        Failure::new(Code::Conflict, message)
    }
}

impl ConnectionFilter {
    fn asks_for(&self, one: &connection::Connection) -> bool {
        self.provider.as_ref().is_none_or(|slug| *slug == one.id.provider)
            && self.status.is_none_or(|status| status == ConnectionStatus::of(one.enabled))
    }

    fn takes(&self, one: &Connection) -> bool {
        self.health.is_none_or(|state| state == one.health.state)
    }
}

/// A connection that is not there.
pub(super) fn unknown(id: &ConnectionId) -> Failure {
    Failure::new(Code::NotFound, format!("there is no connection {id}: `bursar connections list` shows all"))
}

/// Seals what an operator gave, for this connection and the provider's address.
fn seal(store: &Store, id: &ConnectionId, provider: &Provider, secret: &SecretText) -> Result<SealedSecret, Failure> {
    Ok(store.seal(id, &provider.origin, &plain(secret)?)?)
}

/// A secret that can be sent.
///
/// # Errors
/// When it is empty, too long, or holds what no header does.
pub(super) fn plain(secret: &SecretText) -> Result<Secret, Failure> {
    Secret::new(secret.expose().as_bytes().to_vec()).map_err(|error| failure::at("secret", &error.to_string()))
}

fn weight(weight: u32) -> Result<u32, Failure> {
    let most = config::Connection::WEIGHT_MAX;
    if (1..=most).contains(&weight) { Ok(weight) } else { Err(failure::at("weight", &format!("write 1 to {most}"))) }
}

fn limits(limits: Limits) -> Result<Limits, Failure> {
    match limits.figures().into_iter().find(|(_, figure)| *figure == Some(0)) {
        Some((name, _)) => {
            Err(failure::at(&format!("limits.{name}"), "write a number from 1 on, or null for no limit"))
        }
        None => Ok(limits),
    }
}

fn limit_group(snapshot: &Snapshot, group: LimitGroup) -> Result<LimitGroup, Failure> {
    if snapshot.catalogue.limit_groups.contains_key(&group) {
        return Ok(group);
    }
    Err(failure::at("limit_group", &format!("there is no limit group {group}: declare it in providers.toml first")))
}

/// Settings that a provider's kind takes, as the text that is stored.
fn settings(provider: &Provider, given: Object) -> Result<String, Failure> {
    let text = serde_json::Value::Object(given).to_string();
    let words: Vec<_> = provider.settings.iter().map(String::as_str).collect();
    Settings::with_words(&text, &words).map_err(|report| failure::invalid(&report))?;
    Ok(text)
}
