//! Reads a declared connection's secret again after its provider refused it: whoever looks after the file may have put a new
//! one there, and nothing else tells.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::api::ConnectionId;
use crate::api::admin::EventKind;
use crate::server;

/// Rereads what is refused, until `stopping` turns true.
pub(super) async fn keep(admin: Arc<Admin>, mut stopping: watch::Receiver<bool>) {
    let (_, live) = admin.engine.events.follow();
    let Some(mut live) = live else { return };
    loop {
        let next = tokio::select! {
            next = live.recv() => next,
            () = server::turned(&mut stopping) => return,
        };
        match next {
            Ok(event) if event.kind == EventKind::Rejected => {
                if let Some(id) = event.connection.clone() {
                    reread(&admin, vec![id]).await;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => {
                // Some were missed: all that are refused now.
                let doubtful = admin.doubtful().into_iter();
                let refused = doubtful.filter(|(_, why)| *why == admin::Doubt::Rejected).map(|(id, _)| id);
                reread(&admin, refused.collect()).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Reads the secrets of these connections again.
pub(super) async fn reread(admin: &Arc<Admin>, ids: Vec<ConnectionId>) {
    if ids.is_empty() {
        return;
    }
    let reader = Arc::clone(admin);
    match admin::off_the_worker(move || reader.reread_secrets(&ids)).await {
        Ok(changed) => changed
            .iter()
            .for_each(|id| tracing::info!(connection = %id, "its secret was read again, and is another one")),
        Err(failure) => tracing::warn!(error = %failure.message, "secrets could not be read again"),
    }
}
