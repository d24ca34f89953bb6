//! Configuration under load and out of the hands of people: mutated files, fragments, keys that change under a daemon.

use std::process::Command;

use bursar::config;
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup, key_of, program, soon};

/// A provider whose connection is a fragment's, so that the file beside it may say anything.
fn served(fake: &FakeProvider) -> Setup {
    fake.always(openai::chat("ok"));
    Setup::new().server("workers = 2").ranked("one", &fake.url(), &["a"])
}

fn reload() -> Call {
    Call::post("/admin/v1/reload", &json!({})).header("x-bursar-request", "1")
}

async fn names(bursar: &Bursar) -> Vec<String> {
    let list = bursar.call(Call::get("/admin/v1/providers")).await.json();
    let all = list["providers"].as_array().unwrap().iter();
    all.map(|one| format!("{}{}", one["slug"], one["base_url"])).collect()
}

/// Bytes in a row that repeat for a seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below.max(1)
    }

    /// The text with one thing wrong with it, or not.
    fn mutated(&mut self, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        let (at, to) = (self.next(bytes.len()), self.next(bytes.len()));
        match self.next(8) {
            0 => bytes.truncate(at),
            1 => bytes[at] = u8::try_from(self.next(256)).unwrap(),
            2 => bytes.insert(at, b"[]{}\"'=.#\n\0\xff"[self.next(12)]),
            3 => drop(bytes.drain(at.min(to)..at.max(to))),
            4 => bytes.extend_from_within(at.min(to)..at.max(to)),
            5 => bytes.clear(),
            6 => bytes.swap(at, to),
            // As good as ever, with something new.
            _ => bytes.extend_from_slice(format!("[limit_groups.g{at}]\nlimits = {{ concurrent = 1 }}\n").as_bytes()),
        }
        bytes
    }
}

/// What is mutated: a provider, a route, a connection, and nothing that a call needs.
const MUTATED: &str = r#"
[providers.lan]
kind = "openai"
base_url = "http://10.0.0.7:8000/v1"
allow_private = true
[providers.lan.models."qwen3-32b"]
capabilities = ["chat", "stream"]
context_window = 32_768
[routes.fast]
targets = ["lan/qwen3-32b", "openai/gpt-4.1-mini"]
[[connections]]
provider = "lan"
name = "main"
priority = 2
"#;

/// Every invalid file leaves in force what was, every valid one is taken, and no request notices.
/// `BURSAR_MUTATED_FILES` of them.
#[tokio::test]
async fn mutated_files_under_load_change_nothing_or_all_of_it_and_drop_no_request() {
    let count: usize = std::env::var("BURSAR_MUTATED_FILES").map_or(200, |count| count.parse().unwrap());
    let fake = FakeProvider::start().await;
    let setup = served(&fake);
    let place = setup.place();
    let fragments = place.path().join("providers.d");
    std::fs::create_dir(&fragments).unwrap();
    std::fs::rename(place.providers_file(), fragments.join("00-base.toml")).unwrap();
    place.save(&place.providers_file(), MUTATED);
    let bursar = Bursar::start(place).await;
    let file = bursar.place().providers_file();
    let done = std::cell::Cell::new(false);
    let calling = async {
        let (mut link, mut calls) = (bursar.link().await, 0);
        while !done.get() {
            let reply = link.ask(Call::chat("one/m")).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            calls += 1;
        }
        calls
    };
    let mutating = async {
        let (mut random, mut refused, mut taken) = (Random(7), 0, 0);
        let (mut link, mut before) = (bursar.link().await, names(&bursar).await);
        for round in 0..count {
            let text = random.mutated(MUTATED.as_bytes());
            let beside = bursar.place().path().join("being-saved");
            std::fs::write(&beside, &text).unwrap();
            std::fs::rename(&beside, &file).unwrap();
            let told = link.ask(reload()).await.json();
            let is_refused = !told["errors"].as_array().unwrap().is_empty();
            // The same code without the daemon says the same; of an emptied file it does not know that it was full.
            let blank = text.iter().all(u8::is_ascii_whitespace);
            let checked = config::load_catalogue(&file, &bursar::adapter::kinds(), None);
            assert_eq!(
                is_refused,
                blank || checked.is_err(),
                "round {round}: {told} for {}",
                String::from_utf8_lossy(&text)
            );
            if is_refused {
                refused += 1;
                assert_eq!(told["changed"], false, "{told}");
                assert_eq!(names(&bursar).await, before, "round {round}");
            } else {
                taken += 1;
                before = names(&bursar).await;
            }
        }
        done.set(true);
        (refused, taken)
    };
    let (calls, (refused, taken)) = tokio::join!(calling, mutating);
    assert!(refused > count / 4 && taken > count / 10, "{refused} refused, {taken} taken");
    println!("{count} mutated files: {refused} refused, {taken} taken, {calls} requests answered meanwhile");
    bursar.stop().await;
}

/// A 401 makes the daemon look whether the file holds another key by now.
#[tokio::test]
async fn a_key_that_was_changed_under_the_daemon_is_found_when_the_old_one_is_refused() {
    let fake = FakeProvider::start().await;
    let setup = served(&fake);
    fake.for_key(&key_of("one:a")).always(crate::fake::Reply::json(
        401,
        &openai::error_object("invalid_request_error", &json!("invalid_api_key")),
    ));
    fake.for_key(&key_of("one:new")).always(openai::chat("new"));
    let bursar = setup.start().await;
    bursar.place().set_key("one:a", &key_of("one:new"));
    let asking = async {
        loop {
            let reply = bursar.call(Call::chat("one/m")).await;
            if reply.status == 200 {
                return reply.content();
            }
        }
    };
    assert_eq!(soon("the new key", asking).await, "new");
    bursar.until_logged("its secret was read again, and is another one").await;
    bursar.stop().await;
}

/// Runs the command line against a daemon.
fn run(bursar: &Bursar, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program());
    command.env_clear().env("HOME", bursar.place().path()).args(arguments);
    let done = command.arg("--config").arg(bursar.place().daemon_file()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[tokio::test]
async fn files_and_store_are_brought_together_on_the_command_line() {
    let fake = FakeProvider::start().await;
    let setup = Setup::new().provider("old", &fake.url());
    fake.always(openai::chat("ok"));
    let bursar = setup.start().await;
    let body = json!({"provider": "old", "name": "main", "secret": key_of("old:main")});
    let add = Call::new(Method::POST, "/admin/v1/connections").body(body.to_string()).header("x-bursar-request", "1");
    assert_eq!(bursar.call_unheard(add).await.status, 201);
    let file = bursar.place().providers_file();
    let renamed = Setup::new().provider("new", &fake.url()).providers_text(bursar.place());
    bursar.place().save(&file, &renamed);

    let (code, shown, said) = run(&bursar, &["providers", "sync", "--dry-run", "--map", "old=new"]);
    assert_eq!(code, 3, "{shown}{said}");
    assert!(shown.contains("to new:main, with its secret"), "{shown}");
    let (code, shown, _) = run(&bursar, &["providers", "sync", "--map", "old=new", "--format", "json"]);
    let told: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &told["changed"]), (0, &json!(true)), "{told}");
    let (code, shown, _) = run(&bursar, &["providers", "sync", "--dry-run", "--map", "old=new"]);
    assert_eq!((code, shown.as_str()), (0, "nothing would change\n"));
    assert_eq!(bursar.call(Call::chat("new/m")).await.status, 200);
    assert_eq!(fake.seen().last().unwrap().key(), Some(key_of("old:main").as_str()));
    let shown = bursar.call(Call::get("/admin/v1/providers/new")).await.json();
    assert_eq!((&shown["usage_count"], &shown["connections"]), (&json!(1), &json!(1)), "{shown}");

    bursar.place().save(&file, &format!("{renamed}[routes.fast]\ntargets = [\"new/m\"]\n"));
    let (code, shown, said) = run(&bursar, &["config", "diff"]);
    // The watcher may have been quicker.
    assert!(
        (code == 3 && shown == "+ route fast\n") || (code == 0 && shown.starts_with("what is in force")),
        "{shown}{said}"
    );
    bursar.place().save(&file, "[providers.new]\n[routes.fast]\n");
    let (code, shown, said) = run(&bursar, &["reload"]);
    assert!(code == 78 && shown.contains("providers.new") && said.contains("stays as it was"), "{code} {shown} {said}");
    let (code, _, said) = run(&bursar, &["providers", "remove", "new"]);
    assert!(code == 65 && said.contains("connection new:main (with its secret)"), "{code} {said}");
    bursar.stop().await;
}

#[tokio::test]
async fn the_doctor_looks_at_a_daemon_that_runs_and_at_one_that_does_not() {
    let fake = FakeProvider::start().await;
    let bursar = served(&fake).start().await;
    let doctor = |bursar: &Bursar| {
        let (code, shown, said) = run(bursar, &["doctor", "--format", "json"]);
        let checks: Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}{said}"));
        let all = checks["checks"].as_array().unwrap().clone();
        (code, all)
    };
    let state = |all: &[Value], check: &str| {
        let mut found =
            all.iter().filter(|one| one["check"] == check).map(|one| one["state"].as_str().unwrap().to_owned());
        found.next().unwrap_or_else(|| panic!("no {check} in {all:?}"))
    };
    let (_, all) = doctor(&bursar);
    // A machine without roots is no concern of this test.
    let broken = all.iter().filter(|one| one["state"] == "fail" && one["check"] != "TLS roots");
    assert_eq!(broken.count(), 0, "{all:?}");
    for check in ["daemon", "master key", "store", "disk", "socket", "groups", "clock", "secrets", "connections"] {
        assert_eq!(state(&all, check), "ok", "{all:?}");
    }
    bursar.place().save(&bursar.place().providers_file(), "[providers.one]\n");
    bursar.signal(Signal::HUP);
    bursar.until_logged("the old one stays in force").await;
    let (code, all) = doctor(&bursar);
    assert_eq!((code, state(&all, "reload").as_str()), (78, "fail"), "{all:?}");
    let remains = bursar.kill().await;
    let alone = || {
        let arguments = ["doctor", "--config", remains.place.daemon_file().to_str().unwrap()].map(str::to_owned);
        let mut command = Command::new(program());
        let done = command.env_clear().env("HOME", remains.place.path()).args(arguments).output().unwrap();
        let shown = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(78), "{shown}");
        shown
    };
    let said = |start: &str| alone().lines().any(|line| line.starts_with(start));
    assert!(said("fail daemon ") && said("ok   master key    can be read, and opens the store"));
    // What else would keep it from starting.
    let key = bursar::credential::MasterKey::generate().unwrap();
    std::fs::write(remains.place.key_file(), &*key.to_text()).unwrap();
    assert!(said("fail master key    the store was sealed under the key "), "{}", alone());
    let marker = remains.place.store().join("initialized");
    std::fs::write(&marker, "bursar state, format 1\n").unwrap();
    assert!(said("warn store "), "{}", alone());
    std::fs::write(marker, "bursar state, format 7\nwritten by bursar 9.1.0\n").unwrap();
    assert!(alone().contains("has format 7, which bursar 9.1.0 wrote"), "{}", alone());
}
