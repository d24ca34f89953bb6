//! Changes of the state whose commits break off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::super::Store;
use super::super::tests::{connection, master};
use super::*;

/// It once went round and round, committing nothing.
#[test]
fn a_change_whose_commit_broke_off_with_that_of_another_is_refused() {
    const FIRST: usize = 1;
    const SECOND: usize = 2;
    let dir = tempfile::tempdir().unwrap();
    let (asked, armed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (first, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&armed));
    let (counted, begun) = (Arc::clone(&asked), Arc::clone(&first));
    // The first commit waits until two more wait for theirs; the second, of both together, breaks off.
    let free = move |_: &Path| {
        if go_on.load(Ordering::SeqCst) == 0 {
            return Ok(u64::MAX);
        }
        match counted.fetch_add(1, Ordering::SeqCst) + 1 {
            FIRST => {
                begun.store(1, Ordering::SeqCst);
                while go_on.load(Ordering::SeqCst) == 1 {
                    thread::yield_now();
                }
            }
            SECOND => panic!("as a fault would"),
            n => assert!(n < 100, "nothing is left to commit"),
        }
        Ok(u64::MAX)
    };
    let store = Store::open_on(dir.path(), &[master()], Arc::new(free)).unwrap();
    armed.store(1, Ordering::SeqCst);
    let put = |id| store.connections().put(&connection(&store, id));
    thread::scope(|scope| {
        let held = scope.spawn(|| put("openai:held"));
        while first.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let both = ["openai:a", "openai:b"].map(|id| scope.spawn(move || put(id)));
        while locked(&store.state.waiting).len() < 2 {
            thread::yield_now();
        }
        armed.store(2, Ordering::SeqCst);
        held.join().unwrap().unwrap();
        let (broken, refused): (Vec<_>, Vec<_>) =
            both.into_iter().map(thread::ScopedJoinHandle::join).partition(Result::is_err);
        assert_eq!((broken.len(), refused.len()), (1, 1));
        assert_eq!(refused[0].as_ref().unwrap(), &Err(StoreError::broken_off()));
    });
    put("openai:after").unwrap();
    drop(store);
    let ids: Vec<_> = Store::open(dir.path(), &master()).unwrap().connections().list().unwrap();
    let ids: Vec<_> = ids.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["openai:after", "openai:held"]);
}
