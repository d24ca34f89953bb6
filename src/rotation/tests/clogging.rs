//! Twenty connections that fail one after the other and recover in another order, under load: no request outlives its
//! deadline, and what is healthy carries what is served.
//!
//! The real choosing, deciding and health run on a paused clock; only the providers are made up. `BURSAR_CLOGGING_SEEDS`
//! says how many runs there are.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::time::{sleep, sleep_until};

use super::*;
use crate::config::OnTimeout;
use crate::rotation::Candidate;

const CONNECTIONS: usize = 20;
const REQUESTS: u64 = 1_500;
/// The pause between two requests, and the time in which one of twenty turns.
const BETWEEN: Duration = Duration::from_millis(400);
const DEADLINE: Duration = Duration::from_secs(30);
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// A clogged connection's misbehaviour.
#[derive(Debug, Clone, Copy)]
enum Clog {
    Refuses,
    Hangs,
    LimitsWithHint,
    Limits,
    /// It serves one of twenty, late.
    Limps,
}

const CLOGS: [Clog; 5] = [Clog::Refuses, Clog::Hangs, Clog::LimitsWithHint, Clog::Limits, Clog::Limps];

/// A sequence that a seed determines (splitmix64).
struct Random(Cell<u64>);

impl Random {
    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let z = (self.0.get() ^ (self.0.get() >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&self, most: u64) -> u64 {
        self.next() % most
    }

    fn order(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..CONNECTIONS).collect();
        (1..CONNECTIONS).for_each(|n| all.swap(n, usize::try_from(self.below(n as u64 + 1)).unwrap()));
        all
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    requests: u64,
    late: u64,
    served: u64,
    /// Of those served while something was healthy: all, and those that something healthy served.
    served_then: u64,
    by_healthy: u64,
    /// Requests that came before all was clogged, and those of them that were not served.
    early: u64,
    early_unserved: u64,
    attempts: u64,
}

struct World {
    house: Snapshot,
    begin: Instant,
    clogged: RefCell<[Option<Clog>; CONNECTIONS]>,
    /// Whether all was clogged already.
    all_were_clogged: Cell<bool>,
    random: Random,
    figures: Cell<Figures>,
}

impl World {
    fn count(&self, count: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures.get();
        count(&mut figures);
        self.figures.set(figures);
    }

    fn clog(&self, candidate: &Candidate) -> Option<Clog> {
        let number: usize = candidate.connection.id.name.as_str()[1..].parse().unwrap();
        self.clogged.borrow()[number]
    }

    /// Clogs all, one after the other, and unclogs them in another order.
    async fn swizzle(&self) {
        let step = BETWEEN * u32::try_from(REQUESTS).unwrap() / (2 * CONNECTIONS as u32 + 4);
        for number in self.random.order() {
            sleep(step).await;
            let clog = CLOGS[usize::try_from(self.random.below(CLOGS.len() as u64)).unwrap()];
            self.clogged.borrow_mut()[number] = Some(clog);
        }
        self.all_were_clogged.set(true);
        for number in self.random.order() {
            sleep(step).await;
            self.clogged.borrow_mut()[number] = None;
        }
    }

    fn anything_healthy(&self) -> bool {
        self.clogged.borrow().iter().any(Option::is_none)
    }

    /// One attempt: how it ended, with what hint, and whether its connection was healthy.
    async fn attempt(&self, candidate: &Candidate, deadline: Instant) -> (Outcome, Option<Duration>, bool) {
        let clog = self.clog(candidate);
        let quick = Duration::from_millis(20 + self.random.below(300));
        let (took, outcome, hint) = match clog {
            None => (quick, Outcome::Ok, None),
            Some(Clog::Refuses) => (quick, Outcome::Transient, None),
            Some(Clog::Hangs) => (FIRST_BYTE, Outcome::Timeout, None),
            Some(Clog::LimitsWithHint) => (quick, Outcome::RateShort, Some(Duration::from_secs(20))),
            Some(Clog::Limits) => (quick, Outcome::RateShort, None),
            Some(Clog::Limps) if self.random.below(20) == 0 => (quick * 4, Outcome::Ok, None),
            Some(Clog::Limps) => (quick * 4, Outcome::Transient, None),
        };
        let over = Instant::now() + took;
        sleep_until(over.min(deadline)).await;
        if over > deadline { (Outcome::Timeout, None, false) } else { (outcome, hint, clog.is_none()) }
    }

    /// One request, as `execute` carries it out. Tells whether it was served, and then whether by something healthy.
    async fn request(&self) -> Option<bool> {
        let deadline = Instant::now() + DEADLINE;
        let mut candidates = candidates(&self.house);
        while let Some(candidate) = candidates.next(Instant::now()) {
            let mut retries = 0;
            loop {
                let sent_at = Instant::now();
                let (outcome, hint, healthy) = self.attempt(&candidate, deadline).await;
                let hints = Hints::default().after(hint);
                let ended = Ended {
                    model: Some("m"),
                    sent_at,
                    outcome,
                    message: None,
                    reached: true,
                    cut_short: false,
                    hints: &hints,
                };
                candidate.connection.observe(&ended, wall(self.begin, Instant::now()));
                self.count(|all| all.attempts += 1);
                if outcome == Outcome::Ok {
                    return Some(healthy);
                }
                let pause = pause(retries, self.random.next());
                match decide(outcome, retries, true, OnTimeout::Fallback) {
                    Step::Stop => return None,
                    _ if Instant::now() + pause >= deadline => return None,
                    Step::Next => break,
                    Step::Again => sleep(pause).await,
                }
                retries += 1;
            }
        }
        None
    }

    async fn one(self: Rc<Self>) {
        let (began, healthy) = (Instant::now(), self.anything_healthy());
        let served = self.request().await;
        let (healthy, early) = (healthy && self.anything_healthy(), !self.all_were_clogged.get());
        self.count(|all| {
            all.requests += 1;
            all.late += u64::from(began.elapsed() > DEADLINE);
            all.served += u64::from(served.is_some());
            all.served_then += u64::from(healthy && served.is_some());
            all.by_healthy += u64::from(healthy && served == Some(true));
            all.early += u64::from(early);
            all.early_unserved += u64::from(early && served.is_none());
        });
    }
}

fn run(seed: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let world = Rc::new(World {
            house: house(CONNECTIONS, ""),
            begin: Instant::now(),
            clogged: RefCell::default(),
            all_were_clogged: Cell::default(),
            random: Random(Cell::new(seed)),
            figures: Cell::default(),
        });
        let swizzling = Rc::clone(&world);
        let swizzling = tokio::task::spawn_local(async move { swizzling.swizzle().await });
        let mut requests = Vec::new();
        for _ in 0..REQUESTS {
            requests.push(tokio::task::spawn_local(Rc::clone(&world).one()));
            sleep(BETWEEN).await;
        }
        for request in requests {
            request.await.unwrap();
        }
        swizzling.await.unwrap();
        world.figures.get()
    })
}

#[test]
fn what_is_healthy_carries_the_load_while_others_clog() {
    let seeds = std::env::var("BURSAR_CLOGGING_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let mut sum = Figures::default();
    for seed in 0..seeds {
        let one = run(seed);
        assert_eq!((one.requests, one.late), (REQUESTS, 0), "seed {seed}: every request ends within its deadline");
        assert!(one.early_unserved * 100 <= one.early, "seed {seed}: {one:?}");
        let sums = [&mut sum.requests, &mut sum.late, &mut sum.served, &mut sum.served_then, &mut sum.by_healthy];
        let more = [one.requests, one.late, one.served, one.served_then, one.by_healthy];
        sums.into_iter().zip(more).for_each(|(sum, more)| *sum += more);
        sum.early += one.early;
        sum.early_unserved += one.early_unserved;
        sum.attempts += one.attempts;
    }
    println!("clogging, {seeds} seeds: {sum:?}");
    assert!(sum.by_healthy * 100 >= sum.served_then * 99, "{sum:?}");
}
