//! Real replies of providers, replayed through the real daemon: what an app gets over the socket, whichever dialect it
//! speaks, and what the usage record holds, must be the facts that stand beside each recording.
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
#[path = "recorded/compare.rs"]
mod compare;
#[path = "recorded/facts.rs"]
mod facts;
#[path = "it/fake/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod fake;
#[path = "it/harness/mod.rs"]
#[allow(unused_imports, reason = "it has other users")]
mod harness;
#[path = "recorded/kinds.rs"]
mod kinds;
#[path = "recorded/other.rs"]
mod other;

use std::path::PathBuf;
use std::sync::Arc;

use bursar::api::{Operation, RequestId, UsageRecord};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use case::{Case, Reach};
use fake::FakeProvider;
use harness::{Reply, Setup};

#[tokio::test]
async fn recorded_traffic_says_what_it_should() {
    let folder = std::env::var_os("BURSAR_RECORDED").map_or_else(|| PathBuf::from("../shared/recorded"), PathBuf::from);
    if !folder.is_dir() {
        println!("recorded: skipped, there is no folder {}: set BURSAR_RECORDED", folder.display());
        return;
    }
    let (mut reached, mut not_yet, mut skipped) = (Vec::new(), 0, 0);
    for case in Case::all(&folder) {
        match case.reach() {
            Reach::Daemon => reached.push(case),
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
    let count = reached.len();
    let wrong = replay(reached).await;
    println!("recorded: {} passed, {not_yet} not yet reached, {skipped} skipped", count - wrong.len());
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Replays all cases at once through one daemon; tells of those that differ.
async fn replay(cases: Vec<Case>) -> Vec<String> {
    let fake = FakeProvider::start().await;
    let mut setup = Setup::new();
    for case in &cases {
        let _ = fake.for_path(&case.upstream_path()).always(case.reply());
        setup = setup.providers(&case.provider(&fake.url())).connection(&case.connection(), "");
    }
    let bursar = Arc::new(setup.start().await);
    let mut calls = JoinSet::new();
    for case in cases {
        let bursar = Arc::clone(&bursar);
        calls.spawn(async move {
            let reply = bursar.call(case.call()).await;
            let mut others = Vec::new();
            for dialect in other::DIALECTS {
                if let Some(call) = other::call(&case, dialect) {
                    others.push((dialect, bursar.call(call).await));
                }
            }
            (case, reply, others)
        });
    }
    let answered = calls.join_all().await;
    let bursar = Arc::into_inner(bursar).expect("all calls have ended");
    let records = bursar.stop().await.records();
    let (mut wrong, mut figures) = (Vec::new(), 0);
    for (case, reply, others) in &answered {
        let mut differs = |dialect: &str, differences: Vec<String>| {
            if !differences.is_empty() {
                wrong.push(format!("{}{dialect}: {}", case.name, json!(differences)));
            }
        };
        differs("", compare::differences(&case.expected, &found(case, reply, &records)));
        if case.operation() != Operation::Models {
            let (differences, held) = kinds::differences(case, record(case, reply, &records));
            differs(" in its kinds of tokens", differences);
            figures += held;
        }
        for (dialect, reply) in others {
            let mut differences = other::differences(case, *dialect, reply);
            let mut found = Map::new();
            facts::add_record(&mut found, record(case, reply, &records));
            differences.extend(compare::recorded(&case.expected, &found));
            differs(&format!(" for an app of {dialect:?}"), differences);
        }
    }
    println!("recorded: {figures} figures of rarer kinds of tokens held against the provider's bytes");
    wrong
}

/// What an app was given and what was recorded, as facts.
fn found(case: &Case, reply: &Reply, records: &[UsageRecord]) -> Map<String, Value> {
    if case.operation() == Operation::Models {
        // Apps see their own models; a provider's list shows where its connection is tested, which uses nothing.
        return facts::of_test(reply);
    }
    let mut found = facts::of_reply(case, reply);
    facts::add_record(&mut found, record(case, reply, records));
    found
}

/// The record of a call.
fn record<'a>(case: &Case, reply: &Reply, records: &'a [UsageRecord]) -> &'a UsageRecord {
    let id: RequestId = reply.header("x-bursar-request-id").unwrap().parse().unwrap();
    let finals: Vec<_> = records.iter().filter(|record| record.request_id == id && record.is_final).collect();
    let [record] = finals[..] else { panic!("{}: {} final records", case.name, finals.len()) };
    record
}
