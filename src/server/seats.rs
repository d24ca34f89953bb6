//! Whose connections are open: no user may take up the room of the others, and no app that of the operators.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::listen::Plane;
use crate::bounds;

/// Who is connected. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    apps: Arc<Room>,
    operators: Arc<Room>,
}

/// The room of one kind of socket, and what is taken of it by user.
pub(super) struct Room {
    free: Arc<Semaphore>,
    users: Mutex<HashMap<u32, usize>>,
    per_user_max: usize,
}

/// One connection of a user.
pub(super) struct Seat {
    room: Arc<Room>,
    uid: u32,
}

impl Clients {
    /// Open connections, all users together.
    pub fn open(&self) -> usize {
        self.apps.open() + self.operators.open()
    }

    /// The room of a socket. Operators' own has its own: a user of the host and one of a container may have the same
    /// number, and only the first of them may be an operator.
    pub(super) fn room(&self, plane: Plane) -> &Arc<Room> {
        match plane {
            Plane::Both | Plane::App => &self.apps,
            Plane::Admin => &self.operators,
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        let room = |max, per_user_max| {
            Arc::new(Room { free: Arc::new(Semaphore::new(max)), users: Mutex::default(), per_user_max })
        };
        Self {
            apps: room(bounds::CLIENTS_MAX, bounds::CLIENTS_PER_USER_MAX),
            operators: room(bounds::ADMIN_CLIENTS_MAX, bounds::ADMIN_CLIENTS_PER_USER_MAX),
        }
    }
}

impl Room {
    /// Waits until there is room for one more connection.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.free).acquire_owned().await
    }

    /// A seat for a user; none where all that one user may have are taken.
    pub(super) fn seat(self: &Arc<Self>, uid: u32) -> Option<Seat> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let open = users.entry(uid).or_default();
        if *open >= self.per_user_max {
            return None;
        }
        *open += 1;
        Some(Seat { room: Arc::clone(self), uid })
    }

    /// Seats that one user may have.
    pub(super) fn per_user_max(&self) -> usize {
        self.per_user_max
    }

    fn open(&self) -> usize {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.room.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = users.get_mut(&self.uid) {
            *open -= 1;
            if *open == 0 {
                users.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn apps_that_take_all_room_leave_that_of_operators_also_to_their_own_user() {
        let clients = Clients::default();
        let apps = clients.room(Plane::App);
        let permits: Vec<_> = std::iter::from_fn(|| apps.permit().now_or_never()).collect();
        let seats: Vec<_> = std::iter::from_fn(|| apps.seat(0)).collect();
        assert_eq!((permits.len(), seats.len()), (bounds::CLIENTS_MAX, bounds::CLIENTS_PER_USER_MAX));
        let operators = clients.room(Plane::Admin);
        assert!(operators.permit().now_or_never().is_some());
        let seat = operators.seat(0);
        assert!(seat.is_some());
        assert_eq!(clients.open(), seats.len() + 1);
        drop((seat, seats));
        assert_eq!(clients.open(), 0);
        assert!(apps.seat(0).is_some());
    }
}
