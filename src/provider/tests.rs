//! The presets as providers, and where their calls go.

use std::path::Path;

use super::*;
use crate::config::Source;

/// Every preset, by name: the issue that asked for them and the README name the same.
const PRESETS: &[&str] = &[
    "azure",
    "cerebras",
    "deepseek",
    "fireworks",
    "groq",
    "llama-cpp",
    "lm-studio",
    "mistral",
    "nvidia-nim",
    "ollama",
    "perplexity",
    "together",
    "vllm",
    "xai",
];

fn provider(text: &str) -> Result<Provider, ProviderError> {
    let text = format!("[providers.mine]\n{text}\n");
    let source = Source::from_text(Path::new("providers.toml"), text);
    let loaded = config::check_catalogue(&source, &adapter::kinds()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    Provider::new(&loaded.value.providers["mine"], Timeouts::default(), None, None)
}

fn preset(name: &str) -> Provider {
    let base_url = if name == "azure" { "base_url = \"https://mine.openai.azure.com/openai\"" } else { "" };
    provider(&format!("preset = \"{name}\"\n{base_url}")).unwrap()
}

fn asked(operation: Operation, model: &str) -> Asked {
    Asked { operation, ..Asked::for_model(model) }
}

fn words(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(word, value)| (word.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_preset_is_a_valid_provider() {
    for name in PRESETS {
        let provider = preset(name);
        assert!(provider.has(Operation::Chat) && provider.has(Operation::Models), "{name}");
        for &operation in &provider.operations {
            let url = provider.url(&asked(operation, "m"), &BTreeMap::new()).unwrap();
            assert_eq!(Origin::of(&url).unwrap(), provider.origin, "{name}");
        }
        // Whatever the API is reached at without TLS is a host of the operator's own, and none other.
        assert_eq!(provider.base_url.scheme() == "http", provider.transport.allow_private, "{name}");
        assert_eq!(provider.needs_secret(), !provider.transport.allow_private, "{name}");
    }
}

#[test]
fn azures_calls_go_to_a_deployment_and_its_list_does_not() {
    let azure = preset("azure");
    let url = |operation, model: &str, said: &[(&str, &str)]| {
        azure.url(&asked(operation, model), &words(said)).map(|url| url.to_string())
    };
    let at = |path: &str| Some(format!("https://mine.openai.azure.com/openai{path}"));
    assert_eq!(
        url(Operation::Chat, "gpt-4.1", &[]),
        at("/deployments/gpt-4.1/chat/completions?api-version=2024-10-21")
    );
    assert_eq!(
        url(Operation::Embeddings, "m", &[("deployment", "a b/c"), ("api_version", "2025-01-01&x=y")]),
        at("/deployments/a%20b%2Fc/embeddings?api-version=2025-01-01%26x%3Dy")
    );
    assert_eq!(url(Operation::Models, "", &[]), at("/models?api-version=2024-10-21"));
    for steps in ["..", ".", ""] {
        assert_eq!(url(Operation::Chat, steps, &[]), None, "{steps:?} would be a step in the path");
    }
    assert_eq!(azure.credential_header, Some((HeaderName::from_static("api-key"), "")));
    assert_eq!(preset("groq").credential_header, Some((AUTHORIZATION, "Bearer ")));
}

#[test]
fn a_template_keeps_the_query_of_the_kinds_own_path() {
    let gemini = provider("kind = \"gemini\"\npaths = { default = \"{path}?trace=on\" }").unwrap();
    let stream = Asked { stream: true, ..asked(Operation::Chat, "m") };
    let url = gemini.url(&stream, &BTreeMap::new()).unwrap();
    assert_eq!(url.query(), Some("alt=sse&trace=on"));
}

#[test]
fn a_provider_narrows_what_its_kind_has_and_adds_nothing() {
    let narrowed = provider("kind = \"openai\"\noperations = [\"embeddings\", \"chat\"]").unwrap();
    assert_eq!(narrowed.operations, [Operation::Chat, Operation::Embeddings, Operation::Models]);
    let refused = provider("kind = \"gemini\"\noperations = [\"chat\", \"images\"]").err().unwrap();
    assert_eq!(refused.to_string(), "provider mine names operations that its kind \"gemini\" has not: images");
}
