//! What other programs call the providers that Bursar knows, and where they keep their keys.

/// A provider that is built in, or has a preset.
pub(super) struct Known {
    /// Its slug, which is its preset's name too.
    pub(super) slug: &'static str,
    /// Whether it has to be declared, by its preset.
    pub(super) preset: bool,
    /// Whether a connection needs no secret.
    pub(super) keyless: bool,
    /// Its other names, in lower case with `_` for `-` and spaces.
    pub(super) names: &'static [&'static str],
    /// Variables that hold its key.
    pub(super) keys: &'static [&'static str],
    /// Variables that hold its address.
    pub(super) addresses: &'static [&'static str],
}

const fn built_in(
    slug: &'static str,
    names: &'static [&'static str],
    keys: &'static [&'static str],
    addresses: &'static [&'static str],
) -> Known {
    Known { slug, preset: false, keyless: false, names, keys, addresses }
}

const fn preset(slug: &'static str, names: &'static [&'static str], keys: &'static [&'static str]) -> Known {
    Known { slug, preset: true, keyless: false, names, keys, addresses: &[] }
}

const fn own(slug: &'static str, names: &'static [&'static str], addresses: &'static [&'static str]) -> Known {
    Known { slug, preset: true, keyless: true, names, keys: &[], addresses }
}

/// All of them.
pub(super) static KNOWN: &[Known] = &[
    built_in(
        "openai",
        &["text_completion_openai", "open_ai", "chatgpt"],
        &["OPENAI_API_KEY"],
        &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    ),
    built_in(
        "gemini",
        &["google", "googleai", "google_ai", "google_ai_studio", "google_gemini"],
        &["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
        &["GEMINI_API_BASE"],
    ),
    built_in("anthropic", &["claude"], &["ANTHROPIC_API_KEY"], &["ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"]),
    built_in("openrouter", &["open_router"], &["OPENROUTER_API_KEY", "OR_API_KEY"], &["OPENROUTER_API_BASE"]),
    Known {
        addresses: &["AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"],
        ..preset("azure", &["azure_openai", "azureopenai"], &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"])
    },
    preset("cerebras", &[], &["CEREBRAS_API_KEY"]),
    preset("deepseek", &["deep_seek"], &["DEEPSEEK_API_KEY"]),
    preset("fireworks", &["fireworks_ai"], &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY"]),
    preset("groq", &[], &["GROQ_API_KEY"]),
    preset("mistral", &["mistralai", "mistral_ai"], &["MISTRAL_API_KEY"]),
    preset("nvidia-nim", &["nvidia"], &["NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"]),
    preset("perplexity", &["perplexity_ai"], &["PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"]),
    preset(
        "together",
        &["together_ai", "togetherai"],
        &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY"],
    ),
    preset("xai", &["x_ai", "grok"], &["XAI_API_KEY"]),
    own("ollama", &["ollama_chat"], &["OLLAMA_API_BASE", "OLLAMA_HOST"]),
    own("vllm", &["hosted_vllm"], &["HOSTED_VLLM_API_BASE"]),
    own("lm-studio", &["lmstudio"], &["LM_STUDIO_API_BASE"]),
    own("llama-cpp", &["llamacpp", "llamafile", "llama_cpp_server"], &["LLAMAFILE_API_BASE"]),
];

/// The provider of a name, however it is written.
pub(super) fn by_name(name: &str) -> Option<&'static Known> {
    let plain = |name: &str| name.trim().to_lowercase().replace(['-', ' ', '.'], "_");
    let name = plain(name);
    KNOWN.iter().find(|known| plain(known.slug) == name || known.names.contains(&name.as_str()))
}

/// The provider whose key or address a variable holds. A number at the end tells one of several apart.
pub(super) fn by_variable(name: &str) -> Option<(&'static Known, Holds, &str)> {
    KNOWN.iter().find_map(|known| {
        let of = |names: &[&'static str], holds| {
            names.iter().find_map(|own| Some((known, holds, which(name.strip_prefix(own)?)?)))
        };
        of(known.keys, Holds::Key).or_else(|| of(known.addresses, Holds::Address))
    })
}

/// What a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Key,
    Address,
}

/// What is behind a variable's name: nothing, or `_2`, `_BACKUP`.
fn which(rest: &str) -> Option<&str> {
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('_').filter(|rest| !rest.is_empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter;
    use crate::config::{Source, check_catalogue};

    #[test]
    fn a_provider_is_known_by_whatever_others_call_it() {
        for (name, slug) in [("OpenAI", "openai"), ("Google AI Studio", "gemini"), ("together_ai", "together")] {
            assert_eq!(by_name(name).unwrap().slug, slug);
        }
        assert!(by_name("bedrock").is_none());
        let (known, holds, which) = by_variable("OPENAI_API_KEY_BACKUP").unwrap();
        assert_eq!((known.slug, holds, which), ("openai", Holds::Key, "BACKUP"));
        assert!(by_variable("OPENAI_API_KEYS").is_none() && by_variable("DATABASE_URL").is_none());
    }

    /// Each is there under its slug, or with its preset.
    #[test]
    fn every_provider_of_the_table_can_be_declared() {
        for known in KNOWN {
            let address = if known.slug == "azure" { "base_url = \"https://x.openai.azure.com/openai\"\n" } else { "" };
            let text = format!("[providers.x]\npreset = \"{}\"\n{address}", known.slug);
            let text = if known.preset { text } else { String::new() };
            let source = Source::from_text(std::path::Path::new("test"), text);
            let loaded = check_catalogue(&source, &adapter::kinds()).unwrap_or_else(|report| panic!("{report}"));
            let slug = if known.preset { "x" } else { known.slug };
            assert!(loaded.value.providers.contains_key(slug), "{}", known.slug);
        }
    }
}
