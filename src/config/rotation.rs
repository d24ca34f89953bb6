//! How connections are chosen: the order among equals, and whether conversations stay where they are.

use std::collections::BTreeMap;

use super::route::Route;
use super::walk::{Cursor, Fields};
use crate::api::{Feature, RouteName};

/// How connections are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// The order among connections of equal priority.
    pub order: Order,
    /// Whether requests that belong together go to the same connection.
    pub sticky: Sticky,
}

/// The order among connections of equal priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In turn, by their weights.
    #[default]
    RoundRobin,
    /// Who has the fewest attempts running, for its weight.
    LeastInFlight,
    /// The faster of two.
    LowestLatency,
    /// In turn, and of a route's targets the cheapest first.
    Cheapest,
}

/// Whether requests that belong together go to the same connection, whose provider may have cached what they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sticky {
    /// They do not.
    #[default]
    Off,
    /// Those of one conversation do.
    Conversation,
}

const ORDERS: &[(&str, Order)] = &[
    ("round_robin", Order::RoundRobin),
    ("least_in_flight", Order::LeastInFlight),
    ("lowest_latency", Order::LowestLatency),
    ("cheapest", Order::Cheapest),
];
const STICKY: &[(&str, Sticky)] = &[("off", Sticky::Off), ("conversation", Sticky::Conversation)];

impl Rotation {
    /// This, but for what a table says otherwise.
    pub(super) fn with(self, fields: &Fields<'_>) -> Self {
        Self {
            order: fields.get("order").and_then(|word| word.word(ORDERS)).unwrap_or(self.order),
            sticky: fields.get("sticky").and_then(|word| word.word(STICKY)).unwrap_or(self.sticky),
        }
    }
}

/// Reads `[features]`: the routes of requests that name no model. `tables` are the routes' own, read or not.
pub(super) fn read_features(
    fields: &Fields<'_>,
    routes: &BTreeMap<RouteName, Route>,
    tables: &[(&str, Cursor<'_>)],
) -> BTreeMap<Feature, RouteName> {
    let one = |(name, at): (&str, Cursor<'_>)| {
        let feature = at.key_as(name);
        let route = at.fields(&["route"])?.require("route", "route = \"fast\"")?;
        let text = route.text()?;
        if !tables.iter().any(|(name, _)| *name == text) {
            route.dangling("route", text, tables.iter().map(|(name, _)| *name));
        }
        Some((feature?, routes.get_key_value(text)?.0.clone()))
    };
    fields.entries("features").into_iter().filter_map(one).collect()
}
