//! A user's file over the built-in providers.

use super::*;
use crate::api::PicoUsd;

#[test]
fn an_empty_file_takes_nothing_away() {
    let catalogue = good("");
    let slugs: Vec<_> = catalogue.providers.keys().map(ToString::to_string).collect();
    assert_eq!(slugs, ["anthropic", "gemini", "openai", "openrouter", "sandbox"]);
    assert!(catalogue.providers.values().all(|provider| provider.builtin));
    assert!(catalogue.routes.is_empty() && catalogue.connections.is_empty());
}

#[test]
fn a_file_replaces_the_keys_that_it_names_and_no_others() {
    let builtin = good("");
    let catalogue = good(
        r#"
[providers.openai]
enabled = false
[providers.openai.models."gpt-4.1-mini"]
price = { input = 9 }
[providers.openai.models.mine]
"#,
    );
    let (before, after) = (&builtin.providers["openai"], &catalogue.providers["openai"]);
    assert!(!after.enabled && after.builtin);
    assert_eq!(after.kind, before.kind);
    assert_eq!(after.models.len(), before.models.len() + 1);
    assert_eq!(after.models["gpt-4.1"], before.models["gpt-4.1"]);
    let (before, after) = (&before.models["gpt-4.1-mini"], &after.models["gpt-4.1-mini"]);
    assert_eq!(after.context_window, before.context_window);
    let price = after.price.as_ref().unwrap();
    assert_eq!((price.rates.input, price.rates.output), (Some(PicoUsd(9_000_000)), None), "a key is replaced whole");
    assert_eq!(catalogue.providers["gemini"], builtin.providers["gemini"]);
}

#[test]
fn builtin_false_drops_all_that_is_built_in() {
    let catalogue = good("[providers.openai]\nbuiltin = false\nkind = \"openai\"\n");
    let openai = &catalogue.providers["openai"];
    assert!(openai.models.is_empty() && !openai.builtin);
    assert_eq!(
        errors("[providers.openai]\nbuiltin = false\n"),
        [
            "providers.toml:1: providers.openai: kind is missing: write kind = one of openai, openrouter, gemini, anthropic, azure, sandbox"
        ]
    );
}

#[test]
fn a_misspelled_built_in_is_recognised() {
    assert_eq!(
        errors("[providers.opnai]\nenabled = false\n"),
        [
            r#"providers.toml:1: providers.opnai: kind is missing: write kind = one of openai, openrouter, gemini, anthropic, azure, sandbox; did you mean the built-in "openai"?"#
        ]
    );
    assert_eq!(
        errors("[providers.mine]\nkind = \"openai\"\nbuiltin = false\n"),
        [r#"providers.toml:3: providers.mine.builtin: there is no built-in provider "mine""#]
    );
}

#[test]
fn problems_in_a_merged_table_keep_the_writers_line() {
    let text = "\n\n[providers.openai.models.\"gpt-4.1\"]\ncontxt_window = 1\n[providers.gemini]\nmodels = 3\n";
    assert_eq!(
        errors(text),
        [
            r#"providers.toml:4: providers.openai.models."gpt-4.1".contxt_window: unknown key; did you mean "context_window"?"#,
            r#"providers.toml:6: providers.gemini.models: write a table, not a number"#,
        ]
    );
    assert_eq!(errors("providers = 1"), ["providers.toml:1: providers: write a table, not a number"]);
}
