//! `/metrics`: what a scraper sees. Everything here is read when it is asked for; requests pay nothing for it.
//!
//! Names are OpenTelemetry's where its conventions for generative AI have one, as OpenMetrics spells them: dots become
//! underscores and the unit stands at the end. Every set of labels is bounded (`bounds.rs`, `METRIC_…`).

mod budgets;
mod calls;
mod connections;
mod process;
mod text;

pub use text::Form;
use text::{Kind, Text};

use super::Process;
use super::control::Admin;

impl Admin {
    /// All metrics, with so many clients connected. Blocks.
    pub fn metrics(&self, process: Process, clients: usize, form: Form) -> String {
        let mut text = Text::new(form);
        text.family("bursar_build", Kind::Info, "", "What runs.");
        text.sample("_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        calls::put(&mut text, &self.engine.recorder.meter().sums());
        connections::put(&mut text, self);
        budgets::put(&mut text, &self.budgets().budgets);
        self.put_daemon(&mut text, clients);
        process::put(&mut text, process.started_ms);
        text.end()
    }

    fn put_daemon(&self, text: &mut Text, clients: usize) {
        let (engine, last) = (&self.engine, self.last_reload());
        text.one("bursar_clients", Kind::Gauge, "", "Programs that are connected.", clients);
        let waiting = engine.admission.waiting.count();
        text.one("bursar_waiting_requests", Kind::Gauge, "", "Calls that wait for a connection with room.", waiting);
        let (queued, lost) = (engine.recorder.queued(), engine.recorder.lost());
        let help = "Usage records that are not yet stored.";
        text.one("bursar_usage_records_queued", Kind::Gauge, "", help, queued);
        let help = "Usage records that could not be kept: whatever is above 0 is missing in every account.";
        text.one("bursar_usage_records_lost", Kind::Counter, "", help, lost);
        let help = "Requests whose way could not be remembered for explain.";
        text.one("bursar_requests_unexplained", Kind::Counter, "", help, engine.traces.lost());

        text.family("bursar_events", Kind::Counter, "", "What happened to connections and the configuration.");
        for (kind, count) in engine.events.counts() {
            text.sample("_total", &[("kind", kind.name())], count);
        }
        let generation = engine.snapshot.load().generation;
        let help = "Counts what was put in force since the daemon began.";
        text.one("bursar_config_generation", Kind::Gauge, "", help, generation);
        let failed = last.as_ref().is_some_and(|last| !last.errors.is_empty());
        let help = "1 while the files have errors, and an older configuration stays in force.";
        text.one("bursar_config_reload_failed", Kind::Gauge, "", help, u64::from(failed));
        if let Some(last) = &last {
            let help = "When the files were last found to say something new, or something wrong.";
            let name = "bursar_config_last_reload_timestamp_seconds";
            text.one(name, Kind::Gauge, "seconds", help, text::Millis(last.at_ms));
        }

        let help = "How often the store's state changed since it was made.";
        text.one("bursar_store_generation", Kind::Gauge, "", help, self.store.generation());
        text.family("bursar_store_size_bytes", Kind::Gauge, "bytes", "The store's files, by part.");
        for (part, bytes) in self.store.sizes() {
            text.sample("", &[("part", &part)], bytes);
        }
        let help = "What operators should know of the store: damage that was found, and what was done.";
        text.one("bursar_store_notices", Kind::Gauge, "", help, self.store.notices().len());
    }
}
