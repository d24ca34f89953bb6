//! Writes day counters down before they are used up, off the way of every request.

use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::{self, Admin};

/// Writes what runs out, until the sender of `killing` says so or is gone.
pub(super) async fn keep(admin: Arc<Admin>, mut killing: watch::Receiver<bool>) {
    loop {
        let low = tokio::select! {
            low = admin.engine.admission.leases.low() => low,
            _ = killing.wait_for(|killing| *killing) => return,
        };
        let writing = Arc::clone(&admin);
        let written = admin::off_the_worker(move || {
            writing.write_leases(&low);
            Ok(())
        });
        if let Err(failure) = written.await {
            tracing::error!(error = %failure.message, "day counters are not written down");
        }
    }
}
