//! What a writer of configuration meets: values, messages, the shipped files, the files' own troubles.

mod budgets;
mod catalogue;
mod consistency;
mod daemon;
mod files;
mod fragments;
mod layers;
mod messages;
mod mutations;
mod presets;
mod shipped;

use std::path::{Path, PathBuf};

use super::*;

/// Kinds as an adapters' table would have them.
const KINDS: &[&KindFacts] = &[
    &KindFacts {
        name: "openai",
        default_base_url: Some("https://api.openai.com/v1"),
        needs_secret: true,
        settings: &["organization", "project"],
        stream_usage: StreamUsage::Ask,
        bare_models: true,
    },
    &KindFacts {
        name: "openrouter",
        default_base_url: Some("https://openrouter.ai/api/v1"),
        needs_secret: true,
        settings: &["referer", "title"],
        stream_usage: StreamUsage::Always,
        bare_models: true,
    },
    &KindFacts {
        name: "gemini",
        default_base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        needs_secret: true,
        settings: &[],
        stream_usage: StreamUsage::Always,
        bare_models: true,
    },
    &KindFacts {
        name: "anthropic",
        default_base_url: Some("https://api.anthropic.com/v1"),
        needs_secret: true,
        settings: &[],
        stream_usage: StreamUsage::Always,
        bare_models: true,
    },
    &KindFacts {
        name: "azure",
        default_base_url: None,
        needs_secret: true,
        settings: &["api_version", "deployment"],
        stream_usage: StreamUsage::Ask,
        bare_models: true,
    },
    &KindFacts {
        name: "sandbox",
        default_base_url: Some("https://sandbox.invalid/v1"),
        needs_secret: false,
        settings: &["fault"],
        stream_usage: StreamUsage::Ask,
        bare_models: false,
    },
];

fn catalogue(text: &str) -> Result<Loaded<Catalogue>, Report> {
    check_catalogue(&Source::from_text(Path::new("providers.toml"), text.to_owned()), KINDS)
}

/// A catalogue that is taken without a word.
fn good(text: &str) -> Catalogue {
    let loaded = catalogue(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(shown(&loaded.warnings), [""; 0], "no warnings");
    loaded.value
}

/// What a catalogue is refused for.
fn errors(text: &str) -> Vec<String> {
    shown(&catalogue(text).expect_err("errors").errors)
}

/// What is odd about a catalogue that is taken.
fn warnings(text: &str) -> Vec<String> {
    shown(&catalogue(text).unwrap_or_else(|report| panic!("{report}")).warnings)
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// A user with a home and nothing else.
fn user() -> Environment {
    Environment::new(false, |name| (name == "HOME").then(|| "/home/ada".into()))
}

fn daemon_in(text: &str, file: Option<&Path>, environment: &Environment) -> Result<Daemon, Report> {
    let source = Source::from_text(Path::new("bursar.toml"), text.to_owned());
    check_daemon(&source, file, environment).map(|loaded| loaded.value)
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}
