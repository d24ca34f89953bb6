//! Costs computed anew, after a price was put right.
//!
//! A provider's own figure is never touched, and a cost that is known is never made unknown. What a record's cost would be
//! hangs on the record and the prices in force alone: so what is shown beforehand is what is done.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::control::Admin;
use super::usage::time;
use crate::api::admin::{RepriceRequest, Repriced, RepricedModel};
use crate::api::usage::timestamp;
use crate::api::{CostSource, Failure, NanoUsd, ProviderSlug, UsageRecord};
use crate::bounds;
use crate::config::Catalogue;
use crate::provider::price::{self, Unknown};

impl Admin {
    /// Computes the costs of a time anew from the prices in force, and tells what changes. Blocks.
    ///
    /// # Errors
    /// When the times cannot be understood, or records not be read or written; those before are changed then.
    pub fn reprice(&self, asked: &RepriceRequest) -> Result<Repriced, Failure> {
        let now_ms = self.engine.clock.wall_ms();
        let from_ms = time("from", &asked.from, now_ms)?;
        let to_ms = asked.to.as_deref().map_or(Ok(now_ms.saturating_add(1)), |to| time("to", to, now_ms))?;
        if from_ms >= to_ms {
            return Err(super::failure::at("from", "must be before to"));
        }
        let catalogue = std::sync::Arc::clone(&self.engine.snapshot.load().catalogue);
        let _ = self.engine.recorder.flush().wait();
        let mut sums = Sums::default();
        self.store.usage().scan(from_ms, to_ms, |record| {
            sums.add(record, &catalogue);
            ControlFlow::Continue(())
        })?;
        if !asked.dry_run && sums.changed > 0 {
            self.engine.recorder.rollups().change(&(from_ms..to_ms), |record| match verdict(record, &catalogue) {
                Verdict::New(cost) if record.cost != Some(cost) => {
                    let cost_source = Some(CostSource::Prices);
                    Some(UsageRecord { cost: Some(cost), cost_source, ..record.clone() })
                }
                _ => None,
            })?;
        }
        Ok(sums.told(timestamp(from_ms), timestamp(to_ms), asked.dry_run))
    }
}

/// What becomes of a record's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing was or could have been billed.
    Free,
    /// It stays: it is the provider's own, or nobody noted whose it is.
    Given,
    /// It is this, by the prices in force.
    New(NanoUsd),
    /// The prices in force do not tell. What was known before stays.
    Unknown(Unknown),
}

fn verdict(record: &UsageRecord, catalogue: &Catalogue) -> Verdict {
    if record.cost.is_none() && !record.may_cost() {
        return Verdict::Free;
    }
    if record.cost.is_some() && record.cost_source != Some(CostSource::Prices) {
        return Verdict::Given;
    }
    let price = record.provider.as_ref().and_then(|slug| {
        let models = &catalogue.providers.get(slug)?.models;
        models.get(model(record))?.price.as_ref()
    });
    match price.map_or(Err(Unknown::Price), |price| price::cost(price, &record.tokens)) {
        Ok(cost) => Verdict::New(cost),
        Err(why) => Verdict::Unknown(why),
    }
}

/// The model as the provider was asked for it. Before format 2 nobody noted that, but where it was asked for by its name.
fn model(record: &UsageRecord) -> &str {
    let asked = record.provider.as_ref().and_then(|slug| {
        let rest = record.model.strip_prefix(slug.as_str())?;
        rest.strip_prefix('/')
    });
    record.model_sent.as_deref().or(asked).or(record.model_served.as_deref()).unwrap_or(&record.model)
}

#[derive(Default)]
struct Sums {
    changed: u64,
    rows: BTreeMap<(ProviderSlug, String), Row>,
}

#[derive(Default)]
struct Row {
    records: u64,
    changed: u64,
    given: u64,
    unknown: BTreeMap<Unknown, u64>,
    old: NanoUsd,
    new: NanoUsd,
}

impl Sums {
    fn add(&mut self, record: &UsageRecord, catalogue: &Catalogue) {
        let verdict = verdict(record, catalogue);
        let (Some(provider), false) = (&record.provider, verdict == Verdict::Free) else { return };
        let mut key = (provider.clone(), model(record).to_owned());
        if self.rows.len() >= bounds::USAGE_ROWS_MAX && !self.rows.contains_key(&key) {
            key.1 = "(others)".to_owned();
        }
        let row = self.rows.entry(key).or_default();
        let old = record.cost.unwrap_or_default();
        row.records += 1;
        row.old = row.old.plus(old);
        row.new = row.new.plus(if let Verdict::New(cost) = verdict { cost } else { old });
        match verdict {
            Verdict::New(cost) if record.cost != Some(cost) => {
                row.changed += 1;
                self.changed += 1;
            }
            Verdict::Given => row.given += 1,
            Verdict::Unknown(why) if record.cost.is_none() => *row.unknown.entry(why).or_default() += 1,
            _ => {}
        }
    }

    fn told(self, from: String, to: String, dry_run: bool) -> Repriced {
        let mut all = Repriced { from, to, dry_run, ..Repriced::default() };
        for ((provider, model), row) in self.rows {
            let unknown = row.unknown.values().sum();
            let why = row.unknown.iter().max_by_key(|(_, count)| **count).map(|(why, _)| why.to_string());
            all.records += row.records;
            all.changed += row.changed;
            all.providers_own += row.given;
            all.unknown += unknown;
            all.old_cost_usd = all.old_cost_usd.plus(row.old);
            all.new_cost_usd = all.new_cost_usd.plus(row.new);
            all.rows.push(RepricedModel {
                provider,
                model,
                records: row.records,
                changed: row.changed,
                providers_own: row.given,
                unknown,
                unknown_why: why,
                old_cost_usd: row.old,
                new_cost_usd: row.new,
            });
        }
        all
    }
}
