//! Asks connections that are parked or rejected whether they are there again: for their list of models, which costs
//! nothing. A passed probe clears what stood against them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::secrets;
use crate::admin::{self, Admin, Doubt};
use crate::api::{ConnectionId, Outcome};
use crate::bounds;
use crate::execute::Worker;
use crate::server;
use crate::upstream::Upstream;

/// Probes what is due, until `stopping` turns true.
pub(super) async fn keep(admin: Arc<Admin>, mut stopping: watch::Receiver<bool>) {
    let worker = Worker { engine: Arc::clone(&admin.engine), upstream: Upstream::new() };
    let mut pace = Pace::default();
    loop {
        let look = async {
            tokio::time::sleep(bounds::PROBER_LOOK_INTERVAL).await;
            round(&admin, &worker, &mut pace).await;
        };
        tokio::select! {
            () = look => {}
            () = server::turned(&mut stopping) => return,
        }
    }
}

/// Probes what is due now, a few at a time.
async fn round(admin: &Arc<Admin>, worker: &Worker, pace: &mut Pace) {
    // There may be a new secret where the refused one was, or one where there was none.
    secrets::reread(admin, admin.secrets_in_doubt()).await;
    let due = pace.due(&admin.doubtful(), worker.engine.clock.now(), jitter);
    let probes = stream::iter(due).map(|id| async move {
        let passed = admin::test(admin, worker, &id).await.is_ok_and(|result| result.outcome == Outcome::Ok);
        tracing::info!(connection = %id, passed, "a connection was probed");
    });
    probes.buffer_unordered(bounds::PROBES_AT_ONCE_MAX).collect::<()>().await;
}

/// Up to a tenth more, so that hosts and connections that stopped together do not ask together.
fn jitter(pause: Duration) -> Duration {
    let most = u64::try_from(pause.as_millis() / 10).unwrap_or(u64::MAX).max(1);
    pause + Duration::from_millis(getrandom::u64().unwrap_or_default() % most)
}

/// When each connection is to be probed.
#[derive(Default)]
struct Pace(HashMap<ConnectionId, Doubted>);

struct Doubted {
    why: Doubt,
    times: u32,
    next: Instant,
}

impl Pace {
    /// The connections that are due, of those that are in doubt now. The others are forgotten.
    fn due(
        &mut self,
        doubtful: &[(ConnectionId, Doubt)],
        now: Instant,
        jitter: impl Fn(Duration) -> Duration,
    ) -> Vec<ConnectionId> {
        self.0.retain(|id, known| doubtful.iter().any(|(one, why)| one == id && *why == known.why));
        let mut due = Vec::new();
        for (id, why) in doubtful {
            let fresh = || Doubted { why: *why, times: 0, next: now + jitter(pause(*why, 0)) };
            let known = self.0.entry(id.clone()).or_insert_with(fresh);
            if known.next <= now {
                known.times = known.times.saturating_add(1);
                known.next = now + jitter(pause(*why, known.times));
                due.push(id.clone());
            }
        }
        due
    }
}

/// How long to wait after so many probes in vain.
fn pause(why: Doubt, times: u32) -> Duration {
    match why {
        Doubt::Parked => bounds::PARKED_PROBE_INTERVAL,
        Doubt::Rejected => bounds::REJECTED_PROBE_PAUSE
            .saturating_mul(2_u32.saturating_pow(times))
            .min(bounds::REJECTED_PROBE_PAUSE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The minutes at which a connection in doubt is probed, of a day that is looked at each minute.
    fn probed(why: Doubt, minutes: std::ops::Range<u64>) -> Vec<u64> {
        let (begin, id) = (Instant::now(), "one:a".parse::<ConnectionId>().unwrap());
        let mut pace = Pace::default();
        let minute = |n: u64| begin + Duration::from_secs(60 * n);
        let is_due = |n: &u64| !pace.due(&[(id.clone(), why)], minute(*n), |pause| pause).is_empty();
        minutes.filter(is_due).collect()
    }

    #[test]
    fn a_parked_account_is_probed_hourly_and_a_rejected_one_ever_less_often() {
        assert_eq!(probed(Doubt::Parked, 0..200), [60, 120, 180]);
        assert_eq!(probed(Doubt::Rejected, 0..1_300), [5, 15, 35, 75, 155, 315, 635, 995]);
    }

    #[test]
    fn what_is_no_longer_in_doubt_is_forgotten() {
        let (now, id) = (Instant::now(), "one:a".parse::<ConnectionId>().unwrap());
        let mut pace = Pace::default();
        assert!(pace.due(&[(id.clone(), Doubt::Rejected)], now, |pause| pause).is_empty());
        assert!(pace.due(&[], now + bounds::PARKED_PROBE_INTERVAL, |pause| pause).is_empty());
        assert!(pace.due(&[(id, Doubt::Rejected)], now + bounds::PARKED_PROBE_INTERVAL, |pause| pause).is_empty());
    }

    #[test]
    fn the_jitter_is_at_most_a_tenth() {
        let hour = Duration::from_secs(3_600);
        for _ in 0..100 {
            assert!((hour..hour + hour / 10).contains(&jitter(hour)));
        }
    }
}
