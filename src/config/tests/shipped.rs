//! The files that are shipped: they work as they are, and so do their examples.

use super::*;
use crate::api::{Capability, PicoUsd};

fn read(name: &str) -> String {
    std::fs::read_to_string(shipped(name)).unwrap()
}

/// The text with its commented examples in force: the comments that are TOML.
fn with_examples(text: &str) -> String {
    let line = |line: &str| {
        let bare = line.trim_start_matches('#').trim_start().to_owned();
        let is_key =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_toml = bare.starts_with('[') || bare.split_once(" = ").is_some_and(|(key, _)| is_key(key));
        if line.starts_with('#') && is_toml { bare } else { line.to_owned() }
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn both_are_taken_without_a_word() {
    good(&read("providers.toml"));
    let text = read("bursar.toml");
    let source = Source::from_text(Path::new("bursar.toml"), text);
    let loaded = check_daemon(&source, None, &Environment::new(false, |_| None)).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.value.store_path, Path::new("/var/lib/bursar"));
}

#[test]
fn the_shipped_file_over_the_built_ins_changes_nothing() {
    assert_eq!(good(&read("providers.toml")), good(""));
}

#[test]
fn the_commented_examples_work() {
    let catalogue = good(&with_examples(&read("providers.toml")));
    assert_eq!(catalogue.routes.len(), 2);
    assert_eq!((catalogue.connections.len(), catalogue.limit_groups.len()), (1, 1));
    assert!(catalogue.providers.contains_key("lan-vllm"));
    assert_eq!(catalogue.default_timeouts, Timeouts::default(), "what is shown is what holds");

    let daemon = daemon_in(&with_examples(&read("bursar.toml")), None, &user()).unwrap();
    assert_eq!((daemon.apps.len(), daemon.server.workers), (1, Some(2)));
    assert_eq!(daemon.usage, Usage::default(), "what is shown is what holds");
}

#[test]
fn prices_are_those_of_the_open_price_tables() {
    let catalogue = good("");
    let rates = |provider: &str, model: &str| {
        let rates = catalogue.providers[provider].models[model].price.as_ref().unwrap().rates;
        [rates.input, rates.cached_input, rates.output].map(|price| price.map(|PicoUsd(pico)| pico))
    };
    // genai-prices, USD per million tokens: 0.4, 0.1, 1.6.
    assert_eq!(rates("openai", "gpt-4.1-mini"), [Some(400_000), Some(100_000), Some(1_600_000)]);
    // 0.3, 0.03, 2.5.
    assert_eq!(rates("gemini", "gemini-2.5-flash"), [Some(300_000), Some(30_000), Some(2_500_000)]);
    // 1, 0.1, 5.
    assert_eq!(rates("openrouter", "anthropic/claude-haiku-4.5"), [Some(1_000_000), Some(100_000), Some(5_000_000)]);
    // 1, 0.1, 5.
    assert_eq!(rates("anthropic", "claude-haiku-4-5"), [Some(1_000_000), Some(100_000), Some(5_000_000)]);
    // 0.02 in, nothing out.
    assert_eq!(rates("openai", "text-embedding-3-small"), [Some(20_000), None, None]);
    // 1.25 to 200,000 tokens of input, 2.5 above.
    let pro = catalogue.providers["gemini"].models["gemini-2.5-pro"].price.clone().unwrap();
    assert_eq!(pro.rates_for(200_000).input, Some(PicoUsd(1_250_000)));
    assert_eq!(pro.rates_for(200_001).input, Some(PicoUsd(2_500_000)));
}

#[test]
fn every_listed_model_says_what_it_can_do_and_what_it_costs() {
    for provider in good("").providers.values() {
        for (id, model) in &provider.models {
            let capabilities = model.capabilities.unwrap_or_else(|| panic!("{id} has no capabilities"));
            let (chat, embeds) = (capabilities.has(Capability::Chat), capabilities.has(Capability::Embeddings));
            let others =
                [Capability::Images, Capability::Speech, Capability::Transcription, Capability::Moderation].into_iter();
            let other = others.filter(|other| capabilities.has(*other)).count();
            assert_eq!(usize::from(chat) + usize::from(embeds) + other, 1, "{id} is for one kind of call");
            // Pictures and sound may be billed by the piece.
            if other == 1 && model.price.as_ref().is_some_and(|price| price.each != crate::config::Each::default()) {
                continue;
            }
            let rates = model.price.as_ref().unwrap_or_else(|| panic!("{id} has no price")).rates;
            assert!(rates.input.is_some() && (embeds || rates.output.is_some()), "{id}");
            assert!(rates.cached_input <= rates.input, "{id}: the cache is never dearer");
            assert!(provider.kind == "sandbox" || other == 1 || model.context_window.is_some(), "{id}");
        }
    }
}

#[test]
fn only_the_sandbox_is_off_as_shipped() {
    let off: Vec<_> = good("").providers.into_values().filter(|provider| !provider.enabled).collect();
    assert_eq!(off.len(), 1);
    assert_eq!((off[0].kind.as_str(), off[0].unlisted_models), ("sandbox", false));
}
