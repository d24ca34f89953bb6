//! Questions about usage, as operators and apps put them.

mod ask;

pub use self::ask::time;
use self::ask::{Ask, Asked};
use super::control::Admin;
use crate::api::usage::{Dimension, UsageReport};
use crate::api::{AppName, Failure, RecordOrder, RecordPage, UsageRecord};
use crate::usage;

impl Admin {
    /// Answers a question about usage. What was used until now is in it. Blocks.
    ///
    /// # Errors
    /// When the question cannot be understood, or the store not be read.
    pub fn usage<'q>(&self, pairs: impl Iterator<Item = (&'q str, &'q str)>) -> Result<UsageReport, Failure> {
        let Asked { query, .. } = Ask::Report.read(pairs, self.engine.clock.wall_ms())?;
        self.settle_usage();
        Ok(usage::totals(self.engine.recorder.rollups(), &query)?)
    }

    /// Answers an app's question about its own usage: of others it learns nothing. Blocks.
    ///
    /// # Errors
    /// As [`Admin::usage`].
    pub fn usage_of<'q>(
        &self,
        app: &AppName,
        pairs: impl Iterator<Item = (&'q str, &'q str)>,
    ) -> Result<UsageReport, Failure> {
        let Asked { mut query, .. } = Ask::OwnReport.read(pairs, self.engine.clock.wall_ms())?;
        // The only word on the app: a question of an app's own cannot name one.
        query.filters.push((Dimension::App, app.to_string()));
        self.settle_usage();
        Ok(usage::totals(self.engine.recorder.rollups(), &query)?)
    }

    /// Shows a page of records. What was used until now is in it. Blocks.
    ///
    /// # Errors
    /// As [`Admin::usage`].
    pub fn usage_records<'q>(
        &self,
        pairs: impl Iterator<Item = (&'q str, &'q str)>,
    ) -> Result<RecordPage<UsageRecord>, Failure> {
        let Asked { query, page } = Ask::Records.read(pairs, self.engine.clock.wall_ms())?;
        let look = || self.store.usage().page(page, |record| query.takes(record));
        // Whoever pages shall not make the writer write at every page: only the last one needs the very latest records.
        if page.order == RecordOrder::Newest {
            if page.after.is_none() {
                self.settle_usage();
            }
            return Ok(look()?);
        }
        let found = look()?;
        if found.next.is_some() {
            return Ok(found);
        }
        self.settle_usage();
        Ok(look()?)
    }

    /// Has what was recorded until now written. Where that cannot be, what could be is still worth an answer.
    pub(super) fn settle_usage(&self) {
        let _ = self.engine.recorder.flush().wait();
    }
}
