//! Requests that wait for room. One is called when room comes free, and it calls the next when it is done: nobody asks
//! again and again, and no crowd wakes for one place.
//!
//! At every full scope there is a line. Apps take turns in it, and within an app the first goes first. A request that
//! waits at several scopes stands in all their lines; it leaves them when one calls it, and comes back to its place where
//! it finds no room after all.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::permit::Blocked;
use super::scope::Scope;
use crate::api::AppName;
use crate::bounds;

/// The lines of all scopes.
#[derive(Debug, Default)]
pub struct Waiting {
    lines: Mutex<Lines>,
    /// Tells the keeper that a line will be due earlier than it thinks.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    by_scope: HashMap<u64, Line>,
    by_app: HashMap<AppName, usize>,
    total: usize,
    /// The last number that a request or a turn was given: none is given twice.
    last: u64,
}

/// The line of one scope.
#[derive(Debug)]
struct Line {
    scope: Arc<Scope>,
    /// Apps by their turns, the next one first; the requests of each in the order in which they came.
    apps: BTreeMap<u64, (AppName, BTreeMap<u64, Arc<Seat>>)>,
    /// When time alone will have brought room.
    due: Option<Instant>,
}

/// What a line knows of a request.
#[derive(Debug)]
struct Seat {
    number: u64,
    app: AppName,
    wake: Notify,
    /// In whose lines it stands, and who called it.
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    lines: Vec<Arc<Scope>>,
    /// With its app's turn there.
    called: Option<(Arc<Scope>, u64)>,
}

/// A request that waits. However it ends, nobody waits for it.
#[derive(Debug)]
pub struct Waiter {
    waiting: Arc<Waiting>,
    seat: Arc<Seat>,
}

impl Waiting {
    /// Lets a request wait; none where too many do already, in all or of its app.
    pub fn join(self: &Arc<Self>, app: &AppName) -> Option<Waiter> {
        let mut lines = self.lines();
        let of_app = lines.by_app.get(app).copied().unwrap_or(0);
        if lines.total >= bounds::WAITING_MAX || of_app >= bounds::WAITING_PER_APP_MAX {
            return None;
        }
        lines.total += 1;
        lines.by_app.insert(app.clone(), of_app + 1);
        lines.last += 1;
        let seat = Seat { number: lines.last, app: app.clone(), wake: Notify::new(), place: Mutex::default() };
        Some(Waiter { waiting: Arc::clone(self), seat: Arc::new(seat) })
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.lines().total
    }

    /// Calls the next in a scope's line, if there is one.
    pub(super) fn call(&self, scope: &Arc<Scope>) {
        self.lines().call(scope);
    }

    /// Calls those whose room comes with time, until `stopping` turns true or its sender is gone.
    pub async fn keep(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            let due = self.lines().call_due(Instant::now());
            let wait = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.sooner.notified() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// The scope that called it.
    pub fn turn(&self) -> Option<Arc<Scope>> {
        self.seat.place().called.as_ref().map(|(scope, _)| Arc::clone(scope))
    }

    /// After a try that found these scopes full: calls the next where it was called and did not find it full, and stands
    /// in line again. True if room came free in the meantime: then it is worth another try at once.
    pub fn line_up(&self, blocked: &[Blocked]) -> bool {
        let mut lines = self.waiting.lines();
        let called = self.seat.place().called.take();
        let mut sooner = false;
        for one in blocked.iter().take(bounds::WAITING_SCOPES_MAX) {
            let here = called.as_ref().filter(|(scope, _)| scope.number() == one.scope.number());
            sooner |= lines.stand(&self.seat, one, here.map(|(_, turn)| *turn));
        }
        if let Some((called, _)) = called {
            called.queued.fetch_sub(1, Ordering::SeqCst);
            if !blocked.iter().any(|one| one.scope.number() == called.number()) {
                lines.call(&called);
            }
        }
        let changed = blocked.iter().any(|one| one.scope.freed.load(Ordering::SeqCst) != one.freed);
        if changed {
            lines.leave(&self.seat);
        }
        drop(lines);
        if sooner {
            self.waiting.sooner.notify_one();
        }
        changed
    }

    /// Waits until a scope calls.
    pub async fn called(&self) {
        self.seat.wake.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut lines = self.waiting.lines();
        lines.total -= 1;
        let left = lines.by_app.get_mut(&self.seat.app).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            lines.by_app.remove(&self.seat.app);
        }
        let called = self.seat.place().called.take().map(|(scope, _)| scope);
        if let Some(called) = &called {
            called.queued.fetch_sub(1, Ordering::SeqCst);
        }
        // Whether the next finds room is for it to see: this one may have been the one that the line waited for.
        let left = lines.leave(&self.seat);
        for scope in left.iter().chain(&called) {
            lines.call(scope);
        }
    }
}

impl Seat {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Puts a request in line; one that was called there before, where it was. True if the line is due sooner than before.
    fn stand(&mut self, seat: &Arc<Seat>, at: &Blocked, turn: Option<u64>) -> bool {
        self.last += 1;
        let line = self.by_scope.entry(at.scope.number()).or_insert_with(|| Line {
            scope: Arc::clone(&at.scope),
            apps: BTreeMap::new(),
            due: None,
        });
        let standing = line.apps.iter().find(|(_, (app, _))| *app == seat.app).map(|(turn, _)| *turn);
        let (app, mut seats) =
            standing.and_then(|turn| line.apps.remove(&turn)).unwrap_or_else(|| (seat.app.clone(), BTreeMap::new()));
        if seats.insert(seat.number, Arc::clone(seat)).is_none() {
            seat.place().lines.push(Arc::clone(&at.scope));
            at.scope.queued.fetch_add(1, Ordering::SeqCst);
        }
        let turn = turn.into_iter().chain(standing).min().unwrap_or(self.last);
        line.apps.insert(turn, (app, seats));
        let sooner = at.due.is_some_and(|due| line.due.is_none_or(|before| due < before));
        if sooner {
            line.due = at.due;
        }
        sooner
    }

    /// Calls the next in a line: it leaves all lines, and still counts as waiting where it was called.
    fn call(&mut self, scope: &Arc<Scope>) {
        self.last += 1;
        let Some(line) = self.by_scope.get_mut(&scope.number()) else { return };
        line.due = None;
        let Some((turn, (app, mut seats))) = line.apps.pop_first() else { return };
        let next = seats.pop_first();
        if !seats.is_empty() {
            line.apps.insert(self.last, (app, seats));
        }
        let Some((_, seat)) = next else { return };
        seat.place().called = Some((Arc::clone(scope), turn));
        seat.place().lines.retain(|one| one.number() != scope.number());
        self.leave(&seat);
        self.forget_if_empty(scope);
        seat.wake.notify_one();
    }

    /// Takes a request out of all lines, and tells which they were.
    fn leave(&mut self, seat: &Seat) -> Vec<Arc<Scope>> {
        let left = std::mem::take(&mut seat.place().lines);
        for scope in &left {
            scope.queued.fetch_sub(1, Ordering::SeqCst);
            if let Some(line) = self.by_scope.get_mut(&scope.number()) {
                line.apps.retain(|_, (_, seats)| {
                    seats.remove(&seat.number);
                    !seats.is_empty()
                });
            }
            self.forget_if_empty(scope);
        }
        left
    }

    fn forget_if_empty(&mut self, scope: &Scope) {
        if self.by_scope.get(&scope.number()).is_some_and(|line| line.apps.is_empty()) {
            self.by_scope.remove(&scope.number());
        }
    }

    /// Calls the next of every line that is due, and tells when one will be.
    fn call_due(&mut self, now: Instant) -> Option<Instant> {
        let due = |line: &&Line| line.due.is_some_and(|due| due <= now);
        let scopes: Vec<_> = self.by_scope.values().filter(due).map(|line| Arc::clone(&line.scope)).collect();
        for scope in scopes {
            self.call(&scope);
        }
        self.by_scope.values().filter_map(|line| line.due).min()
    }
}
