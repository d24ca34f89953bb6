//! Whose connections are open: no user may take up the room of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bounds;

/// Open connections by user. Cheap to clone.
#[derive(Clone, Default)]
pub struct Clients(Arc<Mutex<HashMap<u32, usize>>>);

/// One connection of a user.
pub(super) struct Seat {
    clients: Clients,
    uid: u32,
}

impl Clients {
    /// Open connections, all users together.
    pub fn open(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    pub(super) fn seat(&self, uid: u32) -> Option<Seat> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = users.entry(uid).or_default();
        if *open >= bounds::CLIENTS_PER_USER_MAX {
            return None;
        }
        *open += 1;
        Some(Seat { clients: self.clone(), uid })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = users.get_mut(&self.uid) {
            *open -= 1;
            if *open == 0 {
                users.remove(&self.uid);
            }
        }
    }
}
