//! Connections of one provider that have the same priority, and the order among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::round::{Circle, Round};
use crate::clock::Instant;
use crate::config::Order;
use crate::connection::Connection;
use crate::provider::Provider;

/// How many of those whose turn is next are compared for the fewest running attempts: all, in most houses.
const COMPARED: usize = 16;

/// Whose turn it is. It outlives snapshots, so that a reload begins no round anew.
pub(super) type Turn = AtomicUsize;

/// Connections of equal priority. Rounds are worked out once, so that choosing takes no lock and allocates nothing.
#[derive(Debug)]
pub(super) struct Tier {
    /// The priority that they have.
    pub(super) priority: u32,
    /// The connections, by name.
    pub(super) connections: Vec<Arc<Connection>>,
    /// The default connection, which is always tried first.
    first: Option<u32>,
    /// The turns of the others that can be used as the snapshot has them.
    round: Round,
    /// The same by the keys of conversations; empty where no route asks for it.
    circle: Circle,
    /// Who comes when the others are gone: a weight of 0 first, and then what the snapshot rules out.
    last: Vec<u32>,
    turn: Arc<Turn>,
}

impl Tier {
    /// A tier whose turn goes on. The default connection, where one is named, is always tried first.
    pub(super) fn new(
        priority: u32,
        mut connections: Vec<Arc<Connection>>,
        provider: &Provider,
        turn: Arc<Turn>,
        sticky: bool,
    ) -> Self {
        connections.sort_by(|a, b| a.id.cmp(&b.id));
        let default = provider.default_connection.as_ref();
        let on = |one: &Connection| one.enabled && !one.lacks_secret(provider);
        let (mut first, mut last, mut off, mut weights) = (None, Vec::new(), Vec::new(), Vec::new());
        for (place, one) in (0_u32..).zip(&connections) {
            let is_default = Some(&one.id.name) == default;
            let weight = if is_default || !on(one) { 0 } else { one.weight };
            weights.push(weight);
            match weight {
                _ if is_default => first = Some(place),
                0 if on(one) => last.push(place),
                0 => off.push(place),
                _ => {}
            }
        }
        last.append(&mut off);
        let named = || (0_u32..).zip(&connections).zip(&weights);
        let named = named().map(|((place, one), weight)| (place, one.id.name.as_str(), *weight));
        let circle = if sticky { Circle::new(named) } else { Circle::default() };
        Self { priority, first, round: Round::smooth(&weights), circle, last, turn, connections }
    }

    /// The connections in the order of a walk that takes no turn.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Arc<Connection>> {
        let round = (0..self.round.len()).filter_map(|step| self.round.at(0, step));
        let places = self.first.into_iter().chain(round).chain(self.last.iter().copied());
        places.filter_map(|place| self.connections.get(place as usize))
    }

    /// The place of a connection, without a walk to it.
    pub(super) fn find(&self, id: &crate::api::ConnectionId) -> Option<&Arc<Connection>> {
        let place = self.connections.binary_search_by(|one| one.id.cmp(id)).ok()?;
        self.connections.get(place)
    }
}

/// A walk through a tier: every connection once. It knows nothing of who can be used.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    order: Order,
    key: Option<u64>,
    start: usize,
    /// Steps taken; the first is the default connection's.
    step: usize,
    /// Scores and places of those that are compared and still to come, the next one last.
    window: [(u64, u32); COMPARED],
    waiting: usize,
    /// One that came before its turn.
    early: Option<u32>,
    chosen: bool,
}

impl Walk {
    /// A walk that takes the tier's turn, or begins at a conversation's key.
    pub(super) fn begin(tier: &Tier, order: Order, key: Option<u64>) -> Self {
        let start = match key {
            Some(key) => tier.circle.start(key),
            None => tier.turn.fetch_add(1, Ordering::Relaxed),
        };
        Self::from(start, order, key)
    }

    /// The walk that the next request will make, whose turn stays its own.
    pub(super) fn look(tier: &Tier, order: Order, key: Option<u64>) -> Self {
        let start = key.map_or_else(|| tier.turn.load(Ordering::Relaxed), |key| tier.circle.start(key));
        Self { chosen: true, ..Self::from(start, order, key) }
    }

    fn from(start: usize, order: Order, key: Option<u64>) -> Self {
        let order = if key.is_some() { Order::RoundRobin } else { order };
        Self { order, key, start, step: 0, window: [(0, 0); COMPARED], waiting: 0, early: None, chosen: false }
    }

    /// The next connection.
    pub(super) fn next<'a>(&mut self, tier: &'a Tier, now: Instant) -> Option<&'a Arc<Connection>> {
        if self.step == 0 {
            self.step = 1;
            if let Some(first) = tier.first {
                return tier.connections.get(first as usize);
            }
        }
        if self.waiting == 0 {
            self.fill(tier, now);
        }
        self.waiting = self.waiting.checked_sub(1)?;
        tier.connections.get(self.window.get(self.waiting)?.1 as usize)
    }

    /// Notes that the first connection was chosen. Those that had to be passed over had their turns: so unusable ones cost
    /// the requests of one round no more than one look at each, however many they are.
    pub(super) fn chosen(&mut self, tier: &Tier) {
        let taken = self.step.saturating_sub(1).min(tier.round.len());
        let over = taken.saturating_sub(if self.order == Order::LeastInFlight { COMPARED } else { 1 });
        if !std::mem::replace(&mut self.chosen, true) && self.key.is_none() && over > 0 {
            tier.turn.fetch_add(over, Ordering::Relaxed);
        }
    }

    /// Takes the next few of the round, the best last.
    fn fill(&mut self, tier: &Tier, now: Instant) {
        match self.order {
            Order::LeastInFlight => {
                let score =
                    |one: &Connection| u64::from(one.health.in_flight()) * (1 << 32) / u64::from(one.weight.max(1));
                while self.waiting < COMPARED && (self.waiting == 0 || self.in_round(tier)) {
                    let Some(place) = self.place(tier) else { break };
                    self.wait(tier, place, score);
                }
            }
            Order::LowestLatency => {
                let score = |one: &Connection| one.pace.score(one.health.in_flight(), now);
                let other = if self.step == 1 { tier.round.other(self.start) } else { None };
                let Some(place) = self.place(tier) else { return };
                self.wait(tier, place, score);
                if let Some(other) = other.filter(|other| *other != place) {
                    self.wait(tier, other, score);
                    self.early = Some(other);
                }
            }
            Order::RoundRobin | Order::Cheapest => {
                let Some(place) = self.place(tier) else { return };
                self.wait(tier, place, |_| 0);
            }
        }
        let Some(window) = self.window.get_mut(..self.waiting) else { return };
        // Of equals the one whose turn is first. So few are sorted without a buffer.
        window.reverse();
        window.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    }

    fn wait(&mut self, tier: &Tier, place: u32, score: impl Fn(&Connection) -> u64) {
        let Some(one) = tier.connections.get(place as usize) else { return };
        if let Some(seat) = self.window.get_mut(self.waiting) {
            *seat = (score(one), place);
            self.waiting += 1;
        }
    }

    fn in_round(&self, tier: &Tier) -> bool {
        self.step <= tier.round.len()
    }

    /// The place at the next step that has one.
    fn place(&mut self, tier: &Tier) -> Option<u32> {
        let round = if self.key.is_some() { &tier.circle.round } else { &tier.round };
        loop {
            let step = self.step.saturating_sub(1);
            self.step += 1;
            if step >= round.len() {
                return tier.last.get(step - round.len()).copied();
            }
            match round.at(self.start, step) {
                Some(place) if Some(place) != self.early => return Some(place),
                _ => {}
            }
        }
    }
}
