//! A chat request in Google's words.
//!
//! Whatever Google has no word for is refused by name, unless the answer is the same without it.

use serde::Deserialize;
use serde_json::Value;

use super::wire::{GenerateContent, GenerationConfig, ThinkingConfig};
use super::{NAME, schema, tools, turns};
use crate::adapter::Refusal;
use crate::adapter::hub::{ChatRequest, Effort, Fields, ResponseFormat, Sampling, cannot, wrong};

/// An OpenAI chat body as a body of `generateContent`.
pub(super) fn encode(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut asked = ChatRequest::read(body)?;
    let google = GoogleOptions::take(&mut asked.rest)?;
    asked.rest.refuse_rest(NAME)?;
    if asked.parallel_tool_calls == Some(false) && !asked.tools.is_empty() {
        return Err(cannot(
            "parallel_tool_calls",
            "parallel_tool_calls: false cannot be said to Gemini, which may always call several tools: leave it out",
        ));
    }
    let tool_config = tools::config(asked.tool_choice, &asked.tools)?;
    let tools = tools::declarations(asked.tools)?;
    let mut generation_config = sampling(asked.sampling)?;
    form(asked.response_format, &mut generation_config)?;
    generation_config.thinking_config = thinking(asked.reasoning_effort, google.thinking_config)?;
    let (contents, system_instruction) = turns::encode(asked.messages)?;
    let sent = GenerateContent {
        contents,
        system_instruction,
        tools,
        tool_config,
        generation_config,
        safety_settings: google.safety_settings,
        cached_content: google.cached_content,
    };
    serde_json::to_vec(&sent).map_err(|error| wrong("messages", error.to_string()))
}

/// What Google's own OpenAI surface takes under `extra_body.google` (ai.google.dev, "OpenAI compatibility"), and its
/// safety settings beside them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoogleOptions {
    #[serde(default, alias = "thinkingConfig")]
    thinking_config: Option<ThinkingConfig>,
    #[serde(default, alias = "cachedContent")]
    cached_content: Option<String>,
    #[serde(default, alias = "safetySettings")]
    safety_settings: Option<Vec<Value>>,
}

impl GoogleOptions {
    fn take(fields: &mut Fields<'_>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct ExtraBody {
            #[serde(default)]
            google: GoogleOptions,
        }
        let extra: Option<ExtraBody> = fields.take("extra_body", "an object with a member google")?;
        Ok(extra.map(|extra| extra.google).unwrap_or_default())
    }
}

fn sampling(asked: Sampling) -> Result<GenerationConfig, Refusal> {
    let seed = asked.seed.map(i32::try_from).transpose();
    if asked.top_logprobs.is_some() && !asked.logprobs {
        return Err(wrong("top_logprobs", "top_logprobs needs logprobs: true"));
    }
    Ok(GenerationConfig {
        max_output_tokens: asked.max_tokens,
        temperature: asked.temperature,
        top_p: asked.top_p,
        top_k: asked.top_k,
        stop_sequences: asked.stop,
        candidate_count: asked.n.filter(|&n| n != 1),
        seed: seed.map_err(|_| cannot("seed", "seed must fit into 32 bits for Gemini"))?,
        presence_penalty: asked.presence_penalty,
        frequency_penalty: asked.frequency_penalty,
        response_logprobs: asked.logprobs.then_some(true),
        logprobs: asked.top_logprobs,
        ..GenerationConfig::default()
    })
}

fn form(asked: Option<ResponseFormat>, config: &mut GenerationConfig) -> Result<(), Refusal> {
    let schema = match asked {
        None | Some(ResponseFormat::Text) => return Ok(()),
        Some(ResponseFormat::JsonObject) => None,
        Some(ResponseFormat::JsonSchema { json_schema }) => schema::described(json_schema),
    };
    config.response_mime_type = Some("application/json");
    config.response_json_schema = schema.map(|schema| schema::rewrite(&schema)).transpose()?;
    Ok(())
}

/// How much to think, in tokens: the figures of Google's own table for `reasoning_effort`.
///
/// That table gives newer models a level in place of a budget. Which a model wants is not told by any data that
/// providers give out, and a name is not data; the budget is taken by all of them (ai.google.dev, "Gemini thinking":
/// accepted by Gemini 3 for backwards compatibility), so it is what is sent. An app that wants a level says so in
/// `extra_body.google.thinking_config`.
fn thinking(effort: Option<Effort>, config: Option<ThinkingConfig>) -> Result<Option<ThinkingConfig>, Refusal> {
    let Some(effort) = effort else { return Ok(config) };
    let mut config = config.unwrap_or_default();
    if config.thinking_budget.is_some() || config.thinking_level.is_some() {
        return Err(wrong(
            "reasoning_effort",
            "reasoning_effort and a thinking budget or level say the same: send one",
        ));
    }
    config.thinking_budget = Some(match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        // Google knows nothing above `high`.
        Effort::High | Effort::Xhigh | Effort::Max => 24_576,
    });
    Ok(Some(config))
}
