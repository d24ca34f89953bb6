//! Providers made of a preset.

use super::*;

const GROQ: &str = "[providers.groq]\npreset = \"groq\"\n";

#[test]
fn a_presets_name_is_a_whole_provider() {
    let groq = good(GROQ).providers["groq"].clone();
    assert_eq!((groq.kind.as_str(), groq.base_url.as_str()), ("openai", "https://api.groq.com/openai/v1"));
    assert_eq!((groq.preset.as_deref(), groq.builtin, groq.enabled), (Some("groq"), false, true));
    let daily = RateLimitHeader {
        header: "x-ratelimit-limit-requests".parse().unwrap(),
        figure: Figure::Limit,
        counted: Counted::Requests,
        window_s: 86_400,
        format: ResetFormat::Duration,
    };
    assert!(groq.rate_limits.contains(&daily), "{:?}", groq.rate_limits);
    assert_eq!(good(&GROQ.replace("providers.groq", "providers.fast")).providers["fast"].base_url, groq.base_url);
}

#[test]
fn a_key_of_the_users_takes_the_place_of_the_presets() {
    let text =
        format!("{GROQ}operations = [\"chat\"]\n[providers.groq.models.\"llama-3.3-70b\"]\nprice = {{ input = 1 }}");
    let (before, after) = (good(GROQ).providers["groq"].clone(), good(&text).providers["groq"].clone());
    assert_eq!(after.operations, Some(vec![crate::api::Operation::Chat]));
    assert_eq!((&after.base_url, &after.rate_limits), (&before.base_url, &before.rate_limits));
    assert!(after.models.contains_key("llama-3.3-70b"));
    // A built-in name has nothing to do with a preset, unless what is built in goes.
    let over = "[providers.openai]\npreset = \"groq\"\n";
    assert!(errors(over)[0].contains("write builtin = false"), "{:?}", errors(over));
    let instead = good(&format!("{over}builtin = false\n")).providers["openai"].clone();
    assert!(instead.models.is_empty() && instead.base_url == before.base_url);
}

#[test]
fn a_preset_that_is_not_there_is_told_with_those_that_are() {
    let told = errors("[providers.fast]\npreset = \"grok\"\n");
    assert_eq!(
        told,
        [concat!(
            "providers.toml:2: providers.fast.preset: there is no preset \"grok\": there are ",
            "azure, cerebras, deepseek, fireworks, groq, llama-cpp, lm-studio, mistral, nvidia-nim, ollama, perplexity, ",
            "together, vllm, xai; did you mean \"groq\"?"
        )]
    );
    let told = errors("[providers.groq]\nenabled = true\n");
    assert!(told[0].ends_with("or write preset = \"groq\""), "{told:?}");
    let told = errors("[providers.mine]\npreset = \"azure\"\n");
    assert!(told[0].contains("base_url is missing") && told[0].contains("https://NAME.openai.azure.com"), "{told:?}");
}

#[test]
fn a_presets_words_are_settings_of_its_connections_alone() {
    let connection = |provider: &str| {
        format!(
            "[providers.mine]\npreset = \"azure\"\nbase_url = \"https://mine.openai.azure.com/openai\"\n[[connections]]\n\
             provider = \"{provider}\"\nname = \"main\"\nsecret = {{ env = \"KEY\" }}\nsettings = {{ deployment = \"four\" }}\n"
        )
    };
    assert_eq!(good(&connection("mine")).connections[0].settings.words["deployment"], "four");
    assert!(errors(&connection("openai"))[0].contains("settings.deployment: unknown key"));
}

#[test]
fn shapes_that_cannot_be_are_told() {
    let told = |line: &str| errors(&format!("{GROQ}{line}\n")).join("\n");
    for (line, what) in [
        ("paths = { chat = \".evil.example/{path}\" }", "paths.chat: must begin with / or with {path}"),
        ("paths = { chat = \"/{deployment}\" }", "{deployment} stands for nothing"),
        ("paths = { chat = \"/{path\" }", "no } closes"),
        ("paths = { chatter = \"/x\" }", "is no kind of call"),
        ("operations = [\"models\"]", "unknown word \"models\""),
        ("operations = []", "names no kind of call"),
        ("settings = { model = \"x\" }", "is no name for a setting"),
        ("auth = { header = \"a b\" }", "is not the name of a header"),
        ("auth = { header = \"Host\" }", "is a header that Bursar writes itself"),
        ("rate_limits = { x-a = \"requests_per_day\" }", "write limit, remaining or reset"),
        ("rate_limits = { x-a = \"reset requests_per_day as iso\" }", "a reset may say how it is written"),
        ("rate_limits = { x-a = \"limit requests_per_day as rfc3339\" }", "a reset may say how it is written"),
    ] {
        assert!(told(line).contains(what), "{line}: {}", told(line));
    }
}

#[test]
fn a_server_of_ones_own_needs_a_secret_only_where_that_is_said() {
    let text = |lines: &str| {
        format!("[providers.o]\npreset = \"ollama\"\n{lines}\n[[connections]]\nprovider = \"o\"\nname = \"a\"\n")
    };
    assert_eq!(good(&text("")).connections[0].secret, None);
    assert!(errors(&text("needs_secret = true"))[0].contains("secret is missing"));
}
