//! The sockets to listen on: systemd's where it made them, else our own.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::DaemonError;
use crate::config::Server;
use crate::server::{self, Binding, Plane};

/// What systemd calls the socket of the admin plane (`FileDescriptorName=`).
const ADMIN_NAME: &str = "admin";

/// Opens all sockets, or none.
pub(super) fn open(server: &Server) -> Result<Vec<Binding>, DaemonError> {
    let inherited = inherited()?;
    let app_plane = |alone: bool| if alone { Plane::Both } else { Plane::App };
    if !inherited.is_empty() {
        let alone = server.admin_socket.is_none() && inherited.iter().all(|(name, _)| name != ADMIN_NAME);
        return inherited
            .into_iter()
            .map(|(name, listener)| {
                let plane = if name == ADMIN_NAME { Plane::Admin } else { app_plane(alone) };
                server::inherited(listener, plane)
                    .map_err(|error| DaemonError::System { doing: "take over a socket", error })
            })
            .collect();
    }
    let mut bindings = vec![server::bind(&server.socket, app_plane(server.admin_socket.is_none()))?];
    if let Some(admin) = &server.admin_socket {
        match server::bind(admin, Plane::Admin) {
            Ok(binding) => bindings.push(binding),
            Err(error) => {
                bindings.iter().for_each(Binding::remove);
                return Err(error.into());
            }
        }
    }
    Ok(bindings)
}

/// The sockets of `LISTEN_FDS`, with their names: they come in no certain order.
fn inherited() -> Result<Vec<(String, UnixListener)>, DaemonError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut handed = ListenFd::from_env();
    let mut all = Vec::new();
    for place in 0..handed.len() {
        let name = names.next().unwrap_or_default();
        let listener = handed.take_unix_listener(place);
        let listener = listener.map_err(|error| DaemonError::System { doing: "take over a socket", error })?;
        if let Some(listener) = listener {
            all.push((name, UnixListener::from(OwnedFd::from(listener))));
        }
    }
    Ok(all)
}
