//! Lets go what is remembered of connections that are no more, once the last request that knew them is over.

use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::bounds;
use crate::server;

/// Looks for what nobody holds any more, until `stopping` turns true.
pub(super) async fn keep(admin: Arc<Admin>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(bounds::SWEEP_INTERVAL) => {}
            () = server::turned(&mut stopping) => return,
        }
        let gone = admin.sweep();
        if gone.is_empty() {
            continue;
        }
        let removing = Arc::clone(&admin);
        let removed = admin::off_the_worker(move || {
            removing.forget_leases(&gone);
            Ok(())
        });
        if let Err(failure) = removed.await {
            tracing::warn!(error = %failure.message, "old counters are not removed from the store");
        }
    }
}
