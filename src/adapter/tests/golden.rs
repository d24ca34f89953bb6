//! Golden files, written from the specification: `NAME.openai.json` beside `NAME.FORMAT.json`.
//!
//! `encode` goes from OpenAI to the format (or to a `refusal`), `decode` and `stream` the other way. Names that begin
//! with `embed` are embeddings; a model that is known to be limited is asked in those that begin with `limited`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Streamed, Tested};
use crate::adapter::{Asked, Refusal};
use crate::api::Operation;

/// The bytes of a golden file.
pub(in crate::adapter) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// A golden file that is JSON.
pub(in crate::adapter) fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn refusal(refusal: &Refusal, golden: &Value) -> bool {
    let named = refusal.message.contains(golden["names"].as_str().unwrap());
    named && golden["code"] == refusal.code.name() && golden["param"] == json!(refusal.param)
}

impl Tested {
    fn asked_by(&self, name: &str) -> Asked {
        let operation = if name.starts_with("embed") { Operation::Embeddings } else { Operation::Chat };
        Asked {
            vectors_base64: name == "embed-base64",
            max_output_tokens: name.starts_with("limited").then_some(64_000),
            ..self.asked(operation, name.ends_with("streamed"))
        }
    }

    /// The golden files of a folder that are in this dialect, by name.
    pub(in crate::adapter) fn cases(&self, folder: &str, dialect: &str) -> Vec<(String, PathBuf)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.format).join(folder);
        let mut cases = Vec::new();
        for entry in std::fs::read_dir(&root).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if let Some((name, _)) = file.split_once(&format!(".{dialect}.")) {
                cases.push((name.to_owned(), path));
            }
        }
        cases.sort();
        assert!(cases.len() > 10, "the golden files of {folder} are missing");
        cases
    }

    /// The golden file of that name that is given in.
    pub(in crate::adapter) fn case(&self, folder: &str, name: &str) -> PathBuf {
        let cases = self.cases(folder, if folder == "encode" { "openai" } else { self.format });
        cases.into_iter().find(|(case, _)| case == name).unwrap().1
    }

    /// The bytes of all golden files that are given in.
    pub(in crate::adapter) fn samples(&self) -> Vec<Vec<u8>> {
        [("encode", "openai"), ("decode", self.format), ("stream", self.format)]
            .into_iter()
            .flat_map(|(folder, dialect)| self.cases(folder, dialect))
            .map(|(_, path)| read(&path))
            .collect()
    }

    /// Every request of `encode` becomes what stands beside it, or is refused as it says there.
    pub(in crate::adapter) fn requests_are_encoded_or_refused_by_name(&self) {
        let mut wrong = Vec::new();
        for (name, path) in self.cases("encode", "openai") {
            let encoded = self.adapter.encode(&self.asked_by(&name), &read(&path));
            let golden = path.with_file_name(format!("{name}.{}.json", self.format));
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

    /// Every reply of `decode` becomes what stands beside it, be it an error.
    pub(in crate::adapter) fn replies_are_decoded_or_seen_to_be_errors(&self) {
        let mut wrong = Vec::new();
        for (name, path) in self.cases("decode", self.format) {
            let reply = self.adapter.reply(&self.asked_by(&name), &Bytes::from(read(&path))).unwrap();
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

    /// Every stream becomes what stands beside it; those named `error…` and `no-answer` are seen to be errors.
    pub(in crate::adapter) fn streams_are_decoded(&self) {
        let mut wrong = Vec::new();
        for (name, path) in self.cases("stream", self.format) {
            let streamed = self.stream(&self.asked(Operation::Chat, true), &[&read(&path)]);
            let golden = read(&path.with_file_name(format!("{name}.openai.sse")));
            let ends = golden.ends_with(b"data: [DONE]\n\n");
            assert_eq!(streamed.passed, 0, "{name}: the provider's bytes must not reach the app");
            if streamed.out != golden || streamed.terminal != ends || streamed.content == golden.is_empty() {
                wrong.push(format!("{name}: {streamed:?}\n{}", String::from_utf8_lossy(&streamed.out)));
            }
            let broken = name.starts_with("error") || name == "no-answer";
            assert_eq!(streamed.error.is_some(), broken, "{name}: {:?}", streamed.error);
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    /// What passes says of the call what a translation says, and goes out as it came.
    pub(in crate::adapter) fn what_passes_says_the_same(&self) {
        for (name, path) in self.cases("decode", self.format) {
            let (asked, body) = (self.asked_by(&name), Bytes::from(read(&path)));
            let passed = self.adapter.reply(&Asked { pass: true, ..asked.clone() }, &body).unwrap();
            assert_eq!((passed.body, passed.seen), (None, self.adapter.reply(&asked, &body).unwrap().seen), "{name}");
        }
        let asked = self.asked(Operation::Chat, true);
        for (name, path) in self.cases("stream", self.format) {
            let bytes = read(&path);
            let frames = bytes.split(|&b| b == b'\n').filter(|line| line.starts_with(b"data:")).count();
            let passed = self.stream(&Asked { pass: true, ..asked.clone() }, &[&bytes]);
            assert!(passed.passed >= frames && passed.out.is_empty(), "{name}: {passed:?}");
            let translated = Streamed { out: Vec::new(), ..self.stream(&asked, &[&bytes]) };
            assert_eq!(Streamed { passed: 0, ..passed }, translated, "{name}");
        }
    }

    /// A stream's golden files, split at every byte, are read as the whole is.
    pub(in crate::adapter) fn every_split_of_a_stream_gives_the_same(&self, asked: &Asked) {
        for (name, path) in self.cases("stream", self.format) {
            let bytes = read(&path);
            let whole = self.stream(asked, &[&bytes]);
            for at in 0..=bytes.len() {
                let (a, b) = bytes.split_at(at);
                assert_eq!(self.stream(asked, &[a, b]), whole, "{name} split at {at}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(self.stream(asked, &single), whole, "{name} byte by byte");
        }
    }

    /// A reply's golden files, cut anywhere, are no replies.
    pub(in crate::adapter) fn a_reply_that_ends_early_is_invalid(&self) {
        for (name, path) in self.cases("decode", self.format) {
            let body = Bytes::from(read(&path));
            for at in 0..body.trim_ascii_end().len() {
                let cut = self.adapter.reply(&self.asked_by(&name), &body.slice(..at));
                assert!(cut.is_err(), "{name} cut at {at}");
            }
        }
    }
}
