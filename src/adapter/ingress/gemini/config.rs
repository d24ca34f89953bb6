//! How an answer shall be made: sampling, form, thinking.

use serde_json::{Map, Number, Value, json};

use super::object::Object;
use super::schema;
use crate::adapter::Refusal;

/// The schema's name: OpenAI wants one, and Google has none.
const SCHEMA_NAME: &str = "answer";

/// Figures under their names at Google and at OpenAI.
const NUMBERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("presencePenalty", "presence_penalty"),
    ("frequencyPenalty", "frequency_penalty"),
];

/// As [`NUMBERS`], of whole ones. The limit is not `max_tokens`: OpenAI's reasoning models refuse that.
const WHOLE_NUMBERS: &[(&str, &str)] = &[
    ("topK", "top_k"),
    ("maxOutputTokens", "max_completion_tokens"),
    ("candidateCount", "n"),
    ("seed", "seed"),
    ("logprobs", "top_logprobs"),
];

/// Adds what `generationConfig` says.
pub(super) fn read(mut config: Object<'_>, said: &mut Map<String, Value>) -> Result<(), Refusal> {
    for (name, word) in NUMBERS {
        add(said, word, config.take::<Number>(name, "a number")?);
    }
    for (name, word) in WHOLE_NUMBERS {
        add(said, word, config.whole(name)?);
    }
    add(said, "stop", config.take::<Vec<String>>("stopSequences", "a list of texts")?.filter(|all| !all.is_empty()));
    add(said, "logprobs", config.take::<bool>("responseLogprobs", "true or false")?.filter(|wanted| *wanted));
    add(said, "response_format", form(&mut config)?);
    if let Some(thinking) = config.object("thinkingConfig")? {
        add(said, "reasoning_effort", effort(thinking)?);
    }
    let modalities: Vec<String> = config.take("responseModalities", "a list of words")?.unwrap_or_default();
    if modalities.iter().any(|word| !word.eq_ignore_ascii_case("text")) {
        return Err(
            config.cannot("responseModalities", "must be TEXT: only Gemini can be asked here for anything else")
        );
    }
    // A wish about cost, as `detail` of an image is at OpenAI.
    config.forget(&["mediaResolution"]);
    config.refuse_rest()
}

fn add(said: &mut Map<String, Value>, word: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        said.insert(word.to_owned(), value.into());
    }
}

fn form(config: &mut Object<'_>) -> Result<Option<Value>, Refusal> {
    let kind = config.text("responseMimeType")?;
    let schema = schema::either(config, "responseSchema", "responseJsonSchema")?;
    match (kind.as_deref(), schema) {
        (Some("application/json") | None, Some(schema)) => {
            Ok(Some(json!({"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "schema": schema}})))
        }
        (Some("application/json"), None) => Ok(Some(json!({"type": "json_object"}))),
        (None | Some("text/plain" | ""), None) => Ok(None),
        (Some("text/plain" | ""), Some(_)) => {
            Err(config.wrong("responseMimeType", "must be application/json where there is a schema"))
        }
        (Some(kind), _) => Err(config.cannot("responseMimeType", &format!("is {kind:?}, which only Gemini can write"))),
    }
}

/// How much to think, as a word: Google's own table for `reasoning_effort` (ai.google.dev, "OpenAI compatibility"), read
/// backwards. Whether thoughts are shown changes nothing about the answer, and they are where a provider shows them.
fn effort(mut thinking: Object<'_>) -> Result<Option<&'static str>, Refusal> {
    thinking.forget(&["includeThoughts"]);
    let (budget, level) = (thinking.whole("thinkingBudget")?, thinking.text("thinkingLevel")?);
    thinking.refuse_rest()?;
    if budget.is_some() && level.is_some() {
        return Err(thinking.wrong("thinkingLevel", "says the same as thinkingBudget: send one"));
    }
    let by_budget = |budget| match budget {
        // The model decides.
        ..0 => None,
        0 => Some("none"),
        1..=1_024 => Some("low"),
        1_025..=8_192 => Some("medium"),
        _ => Some("high"),
    };
    match level.as_deref().map(str::to_ascii_uppercase).as_deref() {
        None => Ok(budget.and_then(by_budget)),
        Some("THINKING_LEVEL_UNSPECIFIED") => Ok(None),
        Some("MINIMAL") => Ok(Some("minimal")),
        Some("LOW") => Ok(Some("low")),
        Some("MEDIUM") => Ok(Some("medium")),
        Some("HIGH") => Ok(Some("high")),
        Some(_) => Err(thinking.wrong("thinkingLevel", "must be MINIMAL, LOW, MEDIUM or HIGH")),
    }
}
