//! What a provider's rate-limit headers count: the same name means a minute here and a day there.

use http::HeaderName;

use super::walk::{Cursor, Fields};

/// A header that tells of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitHeader {
    /// The header.
    pub header: HeaderName,
    /// Which figure of the limit it holds.
    pub figure: Figure,
    /// What the limit counts.
    pub counted: Counted,
    /// How long it counts, in seconds.
    pub window_s: u32,
    /// How a reset is written.
    pub format: ResetFormat,
}

/// How a reset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetFormat {
    /// As Go writes durations, `6m0s`; a bare number is seconds.
    #[default]
    Duration,
    /// A time, `2026-11-22T08:00:00Z`.
    Rfc3339,
    /// Milliseconds since 1970.
    EpochMs,
    /// Seconds since 1970.
    EpochS,
}

/// A figure of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// How many there may be.
    Limit,
    /// How many there may still be.
    Remaining,
    /// When, or in how long, all are there again.
    Reset,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Requests.
    Requests,
    /// Tokens of input and output together.
    Tokens,
    /// Tokens of input.
    InputTokens,
    /// Tokens of output.
    OutputTokens,
}

const FIGURES: &[(&str, Figure)] =
    &[("limit", Figure::Limit), ("remaining", Figure::Remaining), ("reset", Figure::Reset)];

const COUNTED: &[(&str, Counted)] = &[
    ("requests", Counted::Requests),
    ("tokens", Counted::Tokens),
    ("input_tokens", Counted::InputTokens),
    ("output_tokens", Counted::OutputTokens),
];

const FORMATS: &[(&str, ResetFormat)] = &[
    ("duration", ResetFormat::Duration),
    ("rfc3339", ResetFormat::Rfc3339),
    ("epoch_ms", ResetFormat::EpochMs),
    ("epoch_s", ResetFormat::EpochS),
];

const WINDOWS: &[(&str, u32)] = &[("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// Reads `rate_limits`: `"header" = "remaining requests_per_day"`, or `"reset tokens_per_minute as rfc3339"`.
pub(super) fn read(fields: &Fields<'_>) -> Vec<RateLimitHeader> {
    fields.entries("rate_limits").into_iter().filter_map(one).collect()
}

fn one((name, at): (&str, Cursor<'_>)) -> Option<RateLimitHeader> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        at.error_at_key("is not the name of a header");
        return None;
    };
    let read = meaning(at.some_text()?);
    if read.is_none() {
        at.error(
            "write limit, remaining or reset, and then what of: requests, tokens, input_tokens or output_tokens per \
             second, minute, hour or day, such as \"remaining requests_per_day\"; a reset may say how it is written: as \
             duration, rfc3339, epoch_ms or epoch_s",
        );
    }
    let (figure, counted, window_s, format) = read?;
    Some(RateLimitHeader { header, figure, counted, window_s, format })
}

fn meaning(text: &str) -> Option<(Figure, Counted, u32, ResetFormat)> {
    let (figure, limit) = text.split_once(' ')?;
    let figure = found(FIGURES, figure)?;
    let (limit, format) = match limit.split_once(" as ") {
        Some((limit, format)) if figure == Figure::Reset => (limit, found(FORMATS, format)?),
        Some(_) => return None,
        None => (limit, ResetFormat::default()),
    };
    let (counted, window) = limit.split_once("_per_")?;
    Some((figure, found(COUNTED, counted)?, found(WINDOWS, window)?, format))
}

fn found<T: Copy>(words: &[(&str, T)], given: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == given).map(|&(_, meaning)| meaning)
}
