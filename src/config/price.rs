//! What a model costs, as integers read from the decimals' text.
//!
//! A price that is not named is unknown, and what it would have priced costs `null`, never 0.

use super::document::Value;
use super::walk::{Cursor, Fields};
use crate::api::PicoUsd;
use crate::api::money::MoneyError;

/// What a model costs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Price {
    /// The rates of an ordinary request.
    pub rates: Rates,
    /// USD for each request, whatever its tokens.
    pub request: Option<PicoUsd>,
    /// Rates of requests with a long input, rising by [`Tier::above_input_tokens`].
    pub tiers: Vec<Tier>,
}

impl Price {
    /// The rates for a request with so many input tokens.
    pub fn rates_for(&self, input_tokens: u64) -> &Rates {
        self.tiers
            .iter()
            .rev()
            .find(|tier| input_tokens > tier.above_input_tokens)
            .map_or(&self.rates, |tier| &tier.rates)
    }
}

/// Rates for requests whose input is longer than so many tokens: they hold for the whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The rates hold when the input has more tokens than this.
    pub above_input_tokens: u64,
    /// The rates; what the tier does not name is as below it.
    pub rates: Rates,
}

/// The price of a token, by what it is (TOML: USD per million), and of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// An input token.
    pub input: Option<PicoUsd>,
    /// An input token that the provider had cached; none: as `input`.
    pub cached_input: Option<PicoUsd>,
    /// An input token that is written to the provider's cache; none: as `input`.
    pub cache_write: Option<PicoUsd>,
    /// An output token.
    pub output: Option<PicoUsd>,
    /// A token of reasoning; none: as `output`.
    pub reasoning: Option<PicoUsd>,
    /// An input token of sound; none: as `input`.
    pub audio_input: Option<PicoUsd>,
    /// One produced image.
    pub image: Option<PicoUsd>,
}

impl Rates {
    /// These, with what they leave open taken from `below`.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            input: self.input.or(below.input),
            cached_input: self.cached_input.or(below.cached_input),
            cache_write: self.cache_write.or(below.cache_write),
            output: self.output.or(below.output),
            reasoning: self.reasoning.or(below.reasoning),
            audio_input: self.audio_input.or(below.audio_input),
            image: self.image.or(below.image),
        }
    }
}

const RATES: &[&str] = &["input", "cached_input", "cache_write", "output", "reasoning", "audio_input", "image"];

impl Price {
    /// Reads a table of prices.
    pub(super) fn read(at: &Cursor<'_>) -> Option<Self> {
        let fields = at.fields(&[RATES, &["request", "tiers"]].concat())?;
        let rates = Rates::read(&fields);
        let mut tiers: Vec<Tier> = Vec::new();
        for item in fields.items("tiers") {
            let below = tiers.last().map_or(rates, |tier| tier.rates);
            let Some(tier) = Tier::read(&item, below) else { continue };
            if tiers.last().is_some_and(|last| last.above_input_tokens >= tier.above_input_tokens) {
                item.error("must begin above the tier before it: order tiers by above_input_tokens");
            }
            tiers.push(tier);
        }
        Some(Self { rates, request: amount(&fields, "request", PicoUsd::each), tiers })
    }
}

impl Tier {
    fn read(at: &Cursor<'_>, below: Rates) -> Option<Self> {
        let fields = at.fields(&[RATES, &["above_input_tokens"]].concat())?;
        let above_input_tokens =
            fields.require("above_input_tokens", "above_input_tokens = 200_000")?.number(1..=u64::MAX)?;
        Some(Self { above_input_tokens, rates: Rates::read(&fields).over(below) })
    }
}

impl Rates {
    fn read(fields: &Fields<'_>) -> Self {
        let per_million = |key| amount(fields, key, PicoUsd::per_million);
        Self {
            input: per_million("input"),
            cached_input: per_million("cached_input"),
            cache_write: per_million("cache_write"),
            output: per_million("output"),
            reasoning: per_million("reasoning"),
            audio_input: per_million("audio_input"),
            image: amount(fields, "image", PicoUsd::each),
        }
    }
}

/// Reads an amount of USD from its text.
fn amount(fields: &Fields<'_>, key: &str, parse: fn(&str) -> Result<PicoUsd, MoneyError>) -> Option<PicoUsd> {
    let at = fields.get(key)?;
    match at.value() {
        Value::Integer(text, 10) | Value::Decimal(text) => {
            parse(text).map_err(|error| at.error(error.to_string())).ok()
        }
        _ => at.mismatch("a number of USD, without quotes"),
    }
}
