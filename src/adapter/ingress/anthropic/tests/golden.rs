//! Golden files, written from the specification.
//!
//! `request` goes from `NAME.anthropic.json` to `NAME.openai.json` or a `NAME.refusal.json`, `reply` from
//! `NAME.openai.json` to `NAME.anthropic.json` or a `NAME.invalid.json`, `stream` from `NAME.openai.sse` to
//! `NAME.anthropic.sse`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::ANTHROPIC;
use super::{asked, stream};
use crate::adapter::ingress::Ingress;

/// A golden file that is given in, and the files that may stand beside it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) given: Vec<u8>,
    folder: PathBuf,
}

impl Case {
    /// What stands beside it under another ending.
    fn beside(&self, ending: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(format!("{}{ending}", self.name))).ok()
    }

    fn json(&self, ending: &str) -> Value {
        self.beside(ending).map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default()
    }
}

/// The files of a folder that are given in, by their ending.
pub(super) fn cases(folder: &str, ending: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingress-anthropic").join(folder);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let case = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
        Some(Case { name, given: std::fs::read(&path).unwrap(), folder: folder.clone() })
    };
    let cases: Vec<Case> = files.filter_map(case).collect();
    assert!(cases.len() > 20, "the golden files are missing");
    cases
}

fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn requests_are_said_in_openais_words_or_refused_by_name() {
    let mut wrong = Vec::new();
    for case in cases("request", ".anthropic.json") {
        let found: Value = match ANTHROPIC.request(&asked(), &case.given) {
            Ok(body) => serde_json::from_slice(&body).unwrap(),
            Err(refusal) => {
                let golden = case.json(".refusal.json");
                let named = golden["names"].as_str().is_some_and(|names| refusal.message.contains(names));
                let same = golden["code"] == refusal.code.name() && golden["param"] == json!(refusal.param);
                if !(named && same) {
                    wrong.push(format!("{}: {refusal:?}", case.name));
                }
                continue;
            }
        };
        if found != case.json(".openai.json") {
            wrong.push(format!("{}: {found}", case.name));
        }
    }
    assert_none(wrong);
}

#[test]
fn a_translated_request_is_one_that_adapters_read() {
    for case in cases("request", ".anthropic.json") {
        if let Ok(body) = ANTHROPIC.request(&asked(), &case.given) {
            let read = crate::adapter::hub::ChatRequest::read(&body);
            assert!(read.is_ok_and(|request| request.rest.refuse_rest("anybody").is_ok()), "{}", case.name);
        }
    }
}

#[test]
fn replies_are_said_as_messages() {
    let mut wrong = Vec::new();
    for case in cases("reply", ".openai.json") {
        let ok = match ANTHROPIC.reply(&asked(), &case.given) {
            Ok(body) if serde_json::from_slice::<Value>(&body).unwrap() == case.json(".anthropic.json") => continue,
            Ok(body) => String::from_utf8(body).unwrap(),
            Err(invalid) => match case.json(".invalid.json")["invalid"].as_str() {
                Some(why) if invalid.0.contains(why) => continue,
                _ => invalid.0,
            },
        };
        wrong.push(format!("{}: {ok}", case.name));
    }
    assert_none(wrong);
}

#[test]
fn streams_are_said_in_events() {
    let mut wrong = Vec::new();
    for case in cases("stream", ".openai.sse") {
        let out = stream(&[&case.given]);
        if Some(&out) != case.beside(".anthropic.sse").as_ref() {
            wrong.push(format!("{}:\n{}", case.name, String::from_utf8_lossy(&out)));
        }
    }
    assert_none(wrong);
}

/// What an app hands back of an answer: its blocks, and a result for each call.
fn handed_back(content: &Value) -> Vec<u8> {
    let ids = content.as_array().unwrap().iter().filter(|block| block["type"] == "tool_use").map(|block| &block["id"]);
    let results: Vec<Value> = ids.map(|id| json!({"type": "tool_result", "tool_use_id": id, "content": "r"})).collect();
    let messages = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": results},
    ]);
    json!({"model": "m", "max_tokens": 9, "messages": messages}).to_string().into_bytes()
}

#[test]
fn what_a_provider_wants_back_comes_back_to_where_it_was() {
    for name in ["text-thoughts-calls", "extra-without-text"] {
        let case = cases("reply", ".openai.json").into_iter().find(|case| case.name == name).unwrap();
        let given: Value = serde_json::from_slice(&case.given).unwrap();
        let message = ANTHROPIC.reply(&asked(), &case.given).unwrap();
        let message: Value = serde_json::from_slice(&message).unwrap();
        let back = ANTHROPIC.request(&asked(), &handed_back(&message["content"])).unwrap();
        let back: Value = serde_json::from_slice(&back).unwrap();
        let (given, back) = (&given["choices"][0]["message"], &back["messages"][1]);
        for member in ["content", "extra_content", "tool_calls"] {
            assert_eq!(back[member], given[member], "{name} {member}");
        }
    }
}
