//! The same providers in every dialect: `DIALECT-CHECK`, each with a script of its own.

use serde_json::json;

use crate::fake::{Behaviour, FakeProvider, Reply, anthropic, gemini, openai};
use crate::harness::Setup;
use crate::upstreams::{self, TEXTS, Upstreams, WEATHER};

/// The kinds of providers, each of a dialect of its own.
pub const DIALECTS: &[&str] = &["openai", "anthropic", "gemini"];

/// Scripts the fake, and declares everything that is called there.
pub fn script(fake: &FakeProvider) -> Setup {
    let sandbox = "[providers.sandbox]\nenabled = true\n[routes.fast]\ntargets = [\"sandbox/echo\"]\n";
    let mut all = Upstreams::new(fake, Setup::new().connection("sandbox:main", "").providers(sandbox));
    for dialect in DIALECTS {
        let chat = |text: &str| chat(dialect, text);
        let mut add = |check: &str, does: Vec<Behaviour>| all.of_kind(dialect, &format!("{dialect}-{check}"), does);
        add("chat", vec![chat("Hello there")]);
        add("stream", vec![stream(dialect)]);
        add("tools", vec![call(dialect), chat("7 degrees")]);
        add("call", vec![streamed_call(dialect)]);
        add("json", vec![chat(WEATHER)]);
        add("image", vec![chat("A white pixel")]);
        add("caller", vec![error(dialect, 400).into()]);
        add("rate", vec![error(dialect, 429).retry_after(3).into()]);
        add("credential", vec![error(dialect, 401).into()]);
        match *dialect {
            // In whichever form the client asks for them.
            "openai" => add("embeddings", vec![openai::embeddings(2).into()]),
            "gemini" => add("embeddings", vec![upstreams::gemini_embeddings().into()]),
            _ => {}
        }
    }
    all.setup
}

fn chat(dialect: &str, text: &str) -> Behaviour {
    match dialect {
        "openai" => openai::chat(text).into(),
        "anthropic" => anthropic::chat(text).into(),
        _ => gemini::chat(text).into(),
    }
}

fn stream(dialect: &str) -> Behaviour {
    match dialect {
        "openai" => openai::stream(TEXTS).into(),
        "anthropic" => anthropic::stream(TEXTS).into(),
        _ => gemini::stream(TEXTS).into(),
    }
}

fn call(dialect: &str) -> Behaviour {
    match dialect {
        "openai" => upstreams::openai_call().into(),
        "anthropic" => upstreams::anthropic_call().into(),
        _ => upstreams::gemini_call().into(),
    }
}

fn streamed_call(dialect: &str) -> Behaviour {
    match dialect {
        "openai" => upstreams::openai_streamed_call().into(),
        "anthropic" => upstreams::anthropic_streamed_call().into(),
        _ => upstreams::gemini_streamed_call().into(),
    }
}

fn error(dialect: &str, status: u16) -> Reply {
    match (dialect, status) {
        ("openai", 400) => openai::error_with(400, "invalid_request_error", &json!("bad_value")),
        ("openai", _) => openai::error(status),
        ("anthropic", _) => anthropic::error(status),
        // A bad key is Google's 400.
        (_, 401) => gemini::invalid_key(),
        _ => gemini::error(status),
    }
}
