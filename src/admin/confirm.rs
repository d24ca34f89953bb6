//! Secrets that files refer to, between two reloads: read again after a refusal, and confirmed by an operator for the
//! address to which their provider has moved.

use std::sync::Arc;

use super::control::{Admin, Declared, build};
use super::secrets::{self, Secrets};
use super::stored::Draft;
use crate::api::admin::{Connection, Event, EventKind};
use crate::api::{Code, ConnectionId, Failure};

impl Admin {
    /// Reads the secrets of these connections again, of those that a file declares, and puts those that are others in
    /// force. Tells which are. Blocks.
    ///
    /// # Errors
    /// When the store does not take it.
    pub fn reread_secrets(&self, ids: &[ConnectionId]) -> Result<Vec<ConnectionId>, Failure> {
        let mut declared = self.declared();
        let mut draft = Draft::begin(&self.store)?;
        let mut secrets = declared.secrets.clone();
        for one in declared.catalogue.connections.iter().filter(|one| ids.contains(&one.id)) {
            let switch = draft.stored.connection_switches.get(&one.id);
            if let Some(resolved) = secrets::resolve(one, &declared.catalogue, &self.engine.vault, switch) {
                secrets.put(&one.id, resolved);
            }
        }
        let changed: Vec<_> = secrets.changed(&declared.secrets).into_keys().cloned().collect();
        if changed.is_empty() {
            return Ok(changed);
        }
        let renewed = draft.accept(&secrets)?;
        self.put_secrets(&mut declared, secrets, draft, &renewed)?;
        Ok(changed)
    }

    /// Lets the secret of a declared connection go to where its provider is now. Blocks.
    ///
    /// # Errors
    /// When there is no such connection, the store keeps its secret, the secret cannot be read, or the store does not take
    /// the change.
    pub fn confirm_secret(&self, id: &ConnectionId) -> Result<Connection, Failure> {
        {
            let mut declared = self.declared();
            let catalogue = Arc::clone(&declared.catalogue);
            let Some(one) = catalogue.connections.iter().find(|one| one.id == *id) else {
                return Err(match self.connection(id) {
                    Ok(_) => Failure::new(
                        Code::Conflict,
                        format!(
                            "the store keeps the secret of {id}, for one address alone: `bursar credentials set {id}` gives it for another"
                        ),
                    ),
                    Err(unknown) => unknown,
                });
            };
            let mut draft = Draft::begin(&self.store)?;
            // As if none had been accepted before: whatever is there now is.
            let resolved = secrets::resolve(one, &catalogue, &self.engine.vault, None);
            let Some(resolved) = resolved else {
                return Err(Failure::new(Code::Conflict, format!("{id} is declared without a secret")));
            };
            if let Some(problem) = resolved.problem() {
                return Err(Failure::new(Code::Conflict, format!("the secret of {id} cannot be had: {problem}")));
            }
            let mut secrets = declared.secrets.clone();
            secrets.put(id, resolved);
            draft.accept(&secrets)?;
            self.put_secrets(&mut declared, secrets, draft, std::slice::from_ref(id))?;
            self.engine.events.emit(Event::new(EventKind::Back, format!("the secret of {id} was confirmed")).of(id));
        }
        self.connection(id)
    }

    fn put_secrets(
        &self,
        declared: &mut Declared,
        secrets: Secrets,
        draft: Draft<'_>,
        renewed: &[ConnectionId],
    ) -> Result<(), Failure> {
        let stored = draft.stored.clone();
        draft.commit()?;
        declared.secrets = secrets;
        declared.kept = declared.told(&stored, &self.providers_file);
        declared.generation += 1;
        renewed.iter().for_each(|id| self.health.of(id).renew());
        self.publish(build(declared, &stored, self.outlives())?);
        Ok(())
    }
}
