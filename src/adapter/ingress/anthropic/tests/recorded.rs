//! Requests that real apps sent to Anthropic: each is translated, or refused by the name of a field. The folder is
//! `BURSAR_RECORDED`.

use std::path::PathBuf;

use serde_json::Value;

use super::super::ANTHROPIC;
use super::asked;
use crate::adapter::ingress::Ingress;

#[test]
fn recorded_requests_are_translated_or_refused_by_name() {
    let folder = std::env::var_os("BURSAR_RECORDED").map_or_else(|| PathBuf::from("../shared/recorded"), PathBuf::from);
    let Ok(cases) = std::fs::read_dir(folder.join("anthropic")) else {
        println!("skipped: no recorded traffic at {}", folder.display());
        return;
    };
    let (mut translated, mut refused) = (0, Vec::new());
    for case in cases.map(|case| case.unwrap().path()) {
        let Ok(body) = std::fs::read(case.join("request.json")) else { continue };
        match ANTHROPIC.request(&asked(), &body) {
            Ok(chat) => {
                let (given, chat): (Value, Value) =
                    (serde_json::from_slice(&body).unwrap(), serde_json::from_slice(&chat).unwrap());
                assert_eq!(chat["max_completion_tokens"], given["max_tokens"]);
                assert!(!chat["messages"].as_array().unwrap().is_empty());
                translated += 1;
            }
            Err(refusal) => {
                assert!(refusal.param.is_some(), "{}: {refusal:?}", case.display());
                refused.push(format!("{}: {}", case.file_name().unwrap().display(), refusal.message));
            }
        }
    }
    println!("{translated} translated, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(translated > refused.len());
}
