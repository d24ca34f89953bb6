//! What is forgotten is gone from the disk, and what is kept still answers.

use std::fs;
use std::time::Duration;

use super::super::super::query::{Query, totals};
use super::super::super::testing::MIDNIGHT_MS;
use super::super::tests::{DAY_MS, all_by, complete_all, three_days};
use super::*;
use crate::api::usage::Step;

#[test]
fn a_tier_that_is_forgotten_gives_its_room_back_and_coarser_sums_go_on() {
    let fixture = three_days();
    complete_all(&fixture);
    let expected = totals(&fixture.rollups, &all_by(Step::Hour)).unwrap();
    let days = |count: u64| Duration::from_secs(count * 86_400);
    let usage = fixture.dir.path().join("usage");
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&usage).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names().len(), 6);
    // Four days after the first one's midnight; an hour more, which a day's attempts may be late.
    let now_ms = MIDNIGHT_MS + 4 * DAY_MS + 3_600_000;
    let retention = Retention { records: days(2), minutes: days(1), hours: days(3), ..Retention::default() };
    fixture.rollups.retain(&retention, now_ms);
    assert_eq!(names(), ["2024-10-04.rollups", "2024-10-05.rollups", "2024-10-06.00", "2024-10-06.rollups"]);
    let files = |day: &str| {
        let mut names: Vec<_> =
            fs::read_dir(usage.join(day)).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(files("2024-10-04.rollups"), ["complete", "days"]);
    assert_eq!(files("2024-10-05.rollups"), ["complete", "days", "hours"]);
    assert_eq!(files("2024-10-06.rollups"), ["complete", "days", "hours"]);
    for step in [Step::None, Step::Day] {
        assert_eq!(totals(&fixture.rollups, &all_by(step)).unwrap().totals, expected.totals, "{step:?}");
    }
    let second = Query { from_ms: MIDNIGHT_MS + DAY_MS, ..all_by(Step::Hour) };
    let rows = totals(&fixture.rollups, &second).unwrap().rows;
    assert_eq!(
        rows,
        expected.rows.into_iter().filter(|row| row.at.as_deref() >= Some("2024-10-05")).collect::<Vec<_>>()
    );
    // Nothing finer than the day is kept: it counts whole, and the report says so.
    let part = Query { from_ms: MIDNIGHT_MS + DAY_MS / 2, to_ms: MIDNIGHT_MS + DAY_MS, ..all_by(Step::None) };
    let report = totals(&fixture.rollups, &part).unwrap();
    assert_eq!((report.from.as_str(), report.to.as_str()), ("2024-10-04T00:00:00.000Z", "2024-10-05T00:00:00.000Z"));
    assert_eq!(report.totals.attempts, scanned_of_first_day());

    fixture.rollups.retain(&Retention { days: days(1), hours: days(1), records: days(1), ..retention }, now_ms);
    assert_eq!(names(), Vec::<String>::new());
    assert_eq!(totals(&fixture.rollups, &all_by(Step::Day)).unwrap().rows, []);
}

fn scanned_of_first_day() -> u64 {
    (0..144_u64).filter(|n| !(n * 31).is_multiple_of(11)).count() as u64
}
