//! What apps do to their own calls: they hang up, or do not read.

use std::time::{Duration, Instant};

use bursar::api::Outcome;

use super::case::Stage;
use super::words::{PART, Words};
use super::world::{kind, peak_bytes};
use crate::fake::{Behaviour, FakeProvider};
use crate::harness::client::Heard;
use crate::harness::{Bursar, Call, Link, Setup, key_of, soon};
use crate::spoken::Dialect::{self, Anthropic, OpenAi};

const STAGES: [Stage; 3] = [Stage::Whole, Stage::Before, Stage::After];
/// The time in which a provider is told that nobody waits any more.
const CANCELLED: Duration = Duration::from_secs(1);

async fn started(fake: &FakeProvider, words: Words, does: impl Fn(Stage) -> Behaviour) -> Bursar {
    let base = format!("{}/v1", fake.url());
    let setup = STAGES.into_iter().fold(Setup::new(), |setup, stage| {
        let id = format!("{}:a", stage.name());
        fake.for_key(&key_of(&id)).always(does(stage));
        setup.provider_of(kind(words), stage.name(), &base, "").connection(&id, "")
    });
    setup.start().await
}

/// Waits until nothing runs on a connection, and tells its failures.
async fn failures(bursar: &Bursar, id: &str) -> u64 {
    let look = async {
        loop {
            let health = bursar.call(Call::get(&format!("/admin/v1/connections/{id}"))).await.json()["health"].clone();
            if health["in_flight"] == 0 {
                assert_eq!(health["state"], "ok", "{id}: {health}");
                return health["consecutive_failures"].as_u64().expect("a count");
            }
        }
    };
    soon("the end of what runs", look).await
}

async fn gone(app: Dialect, provider: Dialect) {
    let (fake, words) = (FakeProvider::start().await, Words(provider));
    let bursar = started(&fake, words, |stage| match stage {
        Stage::Whole => Behaviour::hang(),
        Stage::Before => words.opening().reply().hang_after(1),
        Stage::After => words.part().reply().hang_after(words.part_frames()),
    });
    let bursar = bursar.await;
    for (count, stage) in (1..).zip(STAGES) {
        let call = app.chat(&format!("{}/m", stage.name()), stage.streams()).header("x-bursar-feature", stage.name());
        let left = if stage == Stage::After {
            let mut reply = bursar.open(call).await;
            reply.until(PART[1]).await;
            reply.hang_up();
            Instant::now()
        } else {
            let mut link = bursar.link().await;
            let asking = tokio::spawn(async move { drop(link.send(call).await) });
            fake.until_seen(count).await;
            asking.abort();
            Instant::now()
        };
        fake.until_aborted(count).await;
        let took = left.elapsed();
        assert!(took < CANCELLED, "{app:?} {}: it took {took:?}", stage.name());
        assert_eq!(failures(&bursar, &format!("{}:a", stage.name())).await, 0, "it is not the connection's fault");
    }
    let records = bursar.stop().await.records();
    assert_eq!(records.len(), STAGES.len(), "{records:?}");
    for (record, stage) in records.iter().zip(STAGES) {
        let found = (record.feature.as_str(), record.is_final, record.outcome);
        assert_eq!(found, (stage.name(), true, Outcome::ClientGone), "{record:?}");
    }
    eprintln!("faults: 3 cases held, an app of {app:?}'s dialect hung up on a provider of {provider:?}'s");
}

#[tokio::test]
async fn an_app_that_hangs_up_is_heard_at_every_stage() {
    for app in [OpenAi, Anthropic] {
        for provider in [OpenAi, Anthropic] {
            gone(app, provider).await;
        }
    }
}

/// A stream of 16 MiB for an app that reads its beginning, and then for a while nothing.
#[tokio::test]
async fn what_an_app_does_not_read_is_not_kept_for_it() {
    const FRAMES: usize = 4_000;
    const KEPT_MAX: usize = 4 * 1024 * 1024;
    for provider in [OpenAi, Anthropic] {
        let (fake, words) = (FakeProvider::start().await, Words(provider));
        let text = "x".repeat(4_096);
        let bursar = started(&fake, words, |_| words.stream(&vec![text.as_str(); FRAMES]).into()).await;
        let call = || OpenAi.chat("whole/m", true);
        assert_eq!(Link::http1(&bursar.place().socket(), Heard::default()).await.call(call()).await.status, 200);
        let before = peak_bytes(bursar.pid());
        for app in [OpenAi, Anthropic] {
            // So much is not to be looked through for secrets.
            let link = Link::http1(&bursar.place().socket(), Heard::default()).await;
            let mut reply = link.open(app.chat("after/m", true)).await;
            reply.until("xxx").await;
            for _ in 0..50 {
                bursar.call(Call::get("/admin/v1/status")).await;
            }
            let rest = reply.rest().await;
            assert!(rest.whole && rest.body.len() > (FRAMES - 200) * text.len(), "{}", rest.body.len());
        }
        let rise = peak_bytes(bursar.pid()) - before;
        assert!(rise < KEPT_MAX, "{rise} bytes more");
        bursar.stop().await;
    }
}
