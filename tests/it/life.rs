//! The daemon's life: reload under load, a good end under load, a bad one, and what is there afterwards.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use bursar::api::Outcome;
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::fake::{FakeProvider, Gate, openai};
use crate::harness::client::{Event, said};
use crate::harness::{Bursar, Call, Ended, Reply, Setup, Streamed, key_of, soon, until};

/// Tests that hold the daemon's end up would wait for so long; a good end takes far less.
const AT_ONCE: Duration = Duration::from_secs(4);

fn served(fake: &FakeProvider) -> Setup {
    Setup::new().server("workers = 2").ranked("one", &fake.url(), &["a"])
}

// --- The end --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn running_requests_end_well_and_none_is_lost() {
    let fake = FakeProvider::start().await;
    let (gate, gates) = (Gate::new(), [(); 12].map(|()| Gate::new()));
    let streamed = |gate| openai::stream(&["a", "b", "c"]).reply().whole().gated(gate);
    fake.for_path("/v1/chat/completions").script(gates.iter().map(streamed));
    fake.for_path("/v1/embeddings").always(openai::embeddings(1).whole().held_by(&gate));
    let bursar = served(&fake).start().await;
    let mut shared = bursar.link_http2().await;
    gates.iter().for_each(|gate| gate.open(2));
    let mut streams: Vec<Streamed> = Vec::new();
    for _ in 0..6 {
        streams.push(bursar.open(Call::stream("one/m")).await);
        streams.push(shared.send(Call::stream("one/m")).await.unwrap());
    }
    let mut begun = Vec::new();
    for stream in &mut streams {
        begun.push(stream.until("\"a\"").await);
    }
    let embedding = bursar.link().await;
    let embedding = tokio::spawn(async move { embedding.call(Call::embed("one/m")).await });
    fake.until_seen(13).await;
    // Those who say nothing, or no more, are not waited for.
    let socket = bursar.place().socket();
    let silent = UnixStream::connect(&socket).await.unwrap();
    let mut idle = bursar.link().await;
    assert_eq!(idle.ask(Call::get("/healthz")).await.status, 200);

    bursar.signal(Signal::TERM);
    until("the socket to go", || !socket.exists()).await;
    assert!(UnixStream::connect(&socket).await.is_err(), "nobody new is let in");
    gate.open(1);
    gates.iter().for_each(|gate| gate.open(9));
    for (stream, begun) in streams.into_iter().zip(begun) {
        let rest = stream.rest().await;
        assert!(rest.whole);
        let events = crate::harness::client::events(&format!("{begun}{}", rest.text()));
        assert_eq!((said(&events).as_str(), events.last()), ("abc", Some(&Event::Done)));
    }
    assert_eq!(embedding.await.unwrap().status, 200);
    let ended = Instant::now();
    let remains = bursar.until_ended().await;
    assert!(ended.elapsed() < AT_ONCE, "{:?}", ended.elapsed());
    assert_eq!(remains.ended, Ended::Code(0));
    drop((silent, idle, shared));
    let records = remains.records();
    assert_eq!(records.len(), 13);
    assert!(records.iter().all(|record| record.is_final && record.outcome == Outcome::Ok));
    assert!(remains.log.contains("stopped lost=0"), "{}", last_lines(&remains.log));
}

fn last_lines(log: &str) -> &str {
    let from = log.char_indices().rev().nth(2_000).map_or(0, |(at, _)| at);
    &log[from..]
}

#[tokio::test]
async fn a_second_signal_cuts_what_still_runs_and_records_it() {
    let fake = FakeProvider::start().await;
    fake.always(openai::opening(&["a"]).reply().hang_after(2));
    let bursar = served(&fake).start().await;
    let mut shared = bursar.link_http2().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(bursar.open(Call::stream("one/m")).await);
        streams.push(shared.send(Call::stream("one/m")).await.unwrap());
    }
    for stream in &mut streams {
        stream.until("\"a\"").await;
    }
    bursar.signal(Signal::TERM);
    bursar.until_logged("running requests may end").await;
    let asked = Instant::now();
    bursar.signal(Signal::TERM);
    let remains = bursar.until_ended().await;
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    assert_eq!(remains.ended, Ended::Code(0));
    for stream in streams {
        let rest = stream.rest().await;
        assert!(!rest.whole || matches!(rest.events().last(), Some(Event::Json(last)) if last.get("error").is_some()));
    }
    let records = remains.records();
    assert_eq!(records.len(), 6, "{records:?}");
    assert!(records.iter().all(|record| record.is_final && record.outcome != Outcome::Ok));
}

#[tokio::test]
async fn interrupting_is_asking_for_the_end_too() {
    let bursar = Setup::new().start().await;
    bursar.signal(Signal::INT);
    assert_eq!(bursar.until_ended().await.ended, Ended::Code(0));
}

// --- The beginning --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_daemon_that_cannot_start_says_why_and_how_to_mend_it() {
    for (text, says) in [("[server]\nsockt = \"/x\"\n", "sockt"), ("[server\n", "bursar.toml:1")] {
        let place = Setup::new().place();
        place.save(&place.daemon_file(), text);
        let remains = Bursar::fail(place).await;
        assert_eq!(remains.ended, Ended::Code(78), "{}", remains.log);
        assert!(remains.log.contains(says), "{}", remains.log);
    }
    // A secret that is written out is never repeated.
    let key = key_of("one:a");
    let setup = Setup::new().provider("one", "https://x.test");
    for line in
        [format!("secret = \"{key}\""), format!("api_key = \"{key}\""), format!("secret = {{ env = \"{key}-\" }}")]
    {
        let text = format!("[[connections]]\nprovider = \"one\"\nname = \"a\"\n{line}\n");
        let remains = Bursar::fail_apart(setup.clone().providers(&text).place()).await;
        assert_eq!(remains.ended, Ended::Code(78), "{}", remains.log);
    }
    // No key, the wrong key, an open key.
    let place = Setup::new().place();
    std::fs::remove_file(place.key_file()).unwrap();
    let remains = Bursar::fail(place).await;
    assert_eq!(remains.ended, Ended::Code(78));
    assert!(remains.log.contains("bursar keys init"), "{}", remains.log);
    assert!(!remains.place.store().exists(), "nothing was made");
}

#[tokio::test]
async fn a_wrong_key_never_opens_the_store_and_changes_nothing() {
    let bursar = Setup::new().start().await;
    let remains = bursar.stop().await;
    let right = std::fs::read(remains.place.key_file()).unwrap();
    let other = bursar::credential::MasterKey::generate().unwrap();
    std::fs::write(remains.place.key_file(), other.to_text().as_bytes()).unwrap();
    let place = remains.place;
    let refused = Bursar::fail_apart(place).await;
    assert_eq!(refused.ended, Ended::Code(78), "{}", refused.log);
    std::fs::write(refused.place.key_file(), right).unwrap();
    refused.restart().await.stop().await;
}

// --- Reload ---------------------------------------------------------------------------------------------------------

/// The models of provider `one` that apps see.
async fn models(bursar: &Bursar) -> HashSet<String> {
    let list = bursar.call(Call::get("/v1/models")).await.json();
    let ids = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
    ids.filter(|id| id.starts_with("one/")).collect()
}

async fn until_model(bursar: &Bursar, model: &str) {
    let asking = async { while !models(bursar).await.contains(model) {} };
    soon(&format!("{model} to be listed"), asking).await;
}

#[tokio::test]
async fn files_are_taken_when_they_change_and_kept_when_they_break() {
    let fake = FakeProvider::start().await;
    let setup = served(&fake);
    let bursar = setup.start().await;
    let file = bursar.place().providers_file();
    let with = |model: &str| setup.clone().providers(&format!("[providers.one.models.{model}]\n"));
    let text = |model: &str| with(model).providers_text(bursar.place());

    // Saved by rename, written in place, asked for by signal.
    bursar.place().save(&file, &text("renamed"));
    until_model(&bursar, "one/renamed").await;
    std::fs::write(&file, text("in-place")).unwrap();
    until_model(&bursar, "one/in-place").await;
    bursar.place().save(&file, &text("asked-for"));
    bursar.signal(Signal::HUP);
    until_model(&bursar, "one/asked-for").await;
    assert!(!models(&bursar).await.contains("one/renamed"), "what is no longer said is no longer so");

    // Half written, wrong, empty, gone: the old one stays, and the log says why, with file, line and key.
    let whole = text("last");
    for (broken, says) in [
        (whole[..whole.len() - 30].to_owned(), "providers.toml:"),
        (format!("{whole}\n[providers.one.models.x]\ncontext_windw = 5\n"), "context_windw"),
        (String::new(), "the file has become empty; nothing was changed"),
    ] {
        let kept = bursar.log().matches("the old one stays in force").count();
        std::fs::write(&file, broken).unwrap();
        bursar.until_logged_times("the old one stays in force", kept + 1).await;
        bursar.until_logged(says).await;
        assert!(models(&bursar).await.contains("one/asked-for"));
    }
    let kept = bursar.log().matches("the old one stays in force").count();
    std::fs::remove_file(&file).unwrap();
    bursar.until_logged_times("the old one stays in force", kept + 1).await;
    bursar.until_logged("the file has vanished; nothing was changed").await;
    assert!(models(&bursar).await.contains("one/asked-for"));
    bursar.place().save(&file, &whole);
    until_model(&bursar, "one/last").await;
    bursar.stop().await;
}

/// As Kubernetes mounts configuration: the file is a link to a link, of which only the middle one changes.
#[tokio::test]
async fn a_swapped_link_is_a_change() {
    let fake = FakeProvider::start().await;
    let setup = served(&fake);
    let place = setup.place();
    let text =
        |model: &str| setup.clone().providers(&format!("[providers.one.models.{model}]\n")).providers_text(&place);
    let dir = place.path().to_owned();
    for (version, model) in [("v1", "first"), ("v2", "second")] {
        std::fs::create_dir(dir.join(version)).unwrap();
        std::fs::write(dir.join(version).join("providers.toml"), text(model)).unwrap();
    }
    std::os::unix::fs::symlink("v1", dir.join("..data")).unwrap();
    std::fs::remove_file(place.providers_file()).unwrap();
    std::os::unix::fs::symlink("..data/providers.toml", place.providers_file()).unwrap();
    let bursar = Bursar::start(place).await;
    assert!(models(&bursar).await.contains("one/first"));
    std::os::unix::fs::symlink("v2", dir.join("..data_tmp")).unwrap();
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    until_model(&bursar, "one/second").await;
    bursar.stop().await;
}

#[tokio::test]
async fn a_new_key_is_taken_by_signal() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:new")).always(openai::chat("new"));
    fake.for_key(&key_of("one:a")).always(openai::chat("old"));
    let bursar = served(&fake).start().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.content(), "old");
    bursar.place().set_key("one:a", &key_of("one:new"));
    bursar.signal(Signal::HUP);
    let asking = async { while bursar.call(Call::chat("one/m")).await.content() != "new" {} };
    soon("the new key", asking).await;
    bursar.stop().await;
}

/// Reloads in the middle of everything: no call fails, no stream ends, and no request is without its record.
#[tokio::test]
async fn a_reload_under_load_drops_nothing() {
    let fake = FakeProvider::start().await;
    let gate = Gate::new();
    fake.always(openai::chat("ok"));
    fake.for_key(&key_of("slow:a")).always(openai::stream(&["a", "b"]).reply().whole().gated(&gate));
    let setup = served(&fake).ranked("slow", &fake.url(), &["a"]);
    let bursar = setup.start().await;
    gate.open(2);
    let mut stream = bursar.open(Call::stream("slow/m")).await;
    let begun = stream.until("\"a\"").await;
    let done = std::cell::Cell::new(false);
    let calling = async {
        let mut calls = 0;
        while !done.get() || calls < 50 {
            let replies: Vec<Reply> = join_all((0..4).map(|_| bursar.call(Call::chat("one/m")))).await;
            for reply in replies {
                assert_eq!(reply.status, 200, "{}", reply.text());
                calls += 1;
            }
        }
        calls
    };
    let reloading = async {
        for round in 0..10 {
            let text = format!("[providers.one.models.round-{round}]\n");
            // The slow provider goes while its stream runs.
            let next = served(&fake).providers(&text);
            bursar.place().save(&bursar.place().providers_file(), &next.providers_text(bursar.place()));
            bursar.signal(Signal::HUP);
            until_model(&bursar, &format!("one/round-{round}")).await;
        }
        done.set(true);
    };
    let (calls, ()) = tokio::join!(calling, reloading);
    assert_eq!(bursar.call(Call::chat("slow/m")).await.status, 404, "what is gone is gone for new calls");
    gate.open(9);
    let rest = stream.rest().await;
    assert_eq!(said(&crate::harness::client::events(&format!("{begun}{}", rest.text()))), "ab");
    let records = bursar.stop().await.records();
    let finals = records.iter().filter(|record| record.is_final && record.outcome == Outcome::Ok).count();
    assert_eq!(finals, calls + 1);
}

// --- The bad end ----------------------------------------------------------------------------------------------------

/// What was acknowledged is there after a kill at a random moment: records of replies, where each is to be durable, and
/// what operators changed.
#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    fake.for_path("/v1/chat/completions").always(openai::chat("ok"));
    let setup = served(&fake).daemon("[usage]\ndurability = \"each\"\n");
    let mut bursar = setup.start().await;
    let (mut requests, mut connections) = (HashSet::new(), HashMap::new());
    for round in 0..5 {
        let calls = async {
            for _ in 0..4 {
                let replies = join_all((0..8).map(|_| bursar.call(Call::chat("one/m")))).await;
                requests.extend(replies.iter().map(|reply| reply.header("x-bursar-request-id").unwrap().to_owned()));
            }
        };
        let changes = async {
            for number in 0..4 {
                let name = format!("added-{round}-{number}");
                let body = json!({"provider": "one", "name": name, "secret": key_of(&name), "priority": 50 + number});
                let call = Call::post("/admin/v1/connections", &body).header("x-bursar-request", "1");
                let reply = bursar.call(call).await;
                assert_eq!(reply.status, 201, "{}", reply.text());
                connections.insert(format!("one:{name}"), 50 + number);
            }
        };
        tokio::join!(calls, changes);
        let remains = bursar.kill().await;
        let kept: HashSet<String> = remains
            .records()
            .iter()
            .filter(|record| record.is_final)
            .map(|record| record.request_id.to_string())
            .collect();
        assert!(requests.is_subset(&kept), "round {round}: {} of {}", kept.len(), requests.len());
        bursar = remains.restart().await;
        let list = bursar.call(Call::get("/admin/v1/connections?provider=one")).await.json();
        let there: HashMap<String, u64> = listed(&list);
        for (id, priority) in &connections {
            assert_eq!(there.get(id), Some(priority), "round {round}: {id}");
        }
    }
    bursar.stop().await;
}

fn listed(list: &Value) -> HashMap<String, u64> {
    let all = list["connections"].as_array().unwrap_or_else(|| panic!("{list}"));
    all.iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one["priority"].as_u64().unwrap())).collect()
}

/// A daemon without anybody to tell that it is ready, and whose standard error is gone.
#[tokio::test]
async fn a_daemon_needs_no_service_manager() {
    let place = Setup::new().place();
    let socket = place.socket();
    let bursar = Bursar::spawn(place, |command| {
        command.env_remove("NOTIFY_SOCKET").process_group(0);
    });
    until("the socket", || socket.exists()).await;
    assert_eq!(bursar.call(Call::get("/readyz")).await.status, 200);
    bursar.stop().await;
}
