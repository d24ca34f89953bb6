//! Both ends of the queue over a real store.

use std::sync::Barrier;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::testing::{Fixture, record};
use super::*;
use crate::api::usage::Step;

fn start(fixture: &Fixture) -> (Recorder, JoinHandle<()>) {
    let (recorder, writer) = recorder(fixture.store.clone());
    (recorder, thread::spawn(move || writer.run()))
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_recorded_is_stored_within_the_interval_and_at_once_when_asked_for() {
    let fixture = Fixture::new();
    let (recorder, writer) = start(&fixture);
    recorder.record(record(1));
    eventually("the interval passes", || fixture.stored() == [1]);
    let begun = Instant::now();
    recorder.record(record(2));
    recorder.flush().wait().unwrap();
    assert_eq!(fixture.stored(), [1, 2]);
    assert!(begun.elapsed() < bounds::USAGE_BLOCK_INTERVAL, "a flush does not wait for the interval");
    recorder.flush().wait().unwrap();
    assert_eq!((recorder.queued(), recorder.lost()), (0, 0));
    recorder.close();
    writer.join().unwrap();
}

#[tokio::test]
async fn a_durable_record_is_stored_when_its_receipt_comes() {
    let fixture = Fixture::new();
    let (recorder, writer) = start(&fixture);
    for n in 1..=5 {
        recorder.record_durable(record(n)).await.unwrap();
        assert_eq!(fixture.stored().len() as u64, n);
    }
    recorder.close();
    writer.join().unwrap();
}

#[test]
fn many_threads_record_and_nothing_is_lost_or_doubled() {
    let fixture = Fixture::new();
    let (recorder, writer) = start(&fixture);
    let together = Arc::new(Barrier::new(4));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (recorder, together) = (recorder.clone(), together.clone());
            scope.spawn(move || {
                together.wait();
                (0..1_000).for_each(|n| recorder.record(record(thread * 1_000 + n)));
            });
        }
    });
    recorder.close();
    writer.join().unwrap();
    assert_eq!(fixture.stored(), (0..4_000).collect::<Vec<_>>());
    assert_eq!((recorder.queued(), recorder.lost()), (0, 0));
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts_them_and_never_blocks() {
    let fixture = Fixture::new();
    let (recorder, writer) = recorder(fixture.store.clone());
    let most = bounds::USAGE_QUEUE_MAX as u64;
    let begun = Instant::now();
    (0..most + 7).for_each(|n| recorder.record(record(n)));
    println!("{} records queued in {:?}", most + 7, begun.elapsed());
    assert_eq!((recorder.queued() as u64, recorder.lost()), (most, 7));
    recorder.close();
    writer.run();
    assert_eq!(fixture.stored(), (7..most + 7).collect::<Vec<_>>());
    recorder.record(record(1));
    assert_eq!(recorder.lost(), 8, "what comes after the end is counted too");
    assert_eq!(recorder.flush().wait(), Err(NotDurable::Closed));
}

#[test]
fn while_the_disk_is_full_records_are_kept_and_then_stored_once() {
    let fixture = Fixture::new();
    let (recorder, writer) = start(&fixture);
    fixture.fill_the_disk();
    assert_eq!(recorder.record_durable(record(1)).wait(), Err(NotDurable::Held));
    let begun = Instant::now();
    (2..100).for_each(|n| recorder.record(record(n)));
    assert_eq!(recorder.record_durable(record(100)).wait(), Err(NotDurable::Held), "a reply is not held up");
    assert_eq!(recorder.flush().wait(), Err(NotDurable::Held));
    assert!(begun.elapsed() < bounds::USAGE_RETRY_PAUSE);
    assert_eq!((recorder.queued(), recorder.lost(), fixture.stored().len()), (100, 0, 0));

    fixture.empty_the_disk();
    eventually("the writer tries again by itself", || recorder.queued() == 0);
    assert_eq!(fixture.stored(), (1..=100).collect::<Vec<_>>());
    recorder.record_durable(record(101)).wait().unwrap();
    recorder.close();
    writer.join().unwrap();
}

/// A disk that is full for long: the ring keeps what it holds, the rest is counted, and what comes to the disk in the end
/// is counted right.
#[test]
fn what_a_full_disk_leaves_no_room_for_is_counted_and_the_rest_is_rolled_up() {
    let fixture = Fixture::new();
    let (recorder, writer) = start(&fixture);
    recorder.record_durable(record(0)).wait().unwrap();
    fixture.fill_the_disk();
    assert_eq!(recorder.record_durable(record(1)).wait(), Err(NotDurable::Held));
    let most = bounds::USAGE_QUEUE_MAX as u64;
    (2..most + 502).for_each(|n| recorder.record(record(n)));
    assert_eq!((recorder.queued() as u64, recorder.lost()), (most + 1, 500));
    fixture.empty_the_disk();
    eventually("the writer tries again by itself", || recorder.queued() == 0);
    let query = |step| super::super::Query { to_ms: i64::MAX, step, ..super::super::Query::default() };
    for step in [Step::None, Step::Minute, Step::Hour, Step::Day] {
        let totals = super::super::totals(recorder.rollups(), &query(step)).unwrap().totals;
        assert_eq!((totals.requests, recorder.lost()), (most + 2, 500));
    }
    recorder.close();
    writer.join().unwrap();
    assert_eq!(fixture.stored().len() as u64, most + 2);
}

#[test]
fn what_cannot_be_stored_at_the_end_is_counted() {
    let fixture = Fixture::new();
    let (recorder, writer) = start(&fixture);
    fixture.fill_the_disk();
    (0..10).for_each(|n| recorder.record(record(n)));
    recorder.close();
    writer.join().unwrap();
    assert_eq!((recorder.queued(), recorder.lost()), (0, 10));
}

#[test]
fn nobody_waits_for_a_writer_that_is_gone() {
    let fixture = Fixture::new();
    let (recorder, writer) = recorder(fixture.store.clone());
    let receipt = recorder.record_durable(record(1));
    drop(writer);
    assert_eq!(receipt.wait(), Err(NotDurable::Closed));
    assert_eq!(recorder.lost(), 1);
}
