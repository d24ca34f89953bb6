//! What `providers.toml` can say, and what it cannot.

use std::time::Duration;

use super::*;
use crate::api::{Capability, PicoUsd};

#[test]
fn everything_that_can_be_said_is_read() {
    let catalogue = good(
        r#"
[defaults.timeouts]
connect = 3
wait = 0

[providers.lan]
kind = "openai"
base_url = "http://10.0.0.7:8000/v1/"
allow_private = true
ca_file = "/etc/ssl/lan.pem"
proxy = "http://proxy.example.com:3128"
stream_usage = "never"
unlisted_models = false
on_timeout = "fallback"
drop = ["logit_bias"]
rename = { max_completion_tokens = "max_tokens" }
headers = { X-Team = "blue" }
timeouts = { first_byte = "90s", idle = 0.5 }
day_resets = "Europe/Berlin"
[providers.lan.models."org/llama:70b"]
capabilities = ["chat", "vision"]
context_window = 8_192
max_output_tokens = 2_048
price = { input = 0.4, output = 1, request = 0.001, tiers = [{ above_input_tokens = 4_096, input = 0.8 }] }
timeouts = { total = "1h" }

[routes.fast]
targets = ["lan/org/llama:70b", "openai/gpt-4.1-mini"]
require = ["vision"]

[limit_groups.acme]
limits = { requests_per_minute = 2_000 }
day_resets = "UTC"
[limit_groups.acme.models."org/llama:70b"]
limits = { tokens_per_minute = 2_000_000 }

[[connections]]
provider = "lan"
name = "main"
secret = { file = "/run/keys/lan" }
priority = 0
weight = 3
enabled = false
limits = { requests_per_day = 10, tokens_per_day = 20, concurrent = 2 }
limit_group = "acme"
settings = { organization = "org-1", headers = { X-Zone = "a" }, timeouts = { connect = "1s" } }
expires_at = 2027-06-30
[connections.models."org/llama:70b"]
limits = { requests_per_minute = 1 }
"#,
    );
    let lan = &catalogue.providers["lan"];
    assert_eq!(lan.base_url.as_str(), "http://10.0.0.7:8000/v1");
    assert_eq!((lan.stream_usage, lan.on_timeout), (StreamUsage::Never, OnTimeout::Fallback));
    assert!(lan.allow_private && !lan.unlisted_models && !lan.builtin && lan.enabled);
    assert_eq!(lan.rename, [("max_completion_tokens".to_owned(), "max_tokens".to_owned())]);
    assert_eq!(lan.headers[0].0, "x-team");

    let model = &lan.models["org/llama:70b"];
    assert!(model.capabilities.unwrap().has(Capability::Vision));
    let price = model.price.as_ref().unwrap();
    assert_eq!(price.rates.input, Some(PicoUsd(400_000)));
    assert_eq!((price.rates.cached_input, price.each.request), (None, Some(PicoUsd(1_000_000_000))));
    assert_eq!(price.rates_for(4_096).input, Some(PicoUsd(400_000)));
    assert_eq!(price.rates_for(4_097).input, Some(PicoUsd(800_000)));
    assert_eq!(price.rates_for(4_097).output, Some(PicoUsd(1_000_000)), "what a tier leaves out is as below it");

    let main = &catalogue.connections[0];
    assert_eq!(main.id.to_string(), "lan:main");
    assert_eq!(main.secret, Some(SecretRef::File("/run/keys/lan".into())));
    assert_eq!((main.priority, main.weight, main.enabled), (0, 3, false));
    assert_eq!(main.models["org/llama:70b"].requests_per_minute, Some(1));
    assert_eq!(main.expires_at.unwrap().to_string(), "2027-06-30T00:00:00Z");
    assert_eq!(main.settings.words["organization"], "org-1");
    assert_eq!(catalogue.limit_groups["acme"].models["org/llama:70b"].tokens_per_minute, Some(2_000_000));
    assert_eq!(catalogue.routes["fast"].targets[0].to_string(), "lan/org/llama:70b");

    let timeouts = catalogue.default_timeouts.with(&lan.timeouts).with(&main.settings.timeouts).with(&model.timeouts);
    assert_eq!(timeouts.connect, Duration::from_secs(1));
    assert_eq!((timeouts.first_byte, timeouts.idle), (Duration::from_secs(90), Duration::from_millis(500)));
    assert_eq!((timeouts.wait, timeouts.total), (Duration::ZERO, Duration::from_secs(3_600)));
    assert_eq!(timeouts.commit_after, Duration::from_secs(20));
}

#[test]
fn addresses_are_https_unless_the_host_is_ones_own() {
    let provider = |rest: &str| format!("[providers.x]\nkind = \"azure\"\n{rest}");
    let refused = [
        ("base_url = \"http://10.0.0.7/v1\"", "write allow_private = true beside it"),
        ("base_url = \"ftp://example.com\"\nallow_private = true", "must begin with https://"),
        ("base_url = \"http:/./10.0.0.7\"\nallow_private = true", "must begin with https://"),
        ("base_url = \"https://example.com/v1?key=x\"", "leave out what follows the ? or #"),
        ("base_url = \"https://example.com/v1#x\"", "leave out what follows the ? or #"),
        ("base_url = \"example.com/v1\"", "is not an address"),
        ("", "kind \"azure\" has none of its own"),
        ("base_url = \"https://example.com\"\nproxy = \"https://example.com/x\"", "a scheme, a host and a port only"),
    ];
    for (rest, says) in refused {
        let told = errors(&provider(rest));
        assert!(told.len() == 1 && told[0].contains(says), "{rest}: {told:?}");
    }
    let url = |text: &str| good(&provider(text)).providers["x"].base_url.to_string();
    assert_eq!(url("base_url = \"https://example.com/a/v1//\""), "https://example.com/a/v1");
    assert_eq!(url("base_url = \"https://example.com\""), "https://example.com/");
}

#[test]
fn a_private_host_may_go_without_a_secret() {
    let catalogue = good(
        r#"
[providers.lan]
kind = "openai"
base_url = "http://127.0.0.1:8000/v1"
allow_private = true
[[connections]]
provider = "lan"
name = "main"
"#,
    );
    assert_eq!(catalogue.connections[0].secret, None);
    assert_eq!((catalogue.connections[0].priority, catalogue.connections[0].weight), (1, 1));
}

#[test]
fn a_route_is_not_named_like_what_apps_can_mean_already() {
    let route = |name: &str| format!("[routes.\"{name}\"]\ntargets = [\"openai/gpt-4.1\"]\n");
    assert_eq!(
        errors(&(route("openai") + &route("gpt-4.1"))),
        [
            r#"providers.toml:1: routes.openai: "openai" is a provider already: give the route another name"#,
            r#"providers.toml:3: routes."gpt-4.1": "gpt-4.1" is a model of openai already: give the route another name"#,
        ]
    );
    assert!(good(&route("embed")).routes.contains_key("embed"), "the sandbox's models are never meant by a bare id");
}

#[test]
fn references_lead_somewhere() {
    let text = r#"
[routes.a]
targets = ["opnai/x", "sandbox/ehco", "openai/gpt-4.1-mni", "openai/gpt-4.1", "openai/gpt-4.1"]
[routes.b]
targets = []
[routes.c]
[[connections]]
provider = "openai"
name = "main"
secret = { env = "A" }
limit_group = "acne"
[[connections]]
provider = "openai"
name = "main"
secret = { env = "B" }
[limit_groups.acme]
"#;
    assert_eq!(
        errors(text),
        [
            r#"providers.toml:3: routes.a.targets[0]: there is no provider "opnai"; did you mean "openai"?"#,
            r#"providers.toml:3: routes.a.targets[1]: sandbox lists no model "ehco", and takes no others; did you mean "echo"?"#,
            r#"providers.toml:3: routes.a.targets[4]: openai/gpt-4.1 stands here twice: name it once"#,
            r#"providers.toml:5: routes.b.targets: must hold at least one "provider/model""#,
            r#"providers.toml:6: routes.c: targets is missing: write targets = ["provider/model"]"#,
            r#"providers.toml:11: connections[0].limit_group: there is no limit group "acne"; did you mean "acme"?"#,
            r#"providers.toml:12: connections[1]: openai:main is declared twice, first in line 7: give one another name"#,
        ]
    );
}

#[test]
fn a_broken_provider_is_not_reported_as_missing_too() {
    let text = r#"
[providers.lan]
kind = "openai"
base_url = "no"
[routes.a]
targets = ["lan/x"]
[[connections]]
provider = "lan"
name = "main"
secret = { env = "A" }
settings = { anything = "x" }
"#;
    assert_eq!(errors(text).len(), 1);
}

#[test]
fn what_is_odd_is_said_and_taken() {
    let text = r#"
[routes.a]
targets = ["openai/gpt-4.1-mni", "openai/text-embedding-3-small"]
require = ["chat"]
[limit_groups.acme.models."gpt-4.1-mni"]
limits = { concurrent = 1 }
"#;
    assert_eq!(
        warnings(text),
        [
            r#"providers.toml:3: routes.a.targets[0]: openai lists no model "gpt-4.1-mni": its price is unknown; did you mean "gpt-4.1-mini"?"#,
            r#"providers.toml:3: routes.a.targets[1]: openai/text-embedding-3-small lacks chat, which the route requires, and is never used"#,
            r#"providers.toml:5: limit_groups.acme.models."gpt-4.1-mni": no model "gpt-4.1-mni" is listed; did you mean "gpt-4.1-mini"?"#,
        ]
    );
}

#[test]
fn settings_are_those_of_the_kind() {
    let connection = |provider: &str, settings: &str| {
        format!(
            "[[connections]]\nprovider = \"{provider}\"\nname = \"x\"\nsecret = {{ env = \"A\" }}\nsettings = {settings}\n"
        )
    };
    let told = errors(&connection("openai", "{ referer = \"x\", project = 7 }"));
    assert_eq!(
        told,
        [
            "providers.toml:5: connections[0].settings.referer: unknown key; known here: organization, project, headers, timeouts",
            "providers.toml:5: connections[0].settings.project: write text in quotes, not a number",
        ]
    );
    assert_eq!(
        errors(&connection("gemini", "{ headers = { Host = \"x\" } }")),
        ["providers.toml:5: connections[0].settings.headers.Host: is a header that Bursar writes itself: leave it out"]
    );
    let fault = "{ fault = { status = 429, retry_after_s = 3, latency_ms = 20, hang = true, cut_after = 2 } }";
    let settings = good(&connection("sandbox", fault)).connections.remove(0).settings;
    let expected = Fault {
        status: Some(429),
        retry_after_s: Some(3),
        latency: Some(Duration::from_millis(20)),
        hang: true,
        cut_after: Some(2),
    };
    assert_eq!(settings.fault, Some(expected));
    assert!(settings.words.is_empty());
}

#[test]
fn settings_given_as_json_keep_the_rules_of_the_file() {
    let openai = KINDS[0].settings;
    let text = r#"{"organization": "org-1", "project": null, "timeouts": {"connect": 1.5, "idle": "9s"}, "headers": {"X-A": "b"}}"#;
    let settings = Settings::with_words(text, openai).unwrap();
    assert_eq!(settings.words["organization"], "org-1");
    assert_eq!(settings.timeouts.connect, Some(Duration::from_millis(1_500)));
    assert_eq!(Settings::from_json(text).unwrap(), settings);
    assert_eq!(Settings::with_words("{}", openai), Ok(Settings::default()));

    let told = |text: &str| shown(&Settings::with_words(text, openai).expect_err("errors").errors);
    assert_eq!(
        told(r#"{"organisation": "x", "headers": {"authorization": "canary"}, "timeouts": {"idle": true}}"#),
        [
            r#"JSON: settings.organisation: unknown key; did you mean "organization"?"#,
            r#"JSON: settings.headers.authorization: a secret must not stand here: give a connection secret = { env = "NAME" }, secret = { file = "/path" } or secret = { credential = "name" } instead"#,
            r#"JSON: settings.timeouts.idle: is not a duration: write seconds, or text such as "500ms", "20s", "15m", "12h", "30d""#,
        ]
    );
    assert_eq!(told("[1]"), ["JSON: settings: write a table, not a list"]);
    assert!(told("{")[0].starts_with("JSON: settings: EOF"));
    let stored = Settings::from_json(r#"{"lost_word": "x", "fault": {"hang": true}}"#).unwrap();
    assert!(stored.words.contains_key("lost_word") && stored.fault.unwrap().hang);
}

#[test]
fn tiers_rise() {
    let text = "[providers.openai.models.x]\nprice = { tiers = [{ above_input_tokens = 2 }, { above_input_tokens = 1, input = 1 }, { }] }";
    assert_eq!(
        errors(text),
        [
            "providers.toml:2: providers.openai.models.x.price.tiers[0]: names no rate that holds above so many tokens: write such as input = 2.50",
            "providers.toml:2: providers.openai.models.x.price.tiers[1]: must begin above the tier before it: order tiers by above_input_tokens",
            "providers.toml:2: providers.openai.models.x.price.tiers[2]: above_input_tokens is missing: write above_input_tokens = 200_000",
        ]
    );
}

#[test]
fn moments_are_dates_or_have_a_zone() {
    let connection =
        |moment: &str| format!("[[connections]]\nprovider = \"sandbox\"\nname = \"x\"\nexpires_at = {moment}\n");
    for moment in ["2027-06-30T12:00:00Z", "2027-06-30 14:00:00+02:00", "\"2027-06-30T12:00:00Z\""] {
        let expires = good(&connection(moment)).connections[0].expires_at.unwrap();
        assert_eq!(expires.to_string(), "2027-06-30T12:00:00Z", "{moment}");
    }
    for moment in ["2027-06-30T12:00:00", "12:00:00", "\"soon\"", "7"] {
        assert_eq!(errors(&connection(moment)).len(), 1, "{moment}");
    }
}

#[test]
fn routes_say_how_connections_are_chosen_and_features_have_routes() {
    let catalogue = good(
        "[defaults]\norder = \"least_in_flight\"\nsticky = \"conversation\"\n\
         [routes.a]\ntargets = [\"openai/gpt-4.1\"]\n\
         [routes.b]\ntargets = [\"openai/gpt-4.1\"]\norder = \"cheapest\"\nsticky = \"off\"\n\
         [features.chat]\nroute = \"b\"\n",
    );
    let inherited = Rotation { order: Order::LeastInFlight, sticky: Sticky::Conversation };
    assert_eq!((catalogue.rotation, catalogue.routes["a"].rotation), (inherited, inherited));
    assert_eq!(catalogue.routes["b"].rotation, Rotation { order: Order::Cheapest, sticky: Sticky::Off });
    assert_eq!(catalogue.features["chat"].as_str(), "b");
    assert_eq!(
        errors(
            "[defaults]\norder = \"lowest_price\"\n\
             [routes.fast]\ntargets = [\"openai/gpt-4.1\"]\nsticky = true\n\
             [features.chat]\nroute = \"fats\"\n[features.\"No Label\"]\nroute = \"fast\"\n[features.x]\n"
        ),
        [
            r#"providers.toml:2: defaults.order: unknown word "lowest_price"; known here: round_robin, least_in_flight, lowest_latency, cheapest"#,
            r#"providers.toml:5: routes.fast.sticky: write text in quotes, not true or false"#,
            r#"providers.toml:7: features.chat.route: there is no route "fats"; did you mean "fast"?"#,
            r#"providers.toml:8: features."No Label": "No Label" is not a valid name: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"#,
            r#"providers.toml:10: features.x: route is missing: write route = "fast""#,
        ]
    );
}
