//! The rule by which a state is judged, over everything that its witnesses can say.

use super::*;

const LOST: &str = "it is damaged";

/// What a state amounts to after so many changes, in one of two histories.
fn after(generation: u64, history: u128) -> Contents {
    Contents { generation, records: 3, sum: u128::from(generation) | (history << 64) }
}

/// Nothing, or what it would be after each of a few changes in either history.
fn witnesses() -> Vec<Result<Contents, String>> {
    let told = (1..=5).flat_map(|generation| [Ok(after(generation, 0)), Ok(after(generation, 1))]);
    told.chain([Err(LOST.to_owned())]).collect()
}

fn evidence(
    state: &Result<Contents, String>,
    log: &Result<Contents, String>,
    manifest: &Result<Contents, String>,
) -> Evidence {
    let [state, log, manifest] = [state, log, manifest].map(Clone::clone);
    Evidence { claimed: state.clone().ok(), state, log, torn: None, manifest, fresh: false }
}

#[test]
fn nothing_that_was_acknowledged_is_ever_left_out_of_what_is_opened() {
    let mut verdicts = std::collections::BTreeMap::new();
    for state in &witnesses() {
        for log in &witnesses() {
            for manifest in &witnesses() {
                let said = evidence(state, log, manifest);
                let verdict = decide(&said);
                let opened = match &verdict {
                    Verdict::Whole { .. } => state.clone().ok(),
                    Verdict::Redo { .. } | Verdict::Heal(_) => log.clone().ok(),
                    Verdict::Refuse(_) => None,
                };
                let name = format!("{verdict:?}").split([' ', '(', '{']).next().unwrap().to_owned();
                *verdicts.entry(name).or_insert(0) += 1;
                let Some(opened) = opened else { continue };
                for other in [state, log, manifest].into_iter().flatten() {
                    assert!(other.generation <= opened.generation, "{said:?}: {verdict:?}");
                }
                // Two of three say so, or the other two have come to nothing or are older.
                if let Ok(manifest) = manifest {
                    let same = manifest.generation == opened.generation;
                    assert!(!same || *manifest == opened || state == log, "{said:?}: {verdict:?}");
                }
            }
        }
    }
    println!("{verdicts:?}");
    assert_eq!(verdicts.len(), 4);
}

#[test]
fn what_a_crash_leaves_between_any_two_writes_is_opened_without_a_word() {
    let (now, next) = (Ok(after(4, 0)), Ok(after(5, 0)));
    let quiet = Verdict::Whole { log: None, manifest: None };
    assert_eq!(decide(&evidence(&now, &now, &now)), quiet);
    assert_eq!(decide(&evidence(&now, &next, &now)), Verdict::Redo { acknowledged: false });
    assert_eq!(decide(&evidence(&next, &next, &now)), quiet);
    let torn = Evidence { torn: Some("it ends in the middle of a change".into()), ..evidence(&now, &now, &now) };
    assert_eq!(decide(&torn), quiet);
}

#[test]
fn any_one_witness_alone_may_be_lost_or_older() {
    let (now, gone) = (Ok(after(5, 0)), Err(LOST.to_owned()));
    for older in (1..5).map(|generation| Ok(after(generation, 0))).chain([gone]) {
        assert!(!matches!(decide(&evidence(&older, &now, &now)), Verdict::Refuse(_)), "{older:?}");
        assert!(!matches!(decide(&evidence(&now, &older, &now)), Verdict::Refuse(_)), "{older:?}");
        assert!(!matches!(decide(&evidence(&now, &now, &older)), Verdict::Refuse(_)), "{older:?}");
    }
    let older = Ok(after(2, 0));
    assert!(matches!(decide(&evidence(&older, &older, &now)), Verdict::Refuse(_)));
    assert!(matches!(decide(&evidence(&Err(LOST.into()), &now, &Err(LOST.into()))), Verdict::Refuse(_)));
}
