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
        let usage: Usage = serde_json::from_str::<Option<Usage>>(raw.get()).ok().flatten()?;
        let details = usage.prompt_tokens_details.or(usage.input_tokens_details);
        let cached = details.and_then(|details| details.cached_tokens).or(usage.prompt_cache_hit_tokens);
        let input = usage.prompt_tokens.or(usage.input_tokens);
        // xAI and Google's compatible endpoint leave reasoning out of completion_tokens, but not out of the total.
        let output = match (input, usage.completion_tokens.or(usage.output_tokens), usage.total_tokens) {
            (Some(input), Some(output), Some(total)) => Some(output.max(total.saturating_sub(input))),
            (_, output, _) => output,
        };
        let details = usage.completion_tokens_details.or(usage.output_tokens_details);
        let reasoning = details.and_then(|details| details.reasoning_tokens);
        Some(Self {
            tokens: Tokens { input, output, cached, reasoning },
            cost: usage.cost.and_then(|cost| NanoUsd::from_decimal(&cost.to_string())),
        })
    }
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
    #[serde(default)]
    completion_tokens_details: Option<Details>,
    /// The words of OpenAI's newer calls.
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<Details>,
    #[serde(default)]
    output_tokens_details: Option<Details>,
    /// DeepSeek's name for cached tokens.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
    /// OpenRouter's own account of the call, in USD.
    #[serde(default)]
    cost: Option<serde_json::Number>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}
