//! A daemon with a provider for each case, and the calls that go through it, a handful at a time.

use std::time::{Duration, Instant};

use futures_util::future;
use serde_json::Value;

use super::case::{At, Case};
use super::check;
use super::words::Words;
use crate::fake::FakeProvider;
use crate::harness::{Bursar, Call, Reply, Setup, key_of};
use crate::spoken::Dialect;

/// Cases that run at once. Their memory is measured together, and must be no more than one may take.
const AT_ONCE: usize = 12;

/// What became of a case while the daemon ran.
pub struct Seen<'a> {
    pub case: &'a Case,
    pub reply: Reply,
    pub took: Duration,
    /// How often each connection was called.
    pub calls: (usize, usize),
    /// What the daemon knows of the first connection.
    pub health: Value,
    pub running: u64,
}

/// Runs all cases and checks each. Gives how many held.
pub async fn hold(app: Dialect, words: Words, cases: &[Case]) -> usize {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake, words, cases).start().await;
    warm_up(&bursar, app).await;
    // What is heavy runs alone, at the end: the peak of memory only ever rises.
    let (light, heavy): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| !check::is_heavy(case));
    let alone = heavy.chunks(1);
    let mut seen = Vec::new();
    for batch in light.chunks(AT_ONCE).chain(alone) {
        let before = peak_bytes(bursar.pid());
        let replies = future::join_all(batch.iter().map(|case| call(&bursar, app, case))).await;
        let rise = peak_bytes(bursar.pid()).saturating_sub(before);
        for (case, (reply, took)) in batch.iter().zip(replies) {
            check::memory(case, rise);
            seen.push(looked_at(&bursar, &fake, case, reply, took).await);
        }
    }
    seen.iter().for_each(|one| check::told(app, words, one));
    seen.iter().for_each(check::state);
    let remains = bursar.stop().await;
    let records = remains.records();
    seen.iter().for_each(|one| check::records(words, &records, one));
    seen.len()
}

fn setup(fake: &FakeProvider, words: Words, cases: &[Case]) -> Setup {
    let mut setup = provider(Setup::new(), words, "warm", &base(fake)).connection("warm:a", "");
    for stream in [false, true] {
        fake.for_key(&key_of("warm:a")).script([words.fine(stream)]);
    }
    for case in cases {
        let (name, fault) = (case.name(), &case.fault);
        match &fault.at {
            At::Fake(does) => {
                setup = setup.provider_of(kind(words), &name, &base(fake), &fault.lines);
                fake.for_key(&key_of(&case.first())).always(does.clone());
            }
            At::Elsewhere(url) => {
                setup = setup.provider_of(kind(words), &name, url, &fault.lines);
                if case.connections > 1 {
                    setup = provider(setup, words, &format!("{name}-b"), &base(fake));
                    let targets = format!("targets = [\"{name}/m\", \"{name}-b/m\"]");
                    setup = setup.providers(&format!("[routes.route-{name}]\n{targets}\n"));
                }
            }
        }
        setup = setup.connection(&case.first(), "priority = 1");
        if let Some(second) = case.second() {
            setup = setup.connection(&second, "priority = 2");
            fake.for_key(&key_of(&second)).always(words.fine(fault.stage.streams()));
        }
    }
    setup
}

fn base(fake: &FakeProvider) -> String {
    format!("{}/v1", fake.url())
}

fn provider(setup: Setup, words: Words, name: &str, url: &str) -> Setup {
    setup.provider_of(kind(words), name, url, "")
}

pub fn kind(words: Words) -> &'static str {
    if words.0 == Dialect::OpenAi { "openai" } else { "anthropic" }
}

/// What the first calls of a process take is no case's.
async fn warm_up(bursar: &Bursar, app: Dialect) {
    for stream in [false, true] {
        let reply = bursar.call(app.chat("warm/m", stream)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

async fn call(bursar: &Bursar, app: Dialect, case: &Case) -> (Reply, Duration) {
    let call = app.chat(&case.model(), case.fault.stage.streams()).header("x-bursar-feature", &case.name());
    let began = Instant::now();
    let reply = bursar.call(call).await;
    (reply, began.elapsed())
}

async fn looked_at<'a>(bursar: &Bursar, fake: &FakeProvider, case: &'a Case, reply: Reply, took: Duration) -> Seen<'a> {
    let shown = bursar.call(Call::get(&format!("/admin/v1/connections/{}", case.first()))).await.json();
    let calls = |id: Option<String>| {
        let key = id.map(|id| key_of(&id));
        fake.seen().iter().filter(|seen| key.is_some() && seen.key() == key.as_deref()).count()
    };
    let running = shown["health"]["in_flight"].as_u64().expect("a count");
    Seen {
        case,
        reply,
        took,
        calls: (calls(Some(case.first())), calls(case.second())),
        health: shown["health"].clone(),
        running,
    }
}

/// The most memory that a process has had.
pub fn peak_bytes(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}
