//! The figures beside the four that the facts have: read from the provider's bytes once more, by their names alone, and
//! held against the record.

use bursar::api::UsageRecord;
use serde_json::Value;

use crate::case::Case;
use crate::facts;

/// Where each kind of provider says a figure, within an object of usage, and what the record calls it.
const PLACES: &[(&str, &str, &str)] = &[
    ("anthropic", "/cache_creation_input_tokens", "cache_write_tokens"),
    ("anthropic", "/cache_creation/ephemeral_1h_input_tokens", "cache_write_1h_tokens"),
    ("anthropic", "/server_tool_use/web_search_requests", "searches"),
    ("openai", "/prompt_tokens_details/cache_write_tokens", "cache_write_tokens"),
    ("openai", "/prompt_tokens_details/audio_tokens", "audio_input_tokens"),
    ("openai", "/prompt_tokens_details/image_tokens", "image_input_tokens"),
    ("openai", "/completion_tokens_details/audio_tokens", "audio_output_tokens"),
    ("openai", "/completion_tokens_details/image_tokens", "image_output_tokens"),
];

/// How the record of a case differs; and how many figures were held against it.
pub fn differences(case: &Case, record: &UsageRecord) -> (Vec<String>, usize) {
    if !matches!(case.expected["error_class"].as_str(), Some("none" | "cut")) {
        return (Vec::new(), 0);
    }
    let usages = usages(case);
    let record = serde_json::to_value(record).unwrap();
    let kind = if case.kind() == "openrouter" { "openai" } else { case.kind() };
    let places = PLACES.iter().filter(|(of, ..)| *of == kind);
    let mut told: Vec<(&str, u64)> = places
        .filter_map(|(_, place, name)| {
            let last = usages.iter().rev().find_map(|usage| usage.pointer(place)?.as_u64())?;
            Some((*name, last))
        })
        .collect();
    if kind == "gemini" {
        for (list, modality, name) in [
            ("promptTokensDetails", "AUDIO", "audio_input_tokens"),
            ("promptTokensDetails", "IMAGE", "image_input_tokens"),
            ("candidatesTokensDetails", "AUDIO", "audio_output_tokens"),
            ("candidatesTokensDetails", "IMAGE", "image_output_tokens"),
        ] {
            let of = |usage: &Value| {
                let counts = usage[list].as_array()?.iter().filter(|count| count["modality"] == modality);
                let counts: Vec<u64> = counts.filter_map(|count| count["tokenCount"].as_u64()).collect();
                (!counts.is_empty()).then(|| counts.iter().sum::<u64>())
            };
            told.extend(usages.iter().rev().find_map(of).map(|count| (name, count)));
        }
    }
    let wrong = told.iter().filter(|(name, figure)| record[*name].as_u64() != Some(*figure));
    let wrong = wrong.map(|(name, figure)| format!("{name} is {}, not {figure}", record[*name])).collect();
    (wrong, told.len())
}

/// Every object of usage in the provider's bytes, in order.
fn usages(case: &Case) -> Vec<Value> {
    let text = String::from_utf8_lossy(&case.body);
    let bodies: Vec<Value> = if case.is_stream() {
        facts::events(&format!("{}\n\n", text.trim_end()))
            .iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    } else {
        serde_json::from_str(&text).into_iter().collect()
    };
    let found = bodies.iter().flat_map(|body| {
        [&body["message"]["usage"], &body["usage"], &body["usageMetadata"]]
            .into_iter()
            .filter(|one| one.is_object())
            .cloned()
    });
    found.collect()
}
