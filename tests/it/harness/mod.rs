//! The real daemon, as a process of its own, in a temporary directory of its own.
//!
//! ```ignore
//! let fake = FakeProvider::start().await;
//! let bursar = Setup::new().provider("one", &fake.url()).connection("one:a", "priority = 1").start().await;
//! let reply = bursar.call(Call::chat("one/m")).await;
//! let records = bursar.stop().await.records();
//! ```
//!
//! However a daemon ends, [`canary`] then looks for what must be nowhere: its keys, and the text of every prompt.

#![allow(dead_code, reason = "a harness offers more than the tests of one day use")]

pub mod canary;
pub mod client;
mod process;
mod setup;

use std::path::PathBuf;
use std::time::Duration;

use bursar::api::{RecordOrder, RequestId, UsageRecord};
use bursar::credential::MasterKey;
use bursar::store::{OpenError, RecordAsk, Store};
use tempfile::TempDir;

pub use client::{Call, Link, Reply, Streamed};
pub use process::{Bursar, Ended};
pub use setup::{Place, Setup, canary as canary_of_keys, key_of};

/// How long a test waits for what must happen. Far more than it takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what must come about.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Asks again and again until something is so.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let poll = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, poll).await;
}

/// What a daemon left behind: its directory, its log, how it ended.
pub struct Remains {
    pub place: Place,
    pub log: String,
    pub ended: Ended,
}

impl Remains {
    /// The store, opened as the next daemon would.
    pub fn store(&self) -> Store {
        self.opened().expect("the store opens")
    }

    /// The same, or why it does not open.
    pub fn opened(&self) -> Result<Store, OpenError> {
        let key = std::fs::read(self.place.key_file()).expect("the master key");
        let key = MasterKey::parse(&key).expect("a master key");
        Store::open(&self.place.store(), &key)
    }

    /// All records of usage, oldest first.
    pub fn records(&self) -> Vec<UsageRecord> {
        records_of(&self.store())
    }

    /// The records of one request, in the order of its attempts.
    pub fn of_request(&self, id: RequestId) -> Vec<UsageRecord> {
        self.store().usage().of_request(id).expect("records are read")
    }

    /// Starts another daemon on what this one left.
    pub async fn restart(self) -> Bursar {
        Bursar::start(self.place).await
    }
}

/// All records of usage in a store, oldest first.
pub fn records_of(store: &Store) -> Vec<UsageRecord> {
    let mut ask = RecordAsk { order: RecordOrder::Oldest, ..RecordAsk::default() };
    let mut all = Vec::new();
    loop {
        let page = store.usage().page(ask, |_| true).expect("records are read");
        all.extend(page.records);
        ask.after = page.next;
        if ask.after.is_none() {
            return all;
        }
    }
}

/// A directory that nobody else uses.
pub fn directory() -> TempDir {
    tempfile::Builder::new().prefix("bursar-").tempdir().expect("a temporary directory")
}

/// The built program.
pub fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_bursar").into()
}
