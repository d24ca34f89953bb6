//! Each kind of price, to the nano-dollar, and what is unknown.

use proptest::prelude::*;

use super::*;
use crate::config::{Each, Tier};

fn rate(text: &str) -> Option<PicoUsd> {
    Some(PicoUsd::per_million(text).unwrap())
}

fn each(text: &str) -> Option<PicoUsd> {
    Some(PicoUsd::each(text).unwrap())
}

/// Of text alone: 0.40, cached 0.10, output 1.60.
fn plain() -> Rates {
    Rates { input: rate("0.40"), cached_input: rate("0.10"), output: rate("1.60"), ..Rates::default() }
}

fn of(rates: Rates) -> Price {
    Price { rates, ..Price::default() }
}

fn used(input: Option<u64>, output: Option<u64>) -> Tokens {
    Tokens { input, output, ..Tokens::default() }
}

#[test]
fn cached_input_and_reasoning_are_parts_and_not_more() {
    let tokens = Tokens { cached: Some(600), reasoning: Some(40), ..used(Some(1000), Some(100)) };
    // 400 × 0.40 + 600 × 0.10 + 100 × 1.60, per million
    assert_eq!(cost(&of(plain()), &tokens), Ok(NanoUsd(380_000)));
    let dear = Rates { reasoning: rate("3.20"), ..plain() };
    // 60 × 1.60 + 40 × 3.20 instead
    assert_eq!(cost(&of(dear), &tokens), Ok(NanoUsd(444_000)));
}

#[test]
fn what_is_kept_for_an_hour_costs_more_than_what_is_kept_for_minutes() {
    // Claude Opus: 5, cached 0.50, written for five minutes 6.25, for an hour 10, output 25.
    let rates = Rates {
        input: rate("5"),
        cached_input: rate("0.50"),
        cache_write: rate("6.25"),
        cache_write_1h: rate("10"),
        output: rate("25"),
        ..Rates::default()
    };
    let tokens = Tokens {
        cached: Some(1_000),
        cache_write: Some(500),
        cache_write_1h: Some(200),
        ..used(Some(2_000), Some(10))
    };
    // 500 × 5 + 1,000 × 0.50 + 300 × 6.25 + 200 × 10 + 10 × 25 millionths
    assert_eq!(cost(&of(rates), &tokens), Ok(NanoUsd(7_125_000)));
    let unnamed = of(Rates { cache_write_1h: None, ..rates });
    assert_eq!(cost(&unnamed, &tokens), Err(Unknown::Rate("cache_write_1h")));
}

#[test]
fn sound_and_pictures_have_rates_of_their_own() {
    // GPT-4o audio: text 2.50 and 10, sound 40 and 80.
    let rates = Rates {
        input: rate("2.50"),
        output: rate("10"),
        audio_input: rate("40"),
        audio_output: rate("80"),
        image_input: rate("5"),
        image_output: rate("30"),
        ..Rates::default()
    };
    let tokens = Tokens {
        audio_input: Some(60),
        audio_output: Some(30),
        image_input: Some(10),
        image_output: Some(5),
        ..used(Some(100), Some(50))
    };
    // 30 × 2.50 + 60 × 40 + 10 × 5 + 15 × 10 + 30 × 80 + 5 × 30
    assert_eq!(cost(&of(rates), &tokens), Ok(NanoUsd(5_225_000)));
    let untold = of(Rates { audio_input: None, audio_output: None, image_input: None, image_output: None, ..rates });
    assert_eq!(cost(&untold, &tokens), Ok(NanoUsd(750_000)), "as any other token");
}

#[test]
fn a_long_input_moves_the_whole_request_to_its_tier() {
    // Gemini 2.5 Pro.
    let rates = Rates { input: rate("1.25"), cached_input: rate("0.125"), output: rate("10"), ..Rates::default() };
    let long = Rates { input: rate("2.50"), cached_input: rate("0.25"), output: rate("15"), ..Rates::default() };
    let price = Price { tiers: vec![Tier { above_input_tokens: 200_000, rates: long }], ..of(rates) };
    let tokens = |input| Tokens { cached: Some(100_000), ..used(Some(input), Some(1_000)) };
    // 100,000 × 1.25 + 100,000 × 0.125 + 1,000 × 10
    assert_eq!(cost(&price, &tokens(200_000)), Ok(NanoUsd(147_500_000)));
    // 100,001 × 2.50 + 100,000 × 0.25 + 1,000 × 15
    assert_eq!(cost(&price, &tokens(200_001)), Ok(NanoUsd(290_002_500)));
}

#[test]
fn pieces_are_billed_by_the_piece() {
    let billed = |each: Each, tokens: Tokens| cost(&Price { each, ..Price::default() }, &tokens);
    let pictures = Each { image: each("0.04"), ..Each::default() };
    assert_eq!(billed(pictures, Tokens { images: Some(3), ..used(Some(5), None) }), Ok(NanoUsd(120_000_000)));
    assert_eq!(billed(pictures, Tokens::default()), Err(Unknown::Count("images")));
    let spoken = Each { characters: rate("15"), ..Each::default() };
    assert_eq!(billed(spoken, Tokens { characters: Some(11), ..Tokens::default() }), Ok(NanoUsd(165_000)));
    let written = Each { audio_minute: each("0.006"), ..Each::default() };
    assert_eq!(billed(written, Tokens { audio_ms: Some(90_000), ..Tokens::default() }), Ok(NanoUsd(9_000_000)));
    assert_eq!(billed(written, Tokens::default()), Err(Unknown::Count("audio_ms")));
    let request = Each { request: each("0.005"), ..Each::default() };
    assert_eq!(billed(request, Tokens::default()), Ok(NanoUsd(5_000_000)));
    let both = Price { each: request, ..of(plain()) };
    assert_eq!(cost(&both, &used(Some(1_000), Some(0))), Ok(NanoUsd(5_400_000)));
}

#[test]
fn searches_are_never_thrown_in() {
    let tokens = Tokens { searches: Some(2), ..used(Some(0), Some(0)) };
    assert_eq!(cost(&of(plain()), &tokens), Err(Unknown::Rate("search")));
    let price = Price { each: Each { search: each("0.01"), ..Each::default() }, ..of(plain()) };
    assert_eq!(cost(&price, &tokens), Ok(NanoUsd(20_000_000)));
}

#[test]
fn unknown_stays_unknown_and_says_why() {
    let price = of(Rates { cached_input: None, ..plain() });
    assert_eq!(cost(&price, &used(None, Some(1))), Err(Unknown::Count("input_tokens")));
    assert_eq!(cost(&price, &used(Some(1), None)), Err(Unknown::Count("output_tokens")));
    assert_eq!(cost(&Price::default(), &used(Some(1), Some(1))), Err(Unknown::Price));
    assert_eq!(cost(&of(Rates { input: None, ..plain() }), &used(Some(1), Some(1))), Err(Unknown::Rate("input")));
    assert_eq!(cost(&price, &used(Some(0), Some(0))), Ok(NanoUsd(0)));
}

#[test]
fn what_is_free_costs_nothing_however_much_it_was() {
    let free = of(Rates { input: rate("0"), output: rate("0"), ..Rates::default() });
    assert_eq!(cost(&free, &Tokens::default()), Ok(NanoUsd(0)));
}

#[test]
fn embeddings_have_no_output_to_pay() {
    let price = of(Rates { input: rate("0.02"), ..Rates::default() });
    assert_eq!(cost(&price, &used(Some(50), None)), Ok(NanoUsd(1_000)));
}

proptest! {
    /// However parts overlap, no token is billed twice and none is forgotten.
    #[test]
    fn at_one_rate_for_all_it_matters_not_what_a_token_is(counts in proptest::array::uniform14(0..1_000_000_u64)) {
        let one = rate("2");
        let rates = Rates {
            input: one, cached_input: one, cache_write: one, cache_write_1h: one, output: one, reasoning: one,
            audio_input: one, audio_output: one, image_input: one, image_output: one,
        };
        let tokens = Tokens { searches: None, ..Tokens::of_figures(counts.map(Some)) };
        prop_assert_eq!(cost(&of(rates), &tokens), Ok(NanoUsd(2_000 * tokens.total())));
    }
}
