//! Whether what was found is what was expected, by the rules of the recordings' README.

use bursar::adapter::text::sanitise;
use serde_json::{Map, Value, json};

type Facts = Map<String, Value>;

/// Facts that are compared whole. Where one is not named, it must not be there.
const WHOLE: &[&str] = &[
    "status",
    "error_class",
    "text",
    "refusal",
    "tool_calls",
    "function_call",
    "finish_reason",
    "more_choices",
    "models",
];

/// How what was found differs; empty where it is as it should be, or as it may be as well.
pub fn differences(expected: &Value, found: &Facts) -> Vec<String> {
    let alternatives = std::iter::once(expected.clone()).chain(alternatives(expected));
    let wrong = alternatives.map(|facts| Comparison { expected: &facts, found }.differences());
    wrong.min_by_key(Vec::len).expect("there is one alternative at least")
}

/// Whole alternatives: the facts named there, taken together, replace the others.
pub fn alternatives(expected: &Value) -> impl Iterator<Item = Value> {
    expected["or"].as_array().into_iter().flatten().map(|or| {
        let mut other = expected.clone();
        other.as_object_mut().unwrap().extend(or.as_object().unwrap().clone());
        other
    })
}

/// The values of a fact that are right.
pub fn accepted<'a>(expected: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let value = name.split('.').fold(expected, |value, step| &value[step]);
    std::iter::once(value).chain(expected["accept"][name].as_array().into_iter().flatten())
}

/// How what the record of another call with the same reply holds differs: usage is counted from the provider's bytes,
/// whatever the app speaks.
pub fn recorded(expected: &Value, found: &Facts) -> Vec<String> {
    let alternatives = std::iter::once(expected.clone()).chain(alternatives(expected));
    let wrong = alternatives.map(|facts| Comparison { expected: &facts, found }.usage());
    wrong.min_by_key(Vec::len).expect("there is one alternative at least")
}

struct Comparison<'a> {
    expected: &'a Value,
    found: &'a Facts,
}

impl Comparison<'_> {
    fn differences(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for name in WHOLE {
            let found = self.found(name);
            let expected = &self.expected[*name];
            let silent = match *name {
                // Errors, embeddings and lists have no text to compare.
                "text" => expected.is_null(),
                // Nor have they calls, and their facts say so.
                "tool_calls" => found.is_null() && *expected == json!([]),
                _ => false,
            };
            if !silent && !self.accepted(name).any(|value| value == found) {
                wrong.push(format!("{name} is {found}, not {expected}"));
            }
        }
        wrong.extend(self.message());
        wrong.extend(self.embeddings());
        wrong.extend(self.usage());
        wrong.extend(self.shown_usage());
        if self.found("same_bytes") == false {
            wrong.push("the body did not pass byte for byte".into());
        }
        if let Some(end) = self.found.get("bad_end") {
            wrong.push(format!("the stream must end with [DONE] or with an error, once: {end}"));
        }
        wrong
    }

    fn found(&self, name: &str) -> &Value {
        self.found.get(name).unwrap_or(&Value::Null)
    }

    fn accepted<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Value> {
        accepted(self.expected, name)
    }

    /// The app is told the provider's text, as it came or sanitised. The record says that there was an error, and not
    /// always in the provider's words: they may repeat a prompt.
    fn message(&self) -> Option<String> {
        let text = self.expected["error_message"].as_str()?;
        let told = self.found("error_message").as_str().unwrap_or_default();
        if !told.contains(text) && !told.contains(&sanitise(text)) {
            return Some(format!("error_message is {told:?}, not {text:?}"));
        }
        self.found("record_error").is_null().then(|| "the record names no error".into())
    }

    fn embeddings(&self) -> Option<String> {
        let (expected, found) = (&self.expected["embeddings"], self.found("embeddings"));
        let near = |(a, b): (&Value, &Value)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-5;
        let values = |facts: &Value| facts["first_values"].as_array().cloned().unwrap_or_default();
        let (few, found_few) = (values(expected), values(found));
        let same = expected["count"] == found["count"]
            && expected["dimensions"] == found["dimensions"]
            && few.len() == found_few.len()
            && few.iter().zip(&found_few).all(near);
        (!same).then(|| format!("embeddings are {found}, not {expected}"))
    }

    /// What the record holds. Unknown may be an estimate that says so; of what is a part of a figure, and of an
    /// embedding's output, there may also be none.
    fn usage(&self) -> Vec<String> {
        let Some(figures) = self.expected["usage"].as_object() else { return Vec::new() };
        let may_be_zero = |name: &str| {
            matches!(name, "cached_tokens" | "reasoning_tokens") || self.expected["operation"] == "embeddings"
        };
        let right = |name: &str, value: &Value, found: &Value| match (value.as_f64(), found.as_f64()) {
            (None, None) => true,
            (None, Some(figure)) => self.found("usage")["estimated"] == true || (figure == 0.0 && may_be_zero(name)),
            (Some(value), Some(figure)) if name == "cost_usd" => (value - figure).abs() <= 1e-9,
            (Some(value), Some(figure)) => value == figure,
            (Some(_), None) => false,
        };
        let wrong = figures.keys().filter_map(|name| {
            let (path, found) = (format!("usage.{name}"), &self.found("usage")[name]);
            let good = self.accepted(&path).any(|value| right(name, value, found));
            (!good).then(|| format!("{path} is {found}, not {}", figures[name]))
        });
        wrong.collect()
    }

    /// The reply shows the figures of the record, unless it passed through and shows the provider's own.
    fn shown_usage(&self) -> Vec<String> {
        let (shown, usage) = (self.found("shown_usage"), self.found("usage"));
        let passed = matches!(self.expected["kind"].as_str(), Some("openai" | "openrouter"));
        if passed || !shown.is_object() {
            return Vec::new();
        }
        let figures = [
            ("input_tokens", &shown["prompt_tokens"]),
            ("output_tokens", &shown["completion_tokens"]),
            ("cached_tokens", &shown["prompt_tokens_details"]["cached_tokens"]),
            ("reasoning_tokens", &shown["completion_tokens_details"]["reasoning_tokens"]),
        ];
        // OpenAI's dialect cannot leave a figure out: there, unknown is 0.
        let differs = |(name, shown): &(&str, &Value)| {
            usage[*name] != **shown && !(usage[*name].is_null() && (shown.is_null() || **shown == 0))
        };
        let wrong = figures.into_iter().filter(differs);
        wrong.map(|(name, shown)| format!("the reply shows {shown} for {name}, not {}", usage[name])).collect()
    }
}
