//! What a call costs, in integers from the price's text to the record.

use crate::api::{NanoUsd, PicoUsd, Tokens};
use crate::config::Price;

/// The cost of a call, or none where the price or a figure that it needs is unknown. Unknown is never 0.
///
/// Cached input is part of the input, and reasoning part of the output; each has its own rate where one is given.
pub fn cost(price: &Price, tokens: &Tokens) -> Option<NanoUsd> {
    let input = tokens.input?;
    let rates = price.rates_for(input);
    let cached = tokens.cached.unwrap_or(0).min(input);
    let output = tokens.output.unwrap_or(0);
    let reasoning = tokens.reasoning.unwrap_or(0).min(output);
    if rates.output.is_some() && tokens.output.is_none() {
        return None;
    }
    let mut sum = price.request.unwrap_or_default();
    let parts = [
        (input - cached, rates.input),
        (cached, rates.cached_input.or(rates.input)),
        (output - reasoning, rates.output),
        (reasoning, rates.reasoning.or(rates.output)),
    ];
    for (count, rate) in parts {
        sum = match (count, rate) {
            (0, _) => sum,
            (count, Some(rate)) => sum.plus(PicoUsd::times(rate, count)),
            (_, None) => return None,
        };
    }
    Some(sum.to_nano())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rates;

    fn price(input: &str, cached: Option<&str>, output: Option<&str>) -> Price {
        let rate = |text: &str| PicoUsd::per_million(text).unwrap();
        let rates = Rates {
            input: Some(rate(input)),
            cached_input: cached.map(rate),
            output: output.map(rate),
            ..Rates::default()
        };
        Price { rates, ..Price::default() }
    }

    fn tokens(input: Option<u64>, output: Option<u64>, cached: Option<u64>, reasoning: Option<u64>) -> Tokens {
        Tokens { input, output, cached, reasoning }
    }

    #[test]
    fn cached_input_and_reasoning_are_parts_and_not_more() {
        let price = price("0.40", Some("0.10"), Some("1.60"));
        let used = tokens(Some(1000), Some(100), Some(600), Some(40));
        // 400 × 0.40 + 600 × 0.10 + 100 × 1.60, per million
        assert_eq!(cost(&price, &used), Some(NanoUsd(380_000)));
    }

    #[test]
    fn unknown_stays_unknown() {
        let price = price("0.40", None, Some("1.60"));
        assert_eq!(cost(&price, &tokens(None, Some(1), None, None)), None);
        assert_eq!(cost(&price, &tokens(Some(1), None, None, None)), None);
        assert_eq!(cost(&Price::default(), &tokens(Some(1), Some(1), None, None)), None);
        assert_eq!(cost(&price, &tokens(Some(0), Some(0), None, None)), Some(NanoUsd(0)));
    }

    #[test]
    fn embeddings_have_no_output_to_pay() {
        assert_eq!(cost(&price("0.02", None, None), &tokens(Some(50), None, None, None)), Some(NanoUsd(1_000)));
    }
}
