//! What an answer comes to in Google's words, whole or streamed: parts, ends, figures.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{object, signature};
use crate::adapter::hub::{Answer, CallPiece};
use crate::api::Tokens;

/// How an answer ended.
pub(super) struct End {
    reason: &'static str,
    message: Option<String>,
}

impl End {
    /// An end in Google's words, which says `STOP` for calls too. A call that cannot be read has a reason of its own
    /// (Gemini API reference, "FinishReason"), unless it was cut.
    pub(super) fn of(reason: Option<&str>, unreadable: Option<String>) -> Self {
        let reason = match reason {
            Some("length") => "MAX_TOKENS",
            Some("content_filter") => "SAFETY",
            _ if unreadable.is_some() => "MALFORMED_FUNCTION_CALL",
            None | Some("stop" | "tool_calls" | "function_call") => "STOP",
            Some(_) => "OTHER",
        };
        Self { reason, message: unreadable.filter(|_| reason == "MALFORMED_FUNCTION_CALL") }
    }
}

/// What is said beside calls: thoughts, text or refusal, and what is wanted back with it.
pub(super) fn said(answer: &Answer) -> Vec<Value> {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut parts = Vec::new();
    parts.extend(some(&answer.reasoning).map(|text| json!({"text": text, "thought": true})));
    parts.extend([&answer.text, &answer.refusal].into_iter().filter_map(some).map(|text| json!({"text": text})));
    if let Some(signature) = answer.extra_content.as_ref().and_then(signature::write) {
        // Google itself signs an empty text where a signature comes alone.
        let text = parts
            .pop_if(|last| last.get("thought").is_none())
            .and_then(|mut last| last.get_mut("text").map(Value::take));
        parts.push(json!({"text": text.unwrap_or_else(|| "".into()), "thoughtSignature": signature}));
    }
    parts
}

/// The parts of calls, and what is wrong with the first that cannot be read.
pub(super) fn calls(calls: Vec<CallPiece>) -> (Vec<Value>, Option<String>) {
    let (mut parts, mut unreadable) = (Vec::new(), None);
    for call in calls {
        let name = call.name.clone().unwrap_or_default();
        match part(call) {
            Some(part) => parts.push(part),
            None => unreadable = unreadable.or(Some(format!("the arguments of a call of {name:?} are no JSON object"))),
        }
    }
    (parts, unreadable)
}

fn part(call: CallPiece) -> Option<Value> {
    let text = call.arguments.trim();
    let args: Map<String, Value> = if text.is_empty() { Map::new() } else { serde_json::from_str(text).ok()? };
    let function = [("id", call.id.map(Value::from)), ("name", Some(call.name?.into())), ("args", Some(args.into()))];
    let signature = call.extra_content.as_ref().and_then(signature::write);
    Some(object([("functionCall", Some(object(function))), ("thoughtSignature", signature.map(Value::from))]))
}

/// A candidate, or what is new of it.
pub(super) fn candidate(index: u32, parts: Vec<Value>, logprobs: Option<&Value>, end: Option<End>) -> Value {
    let (reason, message) = end.map(|end| (end.reason, end.message)).unzip();
    object([
        ("content", Some(json!({"parts": parts, "role": "model"}))),
        ("finishReason", reason.map(Value::from)),
        ("finishMessage", message.flatten().map(Value::from)),
        ("index", Some(index.into())),
        ("logprobsResult", logprobs.and_then(logprobs_result)),
    ])
}

/// Parts that hold something: Google ends an answer with an empty text rather than with nothing, and its SDKs rely on
/// that.
pub(super) fn or_empty(parts: Vec<Value>) -> Vec<Value> {
    if parts.is_empty() { vec![json!({"text": ""})] } else { parts }
}

/// A whole reply, or one chunk: they are the same.
pub(super) fn response(id: &str, model: &str, candidates: Vec<Value>, usage: Option<Value>) -> Value {
    object([
        ("candidates", (!candidates.is_empty()).then(|| candidates.into())),
        ("usageMetadata", usage),
        ("modelVersion", Some(model.into())),
        ("responseId", Some(id.into())),
    ])
}

/// What was used; none where nothing is known, and no figure where that one is not. Thoughts are not among the
/// candidates' tokens at Google.
pub(super) fn usage(tokens: Tokens) -> Option<Value> {
    let candidates = tokens.output.map(|output| output.saturating_sub(tokens.reasoning.unwrap_or(0)));
    let total = tokens.input.zip(tokens.output).map(|(input, output)| input.saturating_add(output));
    let known = object([
        ("promptTokenCount", tokens.input.map(Value::from)),
        ("candidatesTokenCount", candidates.map(Value::from)),
        ("totalTokenCount", total.map(Value::from)),
        ("cachedContentTokenCount", tokens.cached.map(Value::from)),
        ("thoughtsTokenCount", tokens.reasoning.map(Value::from)),
    ]);
    (tokens != Tokens::default()).then_some(known)
}

/// The tokens' probabilities.
fn logprobs_result(logprobs: &Value) -> Option<Value> {
    #[derive(Deserialize)]
    struct Token {
        token: String,
        logprob: f64,
        #[serde(default)]
        top_logprobs: Vec<Token>,
    }
    let tokens: Vec<Token> = serde_json::from_value(logprobs.get("content")?.clone()).ok()?;
    let said = |token: &Token| json!({"token": token.token, "logProbability": token.logprob});
    let chosen: Vec<Value> = tokens.iter().map(said).collect();
    let top = tokens.iter().map(|token| json!({"candidates": token.top_logprobs.iter().map(said).collect::<Vec<_>>()}));
    Some(json!({"chosenCandidates": chosen, "topCandidates": top.collect::<Vec<_>>()}))
}
