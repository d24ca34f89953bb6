//! Choosing and health together, on a clock that the tests move.

mod breaker;
mod clogging;
mod order;
mod outcomes;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::access::Access;
use crate::adapter::{self, Hints};
use crate::api::Outcome;
use crate::clock::{Instant, Now};
use crate::config::{self, Source};
use crate::connection::Ended;
use crate::connection::admission::Admission;
use crate::connection::health::Registry;
use crate::snapshot::{Parts, Snapshot};

/// 2026-11-22T08:00:00Z.
const BEGIN_MS: i64 = 1_795_334_400_000;

/// One provider `one` with connections `c00`, `c01`, … of equal priority, and further lines for each.
fn house(connections: usize, lines: &str) -> Snapshot {
    let mut text = String::from("[providers.one]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    text += "allow_private = true\n[limit_groups.acme]\nlimits = { concurrent = 99 }\n";
    for n in 0..connections {
        text += &format!("[[connections]]\nprovider = \"one\"\nname = \"c{n:02}\"\n{lines}\n");
    }
    let source = Source::from_text(Path::new("providers.toml"), text);
    let loaded = config::check_catalogue(&source, &adapter::kinds()).unwrap_or_else(|report| panic!("{report}"));
    let parts = Parts {
        catalogue: Arc::new(loaded.value),
        secrets: &HashMap::new(),
        access: Access::resolve(&config::Access::default(), &[], 0).0,
        budgets: &[],
        stored: &BTreeMap::new(),
        provider_switches: &BTreeMap::new(),
        connection_switches: &BTreeMap::new(),
        model_lists: &[],
        health: &Registry::default(),
        admission: &Admission::default(),
        memory: &Memory::default(),
    };
    Snapshot::build(1, parts).unwrap()
}

fn candidates(house: &Snapshot) -> Candidates {
    let wanted = Wanted { model: "one/m".into(), ..Wanted::default() };
    house.selection.candidates(wanted).unwrap()
}

/// Every candidate that a request is given at a moment, were it refused by all.
fn tried(candidates: &mut Candidates, now: Instant) -> Vec<Candidate> {
    let next = || {
        let next = candidates.next(now)?;
        candidates.tried(&next);
        Some(next)
    };
    std::iter::from_fn(next).collect()
}

/// Every connection that a request would be given at a moment, were it refused by all.
fn offered(house: &Snapshot, now: Instant) -> Vec<String> {
    let mut all = candidates(house);
    let mut names: Vec<String> = tried(&mut all, now).iter().map(|one| one.connection.id.to_string()).collect();
    names.sort();
    names
}

fn wall(begin: Instant, now: Instant) -> Now {
    let since = i64::try_from((now - begin).as_millis()).unwrap();
    Now { at: now, wall_ms: BEGIN_MS + since }
}

/// Takes in how an attempt ended that was sent and came back at one moment.
fn ended(house: &Snapshot, id: &str, outcome: Outcome, hint: Option<Duration>, now: Now) {
    let hints = Hints::default().after(hint);
    let ended = Ended {
        model: Some("m"),
        sent_at: now.at,
        outcome,
        message: Some("why"),
        reached: true,
        cut_short: false,
        hints: &hints,
    };
    house.connections[&id.parse::<crate::api::ConnectionId>().unwrap()].observe(&ended, now);
}
