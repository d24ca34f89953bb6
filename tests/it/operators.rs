//! What operators do, with the program's own commands and through its admin socket, at a real daemon.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use bursar::api::admin::{Connection, ConnectionList, HealthState};
use bursar::api::usage::{Dimension, UsageReport};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Place, Setup, key_of, program};

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("commands speak UTF-8");
        let code = output.status.code().expect("no signal ended it");
        Self { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The object of a command that did what was asked.
    pub fn object<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).expect("the API's object")
    }
}

fn command(place: &Place, line: &str) -> Command {
    let mut command = Command::new(program());
    command.arg("--config").arg(place.daemon_file()).args(line.split_whitespace());
    command.env_clear().env("HOME", place.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command with this on its standard input. No command ever shows a key.
pub async fn run(place: &Place, line: &str, input: &str) -> Said {
    run_as(command(place, line), input).await
}

async fn run_as(mut command: Command, input: &str) -> Said {
    let input = input.to_owned();
    let running = move || {
        let mut child = command.spawn().expect("the program starts");
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("its input is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("the program ends")
    };
    let said = Said::of(&tokio::task::spawn_blocking(running).await.expect("it was run"));
    assert!(!format!("{said:?}").contains(crate::harness::canary_of_keys()), "a command shows a key: {said:?}");
    said
}

async fn started(fake: &FakeProvider) -> Bursar {
    Setup::new().server("admin_socket = \"DIR/admin.sock\"").provider("one", &fake.url()).start().await
}

#[tokio::test]
async fn a_key_that_is_set_serves_at_once_and_is_accounted_for() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = started(&fake).await;
    let said = run(bursar.place(), "credentials set one", &key_of("one:main")).await;
    assert!(said.code == 0 && said.out.starts_with("one:main is added"), "{said:?}");

    let said = run(bursar.place(), "execute -m one/m -f greeting Hello", "").await;
    assert_eq!((said.code, said.out.as_str()), (0, "hello\n"), "{said:?}");
    assert!(said.err.contains("one:main") && said.err.contains("USD"), "{said:?}");
    assert_eq!(fake.seen()[0].key(), Some(key_of("one:main").as_str()));

    let listed: ConnectionList = run(bursar.place(), "connections list --format json", "").await.object();
    assert_eq!((listed.connections.len(), listed.connections[0].health.successes), (1, 1));
    let report: UsageReport = run(bursar.place(), "usage --by feature,connection --format json", "").await.object();
    assert_eq!(report.totals.requests, 1);
    assert_eq!(report.rows[0].labels[&Dimension::Feature].as_deref(), Some("greeting"));
    bursar.stop().await;
}

#[tokio::test]
async fn an_answer_can_be_read_as_it_comes() {
    let fake = FakeProvider::start().await;
    fake.always(openai::stream(&["Hel", "lo"]));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let said = run(bursar.place(), "execute -m one/m --stream -", "Say it").await;
    assert_eq!((said.code, said.out.as_str()), (0, "Hello\n"), "{said:?}");
    fake.always(openai::error(401));
    let said = run(bursar.place(), "execute -m one/m --stream -", "Say it").await;
    assert_eq!((said.code, said.out.as_str()), (76, ""), "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn an_answer_in_another_format_is_whole_even_if_asked_for_as_it_comes() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("Hello"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let said = run(bursar.place(), "execute -m one/m --stream --format json -", "Say it").await;
    assert_eq!(said.object::<serde_json::Value>()["output"]["text"], "Hello");
    let said = run(bursar.place(), "execute -m one/m --stream --format csv -", "Say it").await;
    assert!(said.code == 0 && said.out.lines().nth(1).is_some_and(|row| row.ends_with("Hello")), "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_change_that_was_acknowledged_outlives_a_kill() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = started(&fake).await;
    assert_eq!(run(bursar.place(), "credentials set one", &key_of("one:main")).await.code, 0);
    assert_eq!(run(bursar.place(), "connections edit one:main --weight 7", "").await.code, 0);
    assert_eq!(run(bursar.place(), "providers disable openai", "").await.code, 0);
    let bursar = bursar.kill().await.restart().await;
    let shown: Connection = run(bursar.place(), "connections show one:main --format json", "").await.object();
    assert_eq!((shown.weight, shown.secret.set), (7, true));
    let said = run(bursar.place(), "providers show openai", "").await;
    assert!(said.out.contains("disabled"), "{said:?}");
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    bursar.stop().await;
}

#[tokio::test]
async fn a_rotation_takes_what_the_provider_takes_and_keeps_the_old_key_otherwise() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = started(&fake).await;
    assert_eq!(run(bursar.place(), "credentials set one", &key_of("one:old")).await.code, 0);
    let key_in_use = async || {
        assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
        fake.seen().last().expect("a call").key().map(str::to_owned)
    };
    fake.for_path("/v1/models").script([openai::error(401)]);
    let said = run(bursar.place(), "credentials rotate one", &key_of("one:bad")).await;
    assert!(said.code == 76 && said.err.contains("keeps the old one"), "{said:?}");
    assert_eq!(key_in_use().await, Some(key_of("one:old")));

    fake.for_path("/v1/models").script([openai::models(&["m"])]);
    assert_eq!(run(bursar.place(), "credentials rotate one", &key_of("one:new")).await.code, 0);
    assert_eq!(key_in_use().await, Some(key_of("one:new")));
    bursar.stop().await;
}

#[tokio::test]
async fn a_refused_key_is_shown_until_a_test_passes() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(401));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 502);
    let state = async || {
        let shown: Connection = run(bursar.place(), "connections show one:a --format json", "").await.object();
        shown.health.state
    };
    assert_eq!(state().await, HealthState::Rejected);
    let said = run(bursar.place(), "health --check", "").await;
    assert!(said.code == 76 && said.out.contains("credential"), "{said:?}");
    fake.always(openai::models(&["m"]));
    assert_eq!(run(bursar.place(), "connections test one:a", "").await.code, 0);
    assert_eq!(state().await, HealthState::Ok);
    bursar.stop().await;
}

#[tokio::test]
async fn every_end_has_its_exit_code() {
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    for (line, code) in [
        ("status", 0),
        ("providers list --format csv", 0),
        ("check", 0),
        ("connections remove one:main", 2),
        ("execute hello", 2),
        ("providers sync --dry-run", 0),
        ("connections show one:main", 65),
        ("connections add nobody:main --no-secret", 65),
        ("credentials set one", 65),
        ("providers check one", 76),
        ("keys init --force", 78),
    ] {
        let said = run(bursar.place(), line, "").await;
        assert_eq!(said.code, code, "{line}: {said:?}");
    }
    let place = bursar.stop().await.place;
    let said = run(&place, "status", "").await;
    assert!(said.code == 69 && said.err.contains("admin.sock") && said.err.contains("bursar serve"), "{said:?}");
}

/// A disk that is full under a redirected answer, and a reader that has gone.
#[tokio::test]
async fn an_answer_that_cannot_be_written_is_no_success() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("hello"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for line in ["usage", "status", "connections list", "execute -m one/m hi", "check", "completions bash", "--help"] {
        let mut full = command(bursar.place(), line);
        full.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let said = run_as(full, "").await;
        assert!(said.code == 65 && said.err.contains("standard output cannot be written"), "{line}: {said:?}");
        let mut gone = command(bursar.place(), line);
        gone.stdout(closed.try_clone().unwrap());
        let said = run_as(gone, "").await;
        assert!(said.code == 0 && !said.err.contains("cannot be written"), "{line}: {said:?}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn a_variable_that_is_empty_names_no_socket() {
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    let mut status = command(bursar.place(), "status");
    status.env("BURSAR_SOCKET", "");
    let said = run_as(status, "").await;
    assert_eq!(said.code, 0, "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn whoever_may_not_open_the_socket_is_told_how_to() {
    if !rustix::process::geteuid().is_root() {
        // Only root can be somebody else.
        return;
    }
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    // The program may lie where only root can start it: the shell that is somebody else could not.
    let copied = tempfile::tempdir().unwrap();
    let copy = copied.path().join("bursar");
    std::fs::copy(program(), &copy).unwrap();
    std::os::unix::fs::chown(copied.path(), Some(65_534), None).unwrap();
    let mut command = Command::new(&copy);
    command.arg("--socket").arg(bursar.place().admin_socket()).arg("status").env_clear().uid(65_534).gid(65_534);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = run_as(command, "").await;
    assert!(said.code == 77 && said.err.contains("sudo"), "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_reload_shows_what_it_changed_and_what_it_refused() {
    let fake = FakeProvider::start().await;
    let setup = Setup::new().server("admin_socket = \"DIR/admin.sock\"").provider("one", &fake.url());
    let bursar = setup.start().await;
    let place = bursar.place();
    place.save(&place.providers_file(), "[providers.two]\nknd = \"openai\"\n");
    let said = run(place, "reload", "").await;
    assert!(said.code == 78 && said.out.contains("providers.two"), "{said:?}");
    let said = run(place, "providers sync --dry-run", "").await;
    assert_eq!(said.code, 78, "{said:?}");
    assert!(run(place, "status", "").await.out.contains("providers.two"));
    // `bursar check` finds nothing wrong with a file that is not there.
    std::fs::remove_file(place.providers_file()).unwrap();
    assert_eq!(run(place, "reload", "").await.code, 78);
    for line in ["status", "doctor"] {
        let said = run(place, line, "").await;
        assert!(said.out.contains("providers.toml: the file has vanished"), "{line}: {said:?}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn the_apps_socket_takes_no_operator_and_a_change_must_be_meant() {
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    let refused = bursar.call(Call::get("/admin/v1/status")).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("not_permitted")));
    let reload = || Call::new(Method::POST, "/admin/v1/reload");
    let refused = bursar.admin_link().await.call(reload()).await;
    assert_eq!((refused.status, refused.header("content-type")), (400, Some("application/problem+json")));
    let meant = bursar.admin_link().await.call(reload().header("x-bursar-request", "1")).await;
    assert_eq!(meant.status, 200, "{}", meant.text());
    let wrong = json!({ "provider": "one", "name": "main", "secret": key_of("one:main"), "wieght": 2 });
    let create = Call::post("/admin/v1/connections", &wrong).header("x-bursar-request", "1");
    let refused = bursar.admin_link().await.call(create).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("invalid_request")));
    assert!(refused.text().contains("wieght"), "{}", refused.text());
    bursar.stop().await;
}
