//! Limits: the quotas of a connection or of a limit group, in all and for single models.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::suggest;
use super::walk::{Cursor, Fields};
use crate::api::admin::Limits;

/// What the connections of one limit group share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupLimits {
    /// The figures for all models together.
    pub limits: Limits,
    /// Figures for single models, beside those for all.
    pub models: BTreeMap<String, Limits>,
    /// Where the group's calendar days begin; none: as its provider's.
    pub day_resets: Option<TimeZone>,
}

impl Limits {
    const KEYS: &'static [&'static str] =
        &["requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day", "concurrent"];

    /// Reads a table of limits.
    pub(super) fn read(at: &Cursor<'_>) -> Self {
        let Some(fields) = at.fields(Self::KEYS) else { return Self::default() };
        let figure = |key: &str| fields.get(key)?.number(1..=u64::MAX);
        Self {
            requests_per_minute: figure("requests_per_minute"),
            requests_per_day: figure("requests_per_day"),
            tokens_per_minute: figure("tokens_per_minute"),
            tokens_per_day: figure("tokens_per_day"),
            concurrent: figure("concurrent"),
        }
    }
}

impl GroupLimits {
    /// Reads a limit group. `listed` are the models that any provider lists.
    pub(super) fn read(at: &Cursor<'_>, listed: &BTreeSet<&str>) -> Option<Self> {
        let fields = at.fields(&["limits", "models", "day_resets"])?;
        Some(Self {
            limits: fields.get("limits").map(|limits| Limits::read(&limits)).unwrap_or_default(),
            models: limits_by_model(&fields, listed),
            day_resets: fields.get("day_resets").and_then(|zone| zone.time_zone()),
        })
    }
}

/// Reads `models."id".limits`. A figure for a model that nobody lists is most likely misspelled, and would never count.
pub(super) fn limits_by_model(fields: &Fields<'_>, listed: &BTreeSet<&str>) -> BTreeMap<String, Limits> {
    let one = |(id, at): (&str, Cursor<'_>)| {
        let model = at.model_id(id)?;
        if !listed.contains(id) {
            at.warning(format!("no model {id:?} is listed{}", suggest::did_you_mean(id, listed.iter().copied())));
        }
        let inside = at.fields(&["limits"])?;
        Some((model, Limits::read(&inside.require("limits", "limits = { tokens_per_minute = 200_000 }")?)))
    };
    fields.entries("models").into_iter().filter_map(one).collect()
}
