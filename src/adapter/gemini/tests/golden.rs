//! Golden files, written from the specification: `NAME.openai.json` beside `NAME.gemini.json`.
//!
//! `encode` goes from OpenAI to Gemini (or to a `refusal`), `decode` and `stream` the other way. Names that begin with
//! `embed` are embeddings.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::GEMINI;
use super::{asked, stream};
use crate::adapter::{Adapter, Asked, Refusal};
use crate::api::Operation;

/// The golden files of a folder that are given in, by name.
pub(super) fn cases(folder: &str, dialect: &str) -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gemini").join(folder);
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some((name, _)) = file.split_once(dialect) {
            cases.push((name.to_owned(), path));
        }
    }
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

fn asked_by(name: &str) -> Asked {
    let operation = if name.starts_with("embed") { Operation::Embeddings } else { Operation::Chat };
    Asked { vectors_base64: name == "embed-base64", ..asked(operation, false) }
}

fn refusal(refusal: &Refusal, golden: &Value) -> bool {
    let named = refusal.message.contains(golden["names"].as_str().unwrap());
    named && golden["code"] == refusal.code.name() && golden["param"] == json!(refusal.param)
}

#[test]
fn requests_are_encoded_or_refused_by_name() {
    let mut wrong = Vec::new();
    for (name, path) in cases("encode", ".openai.") {
        let encoded = GEMINI.encode(&asked_by(&name), &read(&path));
        let golden = path.with_file_name(format!("{name}.gemini.json"));
        match encoded {
            Ok(body) if golden.exists() => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                if body != json(&golden) {
                    wrong.push(format!("{name}: {body}"));
                }
            }
            Err(error) if !golden.exists() => {
                if !refusal(&error, &json(&path.with_file_name(format!("{name}.refusal.json")))) {
                    wrong.push(format!("{name}: {error:?}"));
                }
            }
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn replies_are_decoded_or_seen_to_be_errors() {
    let mut wrong = Vec::new();
    for (name, path) in cases("decode", ".gemini.") {
        let reply = GEMINI.reply(&asked_by(&name), &Bytes::from(read(&path))).unwrap();
        let found: Value = match (&reply.seen.error, &reply.body) {
            (None, Some(body)) => serde_json::from_slice(body).unwrap(),
            (Some(error), None) => {
                json!({"error": {"outcome": error.outcome, "status": error.status, "message": error.message}})
            }
            other => panic!("{name}: {other:?}"),
        };
        if found != json(&path.with_file_name(format!("{name}.openai.json"))) {
            wrong.push(format!("{name}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn streams_are_decoded() {
    let mut wrong = Vec::new();
    for (name, path) in cases("stream", ".gemini.") {
        let streamed = stream(&asked(Operation::Chat, true), &[&read(&path)]);
        let golden = read(&path.with_file_name(format!("{name}.openai.sse")));
        let ends = golden.ends_with(b"data: [DONE]\n\n");
        assert_eq!(streamed.passed, 0, "{name}: Google's bytes must not reach the app");
        if streamed.out != golden || streamed.terminal != ends || streamed.content == golden.is_empty() {
            wrong.push(format!("{name}: {streamed:?}\n{}", String::from_utf8_lossy(&streamed.out)));
        }
        let broken = name.starts_with("error") || name == "no-answer";
        assert_eq!(streamed.error.is_some(), broken, "{name}: {:?}", streamed.error);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn usage_goes_to_the_app_only_where_it_asked() {
    let (_, path) = cases("stream", ".gemini.").into_iter().find(|(name, _)| name == "text").unwrap();
    let asked = Asked { include_usage: false, ..asked(Operation::Chat, true) };
    let streamed = stream(&asked, &[&read(&path)]);
    assert!(!String::from_utf8(streamed.out).unwrap().contains("usage"));
    assert_eq!((streamed.tokens.input, streamed.tokens.output), (Some(4), Some(4)));
}

#[test]
fn an_answer_with_calls_can_be_handed_back() {
    let (_, path) = cases("decode", ".gemini.").into_iter().find(|(name, _)| name == "calls").unwrap();
    let given = json(&path);
    let reply = GEMINI.reply(&asked(Operation::Chat, false), &Bytes::from(read(&path))).unwrap();
    let answer: Value = serde_json::from_slice(&reply.body.unwrap()).unwrap();
    let back = json!({"messages": [{"role": "user", "content": "q"}, answer["choices"][0]["message"]]});
    let sent = GEMINI.encode(&asked(Operation::Chat, false), back.to_string().as_bytes()).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    // The thought before the calls stays away, as Google wants it; the signature comes back where it was.
    let (given, sent) = (&given["candidates"][0]["content"]["parts"], &sent["contents"][1]["parts"]);
    for at in 0..3 {
        assert_eq!(sent[at]["functionCall"]["name"], given[at + 1]["functionCall"]["name"]);
        assert_eq!(sent[at]["thoughtSignature"], given[at + 1]["thoughtSignature"]);
    }
    assert_eq!(sent[0]["functionCall"]["args"], given[1]["functionCall"]["args"]);
}
