//! Tables and texts of providers, held against what they are made of.

use super::*;
use crate::api::PicoUsd;
use crate::api::admin::{Object, PriceRates};
use crate::api::money::UsdPerMillion;

fn provider(slug: &str, enabled: bool, declared: bool) -> Provider {
    let rates = PriceRates {
        input: Some(UsdPerMillion(PicoUsd(400_000))),
        output: Some(UsdPerMillion(PicoUsd(1_600_000))),
        ..PriceRates::default()
    };
    let mini = Model {
        id: "gpt-4.1-mini".into(),
        capabilities: Some(vec![crate::api::Capability::Chat, crate::api::Capability::Tools]),
        context_window: Some(1_047_576),
        max_output_tokens: None,
        price: Some(Price { rates, ..Price::default() }),
    };
    Provider {
        slug: slug.parse().unwrap(),
        kind: "openai".into(),
        preset: None,
        operations: vec![crate::api::Operation::Chat],
        enabled,
        declared_enabled: declared,
        builtin: true,
        sandbox: slug == "sandbox",
        available: enabled && slug != "gemini",
        base_url: format!("https://{slug}.example/v1"),
        default_connection: (slug == "openai").then(|| "main".parse().unwrap()),
        ui_preferences: Object::new(),
        capabilities: vec![crate::api::Capability::Chat],
        usage_count: None,
        last_health_check: None,
        connections: 2,
        models_fetched_at: None,
        models: vec![mini],
    }
}

#[test]
fn providers_are_listed_with_what_stands_against_them() {
    let all = [
        provider("openai", true, true),
        provider("gemini", true, true),
        provider("lan", false, true),
        provider("sandbox", false, false),
    ];
    insta::assert_snapshot!(table(&all).to_text(false), @r"
    PROVIDER  KIND    STATUS                         CONNECTIONS  DEFAULT  MODELS  BASE URL
    openai    openai  enabled                                  2  main          1  https://openai.example/v1
    gemini    openai  enabled, no usable connection            2  -             1  https://gemini.example/v1
    lan       openai  disabled                                 2  -             1  https://lan.example/v1
    sandbox   openai  disabled in the file                     2  -             1  https://sandbox.example/v1
    ");
    insta::assert_snapshot!(table(&all[..1]).to_csv().replace("\r\n", "\n"), @r"
    provider,kind,status,connections,default,models,base_url
    openai,openai,enabled,2,main,1,https://openai.example/v1
    ");
}

#[test]
fn models_show_what_they_cost() {
    insta::assert_snapshot!(models(&provider("openai", true, true).models).to_text(false), @r"
    MODEL         CONTEXT  INPUT PER MILLION  OUTPUT PER MILLION  CAPABILITIES
    gpt-4.1-mini  1047576                0.4                 1.6  chat tools
    ");
}

#[test]
fn a_default_connection_is_named_alone_or_by_its_id() {
    let named = |name: &str| {
        let slug = Slug { slug: "openai".parse().unwrap() };
        let found = Default { slug, name: name.into() }.connection();
        found.map(|name| name.map(|name| name.to_string()))
    };
    assert_eq!(named("none"), Ok(None));
    for name in ["main", "openai:main"] {
        assert_eq!(named(name), Ok(Some("main".into())));
    }
    assert!(named("other:main").unwrap_err().message.contains("no connection of openai"));
    assert!(named("openai:").is_err());
}
