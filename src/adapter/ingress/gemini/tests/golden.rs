//! Golden files, written from the specification: `NAME.gemini.json` beside `NAME.openai.json`, or a `refusal`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::GEMINI;
use super::{asked, streamed};
use crate::adapter::ingress::Ingress;

/// The golden files of a folder that are given in, by name.
pub(super) fn cases(folder: &str, dialect: &str) -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingress-gemini").join(folder);
    let files = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| Some(path.file_name()?.to_str()?.split_once(dialect)?.0.to_owned());
    let mut cases: Vec<_> = files.filter_map(|path| Some((name(&path)?, path))).collect();
    cases.sort();
    assert!(cases.len() > 10, "the golden files of {folder} are missing");
    cases
}

pub(super) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn requests_are_translated_or_refused_by_name() {
    let mut wrong = Vec::new();
    for (name, path) in cases("request", ".gemini.") {
        let golden = path.with_file_name(format!("{name}.openai.json"));
        match GEMINI.request(&asked(&name), &read(&path)) {
            Ok(body) => {
                // As texts, since the order of properties is part of a schema's meaning at Google.
                let expected = golden.exists().then(|| json(&golden).to_string());
                if expected.as_deref().map(str::as_bytes) != Some(&body[..]) {
                    wrong.push(format!("{name}: {}", String::from_utf8_lossy(&body)));
                }
            }
            Err(refusal) => {
                let golden = path.with_file_name(format!("{name}.refusal.json"));
                let golden = if golden.exists() { json(&golden) } else { Value::Null };
                let named = golden["names"].as_str().is_some_and(|text| refusal.message.contains(text));
                if !named || golden["code"] != refusal.code.name() || golden["param"] != json!(refusal.param) {
                    wrong.push(format!("{name}: {refusal:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn replies_are_translated() {
    let mut wrong = Vec::new();
    for (name, path) in cases("reply", ".openai.") {
        let reply = GEMINI.reply(&asked(&name), &read(&path)).unwrap();
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        if reply != json(&path.with_file_name(format!("{name}.gemini.json"))) {
            wrong.push(format!("{name}: {reply}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn streams_are_translated() {
    let mut wrong = Vec::new();
    for (name, path) in cases("stream", ".openai.") {
        let out = streamed(&[&read(&path)]);
        let golden = read(&path.with_file_name(format!("{name}.gemini.sse")));
        if out != golden {
            wrong.push(format!("{name}:\n{}", String::from_utf8_lossy(&out)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
