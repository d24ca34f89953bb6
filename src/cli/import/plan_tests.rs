//! Plans beside what is declared and held, and the tables that they come to, read by the daemon's own code.

use std::path::Path;

use super::super::known::by_name;
use super::*;
use crate::adapter;
use crate::api::admin::SecretText;
use crate::cli::connections::connection as there;
use crate::config::{Source, check_catalogue};

fn catalogue(text: &str) -> Catalogue {
    let source = Source::from_text(Path::new("providers.toml"), text.to_owned());
    check_catalogue(&source, &adapter::kinds()).unwrap_or_else(|report| panic!("{report}\n{text}")).value
}

fn secret(text: &str) -> FoundSecret {
    FoundSecret::Given(SecretText::new(text.to_owned()))
}

fn found() -> Found {
    let mut found = Found::default();
    let openai = found.provider(by_name("openai"), None, 1).unwrap();
    let groq = found.provider(by_name("groq"), None, 2).unwrap();
    let lan = found.provider(by_name("openai"), Some("http://10.0.0.7:8000/v1"), 3).unwrap();
    for (line, provider, text) in
        [(1, &openai, "sk-canary-0000-1111"), (2, &groq, "gsk-canary-2222"), (3, &lan, "x-canary-3")]
    {
        let mut one = FoundConnection::new(line, provider.clone(), "main".parse().unwrap(), secret(text));
        if line == 2 {
            one.model_limits.insert("llama/3".into(), Limits { requests_per_minute: Some(5), ..Limits::default() });
        }
        found.connection("", one);
    }
    let target = |provider: &ProviderSlug, model: &str| (provider.clone(), model.to_owned());
    let mut route =
        |name: &str, targets| found.routes.push(FoundRoute { line: 9, name: name.into(), targets, order: None });
    route("cheap", vec![target(&openai, "gpt-4.1-mini"), target(&lan, "qwen\"3\""), target(&lan, "no id")]);
    route("gpt-4.1-mini", vec![target(&openai, "gpt-4.1-mini")]);
    route("gpt-4o", vec![target(&groq, "llama/3")]);
    route("Claude 3.5", vec![target(&groq, "llama/3")]);
    found
}

#[test]
fn the_tables_of_a_plan_are_taken_by_the_daemon_and_a_second_plan_is_empty() {
    let plan = Plan::new(found(), &catalogue(""), &[]);
    assert_eq!(plan.providers, ["groq", "openai-10.0.0.7-8000"]);
    assert_eq!(plan.routes, ["cheap", "gpt-4o-route", "claude-3.5"]);
    assert!(plan.connections.iter().all(|one| one.fate == Fate::Add) && plan.changes());
    assert!(!plan.fragment.contains("canary"));
    let after = catalogue(&plan.fragment);
    assert!(after.providers["openai-10.0.0.7-8000"].allow_private);
    assert_eq!(after.providers["groq"].preset.as_deref(), Some("groq"));
    assert_eq!(after.routes["cheap"].targets[1].to_string(), "openai-10.0.0.7-8000/qwen\"3\"");
    let group = plan.connections[1].limit_group.clone().unwrap();
    assert!(after.limit_groups.contains_key(&group));

    let held: Vec<_> = plan
        .connections
        .iter()
        .map(|one| {
            let mut there = there(&format!("{}:{}", one.found.provider, one.found.name));
            let FoundSecret::Given(secret) = &one.found.secret else { panic!("a secret") };
            there.secret.hint = hint(secret);
            there
        })
        .collect();
    let again = Plan::new(found(), &after, &held);
    assert!(!again.changes(), "{}", again.fragment);
    assert!(again.connections.iter().all(|one| one.fate == Fate::There));
}

#[test]
fn what_is_there_stays_and_is_told_of() {
    let mut other = there("openai:main");
    other.secret.hint = Some("…9876".into());
    let declared = catalogue("[routes.cheap]\ntargets = [\"openai/gpt-4o\"]\n");
    let plan = Plan::new(found(), &declared, &[other]);
    assert!(matches!(&plan.connections[0].fate, Fate::Differs(why) if why.contains("rotate openai:main")));
    assert!(!plan.routes.contains(&"cheap".to_owned()));
    assert!(plan.notes.iter().any(|note| note.line == 9 && note.text.contains("route cheap is there")));
}

#[test]
fn a_name_that_cannot_be_a_routes_is_told_of() {
    let plan = Plan::new(found(), &catalogue(""), &[]);
    let notes: Vec<_> = plan.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(notes.iter().any(|note| note.contains("no model's id")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("\"gpt-4o\" is a model's id") && note.contains("gpt-4o-route")));
    assert!(notes.iter().any(|note| note.contains("\"Claude 3.5\" cannot be") && note.contains("claude-3.5")));
}
