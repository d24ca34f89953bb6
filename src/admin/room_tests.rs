//! Limits and waiting, by the whole control flow on a paused clock: the sandbox is the provider.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::*;
use crate::adapter::Dialect;
use crate::api::{Capabilities, Operation};
use crate::bounds;
use crate::clock::Clock;
use crate::config::Environment;
use crate::credential::MasterKey;
use crate::execute::{Call, Manner, Refused, Said, Worker, execute};
use crate::store::Store;
use crate::upstream::Upstream;
use crate::usage::recorder;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A daemon's insides, with these connections of the sandbox.
struct Room {
    worker: Arc<Worker>,
    done: Arc<Mutex<Vec<Done>>>,
    begin: Instant,
    _dir: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

/// A request that is over.
#[derive(Debug, Clone)]
struct Done {
    app: String,
    began: Duration,
    ended: Duration,
    /// Who answered, or after how many seconds to come again.
    how: Result<String, u64>,
}

fn open(dir: &Path, connections: &str) -> Admin {
    let at = |name: &str| dir.join(name).display().to_string();
    let (socket, store, providers) = (at("a.sock"), at("state"), at("providers.toml"));
    std::fs::write(&providers, format!("[providers.sandbox]\nenabled = true\n{connections}")).unwrap();
    let file =
        format!("[server]\nsocket = {socket:?}\n[store]\npath = {store:?}\n[config]\nproviders = {providers:?}\n");
    std::fs::write(dir.join("bursar.toml"), file).unwrap();
    let environment = Environment::new(false, |name| (name == "HOME").then(|| dir.into()));
    let paths = Paths { daemon: Some(dir.join("bursar.toml")), environment, socket: None };
    let daemon = paths.read_daemon(None).unwrap();
    let key = MasterKey::parse(b"0123456789abcdef0123456789abcdef").unwrap();
    let store = Arc::new(Store::open(&daemon.value.store_path, &key).unwrap());
    let (recorder, _) = recorder(Arc::clone(&store));
    Admin::open(paths, daemon, store, recorder, Clock::fixed(1_700_000_000_000)).unwrap()
}

impl Room {
    fn new(connections: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let admin = open(dir.path(), connections);
        let worker = Arc::new(Worker { engine: Arc::clone(&admin.engine), upstream: Upstream::new() });
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(Arc::clone(&worker.engine.admission.waiting).keep(stopping));
        Self { worker, done: Arc::default(), begin: Instant::now(), _dir: dir, _stop: stop }
    }

    fn call(&self, app: &str, wait: Option<Duration>) -> Call {
        let body = r#"{"model": "sandbox/echo", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}"#;
        let said = Said::json(Dialect::OpenAi, Operation::Chat, Manner::default(), Bytes::from_static(body.as_bytes()));
        Call {
            id: self.worker.engine.next_id(),
            began: Instant::now(),
            body_took: Duration::ZERO,
            app: app.parse().unwrap(),
            feature: "test".parse().unwrap(),
            operation: Operation::Chat,
            said: said.unwrap(),
            headers: HeaderMap::new(),
            require: Capabilities::NONE,
            pin: None,
            fallback: true,
            timeout: None,
            wait,
        }
    }

    fn ask(&self, app: &str, wait: Option<Duration>) -> tokio::task::JoinHandle<()> {
        let (worker, done, begin, app) = (Arc::clone(&self.worker), Arc::clone(&self.done), self.begin, app.to_owned());
        let call = self.call(&app, wait);
        let began = call.began;
        tokio::spawn(async move {
            let how = match execute(&worker, Box::new(call)).await {
                Ok(answer) => Ok(answer.connection.name.to_string()),
                Err(unanswered) => match unanswered.refused {
                    Refused::Bursar(failure) => Err(failure.retry_after_s.expect("when to come again")),
                    Refused::Provider(answer) => panic!("{answer:?}"),
                },
            };
            let (began, ended) = (began - begin, begin.elapsed());
            done.lock().unwrap().push(Done { app, began, ended, how });
        })
    }

    /// A call to one connection, which does what the sandbox is told to.
    fn told(&self, id: &str, what: &'static str) -> tokio::task::JoinHandle<bool> {
        let headers = [(HeaderName::from_static("x-bursar-sandbox"), HeaderValue::from_static(what))];
        let headers = headers.into_iter().collect();
        let call = Call { pin: Some(id.parse().unwrap()), headers, ..self.call("telling", Some(Duration::ZERO)) };
        let worker = Arc::clone(&self.worker);
        tokio::spawn(async move { execute(&worker, Box::new(call)).await.is_ok() })
    }

    fn done(&self) -> Vec<Done> {
        self.done.lock().unwrap().clone()
    }
}

fn connection(name: &str, limits: &str, latency: Duration) -> String {
    let latency = latency.as_millis();
    format!(
        "[[connections]]\nprovider = \"sandbox\"\nname = \"{name}\"\nlimits = {{ {limits} }}\n\
         settings.fault = {{ latency_ms = {latency} }}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn two_connections_of_60_a_minute_under_10_requests_a_second() {
    const LATENCY: Duration = Duration::from_millis(300);
    /// How long a slot is taken: the call, a minute, the guard, and the grain of the window.
    const TAKEN: Duration = Duration::from_millis(300 + 60_000 + 1_000 + 250);
    let limit = "requests_per_minute = 60";
    let room = Room::new(&[connection("a", limit, LATENCY), connection("b", limit, LATENCY)].concat());
    let mut asked = Vec::new();
    for n in 0..3_000 {
        sleep_until(room.begin + n * 100 * MS).await;
        asked.push(room.ask(if n % 2 == 0 { "one" } else { "two" }, None));
    }
    futures_util::future::join_all(asked).await;
    let done = room.done();
    let of = |name: &str| {
        let answered = done.iter().filter(|one| one.how == Ok(name.to_owned()));
        let mut arrived: Vec<_> = answered.map(|one| one.ended - LATENCY).collect();
        arrived.sort();
        arrived
    };
    let arrived = [of("a"), of("b")];
    for arrived in &arrived {
        assert!(arrived.windows(61).all(|some| some[60] - some[0] >= 60 * S), "more than 60 in a minute");
        assert!(arrived.len() >= 285, "{}: room was left unused", arrived.len());
    }
    // Those that have a place at a moment, in both.
    let taken = |moment: Duration| {
        let of = |arrived: &Vec<Duration>| {
            arrived.iter().filter(|at| **at <= moment && **at + TAKEN >= moment).count() >= 60
        };
        arrived.iter().all(of)
    };
    for one in done.iter().filter(|one| one.how.is_ok()) {
        let waited = one.ended - one.began - LATENCY;
        assert!(waited <= 2 * S, "it waited too long: {one:?}");
        let still = one.began + waited.saturating_sub(10 * MS);
        assert!(waited <= 10 * MS || taken(still), "it waited while there was room: {one:?}");
    }
    for one in done.iter().filter(|one| one.how.is_err()) {
        assert!(taken(one.ended), "refused while there was room: {one:?}");
        let next = arrived.iter().flatten().filter(|at| **at > one.ended).min();
        let Some((next, after)) = next.zip(one.how.as_ref().err()) else { continue };
        let (after, left) = (Duration::from_secs(*after), *next - one.ended);
        assert!(left <= after + 10 * MS && after <= left.max(S) + S, "{left:?} is told as {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_is_taken_at_once_and_apps_take_turns() {
    let room = Room::new(&connection("a", "concurrent = 1", S));
    let mut asked: Vec<_> = (0..5).map(|_| room.ask("greedy", Some(60 * S))).collect();
    sleep(10 * MS).await;
    asked.push(room.ask("modest", Some(60 * S)));
    futures_util::future::join_all(asked).await;
    let done = room.done();
    let apps: Vec<_> = done.iter().map(|one| one.app.as_str()).collect();
    assert_eq!(apps, ["greedy", "greedy", "modest", "greedy", "greedy", "greedy"], "after the one that was in turn");
    let ended: Vec<_> = done.iter().map(|one| one.ended.as_millis() / 1_000).collect();
    assert_eq!(ended, [1, 2, 3, 4, 5, 6], "nothing was idle, and nothing ran beside another");
    assert!(done.iter().all(|one| one.ended.subsec_millis() < 20), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_in_vain_is_told_so_in_time_and_leaves_no_trace() {
    let room = Room::new(&connection("a", "concurrent = 1", 10 * S));
    let asked = [room.ask("one", None), room.ask("one", Some(3 * S)), room.ask("one", Some(Duration::ZERO))];
    futures_util::future::join_all(asked).await;
    let ended: Vec<_> = room.done().iter().map(|one| (one.ended.as_secs(), one.how.is_ok())).collect();
    assert_eq!(ended, [(0, false), (3, false), (10, true)]);
    // One that hangs up while it waits makes way for the next.
    let first = room.ask("one", None);
    sleep(MS).await;
    let gone = room.ask("one", Some(60 * S));
    sleep(MS).await;
    let last = room.ask("one", Some(60 * S));
    sleep(MS).await;
    gone.abort();
    let _ = futures_util::future::join3(first, gone, last).await;
    assert_eq!(room.done().last().map(|one| one.ended.as_secs()), Some(30));
    assert_eq!(room.worker.engine.admission.waiting.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_is_as_long_as_the_limit_lets_it_be() {
    let room = Room::new(&connection("a", "requests_per_minute = 5", 10 * MS));
    let asked: Vec<_> = (0..20).map(|_| room.ask("one", Some(150 * S))).collect();
    futures_util::future::join_all(asked).await;
    let mut answered = [0_usize; 3];
    for one in room.done() {
        if one.how.is_ok() {
            answered[usize::try_from(one.ended.as_secs() / 61).unwrap()] += 1;
        }
    }
    assert_eq!(answered, [5, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_forgotten_where_a_call_needs_room_in_several_places() {
    let of_group = |name| connection(name, "concurrent = 1", S) + "limit_group = \"g\"\n";
    let group = "[limit_groups.g]\nlimits = { concurrent = 2 }\n";
    let room = Room::new(&[group, &of_group("a"), &of_group("b"), &of_group("c")].concat());
    let asked: Vec<_> = (0..60).map(|n| room.ask(["one", "two", "three", "four"][n % 4], Some(100 * S))).collect();
    sleep(500 * MS).await;
    // Those that hang up while they wait, or are called, take nothing with them.
    asked.iter().skip(2).step_by(3).for_each(tokio::task::JoinHandle::abort);
    futures_util::future::join_all(asked).await;
    let done = room.done();
    assert_eq!(done.iter().filter(|one| one.how.is_ok()).count(), 40);
    let mut ended: Vec<_> = done.iter().map(|one| one.ended.as_secs()).collect();
    ended.sort_unstable();
    let pairs: Vec<_> = (1..=20).flat_map(|second| [second, second]).collect();
    assert_eq!(ended, pairs, "two at a time, without a pause");
    assert_eq!(room.worker.engine.admission.waiting.count(), 0);
}

/// The first connection fails; the second's breaker is open, and its one probe takes 900 ms.
async fn probed() -> (Room, tokio::task::JoinHandle<bool>) {
    let first = connection("a", "concurrent = 9", Duration::ZERO).replace("latency_ms = 0", "status = 503");
    let room = Room::new(&[first, connection("b", "concurrent = 9", Duration::ZERO) + "priority = 9\n"].concat());
    // Each is tried twice.
    for _ in 0..3 {
        assert!(!room.told("sandbox:b", "status=500").await.unwrap());
    }
    sleep(bounds::BREAKER_OPEN).await;
    let probe = room.told("sandbox:b", "latency-ms=900");
    sleep(MS).await;
    (room, probe)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_probe_wakes_all_who_wait_for_it() {
    let (room, probe) = probed().await;
    let began = Instant::now();
    let asked: Vec<_> = (0..5).map(|_| room.ask("one", Some(60 * S))).collect();
    futures_util::future::join_all(asked).await;
    assert!(probe.await.unwrap());
    assert_eq!(room.done().iter().map(|one| one.how.clone()).collect::<Vec<_>>(), vec![Ok(String::from("b")); 5]);
    let took = began.elapsed();
    assert!((899 * MS..910 * MS).contains(&took), "{took:?}: the probe took so long, and no longer");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_broken_off_makes_way_for_another() {
    let (room, probe) = probed().await;
    let began = Instant::now();
    let asked: Vec<_> = (0..5).map(|_| room.ask("one", Some(60 * S))).collect();
    sleep(500 * MS).await;
    assert!(room.done().is_empty());
    probe.abort();
    futures_util::future::join_all(asked).await;
    assert!(room.done().iter().all(|one| one.how.is_ok()));
    let took = began.elapsed();
    assert!((500 * MS..510 * MS).contains(&took), "{took:?}");
}
