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
    /// Rates of requests with a long input, rising by [`Tier::above_input_tokens`].
    pub tiers: Vec<Tier>,
    /// What is not billed by the token.
    pub each: Each,
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

macro_rules! amounts {
    ($(#[$of:meta])* $name:ident, $keys:ident: $($(#[$doc:meta])* $field:ident by $parse:path),* $(,)?) => {
        $(#[$of])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$doc])* pub $field: Option<PicoUsd>),* }

        const $keys: &[&str] = &[$(stringify!($field)),*];

        impl $name {
            fn read(fields: &Fields<'_>) -> Self {
                Self { $($field: amount(fields, stringify!($field), $parse)),* }
            }

        }
    };
}

amounts! {
    /// The price of a token, by what it is. TOML: USD per million.
    Rates, RATES:
    /// An input token.
    input by PicoUsd::per_million,
    /// An input token that the provider had cached; none: as `input`.
    cached_input by PicoUsd::per_million,
    /// An input token that is written to the provider's cache; none: as `input`.
    cache_write by PicoUsd::per_million,
    /// One that is kept there for an hour; none: unknown.
    cache_write_1h by PicoUsd::per_million,
    /// An output token.
    output by PicoUsd::per_million,
    /// A token of reasoning; none: as `output`.
    reasoning by PicoUsd::per_million,
    /// An input token of sound; none: as `input`.
    audio_input by PicoUsd::per_million,
    /// An output token of sound; none: as `output`.
    audio_output by PicoUsd::per_million,
    /// An input token of a picture; none: as `input`.
    image_input by PicoUsd::per_million,
    /// An output token of a picture; none: as `output`.
    image_output by PicoUsd::per_million,
}

amounts! {
    /// The price of what is not billed by the token. Where only such prices are given, tokens are not billed.
    Each, EACH:
    /// USD for each request, whatever its tokens.
    request by PicoUsd::each,
    /// USD for each image made.
    image by PicoUsd::each,
    /// USD for each search of the web that the provider made; none: unknown.
    search by PicoUsd::each,
    /// USD per million characters read aloud.
    characters by PicoUsd::per_million,
    /// USD for each minute of sound written down.
    audio_minute by PicoUsd::each,
}

impl Rates {
    /// These, with what they leave open taken from `below`.
    fn over(self, below: Self) -> Self {
        Self {
            input: self.input.or(below.input),
            cached_input: self.cached_input.or(below.cached_input),
            cache_write: self.cache_write.or(below.cache_write),
            cache_write_1h: self.cache_write_1h.or(below.cache_write_1h),
            output: self.output.or(below.output),
            reasoning: self.reasoning.or(below.reasoning),
            audio_input: self.audio_input.or(below.audio_input),
            audio_output: self.audio_output.or(below.audio_output),
            image_input: self.image_input.or(below.image_input),
            image_output: self.image_output.or(below.image_output),
        }
    }
}

impl Price {
    /// Reads a table of prices.
    pub(super) fn read(at: &Cursor<'_>) -> Option<Self> {
        let fields = at.fields(&[RATES, EACH, &["tiers"]].concat())?;
        let (rates, each) = (Rates::read(&fields), Each::read(&fields));
        let tiers = tiers(&fields, rates);
        if at.keys().is_empty() {
            at.warning("names no price, so that each cost is unknown: write such as { input = 0.40, output = 1.60 }");
        }
        Some(Self { rates, tiers, each })
    }
}

fn tiers(fields: &Fields<'_>, rates: Rates) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = Vec::new();
    for item in fields.items("tiers") {
        let below = tiers.last().map_or(rates, |tier| tier.rates);
        let Some(tier) = Tier::read(&item, below) else { continue };
        if tiers.last().is_some_and(|last| last.above_input_tokens >= tier.above_input_tokens) {
            item.error("must begin above the tier before it: order tiers by above_input_tokens");
        }
        tiers.push(tier);
    }
    tiers
}

impl Tier {
    fn read(at: &Cursor<'_>, below: Rates) -> Option<Self> {
        let fields = at.fields(&[RATES, &["above_input_tokens"]].concat())?;
        let above_input_tokens =
            fields.require("above_input_tokens", "above_input_tokens = 200_000")?.number(1..=u64::MAX)?;
        if at.keys().len() == 1 {
            at.error("names no rate that holds above so many tokens: write such as input = 2.50");
        }
        Some(Self { above_input_tokens, rates: Rates::read(&fields).over(below) })
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
