//! The walk over a request's candidates: each at most once, and a reason for each that is passed over.

use std::sync::Arc;

use super::pool::{Pool, Skip, Wanted, usable};
use super::tier::Walk;
use crate::api::{ConnectionId, ProviderSlug};
use crate::bounds;
use crate::clock::Instant;
use crate::config::{Model, Sticky};
use crate::connection::health::Pass;
use crate::connection::{Against, Connection, ManagedBy};
use crate::provider::Provider;

/// A connection to try, with the model to ask it for.
#[derive(Clone)]
pub struct Candidate {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The connection.
    pub connection: Arc<Connection>,
    /// The model's id at this provider.
    pub model: Arc<str>,
    /// What is known of the model, where it is listed.
    pub facts: Option<Arc<Model>>,
    /// Leave to be the one probe of a breaker that is half open; it ends with the candidate.
    pub pass: Option<Arc<Pass>>,
}

impl Candidate {
    /// A connection to be asked what it can do, and for no model.
    pub fn trial(provider: &Arc<Provider>, connection: &Arc<Connection>) -> Self {
        let (provider, connection) = (Arc::clone(provider), Arc::clone(connection));
        Self { provider, connection, model: "".into(), facts: None, pass: None }
    }
}

/// A connection that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub connection: ConnectionId,
    /// Who may change it.
    pub managed_by: ManagedBy,
    /// Why.
    pub why: Skip,
}

/// The candidates of one request, in order.
#[doc(alias = "ConnectionRotationService")]
pub struct Candidates {
    pools: Arc<[Pool]>,
    wanted: Wanted,
    pool: usize,
    /// The walk through the present pool; none before its first step.
    walk: Option<Walk>,
    /// The conversation, where the order hangs on it.
    conversation: Option<u64>,
    skipped: Vec<Skipped>,
    /// What was given out and tried; no later walk gives it again.
    tried: Vec<(ConnectionId, Arc<str>)>,
    /// Whether one that was given out had no room.
    out_of_room: bool,
    /// Of those that cool by a guess, or are shut by their breaker, the one whose return is earliest.
    last_resort: Option<LastResort>,
    /// Whether the walk only looks, and takes nobody's turn.
    looks: bool,
}

/// Who is tried when nobody else is there.
struct LastResort {
    /// When it would be back.
    until: Instant,
    /// Whether it is its breaker that shuts it.
    is_open: bool,
    candidate: Candidate,
}

impl Candidates {
    pub(super) fn new(pools: Arc<[Pool]>, wanted: Wanted) -> Self {
        Self {
            pools,
            wanted,
            pool: 0,
            walk: None,
            conversation: None,
            skipped: Vec::new(),
            tried: Vec::new(),
            out_of_room: false,
            last_resort: None,
            looks: false,
        }
    }

    /// The same walk for a request that will not be sent: it changes nothing for those that are.
    #[must_use]
    pub fn only_looking(self) -> Self {
        Self { looks: true, ..self }
    }

    /// What was passed over so far.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Passes over a candidate that was given out and was not tried.
    pub fn pass_over(&mut self, candidate: &Candidate, why: Skip) {
        self.out_of_room |= matches!(why, Skip::OutOfRoom { .. });
        self.skip(&candidate.connection, why);
    }

    /// Notes that a candidate was tried.
    pub fn tried(&mut self, candidate: &Candidate) {
        self.tried.push((candidate.connection.id.clone(), Arc::clone(&candidate.model)));
    }

    /// Notes that the request was too large for a candidate's model: from here on only those with a larger context window
    /// come, as far as that is known.
    pub fn too_large_for(&mut self, candidate: &Candidate) {
        let window = candidate.facts.as_ref().and_then(|facts| facts.context_window);
        self.wanted.tokens = self.wanted.tokens.max(window.map(|window| window.saturating_add(1)));
    }

    /// Begins the walk anew, over what was not tried.
    pub fn again(&mut self) {
        (self.pool, self.walk, self.last_resort, self.out_of_room) = (0, None, None, false);
        self.skipped.clear();
    }

    /// The same for a request that another walk was made for: what was tried there is not tried again, and what it was too
    /// large for it still is.
    #[must_use]
    pub fn after(mut self, before: Self) -> Self {
        self.tried = before.tried;
        self.wanted.tokens = self.wanted.tokens.max(before.wanted.tokens);
        self
    }

    fn skip(&mut self, connection: &Connection, why: Skip) {
        let (connection, managed_by) = (connection.id.clone(), connection.managed_by);
        self.skipped.push(Skipped { connection, managed_by, why });
    }

    fn was_tried(&self, connection: &Connection, model: &str) -> bool {
        self.tried.iter().any(|(id, tried)| *id == connection.id && **tried == *model)
    }

    /// The providers of all pools, tried or not.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderSlug> {
        self.pools.iter().map(|pool| &pool.provider.slug)
    }

    /// Whether conversations stay with their connections here.
    pub fn is_sticky(&self) -> bool {
        self.pools.iter().any(|pool| pool.rotation.sticky == Sticky::Conversation)
    }

    /// The same in the order that belongs to a conversation.
    #[must_use]
    pub fn of_conversation(mut self, key: Option<u64>) -> Self {
        self.conversation = key;
        self
    }

    /// The next candidate, at this moment.
    ///
    /// When there was none at all, the **last resort** is one that would be back soonest, once: a breaker is no reason to
    /// refuse a request that nobody else can serve, and a cooldown whose length is Bursar's own guess is none either. Where
    /// the provider said when it is back, or a day or a quota is used up, trying earlier is known to be in vain.
    pub fn next(&mut self, now: Instant) -> Option<Candidate> {
        if let Some(found) = self.walk(now) {
            return Some(found);
        }
        // Where another only lacks room, waiting for it is better than asking one that cools.
        let may = |last: &LastResort| self.tried.is_empty() && (last.is_open || !self.out_of_room);
        self.last_resort.take().filter(may).map(|last| last.candidate)
    }

    fn walk(&mut self, now: Instant) -> Option<Candidate> {
        let pools = Arc::clone(&self.pools);
        loop {
            let pool = pools.get(self.pool)?;
            let Some(connection) = self.step(pool, now) else {
                self.pool += 1;
                self.walk = None;
                continue;
            };
            if self.was_tried(connection, &pool.model) {
                continue;
            }
            let lasting = self.why_not(pool, connection).map_or(Ok(()), Err);
            match lasting.map_err(|why| (why, false)).and_then(|()| self.ready(pool, connection, now)) {
                Ok(pass) => {
                    if let Some(walk) = &mut self.walk {
                        walk.chosen(&pool.tier);
                    }
                    return Some(pool.candidate(connection, pass));
                }
                Err((why, guessed)) => {
                    if let Some(until) = why.returns().filter(|_| guessed)
                        && self.last_resort.as_ref().is_none_or(|last| until < last.until)
                    {
                        let (is_open, candidate) = (matches!(why, Skip::Open { .. }), pool.candidate(connection, None));
                        self.last_resort = Some(LastResort { until, is_open, candidate });
                    }
                    self.skip(connection, why);
                }
            }
        }
    }

    /// The pool's next connection.
    fn step<'a>(&mut self, pool: &'a Pool, now: Instant) -> Option<&'a Arc<Connection>> {
        if let Some(walk) = &mut self.walk {
            return if self.wanted.pin.is_some() { None } else { walk.next(&pool.tier, now) };
        }
        let key = self.conversation.filter(|_| pool.rotation.sticky == Sticky::Conversation);
        let pinned = self.wanted.pin.as_ref().map(|pin| pool.tier.find(pin));
        if pinned.is_none_or(|pinned| pinned.is_some())
            && let Some(why) = pool.why_none(&self.wanted)
        {
            let alike = pool.tier.in_order().take(bounds::ALIKE_SKIPPED_MAX);
            alike.for_each(|connection| self.skip(connection, why));
            return None;
        }
        let begin = if self.looks { Walk::look } else { Walk::begin };
        let walk = self.walk.insert(begin(&pool.tier, pool.rotation.order, key));
        match pinned {
            // One stands for all that the request is not pinned to.
            Some(pinned) => pinned.or_else(|| pool.tier.in_order().next()),
            None => walk.next(&pool.tier, now),
        }
    }

    /// Whether a connection may be tried with a model at this moment. The breaker is asked last, because it may give out
    /// the one pass that it has. With the reason comes whether its end is Bursar's own guess.
    fn ready(&self, pool: &Pool, connection: &Connection, now: Instant) -> Result<Option<Arc<Pass>>, (Skip, bool)> {
        let open = |until| (Skip::Open { until }, true);
        match connection.against(&pool.model, now) {
            Some(Against::Parked) => Err((Skip::Parked, false)),
            Some(Against::NotForKey { until }) => Err((Skip::NotForKey { until }, false)),
            Some(Against::Cooling { until, said }) => Err((Skip::Cooling { until }, !said)),
            None if self.looks => connection.health.would_enter(now).map(|()| None).map_err(open),
            None => connection.health.enter(now).map_err(open),
        }
    }

    fn why_not(&self, pool: &Pool, connection: &Connection) -> Option<Skip> {
        if self.wanted.pin.as_ref().is_some_and(|pin| *pin != connection.id) {
            return Some(Skip::NotPinned);
        }
        if pool.is_too_small(&self.wanted) {
            return Some(Skip::TooLarge);
        }
        usable(&pool.provider, connection).err()
    }
}

impl Pool {
    fn candidate(&self, connection: &Arc<Connection>, pass: Option<Arc<Pass>>) -> Candidate {
        Candidate {
            provider: Arc::clone(&self.provider),
            connection: Arc::clone(connection),
            model: Arc::clone(&self.model),
            facts: self.facts.clone(),
            pass,
        }
    }
}
