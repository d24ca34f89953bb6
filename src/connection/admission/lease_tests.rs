//! Crashes at any moment, held against what the provider has seen by then.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::*;
use crate::clock::Now;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn quotas(admission: &Admission, requests: u64, tokens: u64) -> Quotas {
    let limits = Limits { requests_per_day: Some(requests), tokens_per_day: Some(tokens), ..Limits::default() };
    let id = "one:a".parse().unwrap();
    Quotas::new(admission, (&id, &limits, &std::collections::BTreeMap::new()), None, &TimeZone::UTC)
}

/// A process, and what it has written down.
struct Process {
    admission: Admission,
    quotas: Quotas,
    written: Vec<Lease>,
}

impl Process {
    fn begun(written: Vec<Lease>, now: Now) -> Self {
        let admission = Admission::default().restored(written.clone(), now.wall_ms);
        let quotas = quotas(&admission, 400, 40_000);
        admission.leases.begin();
        let scopes = admission.leased();
        let mut process = Self { admission, quotas, written };
        process.write(&scopes, now);
        process
    }

    fn write(&mut self, scopes: &[Arc<dyn Leased>], now: Now) {
        for scope in scopes {
            let lease = scope.lease(now).unwrap();
            Arc::clone(scope).leased(&lease);
            self.written = vec![lease];
        }
    }

    fn used(&self, now: Now) -> Used {
        self.admission.scopes()[0].used(now)
    }
}

#[test]
fn a_crash_counts_too_much_and_never_too_little() {
    let begin = Now { at: Instant::now(), wall_ms: 20_000 * DAY_MS };
    let (mut now, mut random) = (begin, 0x5eed_u64);
    let mut below = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut process = Process::begun(Vec::new(), now);
    let (mut day, mut seen, mut crashes, mut refused) = (now.wall_ms / DAY_MS, (0, 0), 0, 0);
    for _ in 0..100_000 {
        // Some 350 calls a day, of which the limit lets 400 through.
        now.wall_ms += i64::try_from(below(500_000)).unwrap();
        if now.wall_ms / DAY_MS != day {
            (day, seen) = (now.wall_ms / DAY_MS, (0, 0));
        }
        match reserve(&process.quotas.of("m"), 1 + below(50), now, None) {
            Ok(mut permit) => {
                seen = (seen.0 + 1, seen.1 + permit.reserved());
                let reserved = permit.reserved();
                permit.settle(reserved, now);
                permit.end(now);
            }
            Err(_) => refused += 1,
        }
        let used = process.used(now);
        assert!(used.requests_per_day >= seen.0 && used.tokens_per_day >= seen.1, "{used:?}, and {seen:?} were sent");
        // The writer is not always quick.
        if below(3) == 0
            && let Some(low) = process.admission.leases.low().now_or_never()
        {
            process.write(&low, now);
        }
        if below(200) == 0 {
            crashes += 1;
            process = Process::begun(std::mem::take(&mut process.written), now);
        }
    }
    assert!(crashes > 300 && refused > 0 && refused < 60_000, "{crashes} crashes, {refused} refused");
}

#[test]
fn an_attempt_of_any_size_gets_its_lease() {
    let now = Now { at: Instant::now(), wall_ms: 20_000 * DAY_MS };
    let mut process = Process::begun(Vec::new(), now);
    for tokens in [10, 700, 350, 3_000, 1_600, 9_000, 20_000] {
        for _ in 0..2 {
            if reserve(&process.quotas.of("m"), tokens, now, None).is_ok() {
                break;
            }
            let low = process.admission.leases.low().now_or_never().expect("more is asked for");
            process.write(&low, now);
        }
    }
    assert_eq!(process.used(now).tokens_per_day, 34_660);
}

/// What nobody was let through with must not shut a connection for the rest of its day.
#[test]
fn what_was_refused_or_only_looked_at_is_not_written_down_ahead() {
    let now = Now { at: Instant::now(), wall_ms: 20_000 * DAY_MS };
    let mut process = Process::begun(Vec::new(), now);
    reserve(&process.quotas.of("m"), 100, now, None).unwrap().end(now);
    let low = process.admission.leases.low().now_or_never().expect("more is asked for");
    process.write(&low, now);
    assert!(reserve(&process.quotas.of("m"), 2_000_000, now, None).is_err());
    assert!(would_fit(&process.quotas.of("m"), 39_000, now).is_err(), "that much is not written down");
    assert!(process.admission.leases.low().now_or_never().is_none(), "and nobody asked for it");
    let scopes = process.admission.leased();
    process.write(&scopes, now);
    let process = Process::begun(process.written, now);
    assert!(process.used(now).tokens_per_day < 40_000 / 5, "{:?}", process.used(now));
}

#[test]
fn a_stop_writes_down_what_was_used_and_no_more() {
    let now = Now { at: Instant::now(), wall_ms: 20_000 * DAY_MS };
    let process = Process::begun(Vec::new(), now);
    for _ in 0..3 {
        reserve(&process.quotas.of("m"), 10, now, None).unwrap().end(now);
    }
    let last = process.admission.scopes()[0].last_lease(now).unwrap();
    let next = Process::begun(vec![last.clone()], now);
    assert_eq!((next.used(now).requests_per_day, next.used(now).tokens_per_day), (3, 30));
    let tomorrow = Now { wall_ms: now.wall_ms + DAY_MS, ..now };
    assert_eq!(Process::begun(vec![last], tomorrow).used(tomorrow).requests_per_day, 0);
}
