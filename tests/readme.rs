//! Every program in the README is run as it stands there, against a real daemon with the sandbox behind the routes that
//! the programs name; and its configuration is checked with the daemon's own code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test says what it expects, and names what it skips"
)]

#[path = "it/harness/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod harness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::Setup;

const PROVIDERS: &str = r#"
[providers.sandbox]
enabled = true
[[connections]]
provider = "sandbox"
name = "main"
[routes.fast]
targets = ["sandbox/echo"]
[routes.translation]
targets = ["sandbox/echo"]
[routes.writing]
targets = ["sandbox/echo"]
[routes.analysis]
targets = ["sandbox/echo"]
"#;

/// The README's programs and files, by the name that stands before each.
fn files() -> BTreeMap<String, String> {
    let readme = include_str!("../README.md");
    let mut files = BTreeMap::new();
    for part in readme.split("<!-- file: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n").expect("a name ends with -->");
        let (_, body) = rest.split_once('\n').expect("a fence");
        let (body, _) = body.split_once("\n```").expect("the fence's end");
        files.insert(name.to_owned(), format!("{body}\n"));
    }
    files
}

/// What runs a file, where it is installed.
fn runner(name: &str) -> Result<Vec<PathBuf>, String> {
    let tool = |name: &str| {
        let found = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
        if found { Ok(PathBuf::from(name)) } else { Err(format!("{name} is not installed")) }
    };
    let given = |variable: &str| {
        std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("{variable} is not set: tests/run sets it"))
    };
    match Path::new(name).extension().and_then(|ending| ending.to_str()) {
        Some("sh") => tool("curl").map(|_| vec!["sh".into()]),
        Some("py") => given("BURSAR_TEST_PYTHON").map(|python| vec![python]),
        Some("mjs") => given("BURSAR_TEST_NODE_MODULES").and_then(|_| tool("node")).map(|node| vec![node]),
        Some("php") => tool("php").map(|php| vec![php]),
        other => Err(format!("nothing runs {other:?}")),
    }
}

#[tokio::test]
async fn every_program_of_the_readme_runs() {
    let bursar = Setup::new().providers(PROVIDERS).start().await;
    let dir = tempfile::tempdir().unwrap();
    if let Some(modules) = std::env::var_os("BURSAR_TEST_NODE_MODULES") {
        std::os::unix::fs::symlink(modules, dir.path().join("node_modules")).unwrap();
    }
    // The built program goes by its name there.
    let own = Path::new(env!("CARGO_BIN_EXE_bursar")).parent().unwrap().to_owned();
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&usual))).unwrap();
    let (mut ran, mut features) = (Vec::new(), Vec::new());
    for (name, text) in files().into_iter().filter(|(name, _)| !name.ends_with(".toml")) {
        let command = match runner(&name) {
            Ok(command) => command,
            Err(why) => {
                eprintln!("skipped {name}: {why}");
                continue;
            }
        };
        let file = dir.path().join(&name);
        std::fs::write(&file, text).unwrap();
        let output = Command::new(&command[0])
            .args(&command[1..])
            .arg(&file)
            .env("BURSAR_SOCKET", bursar.place().socket())
            .env("PATH", &path)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
        let (expected, feature) = match name.as_str() {
            "translate.py" => ("Good morning", Some("auto-translation")),
            "write.mjs" => ("--- sms\nThe shop is closed on Friday.", Some("multi-channel")),
            "analyse.py" => ("profit 0.00, risk low, 0 mistakes", Some("trade-analysis")),
            "import.sh" => ("openai:main is added", None),
            "usage.sh" => ("readme", None),
            "metrics.sh" => ("bursar_build_info{version=", None),
            _ => ("Say hello", Some("readme")),
        };
        assert!(out.contains(expected), "{name} says {out:?}, and not {expected:?}");
        features.extend(feature);
        ran.push(name);
    }
    let records = bursar.stop().await.records();
    for feature in features {
        let found = records.iter().any(|record| record.feature.as_str() == feature && record.is_final);
        assert!(found, "no usage record names the feature {feature}");
    }
    eprintln!("readme: {} programs ran: {}", ran.len(), ran.join(", "));
}

#[test]
fn the_readmes_configuration_is_free_of_errors() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files().into_iter().filter(|(name, _)| name.ends_with(".toml")) {
        let file = dir.path().join(&name);
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_bursar")).arg("check").arg(&file).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
