//! A store in a temporary directory, with a disk that can be filled, and records to put into it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rollup::Rollups;
use crate::api::usage::RecordId;
use crate::api::{ConnectionId, CostSource, NanoUsd, Operation, Outcome, RequestId, Tokens, UsageRecord};
use crate::config::Retention;
use crate::credential::MasterKey;
use crate::store::Store;

/// Midnight of a day.
pub(super) const MIDNIGHT_MS: i64 = 20_000 * 86_400_000;

pub(super) struct Fixture {
    pub(super) store: Arc<Store>,
    pub(super) rollups: Rollups,
    free: Arc<AtomicU64>,
    pub(super) dir: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(dir: tempfile::TempDir) -> Self {
        let opened = Self::at(dir.path());
        Self { dir, ..opened }
    }

    /// The store of a directory that is somebody else's to remove.
    pub(super) fn at(dir: &Path) -> Self {
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let ask = free.clone();
        let master = MasterKey::parse(b"0123456789abcdef0123456789abcdef").unwrap();
        let free_bytes = Arc::new(move |_: &_| Ok(ask.load(Ordering::SeqCst)));
        let store = Store::open_on(dir, std::slice::from_ref(&master), free_bytes).unwrap();
        let store = Arc::new(store);
        let dir = tempfile::tempdir().unwrap();
        Self { rollups: Rollups::new(Arc::clone(&store)), store, free, dir }
    }

    /// The same after a crash: what was only in memory is gone.
    pub(super) fn crashed(self) -> Self {
        let Self { rollups, store, dir, .. } = self;
        drop((rollups, store));
        Self::open(dir)
    }

    /// The same, of a directory that is somebody else's to remove.
    pub(super) fn crashed_at(self, dir: &Path) -> Self {
        drop(self);
        Self::at(dir)
    }

    /// Stores records and counts them, as the writer does.
    pub(super) fn append(&self, records: &[UsageRecord]) {
        self.rollups.prepare(records);
        let positions = self.store.usage().append(records).unwrap();
        self.rollups.add(records, &positions);
    }

    pub(super) fn fill_the_disk(&self) {
        self.free.store(0, Ordering::SeqCst);
    }

    pub(super) fn empty_the_disk(&self) {
        self.free.store(u64::MAX, Ordering::SeqCst);
    }

    /// The durations of all records that are stored, which tests use to tell them apart.
    pub(super) fn stored(&self) -> Vec<u64> {
        let mut all = Vec::new();
        let visitor = |record: &UsageRecord| {
            all.push(record.duration_ms);
            std::ops::ControlFlow::Continue(())
        };
        self.store.usage().scan(0, i64::MAX, visitor).unwrap();
        all.sort_unstable();
        all
    }
}

/// Stores so many records of each of some days up to a moment and rolls them up, as the writer did while they were made;
/// then what is too old to be kept goes. `called` says which connection the nth went to.
pub(crate) fn fill(
    store: &Arc<Store>,
    until_ms: i64,
    (days, per_day): (i64, u64),
    called: impl Fn(u64) -> ConnectionId,
) {
    const DAY_MS: i64 = 86_400_000;
    let rollups = Rollups::new(Arc::clone(store));
    let apart_ms = DAY_MS / i64::try_from(per_day).unwrap();
    for day in (0..days).rev() {
        let starts_ms = until_ms - (day + 1) * DAY_MS;
        let records: Vec<_> = (0..per_day)
            .map(|n| {
                let at_ms = starts_ms + i64::try_from(n).unwrap() * apart_ms;
                let request_id = RequestId::from_parts(at_ms.cast_unsigned(), u128::from(n + 1) << 8);
                let connection = called(n + day.cast_unsigned() * per_day);
                let provider = Some(connection.provider.clone());
                let id = RecordId(request_id.as_u128());
                UsageRecord { id, request_id, at_ms, provider, connection: Some(connection), ..record(1_000 + n % 700) }
            })
            .collect();
        for batch in records.chunks(1_000) {
            rollups.prepare(batch);
            let positions = store.usage().append(batch).unwrap();
            rollups.add(batch, &positions);
        }
        rollups.keep(starts_ms + DAY_MS);
    }
    rollups.retain(&Retention::default(), until_ms);
    rollups.close();
}

/// A final, successful record that took `n` ms.
pub(super) fn record(n: u64) -> UsageRecord {
    let at_ms = MIDNIGHT_MS + i64::try_from(n).unwrap();
    let request_id = RequestId::from_parts(u64::try_from(at_ms).unwrap(), u128::from(n) << 8);
    UsageRecord {
        id: RecordId(request_id.as_u128()),
        request_id,
        at_ms,
        is_final: true,
        app: "shop".parse().unwrap(),
        feature: "auto-translation".parse().unwrap(),
        provider: Some("openai".parse().unwrap()),
        connection: Some("openai:main".parse().unwrap()),
        model: "fast".into(),
        model_sent: Some("gpt-4.1-mini".into()),
        model_served: Some("gpt-4.1-mini".into()),
        operation: Operation::Chat,
        stream: false,
        outcome: Outcome::Ok,
        status: Some(200),
        tokens: Tokens { input: Some(10), output: Some(5), ..Tokens::default() },
        cost: Some(NanoUsd(12_000)),
        cost_source: Some(CostSource::Prices),
        estimated: false,
        partial: false,
        ttft_ms: Some(100),
        duration_ms: n,
        error: None,
    }
}
