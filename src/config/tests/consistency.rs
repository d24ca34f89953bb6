//! What is right by itself, and does not fit together.

use super::*;

#[test]
fn a_route_that_leads_nowhere_is_told_of() {
    let told = warnings(
        "[providers.openai]\nenabled = false\n\
         [routes.off]\ntargets = [\"openai/gpt-4.1\"]\n\
         [routes.on]\ntargets = [\"openai/gpt-4.1\", \"gemini/gemini-2.5-flash\"]\n",
    );
    assert_eq!(
        told,
        ["providers.toml:3: routes.off: has no target that is enabled: its calls are refused until one of their \
          providers is"]
    );
    let told = warnings(
        "[providers.openai.models.plain]\ncapabilities = [\"chat\"]\nprice = { input = 1, output = 1 }\n\
         [routes.seeing]\ntargets = [\"openai/plain\"]\nrequire = [\"vision\"]\n",
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("providers.toml:4: routes.seeing: has no enabled target with all"), "{told:?}");
    assert!(told[1].starts_with("providers.toml:5: routes.seeing.targets[0]: openai/plain lacks vision"), "{told:?}");
}

#[test]
fn a_model_without_a_price_is_told_of_unless_its_host_is_ones_own() {
    let lan = "[providers.lan]\nkind = \"openai\"\nbase_url = \"http://10.0.0.7/v1\"\nallow_private = true\n\
               [providers.lan.models.free]\n";
    assert_eq!(warnings(lan), [""; 0]);
    let far = "[providers.far]\nkind = \"openai\"\nbase_url = \"https://far.example/v1\"\n[providers.far.models.new]\n";
    assert_eq!(
        warnings(far),
        ["providers.toml:4: providers.far.models.new: has no price: what it costs will be unknown. Write price = \
          { input = …, output = … }"]
    );
    let built_in = "[providers.openai.models.new]\n[routes.fast]\ntargets = [\"openai/new\"]\n";
    let told = "providers.toml:3: routes.fast.targets[0]: openai/new has no price: what it costs will be unknown";
    assert_eq!(warnings(built_in), [told]);
}

#[test]
fn a_limit_above_its_groups_is_told_of() {
    let told = warnings(
        "[limit_groups.acme]\nlimits = { requests_per_minute = 100 }\n\
         [limit_groups.acme.models.\"gpt-4.1\"]\nlimits = { tokens_per_minute = 9 }\n\
         [[connections]]\nprovider = \"openai\"\nname = \"main\"\nsecret = { env = \"K\" }\nlimit_group = \"acme\"\n\
         limits = { requests_per_minute = 101, concurrent = 7 }\n\
         models.\"gpt-4.1\" = { limits = { tokens_per_minute = 10 } }\n",
    );
    assert_eq!(
        told,
        [
            "providers.toml:10: connections[0].limits.requests_per_minute: is more than the 100 of its limit group \
             acme, and is never reached",
            "providers.toml:11: connections[0].models.\"gpt-4.1\".limits.tokens_per_minute: is more than the 9 of its \
             limit group acme, and is never reached",
        ]
    );
}

#[test]
fn a_key_that_takes_the_place_of_a_presets_or_a_built_in_one_is_told_of() {
    let told = warnings(
        "[providers.groq]\npreset = \"groq\"\nbase_url = \"https://proxy.example/v1\"\n\
         [providers.ollama]\npreset = \"ollama\"\nbase_url = \"http://10.0.0.9:11434/v1\"\nallow_private = true\n\
         [providers.openai]\nkind = \"openrouter\"\nbase_url = \"https://openai.example/v1\"\n",
    );
    let begins = [
        "providers.toml:3: providers.groq.base_url: takes the place of what the preset groq says: \"https://",
        "providers.toml:9: providers.openai.kind: takes the place of what the built-in provider says: \"openai\"",
        "providers.toml:10: providers.openai.base_url: takes the place of the built-in address",
    ];
    assert_eq!(told.len(), begins.len(), "{told:?}");
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
    }
}

#[test]
fn a_server_of_ones_own_has_an_address_of_its_own() {
    assert_eq!(warnings("[providers.vllm]\npreset = \"vllm\"\nbase_url = \"http://10.0.0.9:8000/v1\"\n"), [""; 0]);
}

#[test]
fn a_zone_that_does_not_exist_is_an_error() {
    let told = errors("[providers.openai]\nday_resets = \"Mars/Olympus\"\n");
    assert!(told[0].starts_with("providers.toml:2: providers.openai.day_resets: \"Mars/Olympus\" is not a time zone"));
}
