//! The state of an account as everybody shares it, and the list of what changed and is to be stored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant as Monotonic};

use super::standing::{Against, Standing};
use crate::bounds;
use crate::clock::Instant;
use crate::store::Scope;

/// What stands against one account: a connection's own, or the one that a limit group shares. Reading it costs one
/// atomic while nothing does.
#[derive(Debug, Default)]
pub struct Account {
    standing: RwLock<Standing>,
    marked: AtomicBool,
    /// Whether it waits in the list of changes.
    changed: AtomicBool,
    /// Where changes are reported; nowhere for one that is not kept.
    kept: Option<(Scope, Arc<Changes>)>,
}

impl Account {
    /// One whose changes are stored.
    pub(super) fn kept(scope: Scope, changes: &Arc<Changes>) -> Self {
        Self { kept: Some((scope, Arc::clone(changes))), ..Self::default() }
    }

    /// What speaks against a model now.
    pub fn against(&self, model: &str, now: Instant) -> Option<Against> {
        if self.is_marked() { self.read().against(model, now) } else { None }
    }

    /// Whether anything is remembered of it.
    pub fn is_marked(&self) -> bool {
        self.marked.load(Ordering::Acquire)
    }

    /// Whether it is parked.
    pub fn is_parked(&self) -> bool {
        self.is_marked() && self.read().parked().is_some()
    }

    /// Looks at all of it.
    pub fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        let done = change(&mut standing);
        self.marked.store(!standing.is_clear(), Ordering::Release);
        done
    }

    /// Reports that there is something to store, at once or with the next lot.
    pub(super) fn report(&self, soon: Soon) {
        let Some((scope, changes)) = &self.kept else { return };
        let first = !self.changed.swap(true, Ordering::AcqRel);
        if first || soon == Soon::Now {
            changes.push(first.then(|| scope.clone()), soon);
        }
    }

    /// Takes note that what changed until now is about to be stored.
    pub fn taken(&self) {
        self.changed.store(false, Ordering::Release);
    }
}

/// When a change is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Soon {
    /// With the next lot.
    Tick,
    /// At once.
    Now,
}

/// The scopes whose facts changed and are not stored yet: each stands in it at most once, so it is no longer than there
/// are scopes.
#[derive(Debug, Default)]
pub struct Changes {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    scopes: Vec<Scope>,
    now: bool,
    closed: bool,
}

impl Changes {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, scope: Option<Scope>, soon: Soon) {
        let mut waiting = self.waiting();
        waiting.scopes.extend(scope);
        waiting.now |= soon == Soon::Now;
        drop(waiting);
        self.wake.notify_all();
    }

    /// Waits for changes and gives them all; none once it is closed and nothing is left. Blocks.
    pub fn next(&self) -> Option<Vec<Scope>> {
        let mut waiting = self.waiting();
        while waiting.scopes.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let due = Monotonic::now() + bounds::FACTS_INTERVAL;
        while !waiting.now && !waiting.closed {
            let left = due.saturating_duration_since(Monotonic::now());
            if left == Duration::ZERO {
                break;
            }
            waiting = self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.now = false;
        let mut scopes = std::mem::take(&mut waiting.scopes);
        scopes.sort();
        scopes.dedup();
        Some(scopes)
    }

    /// Takes scopes back that could not be stored, after a pause. Tells whether it makes sense to go on.
    pub fn again(&self, scopes: Vec<Scope>) -> bool {
        let waiting = self.waiting();
        let paused = self.wake.wait_timeout_while(waiting, bounds::FACTS_RETRY_PAUSE, |waiting| !waiting.closed);
        let mut waiting = paused.unwrap_or_else(PoisonError::into_inner).0;
        waiting.scopes.extend(scopes);
        !waiting.closed
    }

    /// Lets [`Changes::next`] come to an end.
    pub fn close(&self) {
        self.waiting().closed = true;
        self.wake.notify_all();
    }
}
