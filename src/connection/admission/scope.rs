//! One scope of limits: what is counted in it, and whether an attempt fits.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::count::Count;
use super::day::DayCount;
use super::lease::Leases;
use super::waiting::Waiting;
use super::window::Window;
use crate::api::{ConnectionId, LimitGroup, ProviderSlug};
use crate::bounds;
use crate::clock::Now;
use crate::config::Limits;
use crate::connection::day::Day;

/// What a limit is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeKey {
    /// A connection, or all connections of a group.
    pub holder: Holder,
    /// One model, by its id at the provider; none: all together.
    pub model: Option<Arc<str>>,
}

/// Who has a quota.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// One connection.
    Connection(ConnectionId),
    /// The account or project behind several.
    Group(LimitGroup),
}

impl ScopeKey {
    /// Its name in the store.
    pub(super) fn stored(&self) -> String {
        let holder = match &self.holder {
            Holder::Connection(id) => format!("c/{id}"),
            Holder::Group(group) => format!("g/{group}"),
        };
        self.model.iter().fold(holder, |holder, model| format!("{holder}/{model}"))
    }

    /// What is stored under a name; none where that names something else.
    pub(super) fn of_stored(name: &str) -> Option<Self> {
        let (sort, rest) = name.split_once('/')?;
        // No name of a connection or group holds a slash; those of models do.
        let (holder, model) = rest.split_once('/').map_or((rest, None), |(holder, model)| (holder, Some(model.into())));
        let holder = match sort {
            "c" => Holder::Connection(holder.parse().ok()?),
            "g" => Holder::Group(holder.parse().ok()?),
            _ => return None,
        };
        Some(Self { holder, model })
    }

    /// The same scope of the connection that has this name at another provider; none where it is not one of `from`'s.
    pub(super) fn moved(&self, from: &ProviderSlug, to: &ProviderSlug) -> Option<Self> {
        match &self.holder {
            Holder::Connection(id) if id.provider == *from => {
                let id = ConnectionId::new(to.clone(), id.name.clone());
                Some(Self { holder: Holder::Connection(id), model: self.model.clone() })
            }
            _ => None,
        }
    }
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Holder::Connection(id) => write!(f, "connection {id}")?,
            Holder::Group(group) => write!(f, "limit group {group}")?,
        }
        self.model.iter().try_for_each(|model| write!(f, ", model {model}"))
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Requests in any 60 seconds.
    RequestsPerMinute,
    /// Requests in a calendar day.
    RequestsPerDay,
    /// Tokens in any 60 seconds.
    TokensPerMinute,
    /// Tokens in a calendar day.
    TokensPerDay,
    /// Requests under way at once.
    Concurrent,
}

impl Figure {
    /// All of them, in the order in which they are shown.
    pub const ALL: &'static [Self] =
        &[Self::RequestsPerMinute, Self::RequestsPerDay, Self::TokensPerMinute, Self::TokensPerDay, Self::Concurrent];

    /// How much of it is used.
    pub const fn used(self, used: &Used) -> u64 {
        match self {
            Self::RequestsPerMinute => used.requests_per_minute,
            Self::RequestsPerDay => used.requests_per_day,
            Self::TokensPerMinute => used.tokens_per_minute,
            Self::TokensPerDay => used.tokens_per_day,
            Self::Concurrent => used.concurrent,
        }
    }

    /// Its name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::RequestsPerDay => "requests_per_day",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::Concurrent => "concurrent",
        }
    }

    /// Its limit, where it has one.
    pub const fn of(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::RequestsPerMinute => limits.requests_per_minute,
            Self::RequestsPerDay => limits.requests_per_day,
            Self::TokensPerMinute => limits.tokens_per_minute,
            Self::TokensPerDay => limits.tokens_per_day,
            Self::Concurrent => limits.concurrent,
        }
    }
}

/// What counts in a scope, in the order of its limits' figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Requests that count for the present minute.
    pub requests_per_minute: u64,
    /// Requests of today.
    pub requests_per_day: u64,
    /// Tokens that count for the present minute.
    pub tokens_per_minute: u64,
    /// Tokens of today.
    pub tokens_per_day: u64,
    /// Requests under way.
    pub concurrent: u64,
    /// Tokens that were used beyond a limit, and have yet to be paid.
    pub debt: u64,
}

/// The counters of one scope. All figures are counted, whichever have a limit, so that a limit that a reload brings finds
/// what was used before.
#[derive(Debug)]
pub struct Scope {
    key: ScopeKey,
    number: u64,
    state: Mutex<State>,
    /// How often room came free, for those who are about to wait.
    pub(super) freed: AtomicU64,
    /// Requests that wait for room here: new ones go behind them.
    pub(super) queued: AtomicUsize,
    pub(super) waiting: Arc<Waiting>,
    pub(super) leases: Arc<Leases>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) requests: Window,
    pub(super) tokens: Window,
    pub(super) running: u64,
    pub(super) today: Today,
    /// The limits that were last reserved under.
    pub(super) limits: Limits,
}

/// The counters of the calendar day.
#[derive(Debug)]
pub(super) struct Today {
    pub(super) day: Day,
    /// Counts up with every day.
    pub(super) number: u64,
    pub(super) zone: TimeZone,
    /// Whether the day is to be found anew, because it begins elsewhere now.
    pub(super) moved: bool,
    pub(super) requests: DayCount,
    pub(super) tokens: DayCount,
    /// What was written down for a day after this one.
    pub(super) ahead: (u64, u64),
    /// The most tokens that one attempt has asked for today.
    pub(super) largest: u64,
    /// Whether more is about to be written down.
    pub(super) asked: bool,
}

impl Scope {
    pub(super) fn new(key: ScopeKey, number: u64, zone: TimeZone, waiting: Arc<Waiting>, leases: Arc<Leases>) -> Self {
        let today = Today {
            day: Day::default(),
            number: 0,
            zone,
            moved: true,
            requests: DayCount::default(),
            tokens: DayCount::default(),
            ahead: (0, 0),
            largest: 0,
            asked: false,
        };
        let state = State {
            requests: Window::default(),
            tokens: Window::default(),
            running: 0,
            today,
            limits: Limits::default(),
        };
        Self {
            key,
            number,
            state: Mutex::new(state),
            freed: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
            waiting,
            leases,
        }
    }

    /// What it counts for.
    pub fn key(&self) -> &ScopeKey {
        &self.key
    }

    /// Its number in this process.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets its limits, and where its days begin. What has been used stays.
    pub(super) fn set(&self, limits: &Limits, zone: &TimeZone) {
        let mut state = self.state();
        state.limits = *limits;
        if state.today.zone != *zone {
            state.today.zone = zone.clone();
            state.today.moved = true;
        }
    }

    /// What counts now.
    pub fn used(&self, now: Now) -> Used {
        let mut state = self.state();
        state.advance(now);
        Used {
            requests_per_minute: state.requests.count.used(),
            requests_per_day: state.today.requests.count.used(),
            tokens_per_minute: state.tokens.count.used(),
            tokens_per_day: state.today.tokens.count.used(),
            concurrent: state.running,
            debt: state.tokens.debt(),
        }
    }

    /// Takes the provider's word for what remains of a quota: where it is less than here, less is used from now on. For a
    /// figure without a limit here it changes nothing.
    pub fn observe_remaining(&self, figure: Figure, remaining: u64, now: Now) {
        let mut state = self.state();
        state.advance(now);
        let Some(limit) = figure.of(&state.limits) else { return };
        match figure {
            Figure::RequestsPerMinute => state.requests.lower(remaining, limit, now.at),
            Figure::TokensPerMinute => state.tokens.lower(remaining, limit, now.at),
            Figure::RequestsPerDay => state.today.requests.lower(remaining, limit),
            Figure::TokensPerDay => state.today.tokens.lower(remaining, limit),
            Figure::Concurrent => {}
        }
    }

    /// Counts what was used of the same quotas under another name. When in its minute that was is not known here: it
    /// counts for a whole one from now.
    pub(super) fn take_over(&self, used: &Used, now: Now) {
        let mut state = self.state();
        state.advance(now);
        state.requests.restore(used.requests_per_minute, now.at);
        state.tokens.restore(used.tokens_per_minute, now.at);
        state.today.requests.count.add(used.requests_per_day);
        state.today.tokens.count.add(used.tokens_per_day);
    }

    /// Tells that room came free, and calls whoever waits for it.
    pub(super) fn notify(self: &Arc<Self>) {
        self.freed.fetch_add(1, Ordering::SeqCst);
        if self.queued.load(Ordering::SeqCst) > 0 {
            self.waiting.call(self);
        }
    }
}

impl State {
    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Now) {
        self.requests.expire(now.at, self.limits.requests_per_minute);
        self.tokens.expire(now.at, self.limits.tokens_per_minute);
        self.today.advance(now.wall_ms);
    }

    /// Until when an attempt does not fit, and which figure says so; none where it fits. A scope whose concurrent
    /// requests are all taken may have room at any moment: that is now.
    pub(super) fn full(&self, tokens: u64, now: Now) -> Option<(Instant, Figure)> {
        let (limits, today) = (&self.limits, &self.today);
        let midnight = || now.instant_of(today.day.ends_ms);
        let window = |window: &Window, need, limit: Option<u64>| window.full_until(need, limit?, now.at);
        let day = |count: &DayCount, need, limit: Option<u64>| match limit {
            Some(limit) if !count.has_room(need, limit) => Some(midnight()),
            Some(limit) if !count.is_leased(need.min(limit)) => Some(now.at + bounds::LIMIT_LEASE_INTERVAL),
            _ => None,
        };
        let concurrent = limits.concurrent.filter(|&limit| self.running >= limit).map(|_| now.at);
        let figures = [
            (concurrent, Figure::Concurrent),
            (window(&self.requests, 1, limits.requests_per_minute), Figure::RequestsPerMinute),
            (window(&self.tokens, tokens, limits.tokens_per_minute), Figure::TokensPerMinute),
            (day(&today.requests, 1, limits.requests_per_day), Figure::RequestsPerDay),
            (day(&today.tokens, tokens, limits.tokens_per_day), Figure::TokensPerDay),
        ];
        figures.into_iter().filter_map(|(until, figure)| Some((until?, figure))).max_by_key(|&(until, _)| until)
    }

    /// Counts an attempt that goes out now.
    pub(super) fn take(&mut self, tokens: u64) {
        self.running += 1;
        self.counts(tokens).into_iter().for_each(|(count, amount)| count.take(amount));
    }

    /// Takes an attempt back that never went out.
    pub(super) fn give_back(&mut self, tokens: u64) {
        self.running = self.running.saturating_sub(1);
        self.counts(tokens).into_iter().for_each(|(count, amount)| count.give_back(amount));
    }

    /// Everything in which an attempt counts, and how much.
    fn counts(&mut self, tokens: u64) -> [(&mut Count, u64); 4] {
        let today = &mut self.today;
        [
            (&mut self.requests.count, 1),
            (&mut self.tokens.count, tokens),
            (&mut today.requests.count, 1),
            (&mut today.tokens.count, tokens),
        ]
    }
}

impl Today {
    /// Turns to the day of this moment. A wall clock that is put back opens no day anew.
    pub(super) fn advance(&mut self, wall_ms: i64) {
        if wall_ms < self.day.ends_ms && !self.moved {
            return;
        }
        if !std::mem::take(&mut self.moved) {
            self.number += 1;
            self.largest = 0;
            self.requests.turn(self.ahead.0);
            self.tokens.turn(self.ahead.1);
        }
        self.day = day_of(wall_ms, &self.zone);
    }
}

/// The day that a moment falls on. Only the ends of time have none.
fn day_of(wall_ms: i64, zone: &TimeZone) -> Day {
    Day::of(wall_ms, zone).unwrap_or(Day { starts_ms: wall_ms, ends_ms: i64::MAX })
}
