//! What runs beside requests, each by its name: none of it ends unnoticed.

use std::collections::HashMap;
use std::future;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// What the daemon is without a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// As good as before for the calls that come.
    Good,
    /// Of no use: it had better be started again.
    Useless,
}

/// Tasks that go on until they are told to end.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, (&'static str, Without)>,
}

impl Tasks {
    /// Starts a task.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        without: Without,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.running.spawn(task);
        self.named(name, without, &handle);
    }

    /// Starts one that blocks, and that may end by itself.
    pub(super) fn spawn_blocking(&mut self, name: &'static str, task: impl FnOnce() + Send + 'static) {
        let handle = self.running.spawn_blocking(task);
        self.named(name, Without::Good, &handle);
    }

    fn named(&mut self, name: &'static str, without: Without, handle: &AbortHandle) {
        self.names.insert(handle.id(), (name, without));
    }

    /// Waits until one has ended without which the daemon is of no use, and names it. Of others that break off the log
    /// tells.
    pub(super) async fn lost(&mut self) -> &'static str {
        while let Some(ended) = self.running.join_next_with_id().await {
            if let Some((name, Without::Useless)) = self.told(ended) {
                return name;
            }
        }
        future::pending().await
    }

    /// Waits for all that still run.
    pub(super) async fn join(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            self.told(ended);
        }
    }

    fn told(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<(&'static str, Without)> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        let (name, without) = self.names.remove(&id)?;
        if let Err(error) = ended {
            tracing::error!(task = name, %error, "a task broke off: please report it");
        }
        Some((name, without))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_is_noticed_where_the_daemon_is_of_no_use_without_it() {
        let mut tasks = Tasks::default();
        tasks.spawn_blocking("done", || {});
        tasks.spawn("helpful", Without::Good, async { panic!("as a fault would") });
        tasks.spawn("waiting", Without::Useless, future::pending());
        let lost = tokio::time::timeout(std::time::Duration::from_millis(50), tasks.lost()).await;
        assert!(lost.is_err(), "{lost:?}");
        tasks.spawn("broken", Without::Useless, async { panic!("as a fault would") });
        assert_eq!(tasks.lost().await, "broken");
        tasks.spawn("ended", Without::Useless, async {});
        assert_eq!(tasks.lost().await, "ended");
        tasks.running.abort_all();
        tasks.join().await;
        assert!(tasks.names.is_empty());
    }
}
