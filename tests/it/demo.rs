//! `bursar demo`, as it is run for the first time: nothing set up before it, nothing left after it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::client::Heard;
use crate::harness::{Call, Link, directory, program, until};

/// The demo, where temporary files have a directory of their own.
fn demo(place: &TempDir) -> Command {
    let mut command = Command::new(program());
    command.arg("demo").env_clear().env("TMPDIR", place.path()).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn is_empty(place: &Path) -> bool {
    std::fs::read_dir(place).unwrap().next().is_none()
}

#[test]
fn three_calls_are_answered_and_nothing_is_left() {
    let place = directory();
    let text = said(&demo(&place).output().unwrap());
    for reply in ["sandbox  Good morning, Bursar!", "sandbox  These words come back", "sandbox  Does anybody hear me?"]
    {
        assert!(text.contains(reply), "{reply:?} in {text}");
    }
    for attempt in ["sandbox-flaky:main   503  transient", "sandbox-flaky:spare  200  ok"] {
        assert!(text.contains(attempt), "{attempt:?} in {text}");
    }
    let row = |name: &str| {
        let line = text.lines().rfind(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("sandbox:main"), ["2", "2", "0", "30", "22", "0.00"]);
    assert_eq!(row("total")[..1], ["3"]);
    assert!(text.lines().all(|line| line.len() <= 80 && !line.contains('\u{1b}')), "{text}");
    assert!(is_empty(place.path()));
}

#[test]
fn a_demo_that_is_interrupted_cleans_up() {
    let place = directory();
    let child = demo(&place).stdout(Stdio::piped()).spawn().unwrap();
    while is_empty(place.path()) {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(is_empty(place.path()));
}

#[tokio::test]
async fn a_demo_that_is_kept_can_be_called_and_shows_no_key() {
    let place = directory();
    let key = "canary-of-a-key";
    let text = said(&demo(&place).arg("--keep").env("GEMINI_API_KEY", key).output().unwrap());
    assert!(text.contains("gemini:demo  from GEMINI_API_KEY") && !text.contains("openai:demo"), "{text}");
    let kill = text.lines().find_map(|line| line.strip_prefix("kill ")).expect("how to end it");
    let (pid, path) = (kill.split(' ').next().unwrap(), Path::new(kill.split(' ').next_back().unwrap()));
    let socket = path.join("bursar.sock");
    let reply = Link::http1(&socket, Heard::default()).await.call(Call::chat("demo")).await;
    let providers = std::fs::read_to_string(path.join("config/providers.toml")).unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(reply.status, 200);
    assert!(!text.contains(key) && !providers.contains(key));
    let log = path.join("bursar.log");
    until("the daemon's end", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("stopped"))).await;
}
