//! Models as the file lists them.

use super::price::Price;
use super::timeout;
use super::timeout::TimeoutOverrides;
use super::walk::Cursor;
use crate::api::Capabilities;

/// A listed model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    /// What it can do; none: unknown, and nothing is refused for it.
    pub capabilities: Option<Capabilities>,
    /// Tokens of input and output together.
    pub context_window: Option<u64>,
    /// Tokens of output.
    pub max_output_tokens: Option<u64>,
    /// What it costs; none: unknown.
    pub price: Option<Price>,
    /// Timeouts that differ from the provider's.
    pub timeouts: TimeoutOverrides,
}

impl Model {
    /// Reads a model's table.
    pub(super) fn read(at: &Cursor<'_>) -> Option<Self> {
        let fields = at.fields(&["capabilities", "context_window", "max_output_tokens", "price", "timeouts"])?;
        let tokens = |key: &str| fields.get(key)?.number(1..=u64::MAX);
        Some(Self {
            capabilities: fields.get("capabilities").map(|list| list.capabilities()),
            context_window: tokens("context_window"),
            max_output_tokens: tokens("max_output_tokens"),
            price: fields.get("price").and_then(|price| Price::read(&price)),
            timeouts: fields.get("timeouts").map(|table| timeout::read(&table)).unwrap_or_default(),
        })
    }
}
