//! The SDKs and clients that apps really use, over the real daemon's socket: OpenAI's for Python (both of its clients)
//! and Node, PHP's cURL, Anthropic's, Google's, LangChain's and Vercel's. Behind it stand providers of OpenAI's kind, of
//! Anthropic's and of Google's, and the sandbox.
//!
//! Each client runs one script of tests/sdk, which says what it got, check by check; what it must get stands in
//! `expected` and `clients`, once for all of them. The SDKs are those that `tests/run` installs; what is not there is
//! named and skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test says what it expects, and its helpers belong to it"
)]

#[path = "sdk/clients.rs"]
mod clients;
#[path = "sdk/dialects.rs"]
mod dialects;
#[path = "sdk/expected.rs"]
mod expected;
#[path = "it/fake/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod fake;
#[path = "it/harness/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod harness;
#[path = "sdk/litellm.rs"]
mod litellm;
#[path = "sdk/operations.rs"]
mod operations;
#[path = "sdk/upstreams.rs"]
mod upstreams;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bursar::api::{Outcome, UsageRecord};
use serde_json::Value;

use fake::{FakeProvider, SeenRequest};
use harness::{Bursar, Setup, key_of};

/// How long a script may take. Far more than it takes on a busy machine.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(120);
/// The key that all scripts give their client.
const CLIENT_KEY: &str = "sk-client-canary";

#[tokio::test]
async fn python_over_httpx() {
    if let Some(python) = tool("BURSAR_TEST_PYTHON", "the openai SDK for Python, synchronous") {
        check("python", &[&python, "checks.py", "sync"]).await;
    }
}

#[tokio::test]
async fn python_over_httpx_asynchronously() {
    if let Some(python) = tool("BURSAR_TEST_PYTHON", "the openai SDK for Python, asynchronous") {
        check("python", &[&python, "checks.py", "async"]).await;
    }
}

#[tokio::test]
async fn node_over_undici() {
    if tool("BURSAR_TEST_NODE_MODULES", "the openai SDK for Node").is_some() {
        check("node", &["node", "checks.mjs"]).await;
    }
}

#[tokio::test]
async fn php_over_curl() {
    let probe = Command::new("php").args(["-r", "exit(extension_loaded('curl') ? 0 : 1);"]).output();
    if probe.is_ok_and(|probe| probe.status.success()) {
        check("php", &["php", "checks.php"]).await;
    } else {
        println!("skipped: PHP's cURL: there is no php with the extension curl");
    }
}

/// What an environment variable names; else says what is skipped for want of it.
fn tool(variable: &str, what: &str) -> Option<String> {
    let value = env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        println!("skipped: {what}: {variable} is not set, which tests/run does where it can install it");
    }
    value
}

/// Runs a client's script against a daemon of its own, and looks at the matter from all sides: what the client got,
/// what the providers saw, what was recorded.
async fn check(client: &str, command: &[&str]) {
    let fake = FakeProvider::start().await;
    let bursar = tells(command, &upstreams::script(&fake), expected::facts(client)).await;

    // Whoever hangs up on Bursar hangs up on the provider.
    fake.until_aborted(1).await;
    providers_saw(&fake.seen());
    recorded(&bursar.stop().await.records());
}

/// Runs a client's script against a daemon with this setup, and compares what it says. The daemon still runs.
async fn tells(command: &[&str], setup: &Setup, expected: BTreeMap<String, Value>) -> Bursar {
    let bursar = setup.start().await;
    let got = run(command, &bursar.place().socket()).await;
    let differs = |(check, value): (&String, &Value)| {
        let got = got.get(check);
        (got != Some(value)).then(|| format!("{check}: {}, not {value}", got.unwrap_or(&Value::Null)))
    };
    let mut wrong: Vec<String> = expected.iter().filter_map(differs).collect();
    wrong.extend(got.keys().filter(|check| !expected.contains_key(*check)).map(|check| format!("{check}: unexpected")));
    println!("{}: {} checks passed", command[1..].join(" "), expected.len() - wrong.len().min(expected.len()));
    assert!(wrong.is_empty(), "{} checks failed:\n{}", wrong.len(), wrong.join("\n"));
    bursar
}

/// Runs a script, and reads its lines.
async fn run(command: &[&str], socket: &Path) -> BTreeMap<String, Value> {
    let [program, script, arguments @ ..] = command else { panic!("a command has a program and a script") };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(script);
    let mut command = Command::new(program);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script)
        .args(arguments)
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the client starts");
    let pid = rustix::process::Pid::from_child(&child);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(output) = tokio::time::timeout(SCRIPT_TIMEOUT, ended).await else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("the script still runs after {SCRIPT_TIMEOUT:?}");
    };
    let output = output.unwrap().expect("the script's output");
    let (lines, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the script failed ({}) after:\n{lines}\n{errors}", output.status);
    let read = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no check: {line}"));
        (line["check"].as_str().unwrap().to_owned(), line["got"].take())
    };
    lines.lines().map(read).collect()
}

fn providers_saw(seen: &[SeenRequest]) {
    let asked = |provider: &str| {
        let key = key_of(&format!("{provider}:main"));
        seen.iter().filter(|one| one.key() == Some(&key)).map(SeenRequest::json).collect::<Vec<_>>()
    };
    no_client_key(seen);

    // The answer to a call names it, and carries what Google asked to have back.
    let [_, after] = &asked("openai-tools")[..] else { panic!("a round trip has two requests") };
    assert_eq!(after["messages"][2]["tool_call_id"], after["messages"][1]["tool_calls"][0]["id"]);
    let [_, after] = &asked("gemini-tools")[..] else { panic!("a round trip has two requests") };
    assert_eq!(after["contents"][1]["parts"][0]["thoughtSignature"], upstreams::SIGNATURE);
    assert_eq!(after["contents"][2]["parts"][0]["functionResponse"]["name"], "get_weather");

    let [json] = &asked("gemini-json")[..] else { panic!("one structured answer") };
    assert_eq!(json["generationConfig"]["responseMimeType"], "application/json");

    // The label is Bursar's; what stands beside it is the provider's.
    let [labelled] = &asked("openai-label")[..] else { panic!("one labelled request") };
    assert_eq!(labelled["metadata"], serde_json::json!({"kept": "yes"}));

    assert_eq!(asked("err-retries").len(), 2, "Bursar tries once more, and no SDK repeats that");
}

fn no_client_key(seen: &[SeenRequest]) {
    let shows_key = |one: &SeenRequest| one.headers.iter().any(|(_, value)| value.contains(CLIENT_KEY));
    assert!(!seen.iter().any(shows_key), "a client's key went to a provider");
}

fn recorded(records: &[UsageRecord]) {
    let finals = |provider: &str| {
        let of = |record: &&UsageRecord| record.provider.as_ref().is_some_and(|slug| slug.as_str() == provider);
        records.iter().filter(of).filter(|record| record.is_final).collect::<Vec<_>>()
    };
    let pinned: Vec<_> = finals("openai-pin").iter().map(|record| record.feature.to_string()).collect();
    assert_eq!(pinned, ["from-header", "from-header"]);
    assert_eq!(finals("openai-label")[0].feature.as_str(), "from-body");

    let [hung_up] = finals("openai-hang")[..] else { panic!("one final record") };
    assert_eq!((hung_up.outcome, hung_up.stream), (Outcome::ClientGone, true));
    let [cut] = finals("openai-cut")[..] else { panic!("one final record") };
    assert_eq!(cut.outcome, Outcome::Cut);
    let [streamed] = finals("gemini-stream")[..] else { panic!("one final record") };
    assert_eq!((streamed.tokens.input, streamed.tokens.output), (Some(9), Some(2)));
}
