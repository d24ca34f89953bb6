//! Real replies of providers, against the facts that stand beside them. The folder is `BURSAR_RECORDED`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{Tested, facts};
use crate::adapter::text::sanitise;
use crate::api::Operation;

fn folder() -> PathBuf {
    std::env::var_os("BURSAR_RECORDED").map_or_else(|| PathBuf::from("../shared/recorded"), PathBuf::from)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether a fact is as it should be, or as it may be as well.
fn agrees(name: &str, expected: &Value, accepted: &Value, found: &Value) -> bool {
    let accepted = accepted[name].as_array().into_iter().flatten();
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-5;
    std::iter::once(expected).chain(accepted).any(|value| match name {
        "error_message" => Some(sanitise(value.as_str().unwrap_or_default()).as_str()) == found.as_str(),
        "usage.cached_tokens" | "usage.reasoning_tokens" if value.is_null() => found.is_null() || found == 0,
        "embeddings.first_values" => {
            let (all, found) = (value.as_array().unwrap(), found.as_array().unwrap());
            all.len() == found.len() && all.iter().zip(found).all(|(a, b)| near(a, b))
        }
        _ => value == found,
    })
}

/// The facts that are compared.
const FACTS: &[&str] = &[
    "status",
    "error_class",
    "error_message",
    "text",
    "tool_calls",
    "finish_reason",
    "usage",
    "more_choices",
    "embeddings",
    "models",
];

/// The facts that differ.
fn differences(expected: &Value, found: &Map<String, Value>) -> Vec<String> {
    let accepted = &expected["accept"];
    let mut wrong = Vec::new();
    for name in FACTS.iter().copied() {
        let (value, found) = (&expected[name], found.get(name).unwrap_or(&Value::Null));
        // An error has no answer, and the text of one that the adapter found itself is its own.
        if found.is_null() && (value.is_null() || value == &json!([])) || name == "error_message" && value.is_null() {
            continue;
        }
        match value.as_object() {
            Some(members) => wrong.extend(members.iter().filter_map(|(member, value)| {
                let (path, found) = (format!("{name}.{member}"), &found[member]);
                (!agrees(&path, value, accepted, found)).then(|| format!("{path} is {found}, not {value}"))
            })),
            None if agrees(name, value, accepted, found) => {}
            None => wrong.push(format!("{name} is {found}, not {value}")),
        }
    }
    wrong
}

/// The facts, and whole alternatives to them.
fn alternatives(expected: &Value) -> Vec<Value> {
    let mut all = vec![expected.clone()];
    for or in expected["or"].as_array().into_iter().flatten() {
        let mut other = expected.clone();
        other.as_object_mut().unwrap().extend(or.as_object().unwrap().clone());
        all.push(other);
    }
    all
}

impl Tested {
    /// What the adapter makes of a case.
    fn seen(&self, case: &Path, expected: &Value) -> Map<String, Value> {
        let operation: Operation = expected["operation"].as_str().unwrap().parse().unwrap();
        let status = json(&case.join("headers.json"))["response"]["status"].as_u64().unwrap() as u16;
        if let Ok(bytes) = std::fs::read(case.join("response.sse")) {
            return facts::of_stream(&self.stream(&self.asked(operation, true), &[&bytes]));
        }
        let body = Bytes::from(std::fs::read(case.join("response.json")).unwrap());
        if status >= 400 {
            return facts::of_error(&self.adapter.error(status, &HeaderMap::new(), &body));
        }
        if operation == Operation::Models {
            return facts::of_models(&self.adapter.models(&body).unwrap());
        }
        let reply = self.adapter.reply(&self.asked(operation, false), &body).unwrap();
        match (reply.seen.error.as_ref(), reply.body.as_ref()) {
            (Some(error), _) => facts::of_error(error),
            (None, Some(body)) if operation == Operation::Embeddings => facts::of_embeddings(body, &reply.seen),
            (None, Some(body)) => facts::of_reply(body, &reply.seen),
            (None, None) => panic!("a reply in another dialect must not pass as it is"),
        }
    }

    /// Every recorded reply of this format says what it should.
    pub(in crate::adapter) fn recorded_replies_say_what_they_should(&self) {
        let Ok(cases) = std::fs::read_dir(folder().join(self.format)) else {
            println!("skipped: no recorded traffic at {}", folder().display());
            return;
        };
        let mut cases: Vec<PathBuf> = cases.map(|case| case.unwrap().path()).filter(|path| path.is_dir()).collect();
        cases.sort();
        let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
        for case in cases {
            let expected = json(&case.join("expected.json"));
            if expected.get("skip").is_some() || expected["kind"] != self.format {
                skipped += 1;
                continue;
            }
            let found = self.seen(&case, &expected);
            let wrong =
                alternatives(&expected).iter().map(|facts| differences(facts, &found)).min_by_key(Vec::len).unwrap();
            if wrong.is_empty() {
                passed += 1;
            } else {
                failed.push(format!("{}: {}", case.file_name().unwrap().display(), wrong.join("; ")));
            }
        }
        println!("{passed} passed, {skipped} skipped, {} failed", failed.len());
        assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    }
}
