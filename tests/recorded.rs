//! Real replies of providers, replayed through the real daemon: what an app gets over the socket, and what the usage
//! record holds, must be the facts that stand beside each recording.
//!
//! The recordings lie in the folder that `BURSAR_RECORDED` names (its README.md says what a case is); no byte of them is
//! part of this project. Every case has a provider of its own, with one connection and nothing to fall back to, so that
//! no case's failure can be seen by another.

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

#[path = "recorded/case.rs"]
mod case;
mod common;
#[path = "recorded/compare.rs"]
mod compare;
#[path = "recorded/facts.rs"]
mod facts;
#[path = "it/fake/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod fake;
#[path = "recorded/mended.rs"]
mod mended;

use std::path::PathBuf;
use std::sync::Arc;

use bursar::api::{RequestId, UsageRecord};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use case::{Case, Reach};
use common::{Answer, Daemon};
use fake::FakeProvider;

#[tokio::test]
async fn recorded_traffic_says_what_it_should() {
    let folder = std::env::var_os("BURSAR_RECORDED").map_or_else(|| PathBuf::from("../shared/recorded"), PathBuf::from);
    if !folder.is_dir() {
        println!("recorded: skipped, there is no folder {}: set BURSAR_RECORDED", folder.display());
        return;
    }
    let (mut replayed, mut lists, mut not_yet, mut skipped) = (Vec::new(), Vec::new(), 0, 0);
    for case in Case::all(&folder) {
        match case.reach() {
            Reach::Socket => replayed.push(case),
            Reach::Adapter => lists.push(case),
            Reach::NotYet(why) => {
                println!("not yet reached: {}: {why}", case.name);
                not_yet += 1;
            }
            Reach::Skip(why) => {
                println!("skipped: {}: {why}", case.name);
                skipped += 1;
            }
        }
    }
    for case in &lists {
        println!("read by the adapter alone, as the socket shows no provider's list: {}", case.name);
    }
    let checked = replayed.len() + lists.len();
    let mut wrong: Vec<String> = lists.iter().filter_map(|case| disagreement(case, &facts::of_models(case))).collect();
    wrong.extend(replay(replayed).await);
    println!("recorded: {} passed, {not_yet} not yet reached, {skipped} skipped", checked - wrong.len());
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Replays all cases at once through one daemon; tells of those that differ.
async fn replay(cases: Vec<Case>) -> Vec<String> {
    let fake = FakeProvider::start().await;
    let mut providers = String::new();
    for case in &cases {
        let _ = fake.for_path(&case.upstream_path()).always(case.reply());
        providers += &case.provider(&fake.url());
    }
    let daemon = Arc::new(Daemon::start(&providers));
    let mut calls = JoinSet::new();
    for case in cases {
        let daemon = Arc::clone(&daemon);
        calls.spawn(async move {
            let answer = daemon.call(case.request()).await;
            (case, answer)
        });
    }
    let answered = calls.join_all().await;
    let daemon = Arc::into_inner(daemon).expect("all calls have ended");
    let records = daemon.stop();
    answered.iter().filter_map(|(case, answer)| disagreement(case, &found(case, answer, &records))).collect()
}

/// What an app was given and what was recorded, as facts.
fn found(case: &Case, answer: &Answer, records: &[UsageRecord]) -> Map<String, Value> {
    let mut found = facts::of_answer(case, answer);
    let id: RequestId = answer.headers["x-bursar-request-id"].to_str().unwrap().parse().unwrap();
    let finals: Vec<_> = records.iter().filter(|record| record.request_id == id && record.is_final).collect();
    let [record] = finals[..] else { panic!("{}: {} final records", case.name, finals.len()) };
    facts::add_record(&mut found, record);
    found
}

/// How a case differs from its facts, if it does.
fn disagreement(case: &Case, found: &Map<String, Value>) -> Option<String> {
    let wrong = compare::differences(&case.expected, found);
    (!wrong.is_empty()).then(|| format!("{}: {}", case.name, json!(wrong)))
}
