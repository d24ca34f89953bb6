//! Usage records in segments: searched by time and by page, forgotten by the day.

use std::sync::Arc;
use std::time::Instant;

use super::super::block::tests::{DAY_MS, NOON_MS, sample, sample_records};
use super::super::disk;
use super::*;
use crate::api::RecordOrder;

struct Fixture {
    usage: Usage,
    dir: tempfile::TempDir,
}

fn usage_with(bytes_max: u64) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(dir.path(), disk::free_bytes()).unwrap();
    let segments = Segments::open(&dir.path().join("usage"), disk, Notices::default(), bytes_max).unwrap();
    Fixture { usage: Usage { segments }, dir }
}

fn usage() -> Fixture {
    usage_with(bounds::USAGE_SEGMENT_BYTES_MAX)
}

impl Fixture {
    fn scanned(&self, from_ms: i64, to_ms: i64) -> Vec<RecordId> {
        let mut seen = Vec::new();
        let visitor = |record: &UsageRecord| {
            seen.push(record.id);
            ControlFlow::Continue(())
        };
        self.usage.scan(from_ms, to_ms, visitor).unwrap();
        seen.sort();
        seen
    }

    fn segments(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("usage")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// All pages of a size, one after the other.
    fn paged(&self, limit: usize, filter: impl Fn(&UsageRecord) -> bool) -> Vec<RecordId> {
        self.asked(Ask { limit, ..Ask::default() }, filter)
    }

    fn asked(&self, mut ask: Ask, filter: impl Fn(&UsageRecord) -> bool) -> Vec<RecordId> {
        let mut all = Vec::new();
        loop {
            let page = self.usage.page(ask, &filter).unwrap();
            assert!(page.records.len() <= ask.limit);
            all.extend(page.records.iter().map(|record| record.id));
            ask.after = page.next;
            if ask.after.is_none() {
                return all;
            }
        }
    }
}

fn ids(records: &[UsageRecord]) -> Vec<RecordId> {
    records.iter().map(|record| record.id).collect()
}

/// Records of three days that overlap as they do in life: a long call begins early and is recorded late.
fn overlapping() -> Vec<UsageRecord> {
    let spread = |n: u64| NOON_MS - DAY_MS + i64::try_from(n).unwrap() * 259_200;
    let early = |n: u64| if n.is_multiple_of(7) { 600_000 } else { i64::try_from(n % 5).unwrap() * 40 };
    (0..1_000).map(|n| sample(spread(n) - early(n), n)).collect()
}

#[test]
fn a_scan_sees_exactly_the_records_of_its_time() {
    let fixture = usage();
    let records = sample_records(600);
    records.chunks(70).for_each(|chunk| fixture.usage.append(chunk).map(drop).map(drop).unwrap());
    let (from_ms, to_ms) = (records[100].at_ms, records[500].at_ms);
    assert_eq!(fixture.scanned(from_ms, to_ms), ids(&records[100..500]));
    assert_eq!(fixture.scanned(0, i64::MAX), ids(&records));
    assert_eq!(fixture.scanned(to_ms, to_ms), []);
    let mut seen = 0;
    let first_only = |_: &UsageRecord| {
        seen += 1;
        ControlFlow::Break(())
    };
    fixture.usage.scan(0, i64::MAX, first_only).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn pages_are_newest_first_and_leave_nothing_out_at_any_size() {
    let fixture = usage();
    let records = overlapping();
    records.chunks(37).for_each(|chunk| fixture.usage.append(chunk).map(drop).map(drop).unwrap());
    let mut newest_first = ids(&records);
    newest_first.sort_by(|one, other| other.cmp(one));
    for limit in [3, 7, 100, 1_000] {
        assert_eq!(fixture.paged(limit, |_| true), newest_first, "{limit} a page");
    }
    let streamed = |record: &UsageRecord| record.stream;
    let mut expected: Vec<_> = records.iter().filter(|record| streamed(record)).map(|record| record.id).collect();
    expected.sort_by(|one, other| other.cmp(one));
    assert_eq!(fixture.paged(10, streamed), expected);
}

#[test]
fn pages_go_either_way_and_keep_to_their_time() {
    let fixture = usage();
    let records = overlapping();
    records.chunks(37).for_each(|chunk| fixture.usage.append(chunk).map(drop).unwrap());
    let mut oldest_first = ids(&records);
    oldest_first.sort();
    let (from_ms, to_ms) = (NOON_MS - DAY_MS / 2, NOON_MS + DAY_MS / 3);
    let within = |record: &&UsageRecord| (from_ms..to_ms).contains(&record.at_ms);
    let mut some: Vec<_> = records.iter().filter(within).map(|record| record.id).collect();
    some.sort();
    assert!(some.len() > 100 && some.len() < 900, "{}", some.len());
    for limit in [3, 100, 1_000] {
        let oldest = Ask { order: RecordOrder::Oldest, limit, ..Ask::default() };
        assert_eq!(fixture.asked(oldest, |_| true), oldest_first, "{limit} a page");
        assert_eq!(fixture.asked(Ask { from_ms, to_ms, ..oldest }, |_| true), some, "{limit} a page");
        let mut newest = fixture.asked(Ask { from_ms, to_ms, order: RecordOrder::Newest, ..oldest }, |_| true);
        newest.reverse();
        assert_eq!(newest, some, "{limit} a page");
    }
}

/// A long call begins while one part of a day is written, and is recorded in the next one.
#[test]
fn a_record_that_comes_late_into_another_part_of_its_day_is_on_its_page() {
    let fixture = usage_with(10_000);
    let mut records = sample_records(1_500);
    let late: Vec<_> = [20, 270, 800].map(|at| records.remove(at)).to_vec();
    records.chunks(250).for_each(|chunk| fixture.usage.append(chunk).map(drop).unwrap());
    fixture.usage.append(&late).unwrap();
    assert!(fixture.segments().len() > 1);
    let mut all = ids(&[records, late].concat());
    all.sort();
    for limit in [7, 300] {
        assert_eq!(fixture.asked(Ask { order: RecordOrder::Oldest, limit, ..Ask::default() }, |_| true), all);
        let mut newest = fixture.paged(limit, |_| true);
        newest.reverse();
        assert_eq!(newest, all);
    }
}

#[test]
fn days_have_segments_of_their_own_and_are_forgotten_as_directories() {
    let fixture = usage();
    let records: Vec<_> = (0..4).map(|day| sample(NOON_MS + day * DAY_MS, day.unsigned_abs())).collect();
    fixture.usage.append(&records).unwrap();
    assert_eq!(fixture.segments(), ["2024-10-04.00", "2024-10-05.00", "2024-10-06.00", "2024-10-07.00"]);
    assert_eq!(fixture.usage.retain_from(NOON_MS).unwrap(), 0, "the day's segment holds later records too");
    assert_eq!(fixture.usage.retain_from(NOON_MS + 2 * DAY_MS).unwrap(), 2);
    assert_eq!(fixture.segments(), ["2024-10-06.00", "2024-10-07.00"]);
    assert_eq!(fixture.scanned(0, i64::MAX), ids(&records[2..]));
    fixture.usage.append(&records[..1]).unwrap();
    assert_eq!(fixture.scanned(0, i64::MAX).len(), 3, "a late record opens its day again");
}

#[test]
fn a_segment_at_its_bound_is_followed_by_another_part() {
    let fixture = usage_with(10_000);
    let records = sample_records(1_500);
    records.chunks(250).for_each(|chunk| fixture.usage.append(chunk).map(drop).map(drop).unwrap());
    assert_eq!(fixture.segments(), ["2024-10-04.00", "2024-10-04.01", "2024-10-04.02"]);
    assert_eq!(fixture.scanned(0, i64::MAX), ids(&records));
}

#[test]
fn appending_the_same_records_again_doubles_none() {
    let fixture = usage();
    let records = sample_records(600);
    for _ in 0..2 {
        fixture.usage.append(&records).unwrap();
    }
    assert_eq!(fixture.scanned(0, i64::MAX), ids(&records));
}

#[test]
fn the_records_of_a_request_are_found_among_others() {
    let fixture = usage();
    let mut records = sample_records(500);
    let attempt = |n: u128| {
        let first = &records[250];
        UsageRecord { id: RecordId(first.request_id.as_u128() + n), ..first.clone() }
    };
    let attempts = [attempt(2), attempt(3)];
    let request_id = records[250].request_id;
    records.extend(attempts);
    records.chunks(100).for_each(|chunk| fixture.usage.append(chunk).map(drop).map(drop).unwrap());
    let found = fixture.usage.of_request(request_id).unwrap();
    assert_eq!(ids(&found), [250, 500, 501].map(|n: usize| records[n].id));
    assert_eq!(fixture.usage.of_request(RequestId::from_parts(1, 1)).unwrap(), []);
}

#[test]
fn an_id_without_a_time_in_it_is_found_all_the_same() {
    let fixture = usage();
    let odd = UsageRecord { id: RecordId(7), ..sample(NOON_MS, 1) };
    fixture.usage.append(std::slice::from_ref(&odd)).unwrap();
    assert_eq!(fixture.scanned(NOON_MS, NOON_MS + 1), [RecordId(7)]);
    assert_eq!(fixture.paged(10, |_| true), [RecordId(7)]);
}

#[test]
fn searches_and_appends_over_many_days_do_not_disturb_each_other() {
    let fixture = Arc::new(usage());
    let day = |n: i64| (0..50).map(move |ms| sample(NOON_MS + n * DAY_MS + ms, (n * 50 + ms).unsigned_abs()));
    let first: Vec<_> = (0..4).flat_map(day).collect();
    fixture.usage.append(&first).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let seen = fixture.scanned(0, i64::MAX);
                    assert!(ids(&first).iter().all(|id| seen.contains(id)));
                    assert!(fixture.paged(60, |_| true).len() >= first.len());
                }
            });
        }
        scope.spawn(|| {
            (4..10).for_each(|n| fixture.usage.append(&day(n).collect::<Vec<_>>()).map(drop).map(drop).unwrap())
        });
        scope.spawn(|| {
            (0..4).for_each(|n| fixture.usage.append(&first[n * 50..n * 50 + 50]).map(drop).map(drop).unwrap())
        });
    });
    assert_eq!(fixture.scanned(0, i64::MAX).len(), 500);
    assert_eq!(fixture.segments().len(), 10);
}

/// What STORE and the goals ask for, printed: bytes on disk, and what opening and reading cost.
#[test]
fn a_hundred_thousand_records_are_small_on_disk() {
    let fixture = usage();
    let records = sample_records(100_000);
    let begun = Instant::now();
    records.chunks(1_000).for_each(|chunk| fixture.usage.append(chunk).map(drop).map(drop).unwrap());
    let appended = begun.elapsed();
    let bytes = on_disk(&fixture.dir.path().join("usage"));
    drop(fixture.usage);
    let disk = Disk::new(fixture.dir.path(), disk::free_bytes()).unwrap();
    let begun = Instant::now();
    let segments = Segments::open(&fixture.dir.path().join("usage"), disk, Notices::default(), u64::MAX).unwrap();
    let again = Fixture { usage: Usage { segments }, dir: fixture.dir };
    again.usage.page(Ask { limit: 1, ..Ask::default() }, |_| true).unwrap();
    let opened = begun.elapsed();
    let begun = Instant::now();
    assert_eq!(again.scanned(0, i64::MAX).len(), records.len());
    let (read, each) = (begun.elapsed(), bytes / records.len() as u64);
    println!("{each} bytes on disk a record; 100,000 appended in {appended:?}, opened in {opened:?}, read in {read:?}");
    assert!(each < 160, "{each}");
}

fn on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let sizes = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let own = entry.metadata().unwrap().blocks() * 512;
        if entry.file_type().unwrap().is_dir() { own + on_disk(&entry.path()) } else { own }
    });
    sizes.sum()
}
