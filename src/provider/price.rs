//! What a call costs, in integers from the price's text to the record.

use std::fmt;

use crate::api::{NanoUsd, PicoUsd, Tokens};
use crate::config::{Price, Rates};

/// Milliseconds of the minute that sound is billed by.
const MINUTE_MS: u64 = 60_000;

/// Why the cost of a call is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unknown {
    /// The model has no price.
    Price,
    /// Its price does not say what one of these costs.
    Rate(&'static str),
    /// Nobody said how many of these there were.
    Count(&'static str),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Price => f.write_str("the model has no price"),
            Self::Rate(what) => write!(f, "the model's price names no {what}"),
            Self::Count(what) => write!(f, "{what} is unknown"),
        }
    }
}

/// The cost of a call, summed in pico-dollars and rounded once.
///
/// Cached, cache-writing, sound and picture tokens are parts of the input, reasoning, sound and pictures parts of the
/// output; each has its own rate where one is given.
///
/// # Errors
/// When the price or a figure that it needs is unknown. Unknown is never 0.
pub fn cost(price: &Price, tokens: &Tokens) -> Result<NanoUsd, Unknown> {
    let mut bill = Bill(PicoUsd::default());
    bill.each(price, tokens)?;
    let rates = price.rates_for(tokens.input.unwrap_or(0));
    if rates.input.is_some() || rates.output.is_some() {
        bill.input(rates, tokens)?;
        bill.output(rates, tokens)?;
    } else if price.each == Default::default() {
        return Err(Unknown::Price);
    }
    Ok(bill.0.to_nano())
}

/// What has been summed up so far.
struct Bill(PicoUsd);

impl Bill {
    /// What is not billed by the token.
    fn each(&mut self, price: &Price, tokens: &Tokens) -> Result<(), Unknown> {
        let each = &price.each;
        self.0 = self.0.plus(each.request.unwrap_or_default());
        self.some(tokens.images, each.image, "images")?;
        self.some(tokens.characters, each.characters, "characters")?;
        if let Some(minute) = each.audio_minute {
            let ms = tokens.audio_ms.ok_or(Unknown::Count("audio_ms"))?;
            self.0 = self.0.plus(minute.share(ms, MINUTE_MS));
        }
        self.part(tokens.searches.unwrap_or(0), each.search, "search")
    }

    fn input(&mut self, rates: &Rates, tokens: &Tokens) -> Result<(), Unknown> {
        let Some(all) = counted(tokens.input, rates.input, "input_tokens")? else { return Ok(()) };
        let mut rest = all;
        // Where parts overlap, and nobody tells by how much, they count as the first.
        let mut take = |count: Option<u64>| {
            let part = count.unwrap_or(0).min(rest);
            rest -= part;
            part
        };
        let cached = take(tokens.cached);
        let (hour, written) = (take(tokens.cache_write_1h), tokens.cache_write);
        let minutes = take(written.map(|all| all.saturating_sub(tokens.cache_write_1h.unwrap_or(0))));
        let (audio, image) = (take(tokens.audio_input), take(tokens.image_input));
        self.part(cached, rates.cached_input.or(rates.input), "cached_input")?;
        self.part(hour, rates.cache_write_1h, "cache_write_1h")?;
        self.part(minutes, rates.cache_write.or(rates.input), "cache_write")?;
        self.part(audio, rates.audio_input.or(rates.input), "audio_input")?;
        self.part(image, rates.image_input.or(rates.input), "image_input")?;
        self.part(rest, rates.input, "input")
    }

    fn output(&mut self, rates: &Rates, tokens: &Tokens) -> Result<(), Unknown> {
        let Some(all) = counted(tokens.output, rates.output, "output_tokens")? else { return Ok(()) };
        let mut rest = all;
        let mut take = |count: Option<u64>| {
            let part = count.unwrap_or(0).min(rest);
            rest -= part;
            part
        };
        let (reasoning, audio, image) = (take(tokens.reasoning), take(tokens.audio_output), take(tokens.image_output));
        self.part(reasoning, rates.reasoning.or(rates.output), "reasoning")?;
        self.part(audio, rates.audio_output.or(rates.output), "audio_output")?;
        self.part(image, rates.image_output.or(rates.output), "image_output")?;
        self.part(rest, rates.output, "output")
    }

    /// So many at a rate, which must be known where there are any.
    fn part(&mut self, count: u64, rate: Option<PicoUsd>, what: &'static str) -> Result<(), Unknown> {
        if count > 0 {
            self.0 = self.0.plus(rate.ok_or(Unknown::Rate(what))?.times(count));
        }
        Ok(())
    }

    /// What is billed by the piece, where it is: then it must have been counted.
    fn some(&mut self, count: Option<u64>, rate: Option<PicoUsd>, what: &'static str) -> Result<(), Unknown> {
        match (count, rate) {
            (_, None) => Ok(()),
            (None, Some(_)) => Err(Unknown::Count(what)),
            (Some(count), rate) => self.part(count, rate, what),
        }
    }
}

/// A count, which must be known where it is billed at more than nothing.
fn counted(count: Option<u64>, rate: Option<PicoUsd>, what: &'static str) -> Result<Option<u64>, Unknown> {
    match rate {
        Some(rate) if rate != PicoUsd::default() => count.map(Some).ok_or(Unknown::Count(what)),
        _ => Ok(count),
    }
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;
