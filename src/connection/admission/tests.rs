//! The engine against random calls: what the provider would see is counted on its own, and held against the limits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::bounds;
use crate::clock::Now;
use crate::config::{GroupLimits, Limits};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A midnight, as milliseconds since 1970.
const MIDNIGHT_MS: i64 = 1_795_305_600_000;

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn limits(random: &mut Random) -> Limits {
    let mut figure = |from: u64, to: u64| (random.below(4) > 0).then(|| from + random.below(to - from));
    Limits {
        requests_per_minute: figure(3, 400),
        requests_per_day: figure(500, 20_000),
        tokens_per_minute: figure(3_000, 400_000),
        tokens_per_day: figure(500_000, 9_000_000),
        concurrent: figure(1, 40),
    }
}

const MODELS: [&str; 3] = ["a", "b", "c"];

/// Connections, of which every four share a group.
fn quotas(admission: &Admission, random: &mut Random, count: usize) -> Vec<Quotas> {
    let by_model = |random: &mut Random| BTreeMap::from([("a".to_owned(), limits(random))]);
    let mut group = GroupLimits::default();
    (0..count)
        .map(|n| {
            if n % 4 == 0 {
                group = GroupLimits { limits: limits(random), models: by_model(random), day_resets: None };
            }
            let (id, name) = (format!("one:c{n}").parse().unwrap(), format!("g{}", n / 4).parse().unwrap());
            let (own, models) = (limits(random), by_model(random));
            Quotas::new(admission, (&id, &own, &models), Some((&name, &group)), &TimeZone::UTC)
        })
        .collect()
}

/// What the provider sees of one scope.
#[derive(Default)]
struct Seen {
    limits: Limits,
    /// When each call arrived, in milliseconds, and the tokens that it counts with at least.
    arrivals: Vec<(u64, u64)>,
    running: u64,
    tokens: u64,
}

/// A call under way.
struct Going {
    permit: Permit,
    scopes: Vec<ScopeKey>,
    reserved: u64,
    used: u64,
    arrives: u64,
    how: How,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Answered,
    /// It arrived, and was dropped without a word of its tokens.
    Dropped,
    Unsent,
}

struct Run {
    begin: Instant,
    wall_ms: i64,
    seen: HashMap<ScopeKey, Seen>,
    going: HashMap<u64, Going>,
    events: BinaryHeap<Reverse<(u64, u64, bool)>>,
}

impl Run {
    fn now(&self, ms: u64) -> Now {
        Now { at: self.begin + Duration::from_millis(ms), wall_ms: self.wall_ms + i64::try_from(ms).unwrap() }
    }

    fn try_one(&mut self, number: u64, ms: u64, quotas: &[Quotas], random: &mut Random) {
        let place = usize::try_from(random.below(quotas.len() as u64)).unwrap();
        let scopes = quotas[place].of(MODELS[usize::try_from(random.below(3)).unwrap()]);
        let reserved = 1 + random.below(2_000);
        let Ok(permit) = reserve(&scopes, reserved, self.now(ms), None) else { return };
        let how = match random.below(20) {
            0 => How::Unsent,
            1 | 2 => How::Dropped,
            _ => How::Answered,
        };
        let latency = if random.below(10) == 0 { 90_000 } else { 2_000 };
        let arrives = ms + random.below(latency);
        let head = arrives + random.below(latency);
        let ends = head + random.below(latency);
        let used = if random.below(10) == 0 { reserved * 5 } else { random.below(reserved) };
        let keys = scopes.iter().flatten().map(|limited| limited.scope.key().clone()).collect();
        for limited in scopes.into_iter().flatten() {
            let seen = self.seen.entry(limited.scope.key().clone()).or_default();
            seen.limits = limited.limits;
            seen.running += 1;
            assert!(limited.limits.concurrent.is_none_or(|most| seen.running <= most), "{}", limited.scope.key());
        }
        self.going.insert(number, Going { permit, scopes: keys, reserved, used, arrives, how });
        if how == How::Answered {
            self.events.push(Reverse((head, number, false)));
        }
        self.events.push(Reverse((ends, number, true)));
    }

    /// Everything that happens until a moment.
    fn until(&mut self, ms: u64) {
        while let Some(&Reverse((at, number, last))) = self.events.peek().filter(|Reverse((at, ..))| *at <= ms) {
            self.events.pop();
            let now = self.now(at);
            if last {
                let going = self.going.remove(&number).unwrap();
                self.end(going, now);
            } else if let Some(going) = self.going.get_mut(&number) {
                going.permit.head(now);
            }
        }
    }

    fn end(&mut self, going: Going, now: Now) {
        let Going { mut permit, scopes, reserved, used, arrives, how } = going;
        for key in scopes {
            let seen = self.seen.get_mut(&key).unwrap();
            seen.running -= 1;
            match how {
                How::Answered => seen.arrivals.push((arrives, reserved.min(used))),
                How::Dropped => seen.arrivals.push((arrives, reserved)),
                How::Unsent => continue,
            }
            seen.tokens += if how == How::Answered { used } else { reserved };
        }
        match how {
            How::Answered => {
                permit.settle(used, now);
                permit.end(now);
            }
            How::Dropped => permit.end(now),
            How::Unsent => permit.unsent(),
        }
    }
}

impl Seen {
    /// Holds what arrived against the limits.
    fn check(&mut self, key: &ScopeKey, midnight: u64) {
        self.arrivals.sort_unstable();
        let (mut from, mut tokens) = (0, 0);
        for (place, &(at, of_call)) in self.arrivals.iter().enumerate() {
            tokens += of_call;
            while self.arrivals[from].0 + 60_000 <= at {
                tokens -= self.arrivals[from].1;
                from += 1;
            }
            let requests = (place + 1 - from) as u64;
            assert!(self.limits.requests_per_minute.is_none_or(|most| requests <= most), "{key}: {requests} a minute");
            assert!(self.limits.tokens_per_minute.is_none_or(|most| tokens <= most), "{key}: {tokens} tokens a minute");
        }
        let first = self.arrivals.partition_point(|&(at, _)| at < midnight);
        for day in [&self.arrivals[..first], &self.arrivals[first..]] {
            let requests = day.len() as u64;
            assert!(self.limits.requests_per_day.is_none_or(|most| requests <= most), "{key}: {requests} a day");
        }
    }
}

/// Runs so many operations from a moment before midnight on, and checks what the provider saw.
fn run(operations: u64, seed: u64, before_midnight_ms: u64) {
    let (admission, mut random) = (Admission::default(), Random(seed));
    let quotas = quotas(&admission, &mut random, 40);
    let mut run = Run {
        begin: Instant::now(),
        wall_ms: MIDNIGHT_MS - i64::try_from(before_midnight_ms).unwrap(),
        seen: HashMap::new(),
        going: HashMap::new(),
        events: BinaryHeap::new(),
    };
    let mut ms = 0;
    for number in 0..operations {
        ms += random.below(14);
        run.until(ms);
        run.try_one(number, ms, &quotas, &mut random);
    }
    run.until(u64::MAX);
    let calls: usize = run.seen.values().map(|seen| seen.arrivals.len()).sum();
    assert!(calls as u64 > operations / 10, "the limits let nothing through: {calls}");
    for (key, seen) in &mut run.seen {
        seen.check(key, before_midnight_ms);
    }
    // At rest nothing is left over: every permit came back, and every debt is paid.
    for scope in admission.scopes() {
        let used = scope.used(run.now(ms + 2 * 3_600_000));
        let rest = (used.concurrent, used.requests_per_minute, used.tokens_per_minute, used.debt);
        assert_eq!(rest, (0, 0, 0, 0), "{}", scope.key());
        if before_midnight_ms == DAY_MS {
            let seen = run.seen.remove(scope.key()).unwrap_or_default();
            let all = (seen.arrivals.len() as u64, seen.tokens);
            assert_eq!((used.requests_per_day, used.tokens_per_day), all, "{}", scope.key());
        }
    }
}

/// `BURSAR_LIMIT_OPERATIONS` says how many.
#[test]
fn no_limit_is_exceeded_as_the_provider_counts() {
    let operations = std::env::var("BURSAR_LIMIT_OPERATIONS").ok().and_then(|text| text.parse().ok());
    let operations = operations.unwrap_or(200_000);
    run(operations, 0x5eed, 3_600_000);
    println!("limits: none exceeded in {operations} operations");
}

#[test]
fn what_is_reserved_is_what_is_settled_and_owed() {
    run(100_000, 7, DAY_MS);
    run(100_000, 77, DAY_MS);
}

#[test]
fn many_threads_neither_exceed_a_limit_nor_wait_for_each_other_for_ever() {
    let (admission, mut random) = (Admission::default(), Random(3));
    let quotas = quotas(&admission, &mut random, 8);
    let running: HashMap<ScopeKey, AtomicI64> =
        admission.scopes().iter().map(|scope| (scope.key().clone(), AtomicI64::new(0))).collect();
    let now = Now { at: Instant::now(), wall_ms: MIDNIGHT_MS };
    std::thread::scope(|threads| {
        for seed in 1..=8 {
            let (quotas, running) = (&quotas, &running);
            threads.spawn(move || {
                let mut random = Random(seed);
                for n in 0..20_000_u64 {
                    let now = Now { at: now.at + Duration::from_millis(n * 50), ..now };
                    let place = usize::try_from(random.below(8)).unwrap();
                    let scopes = quotas[place].of("a");
                    let Ok(permit) = reserve(&scopes, 10, now, None) else { continue };
                    for limited in scopes.iter().flatten() {
                        let count = running[limited.scope.key()].fetch_add(1, Ordering::SeqCst) + 1;
                        let most = limited.limits.concurrent.map_or(i64::MAX, |most| i64::try_from(most).unwrap());
                        assert!(count <= most, "{}", limited.scope.key());
                    }
                    for limited in scopes.iter().flatten() {
                        running[limited.scope.key()].fetch_sub(1, Ordering::SeqCst);
                    }
                    if n % 3 == 0 { permit.unsent() } else { drop(permit) }
                }
            });
        }
    });
    assert!(admission.scopes().iter().all(|scope| scope.used(now).concurrent == 0));
}

#[test]
fn no_app_fills_the_waiting_room_alone() {
    let waiting = Arc::new(Waiting::default());
    let join = |app: String| waiting.join(&app.parse().unwrap());
    let mut inside: Vec<_> = (0..bounds::WAITING_PER_APP_MAX).map(|_| join("greedy".into()).unwrap()).collect();
    assert!(join("greedy".into()).is_none());
    inside.extend((0..).map_while(|n| join(format!("app{n}"))));
    assert_eq!((inside.len(), waiting.count()), (bounds::WAITING_MAX, bounds::WAITING_MAX));
    inside.remove(0);
    assert!(join("greedy".into()).is_some());
    drop(inside);
    assert_eq!(waiting.count(), 0);
}

#[test]
fn what_the_provider_says_remains_lowers_the_narrowest_limit_and_raises_none() {
    let admission = Admission::default();
    let limits = |requests| Limits { requests_per_minute: Some(requests), ..Limits::default() };
    let (id, models) = ("one:a".parse().unwrap(), BTreeMap::from([("m".to_owned(), limits(10))]));
    let quotas = Quotas::new(&admission, (&id, &limits(100), &models), None, &TimeZone::UTC);
    let now = Now { at: Instant::now(), wall_ms: MIDNIGHT_MS };
    let fits = |model| {
        let held: Vec<_> = (0..200).map_while(|_| reserve(&quotas.of(model), 1, now, None).ok()).collect();
        let count = held.len();
        held.into_iter().for_each(Permit::unsent);
        count
    };
    assert_eq!((fits("m"), fits("other")), (10, 100));
    quotas.observe_remaining("m", Figure::RequestsPerMinute, 4, now);
    quotas.observe_remaining("m", Figure::RequestsPerMinute, 9, now);
    assert_eq!((fits("m"), fits("other")), (4, 100));
    quotas.observe_remaining("other", Figure::RequestsPerMinute, 7, now);
    quotas.observe_remaining("other", Figure::TokensPerDay, 0, now);
    assert_eq!((fits("m"), fits("other")), (4, 7));
}
