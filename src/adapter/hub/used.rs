//! Usage as OpenAI counts it, read, with what compatible servers add.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::{NanoUsd, Tokens};

/// What a reply or a chunk says that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Tokens.
    pub tokens: Tokens,
    /// The provider's own figure of the cost.
    pub cost: Option<NanoUsd>,
}

impl Used {
    /// Reads a `usage`; none where it is null or unreadable.
    pub fn read(raw: &RawValue) -> Option<Self> {
        let usage: Usage<'_> = serde_json::from_str::<Option<Usage<'_>>>(raw.get()).ok().flatten()?;
        Some(Self { tokens: usage.tokens(), cost: usage.own_cost() })
    }
}

/// A part that was left out, is null, or is of another shape than OpenAI's is none: it shall not hide the others.
#[derive(Deserialize)]
struct Usage<'a> {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default, borrow)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(default, borrow)]
    completion_tokens_details: Option<&'a RawValue>,
    /// The words of OpenAI's newer calls.
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default, borrow)]
    input_tokens_details: Option<&'a RawValue>,
    /// So in transcriptions.
    #[serde(default, borrow)]
    input_token_details: Option<&'a RawValue>,
    #[serde(default, borrow)]
    output_tokens_details: Option<&'a RawValue>,
    /// Of a transcription that is billed by its length.
    #[serde(default, borrow)]
    seconds: Option<&'a RawValue>,
    /// DeepSeek's name for cached tokens.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
    /// OpenRouter's own account of the call in USD; Perplexity's is an object.
    #[serde(default, borrow)]
    cost: Option<&'a RawValue>,
    /// xAI's, in units of 10⁻¹⁰ USD.
    #[serde(default)]
    cost_in_usd_ticks: Option<u64>,
    #[serde(default, borrow)]
    server_tool_use: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    /// OpenRouter's.
    #[serde(default)]
    cache_write_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
    #[serde(default)]
    image_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerTools {
    #[serde(default)]
    web_search_requests: Option<u64>,
}

/// Perplexity's.
#[derive(Deserialize)]
struct CostTable {
    total_cost: serde_json::Number,
}

fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str::<Option<T>>(raw?.get()).ok().flatten()
}

impl Usage<'_> {
    fn tokens(&self) -> Tokens {
        let details = self.prompt_tokens_details.or(self.input_tokens_details).or(self.input_token_details);
        let of_input: Details = part(details).unwrap_or_default();
        let details = self.completion_tokens_details.or(self.output_tokens_details);
        let of_output: Details = part(details).unwrap_or_default();
        let input = self.prompt_tokens.or(self.input_tokens);
        // xAI and Google's compatible endpoint leave reasoning out of completion_tokens, but not out of the total.
        let output = match (input, self.completion_tokens.or(self.output_tokens), self.total_tokens) {
            (Some(input), Some(output), Some(total)) => Some(output.max(total.saturating_sub(input))),
            (_, output, _) => output,
        };
        Tokens {
            input,
            output,
            cached: of_input.cached_tokens.or(self.prompt_cache_hit_tokens),
            reasoning: of_output.reasoning_tokens,
            cache_write: of_input.cache_write_tokens,
            audio_input: of_input.audio_tokens,
            audio_output: of_output.audio_tokens,
            image_input: of_input.image_tokens,
            image_output: of_output.image_tokens,
            audio_ms: self.seconds.and_then(seconds),
            searches: part::<ServerTools>(self.server_tool_use).and_then(|tools| tools.web_search_requests),
            ..Tokens::default()
        }
    }

    fn own_cost(&self) -> Option<NanoUsd> {
        let usd = |number: serde_json::Number| NanoUsd::from_decimal(&number.to_string());
        let cost = part::<serde_json::Number>(self.cost).or_else(|| Some(part::<CostTable>(self.cost)?.total_cost));
        cost.and_then(usd).or_else(|| self.cost_in_usd_ticks.map(|ticks| NanoUsd(ticks.div_ceil(10))))
    }
}

/// A length in seconds, a number or a text, in milliseconds.
pub fn seconds(raw: &RawValue) -> Option<u64> {
    raw.get().trim_matches('"').parse::<f64>().ok().and_then(millis)
}

fn millis(seconds: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in time, checked to be one")]
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1e3).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Used {
        Used::read(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn parts_are_told_in_each_of_their_shapes() {
        let chat = read(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":20,"audio_tokens":30,"image_tokens":5},
            "completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":0,"image_tokens":9},
            "server_tool_use":{"web_search_requests":2}}"#,
        );
        let expected = Tokens {
            input: Some(100),
            output: Some(50),
            cached: Some(10),
            reasoning: Some(7),
            cache_write: Some(20),
            audio_input: Some(30),
            audio_output: Some(0),
            image_input: Some(5),
            image_output: Some(9),
            searches: Some(2),
            ..Tokens::default()
        };
        assert_eq!((chat.tokens, chat.cost), (expected, None));
        let spoken = read(
            r#"{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},
            "output_tokens":45,"total_tokens":59}"#,
        );
        assert_eq!((spoken.tokens.input, spoken.tokens.audio_input), (Some(14), Some(14)));
        let timed = read(r#"{"type":"duration","seconds":12.5}"#).tokens;
        assert_eq!(timed, Tokens { audio_ms: Some(12_500), ..Tokens::default() });
    }

    #[test]
    fn an_odd_part_hides_no_other() {
        let odd = r#"{"prompt_tokens":3,"prompt_tokens_details":"none","completion_tokens_details":null,"seconds":"x",
            "cost":{"currency":"EUR"},"server_tool_use":7}"#;
        assert_eq!(read(odd), Used { tokens: Tokens { input: Some(3), ..Tokens::default() }, cost: None });
    }

    #[test]
    fn the_providers_own_figure_is_found_in_each_of_its_shapes() {
        let cost = |json: &str| read(json).cost;
        assert_eq!(cost(r#"{"cost":0.0000123}"#), Some(NanoUsd(12_300)));
        assert_eq!(cost(r#"{"cost":0}"#), Some(NanoUsd(0)), "free is not unknown");
        assert_eq!(cost(r#"{"cost":{"total_cost":0.006,"input_tokens_cost":0.001}}"#), Some(NanoUsd(6_000_000)));
        assert_eq!(cost(r#"{"cost_in_usd_ticks":1721250}"#), Some(NanoUsd(172_125)));
        assert_eq!(cost(r#"{"cost":null}"#), None);
    }
}
