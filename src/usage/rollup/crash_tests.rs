//! Rollups after damage and crashes: reports still say what the records say.

use std::fs;
use std::time::Duration;

use super::super::query::totals;
use super::super::testing::{Fixture, MIDNIGHT_MS};
use super::tests::{
    DAY_MS, STEPS, all_by, assert_as_scanned, complete_all, happen_all_and_check, rollup_dirs, some, three_days,
};
use super::*;
use crate::api::NanoUsd;
use crate::api::usage::Step;
use crate::config::Retention;

/// Nothing in the middle half of a file is what it was.
fn damage(file: &std::path::Path) {
    let mut bytes = fs::read(file).unwrap();
    let (quarter, length) = (bytes.len() / 4, bytes.len());
    bytes[quarter..length - quarter].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(file, bytes).unwrap();
}

#[test]
fn damaged_rollups_are_set_aside_named_and_counted_anew() {
    // One file of each day; and the first day's account of all of them.
    for places in [&["minutes", "hours", "days"][..], &["complete"]] {
        let fixture = three_days();
        complete_all(&fixture);
        let queries = STEPS.map(all_by);
        let dirs = rollup_dirs(&fixture);
        dirs.iter().zip(places).for_each(|(dir, place)| damage(&dir.join(place)));
        // What was read before is remembered only of the file's length.
        let fixture = fixture.crashed();
        queries.iter().for_each(|query| assert_as_scanned(&fixture, query));
        let notices = fixture.store.notices();
        assert_eq!(notices.len(), places.len(), "{notices:?}");
        for dir in &dirs[..places.len()] {
            let name = dir.file_name().unwrap().to_str().unwrap();
            assert!(notices.iter().any(|one| one.contains(&format!("{name} were set aside"))), "{notices:?}");
        }
        assert_eq!(rollup_dirs(&fixture).len(), 3 - places.len());
        while fixture.rollups.keep(MIDNIGHT_MS + 9 * DAY_MS) == Some(Duration::ZERO) {}
        assert_eq!(rollup_dirs(&fixture).len(), 3, "{places:?}");
        queries.iter().for_each(|query| assert_as_scanned(&fixture, query));
    }
}

/// Where no records are left to count anew, the tiers that are whole go on.
#[test]
fn a_damaged_tier_without_records_takes_no_other_along() {
    let fixture = three_days();
    complete_all(&fixture);
    let expected = totals(&fixture.rollups, &all_by(Step::Day)).unwrap();
    let retention = Retention { records: Duration::from_secs(3_600), ..Retention::default() };
    fixture
        .rollups
        .retain(&Retention { minutes: Duration::from_secs(86_400 * 99), ..retention }, MIDNIGHT_MS + 9 * DAY_MS);
    let file = rollup_dirs(&fixture).remove(1).join("hours");
    damage(&file);
    let fixture = fixture.crashed();
    assert_eq!(totals(&fixture.rollups, &all_by(Step::Hour)).unwrap().totals, expected.totals, "minutes stand in");
    assert_eq!(totals(&fixture.rollups, &all_by(Step::Day)).unwrap(), expected);
    let notices = fixture.store.notices();
    assert!(notices.len() == 1 && notices[0].contains("2024-10-05.rollups/hours were set aside"), "{notices:?}");
}

#[test]
fn a_file_that_is_shorter_or_gone_is_damage_too() {
    for gone in [false, true] {
        let fixture = three_days();
        complete_all(&fixture);
        let file = rollup_dirs(&fixture).remove(0).join("hours");
        if gone {
            fs::remove_file(&file).unwrap()
        } else {
            fs::write(&file, b"").unwrap()
        }
        let fixture = fixture.crashed();
        assert_as_scanned(&fixture, &all_by(Step::Hour));
        assert_eq!(fixture.store.notices().len(), 1);
    }
}

#[test]
fn a_file_that_a_crash_cut_off_is_gone_on_with() {
    for part in [1, 3] {
        let fixture = three_days();
        fixture.rollups.close();
        let file = rollup_dirs(&fixture).pop().unwrap().join("minutes");
        let whole = fs::read(&file).unwrap();
        // All of it is gone, or a third.
        fs::write(&file, &whole[..whole.len() - whole.len() / part]).unwrap();
        let fixture = fixture.crashed();
        STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
        fixture.append(&[some(9_999, 3 * DAY_MS - 5, 3)]);
        if part > 1 {
            happen_all_and_check(fixture);
        } else {
            STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
        }
    }
}

#[test]
fn a_crash_between_changed_records_and_their_rollups_is_made_good() {
    let fixture = three_days();
    complete_all(&fixture);
    let day = MIDNIGHT_MS / DAY_MS;
    fixture.store.rollups().mark_stale(day).unwrap();
    let double = |record: &UsageRecord| {
        record.cost.map(|cost| UsageRecord { cost: Some(NanoUsd(cost.0 * 2)), ..record.clone() })
    };
    fixture.store.usage().rewrite_day(day, 0..i64::MAX, double).unwrap();
    let fixture = fixture.crashed();
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    while fixture.rollups.keep(MIDNIGHT_MS + 9 * DAY_MS) == Some(Duration::ZERO) {}
    assert_eq!(rollup_dirs(&fixture).len(), 3);
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
}

/// Hours that are written anew are put in place as a whole: what a crash leaves beside them is nothing.
#[test]
fn a_crash_while_hours_are_gathered_leaves_those_that_were_there() {
    let fixture = three_days();
    fixture.rollups.write_now(true);
    // Its first hour stands in two frames.
    fixture.append(&[some(9_999, 700_001, 3)]);
    fixture.rollups.write_now(true);
    let beside = |fixture: &Fixture| rollup_dirs(fixture).remove(0).join("hours.new");
    fs::write(beside(&fixture), b"half a file").unwrap();
    let fixture = fixture.crashed();
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    assert!(!beside(&fixture).exists());
    complete_all(&fixture);
    assert!(!beside(&fixture).exists());
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    assert_eq!(fixture.store.notices(), Vec::<String>::new());
}

/// A file that is full of something else when its day is over is left to whoever asks next.
#[test]
fn damaged_hours_do_not_keep_a_day_from_being_complete() {
    let fixture = three_days();
    fixture.rollups.write_now(true);
    damage(&rollup_dirs(&fixture).remove(0).join("hours"));
    complete_all(&fixture);
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    assert_eq!(fixture.store.notices().len(), 1);
}
