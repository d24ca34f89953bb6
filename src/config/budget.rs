//! `[[budgets]]`: what an app, a feature or a connection may spend in an hour, a day or a month.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;

use super::document::Value;
use super::walk::{Cursor, Fields};
use crate::api::{AppName, BudgetName, ConnectionId, Feature, NanoUsd, RouteName};
use crate::bounds;

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name: what it has counted belongs to that.
    pub name: BudgetName,
    /// Who spends it.
    pub of: Spender,
    /// How long it has to last.
    pub per: Per,
    /// Where hours, days and months begin.
    pub zone: TimeZone,
    /// How much there is.
    pub most: Most,
    /// What becomes of calls that it has nothing left for.
    pub on_exceed: OnExceed,
}

/// Who spends a budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spender {
    /// An app.
    App(AppName),
    /// A feature, of whichever app.
    Feature(Feature),
    /// A connection, whoever uses it.
    Connection(ConnectionId),
}

impl Spender {
    /// The key that names it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::Feature(_) => "feature",
            Self::Connection(_) => "connection",
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::App(app) => app.to_string(),
            Self::Feature(feature) => feature.to_string(),
            Self::Connection(id) => id.to_string(),
        }
    }
}

impl fmt::Display for Spender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// How long a budget has to last: a part of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first to the last of a month.
    Month,
}

impl Per {
    const WORDS: &'static [(&'static str, Self)] = &[("hour", Self::Hour), ("day", Self::Day), ("month", Self::Month)];

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// How much there is of each. None: any amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Most {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens, in and out together.
    pub tokens: Option<u64>,
    /// Money.
    pub usd: Option<NanoUsd>,
}

/// What becomes of calls that a budget has nothing left for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnExceed {
    /// They are refused.
    Deny,
    /// They are made all the same, and said.
    Warn,
    /// They go to another route.
    Route(RouteName),
}

impl fmt::Display for OnExceed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny => f.write_str("deny"),
            Self::Warn => f.write_str("warn"),
            Self::Route(route) => write!(f, "route:{route}"),
        }
    }
}

const KEYS: &[&str] =
    &["name", "app", "feature", "connection", "per", "zone", "usd", "tokens", "requests", "on_exceed"];

/// Reads all budgets.
pub(super) fn read(root: &Fields<'_>) -> Vec<Budget> {
    let items = root.items("budgets");
    if let Some(one) = items.get(bounds::BUDGETS_MAX) {
        one.error(format!("there are more than {} budgets", bounds::BUDGETS_MAX));
    }
    let mut lines: BTreeMap<BudgetName, u32> = BTreeMap::new();
    let mut all = Vec::new();
    for item in items {
        let Some(budget) = Budget::read(&item) else { continue };
        if let Some(line) = lines.insert(budget.name.clone(), item.place().line) {
            item.error(format!(
                "the budget in line {line} has the name {:?} too: give them names",
                budget.name.as_str()
            ));
        }
        all.push(budget);
    }
    all
}

impl Budget {
    fn read(at: &Cursor<'_>) -> Option<Self> {
        let fields = at.fields(KEYS)?;
        let of = spender(&fields);
        let per = fields.require("per", "per = \"hour\", \"day\" or \"month\"").and_then(|per| per.word(Per::WORDS));
        let most = Most::read(&fields);
        let zone = fields.get("zone").and_then(|zone| zone.time_zone()).unwrap_or(TimeZone::UTC);
        let on_exceed = fields.get("on_exceed").map_or(Some(OnExceed::Deny), |word| on_exceed(&word));
        let given: Option<BudgetName> = fields.get("name").and_then(|name| name.parsed());
        let (of, per) = (of?, per?);
        let name = given.or_else(|| made_up_name(of.kind(), &of.name(), per.name()).parse().ok())?;
        Some(Self { name, of, per, zone, most: most?, on_exceed: on_exceed? })
    }
}

fn spender(fields: &Fields<'_>) -> Option<Spender> {
    let app = fields.get("app").map(|at| at.parsed().map(Spender::App));
    let feature = fields.get("feature").map(|at| at.parsed().map(Spender::Feature));
    let connection = fields.get("connection").map(|at| at.parsed().map(Spender::Connection));
    let mut given = [app, feature, connection].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(one), None) => one,
        (None, _) => {
            fields
                .at()
                .error("names nobody: write app = \"name\", feature = \"name\" or connection = \"provider:name\"");
            None
        }
        _ => {
            fields.at().error("names more than one of app, feature and connection: write a budget for each");
            None
        }
    }
}

/// The keys that name who spends a budget.
pub(super) const SPENDERS: [&str; 3] = ["app", "feature", "connection"];

/// `app-translator-day`: what a budget without a name is called.
pub(super) fn made_up_name(kind: &str, of: &str, per: &str) -> String {
    let mut name = format!("{kind}-{}-{per}", of.replace(':', "-"));
    name.truncate(name.floor_char_boundary(bounds::NAME_BYTES_MAX));
    name
}

impl Most {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let count = |key: &str| fields.get(key).map(|at| at.number(1..=u64::MAX));
        let (requests, tokens) = (count("requests"), count("tokens"));
        let usd = fields.get("usd").map(|at| usd(&at));
        if requests.is_none() && tokens.is_none() && usd.is_none() {
            fields.at().error("limits nothing: write usd = 5.00, tokens = 1_000_000 or requests = 500");
            return None;
        }
        Some(Self { requests: requests.flatten(), tokens: tokens.flatten(), usd: usd.flatten() })
    }
}

fn usd(at: &Cursor<'_>) -> Option<NanoUsd> {
    match at.value() {
        Value::Integer(text, 10) | Value::Decimal(text) => {
            let amount = text.replace('_', "").parse::<NanoUsd>().map_err(|error| at.error(error.to_string())).ok()?;
            if amount == NanoUsd::default() {
                at.error("must be more than nothing");
                return None;
            }
            Some(amount)
        }
        _ => at.mismatch("a number of USD, without quotes"),
    }
}

fn on_exceed(at: &Cursor<'_>) -> Option<OnExceed> {
    let text = at.text()?;
    match text.strip_prefix("route:") {
        Some(route) => route.parse().map(OnExceed::Route).map_err(|error| at.error(format!("{error}"))).ok(),
        None if text == "deny" => Some(OnExceed::Deny),
        None if text == "warn" => Some(OnExceed::Warn),
        None => {
            at.error("write \"deny\", \"warn\", or \"route:\" with the name of a route behind it");
            None
        }
    }
}
