//! Reports from rollups are what the records say, whatever happened to either on the way.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::query::{Query, totals};
use super::super::testing::{Fixture, MIDNIGHT_MS, record};
use super::*;
use crate::api::usage::{RecordId, Step, UsageFigures};
use crate::api::{NanoUsd, Outcome, RequestId, Tokens};
use crate::usage::tally::Tally;

pub(super) const DAY_MS: i64 = 86_400_000;
pub(in crate::usage) const STEPS: [Step; 4] = [Step::None, Step::Minute, Step::Hour, Step::Day];

impl Rollups {
    /// Writes what waits, whether it is due or not; also by the hour.
    pub(in crate::usage) fn write_now(&self, hours: bool) {
        for day in self.state().days.values_mut() {
            day.write_minutes().unwrap();
            if hours {
                day.write_hours().unwrap();
            }
        }
    }
}

/// A record of one of few combinations, so many milliseconds after midnight of the first day.
pub(super) fn some(n: u64, after_ms: i64, kind: u64) -> UsageRecord {
    let at_ms = MIDNIGHT_MS + after_ms;
    let request_id = RequestId::from_parts(at_ms.cast_unsigned(), u128::from(n) << 8);
    let failed = kind.is_multiple_of(7);
    let nowhere = kind.is_multiple_of(11);
    UsageRecord {
        id: RecordId(request_id.as_u128() + 1),
        request_id,
        at_ms,
        is_final: !failed || kind.is_multiple_of(2),
        app: ["shop", "translator"][(kind % 2) as usize].parse().unwrap(),
        feature: ["a", "b", "c"][(kind % 3) as usize].parse().unwrap(),
        connection: (!nowhere)
            .then(|| ["openai:main", "openai:spare", "gemini:main"][(kind % 3) as usize].parse().unwrap()),
        provider: (!nowhere).then(|| ["openai", "openai", "gemini"][(kind % 3) as usize].parse().unwrap()),
        model_served: (!kind.is_multiple_of(5)).then(|| format!("model-{}", kind % 4)),
        outcome: if failed { Outcome::RateShort } else { Outcome::Ok },
        tokens: Tokens { input: (!kind.is_multiple_of(4)).then_some(kind), output: Some(n % 90), ..Tokens::default() },
        cost: (!kind.is_multiple_of(3)).then(|| NanoUsd(kind * 1_000 + n)),
        ttft_ms: (!kind.is_multiple_of(2)).then_some(kind * 37 % 900),
        duration_ms: kind * 91 % 40_000,
        ..record(n)
    }
}

/// A report's rows by time and labels.
type Rows = BTreeMap<(Option<i64>, Vec<Option<String>>), UsageFigures>;

/// What the records say, row by row, and all together.
fn scanned(fixture: &Fixture, query: &Query) -> (Rows, UsageFigures) {
    let (mut groups, mut all) = (BTreeMap::<_, Tally>::new(), Tally::default());
    let visitor = |record: &UsageRecord| {
        if query.takes(record) {
            let at = query.step.ms().map(|width| record.at_ms.div_euclid(width) * width);
            let label = |dimension: &Dimension| {
                Some(match dimension {
                    Dimension::Connection => record.connection.as_ref()?.to_string(),
                    Dimension::Provider => record.provider.as_ref()?.to_string(),
                    Dimension::Model => record.model_served.clone().unwrap_or(record.model.clone()),
                    Dimension::Feature => record.feature.to_string(),
                    Dimension::App => record.app.to_string(),
                    Dimension::Outcome => record.outcome.name().to_owned(),
                })
            };
            groups.entry((at, query.by.iter().map(label).collect())).or_default().add(record);
            all.add(record);
        }
        ControlFlow::Continue(())
    };
    fixture.store.usage().scan(query.from_ms, query.to_ms, visitor).unwrap();
    (groups.into_iter().map(|(group, tally)| (group, tally.figures())).collect(), all.figures())
}

pub(in crate::usage) fn assert_as_scanned(fixture: &Fixture, query: &Query) {
    let report = totals(&fixture.rollups, query).unwrap();
    let (groups, all) = scanned(fixture, query);
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            let at = row.at.as_deref().map(|at| at.parse::<jiff::Timestamp>().unwrap().as_millisecond());
            ((at, query.by.iter().map(|one| row.labels[one].clone()).collect::<Vec<_>>()), row.figures)
        })
        .collect();
    assert_eq!(rows, groups.into_iter().collect::<Vec<_>>(), "{query:?}");
    assert_eq!(report.totals, all, "{query:?}");
    assert_eq!(report.from, crate::api::usage::timestamp(query.from_ms));
}

/// What happens between two commits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Nothing,
    Minutes,
    Hours,
    Complete,
    Crash,
    Close,
    Lost,
    Anew,
}

pub(super) fn happen(fixture: Fixture, event: Event) -> Fixture {
    let rollups = &fixture.rollups;
    let days: Vec<i64> = rollups.state().days.keys().copied().collect();
    match event {
        Event::Nothing => {}
        Event::Minutes => rollups.state().days.values_mut().for_each(|day| day.write_minutes().unwrap()),
        Event::Hours => rollups.state().days.values_mut().for_each(|day| {
            day.write_minutes().unwrap();
            day.write_hours().unwrap();
        }),
        Event::Complete => days.iter().for_each(|&day| rollups.complete(&mut rollups.state(), day)),
        Event::Crash => return fixture.crashed(),
        Event::Close => {
            rollups.close();
            return fixture.crashed();
        }
        Event::Lost => {
            let dirs: Vec<PathBuf> = rollup_dirs(&fixture);
            dirs.iter().take(1).for_each(|dir| fs::remove_dir_all(dir).unwrap());
            return fixture.crashed();
        }
        Event::Anew => days.iter().for_each(|&day| rollups.replace(day, false).unwrap()),
    }
    fixture
}

pub(super) fn rollup_dirs(fixture: &Fixture) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture.dir.path().join("usage")).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(".rollups")).collect();
    dirs.sort();
    dirs
}

fn any_event() -> impl Strategy<Value = Event> {
    use Event::{Anew, Close, Complete, Crash, Hours, Lost, Minutes, Nothing};
    prop_oneof![
        4 => Just(Nothing), 2 => Just(Minutes), 2 => Just(Hours), 1 => Just(Complete),
        1 => Just(Crash), 1 => Just(Close), 1 => Just(Lost), 1 => Just(Anew),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    let by = proptest::sample::subsequence(Dimension::ALL.to_vec(), 0..4);
    let filters = proptest::sample::subsequence(
        vec![
            (Dimension::App, "shop".to_owned()),
            (Dimension::Connection, "openai:main".to_owned()),
            (Dimension::Connection, "gemini:main".to_owned()),
            (Dimension::Outcome, "ok".to_owned()),
            (Dimension::Model, "model-2".to_owned()),
        ],
        0..3,
    );
    // Edges at full minutes, hours and days, and anywhere.
    let edge = (0..4 * DAY_MS, proptest::sample::select(vec![1, 60_000, 3_600_000, DAY_MS]));
    let edge = edge.prop_map(|(at, grain)| MIDNIGHT_MS - DAY_MS / 2 + at / grain * grain);
    (edge.clone(), edge, by, 0..STEPS.len(), filters).prop_map(|(one, other, by, step, filters)| Query {
        from_ms: one.min(other),
        to_ms: one.max(other) + 1,
        by,
        step: STEPS[step],
        filters,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("BURSAR_ROLLUPS").ok().and_then(|count| count.parse().ok()).unwrap_or(12)
    ))]

    #[test]
    fn a_report_is_what_the_records_say(
        commits in proptest::collection::vec(
            (proptest::collection::vec((0..110_000_000_i64, any::<u32>()), 1..40), any_event()), 1..8
        ),
        queries in proptest::collection::vec(any_query(), 6),
    ) {
        let mut fixture = Fixture::new();
        let mut n = 0;
        for (records, event) in commits {
            let record = |(after_ms, kind): (i64, u32)| {
                n += 1;
                some(n, after_ms, kind.into())
            };
            let records: Vec<_> = records.into_iter().map(record).collect();
            fixture.append(&records);
            fixture = happen(fixture, event);
        }
        for query in queries {
            assert_as_scanned(&fixture, &query);
        }
        for step in STEPS {
            let all = Query { from_ms: 0, to_ms: i64::MAX, step, ..Query::default() };
            assert_as_scanned(&fixture, &all);
        }
    }
}

/// Three days with a record every ten minutes.
pub(super) fn three_days() -> Fixture {
    let fixture = Fixture::new();
    let records: Vec<_> = (0..432).map(|n| some(n, i64::try_from(n).unwrap() * 600_000, n * 31)).collect();
    records.chunks(50).for_each(|chunk| fixture.append(chunk));
    fixture
}

/// Three days as a kill left them: two are complete, and of the third some is by the hour, some by the minute, and some
/// not counted at all. The first began with so many calls of a kind that their times are a run.
pub(in crate::usage) fn three_days_half_written() -> Fixture {
    let fixture = Fixture::new();
    let busy = |n: u64| {
        let (duration_ms, ttft_ms) = (80 + n * 7 % 60 * (n % 3), Some(20 + n % 40));
        UsageRecord {
            duration_ms,
            ttft_ms,
            estimated: n.is_multiple_of(5),
            ..some(1_000 + n, n.cast_signed() * 400, 1)
        }
    };
    fixture.append(&(0..400).map(busy).collect::<Vec<_>>());
    let records: Vec<_> = (0..432).map(|n| some(n, i64::try_from(n).unwrap() * 600_000, n * 31)).collect();
    for (n, chunk) in records.chunks(48).enumerate() {
        fixture.append(chunk);
        if n < 8 {
            fixture.rollups.write_now(n < 7);
        }
    }
    for day in [MIDNIGHT_MS / DAY_MS, MIDNIGHT_MS / DAY_MS + 1] {
        fixture.rollups.complete(&mut fixture.rollups.state(), day);
    }
    fixture
}

pub(super) fn all_by(step: Step) -> Query {
    Query {
        from_ms: MIDNIGHT_MS,
        to_ms: MIDNIGHT_MS + 3 * DAY_MS,
        by: vec![Dimension::Connection],
        step,
        ..Query::default()
    }
}

pub(super) fn complete_all(fixture: &Fixture) {
    let days: Vec<i64> = fixture.rollups.state().days.keys().copied().collect();
    days.iter().for_each(|&day| fixture.rollups.complete(&mut fixture.rollups.state(), day));
    assert!(fixture.rollups.state().days.is_empty());
}

/// The same sums three times: from records, minutes, hours and days.
#[test]
fn records_minutes_hours_and_days_amount_to_the_same() {
    let fixture = three_days();
    complete_all(&fixture);
    let sums = STEPS.map(|step| totals(&fixture.rollups, &all_by(step)).unwrap().totals);
    let (_, scanned) = scanned(&fixture, &all_by(Step::None));
    assert_eq!(sums, [scanned; 4]);
    assert_eq!(scanned.requests + 31, 432, "and they are not nothing");
}

pub(super) fn happen_all_and_check(mut fixture: Fixture) {
    for event in [Event::Minutes, Event::Crash, Event::Hours, Event::Crash, Event::Complete, Event::Crash] {
        fixture = happen(fixture, event);
        STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    }
    assert_eq!(fixture.store.notices(), Vec::<String>::new());
}

/// The hours that stand in the frames of a day's file, frame by frame.
fn hours_in_frames(fixture: &Fixture, day: i64) -> Vec<i64> {
    let rollups = fixture.store.rollups();
    let [_, hours, _] = rollups.lengths(day).unwrap().unwrap();
    let mut all = Vec::new();
    let see = |head: &crate::store::Head| {
        all.extend((head.first_ms..=head.last_ms).step_by(3_600_000));
        None
    };
    rollups.frames(day, Tier::Hours, hours).unwrap().read(see, |_, _| Ok(())).unwrap();
    all
}

#[test]
fn a_day_that_is_over_has_each_hour_once_in_few_frames() {
    let fixture = Fixture::new();
    let records: Vec<_> = (0..144).map(|n| some(n, i64::try_from(n).unwrap() * 600_000, n * 31)).collect();
    for chunk in records.chunks(9) {
        fixture.append(chunk);
        // In the middle of each second hour.
        fixture.rollups.write_now(true);
    }
    let day = MIDNIGHT_MS / DAY_MS;
    let file = rollup_dirs(&fixture).remove(0).join("hours");
    let before = fs::metadata(&file).unwrap().len();
    complete_all(&fixture);
    let each_hour: Vec<_> = (0..24).map(|hour| MIDNIGHT_MS + hour * 3_600_000).collect();
    assert_eq!(hours_in_frames(&fixture, day), each_hour);
    assert!(fs::metadata(&file).unwrap().len() < before / 2, "and takes less room");
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    // One that comes late is gone on with, and gathered again.
    fixture.append(&[some(9_999, 700_001, 3)]);
    happen_all_and_check(fixture);
}

#[test]
fn a_record_that_comes_late_is_counted_in_its_day() {
    let fixture = three_days();
    complete_all(&fixture);
    fixture.append(&[some(9_999, 700_001, 3)]);
    STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
    happen_all_and_check(fixture);
}

#[test]
fn what_is_counted_twice_counts_once() {
    let fixture = Fixture::new();
    let records: Vec<_> = (0..30).map(|n| some(n, 1_000 + n.cast_signed(), n)).collect();
    fixture.rollups.prepare(&records);
    let positions = fixture.store.usage().append(&records).unwrap();
    for _ in 0..3 {
        fixture.rollups.add(&records, &positions);
    }
    assert_as_scanned(&fixture, &all_by(Step::Minute));
}

#[test]
fn changed_costs_are_in_the_records_and_in_the_rollups() {
    let mut fixture = three_days();
    fixture.rollups.complete(&mut fixture.rollups.state(), MIDNIGHT_MS / DAY_MS);
    let span = MIDNIGHT_MS + DAY_MS / 2..MIDNIGHT_MS + 2 * DAY_MS;
    let change = |record: &UsageRecord| {
        (record.cost == Some(NanoUsd(0)) || record.cost.is_none())
            .then(|| UsageRecord { cost: Some(NanoUsd(5_000_000)), ..record.clone() })
    };
    let changes = fixture.rollups.change(&span, change).unwrap();
    let (_, expected) = scanned(&fixture, &all_by(Step::None));
    assert_eq!((changes.records, changes.changed), (216, 72));
    assert!(expected.cost_usd.0 > 72 * 5_000_000);
    for _ in 0..2 {
        STEPS.iter().for_each(|&step| assert_as_scanned(&fixture, &all_by(step)));
        fixture = fixture.crashed();
    }
    assert_eq!(fixture.rollups.change(&span, change).unwrap(), Changes { records: 216, changed: 0 });
}

#[test]
fn an_app_that_invents_features_gets_other_and_a_warning() {
    let fixture = Fixture::new();
    let records: Vec<_> = (0..1_000)
        .map(|n| UsageRecord { feature: format!("f{n}").parse().unwrap(), ..some(n, n.cast_signed() * 50_000, 1) })
        .collect();
    records.chunks(100).for_each(|chunk| fixture.append(chunk));
    let by_feature = |from_ms| Query { from_ms, by: vec![Dimension::Feature], ..all_by(Step::None) };
    let whole = totals(&fixture.rollups, &by_feature(MIDNIGHT_MS)).unwrap();
    assert_eq!(whole.rows.len(), bounds::ROLLUP_LABELS_PER_APP_MAX + 1);
    let other = |report: &crate::api::usage::UsageReport| {
        let is_other = |row: &&crate::api::usage::UsageRow| row.labels[&Dimension::Feature].as_deref() == Some("other");
        report.rows.iter().find(is_other).unwrap().figures.attempts
    };
    assert_eq!(other(&whole), 800);
    let notices = fixture.store.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].starts_with("the app translator uses more than 200 features or models"), "{notices:?}");
    // Where records stand in for sums, they are counted alike: the last second of the first ten hours is one's own.
    let page = fixture.store.usage().of_request(records[999].request_id).unwrap();
    assert_eq!(page[0].feature.as_str(), "f999", "the record has its own label");
    let cut = totals(&fixture.rollups, &by_feature(MIDNIGHT_MS + 50_001)).unwrap();
    assert_eq!((other(&cut), cut.totals.attempts), (800, 998));
    complete_all(&fixture);
    assert_eq!(totals(&fixture.rollups, &by_feature(MIDNIGHT_MS)).unwrap(), whole);
    assert_eq!(totals(&fixture.rollups, &by_feature(MIDNIGHT_MS + 50_001)).unwrap(), cut);
}
