//! A configuration of LiteLLM's as its documentation writes them, whole.

use super::super::yaml;
use super::*;

const CONFIG: &str = r#"model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-eu.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_EU"
      api_version: "2025-01-01-preview"
      rpm: 6
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-ca
      api_base: https://my-ca.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_CA"
      rpm: 7
      timeout: 30
  - model_name: cheap
    litellm_params: {model: gpt-4.1-mini, api_key: sk-canary-literal-1, rpm: 10, tpm: 1000}
  - model_name: vision
    litellm_params: {model: openai/gpt-4.1, api_key: sk-canary-literal-1, tpm: 500}
  - model_name: local
    litellm_params:
      model: openai/meta/llama
      api_base: http://10.0.0.7:8000/v1
      api_key: none
  - model_name: other
    litellm_params:
      model: bedrock/anthropic.claude
  - model_name: claude
    litellm_params:
      model: anthropic/claude-sonnet-5
router_settings:
  routing_strategy: least-busy
  model_group_alias: {"gpt-4": "gpt-4o"}
  fallbacks: [{"cheap": ["gpt-4o", "nowhere"]}]
litellm_settings:
  drop_params: true
general_settings:
  master_key: sk-canary-master
"#;

fn found() -> Found {
    let root = yaml::read(CONFIG).ok().unwrap();
    assert!(is(&root));
    let variable = |name: &str| (name == "AZURE_API_KEY_EU").then(|| SecretText::new("canary-azure-eu".to_owned()));
    let lists = |model: &str| (model == "gpt-4.1-mini").then(|| "openai".parse().unwrap());
    read(&root, &Around { variable: &variable, lists: &lists })
}

#[test]
fn deployments_become_connections_with_their_limits() {
    let found = found();
    let shown: Vec<_> = found
        .connections
        .iter()
        .map(|one| {
            let secret = match &one.secret {
                FoundSecret::Given(_) => "given",
                FoundSecret::Missing(_) => "missing",
                FoundSecret::Unneeded => "unneeded",
            };
            (format!("{}:{}", one.provider, one.name), secret, one.limits.requests_per_minute)
        })
        .collect();
    let expected = [
        ("azure-my-eu:eu", "given", Some(6)),
        ("azure-my-ca:ca", "missing", Some(7)),
        ("openai:main", "given", None),
        ("openai-10.0.0.7-8000:main", "unneeded", None),
        ("anthropic:main", "missing", None),
    ];
    assert_eq!(shown, expected.map(|(id, secret, rpm)| (id.to_owned(), secret, rpm)));
    assert_eq!(found.connections[0].settings["api_version"], "2025-01-01-preview");
    let of_models = &found.connections[2].model_limits;
    assert_eq!(
        (of_models["gpt-4.1-mini"].tokens_per_minute, of_models["gpt-4.1"].tokens_per_minute),
        (Some(1_000), Some(500))
    );
}

#[test]
fn names_become_routes_with_their_fallbacks_and_aliases() {
    let found = found();
    let routes: Vec<_> = found
        .routes
        .iter()
        .map(|route| {
            let targets: Vec<_> = route.targets.iter().map(|(provider, model)| format!("{provider}/{model}")).collect();
            (route.name.as_str(), targets.join(" "))
        })
        .collect();
    let azure = "azure-my-eu/gpt-4o-eu azure-my-ca/gpt-4o-ca";
    assert_eq!(routes[0], ("gpt-4o", azure.into()));
    assert_eq!(routes[1], ("cheap", format!("openai/gpt-4.1-mini {azure}")));
    assert_eq!(routes[3], ("local", "openai-10.0.0.7-8000/meta/llama".into()));
    assert_eq!(routes.last().unwrap(), &("gpt-4", azure.into()));
    assert!(found.routes.iter().all(|route| route.order == Some("least_in_flight")));
}

#[test]
fn what_has_no_counterpart_is_told_by_its_line_and_no_value_is() {
    let found = found();
    let at = |text: &str| found.notes.iter().find(|note| note.text.contains(text)).map(|note| note.line);
    for (text, line) in
        [("timeout", 15), ("bedrock", 27), ("in no model_list", 34), ("drop_params", 36), ("master_key", 38)]
    {
        assert_eq!(at(text), Some(line), "{text} in {:?}", found.notes);
    }
    assert!(!format!("{:?}", found.notes).contains("canary"));
}
