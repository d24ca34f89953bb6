//! What all requests share, and what it tells whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::trace::Traces;
use super::trace_context::TraceContext;
use crate::adapter::text::sanitised;
use crate::api::admin::{Event, EventKind};
use crate::api::{Moment, RequestId, UsageRecord};
use crate::clock::{Clock, Now};
use crate::connection::admission::Admission;
use crate::connection::{Connection, Ended, News};
use crate::credential::Vault;
use crate::events::Events;
use crate::log;
use crate::snapshot::Snapshot;
use crate::upstream::Upstream;
use crate::usage::Recorder;

/// What requests share, all workers together.
pub struct Engine {
    /// What is in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Opens credentials.
    pub vault: Vault,
    /// Takes usage records.
    pub recorder: Recorder,
    /// Tells the time.
    pub clock: Clock,
    /// What is used of limits, and who waits for room.
    pub admission: Admission,
    /// Whether a reply waits for its record to be durable.
    pub durable_each: AtomicBool,
    /// Whether the daemon cuts what still runs.
    pub cutting: AtomicBool,
    /// What happened, for whoever watches.
    pub events: Arc<Events>,
    /// The ways of the last requests.
    pub traces: Traces,
    /// Makes ids unique: random for the process, counted within it.
    pub ids: Ids,
}

/// A worker's own: its way upstream lives on its runtime.
pub struct Worker {
    /// What all workers share.
    pub engine: Arc<Engine>,
    /// The way to providers.
    pub upstream: Upstream,
}

impl Engine {
    /// An id for a request that begins now.
    pub fn next_id(&self) -> RequestId {
        self.ids.next(self.clock.wall_ms())
    }

    /// Takes in how an attempt with a connection ended, and tells whoever watches what that turned.
    pub(super) fn observe(&self, connection: &Connection, ended: &Ended<'_>, now: Now) {
        let Some(news) = connection.observe(ended, now) else { return };
        let (id, said) = (&connection.id, ended.message.unwrap_or("it gave no reason"));
        let event = match news {
            News::Cooling { until } => {
                let model = ended.model.unwrap_or_default();
                let message = format!("{id} is left alone with {model:?} after a limit: {said}");
                Event::new(EventKind::Cooling, message).until(Moment(now.wall_of(until)))
            }
            News::Parked => {
                Event::new(EventKind::Parked, format!("the account of {id} is out of money or quota: {said}"))
            }
            News::Rejected => {
                Event::new(EventKind::Rejected, format!("the provider refused the credential of {id}: {said}"))
            }
            News::Opened => {
                Event::new(EventKind::Opened, format!("{id} failed too often, and is left alone for a while: {said}"))
            }
            News::Back => Event::new(EventKind::Back, format!("{id} is used again")),
        };
        self.events.emit(event.of(id));
    }

    /// A connection passed its test.
    pub(super) fn passed(&self, connection: &Connection) {
        if connection.passed(self.clock.both()) {
            let message = format!("{} passed a test, and is used again", connection.id);
            self.events.emit(Event::new(EventKind::Back, message).of(&connection.id));
        }
    }

    /// One line a record in the log: ids, names, times, and never a word of a prompt or a reply.
    pub(super) fn log(&self, record: &UsageRecord, trace: Option<&TraceContext>) {
        log::request(self.clock.wall_ms(), |line| {
            line.name("id", record.request_id.shown().as_str());
            line.name("app", record.app.as_str());
            line.name("feature", record.feature.as_str());
            if let Some(id) = &record.connection {
                line.name("connection", &[id.provider.as_str(), id.name.as_str()].join(":"));
            }
            line.name("model", &sanitised(&record.model));
            line.name("outcome", record.outcome.name());
            if let Some(status) = record.status {
                line.number("status", status.into());
            }
            line.number("ms", record.duration_ms);
            line.flag("last", record.is_final);
            if let Some(error) = &record.error {
                line.text("error", error);
            }
            if let Some(trace) = trace {
                line.text("trace", trace.trace_id());
            }
        });
    }
}

/// Makes request ids: 40 random bits for the process, 32 counted, and 8 left for the records of one request.
#[derive(Debug)]
pub struct Ids {
    process: u128,
    count: AtomicU64,
}

impl Ids {
    /// Ids of this process.
    pub fn new() -> Self {
        Self { process: u128::from(getrandom::u64().unwrap_or_default()) << 40, count: AtomicU64::new(0) }
    }

    fn next(&self, wall_ms: i64) -> RequestId {
        let count = u128::from(self.count.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX));
        RequestId::from_parts(u64::try_from(wall_ms).unwrap_or_default(), self.process | (count << 8))
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}
