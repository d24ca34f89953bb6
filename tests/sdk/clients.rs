//! Clients of every dialect before providers of every dialect: what an app gets must not hang on who answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dialects::{self, DIALECTS};
use crate::fake::{FakeProvider, SeenRequest};
use crate::harness::key_of;
use crate::{no_client_key, tells, tool};

/// A client's words for what all dialects have.
struct Client {
    /// A whole answer.
    stop: &'static str,
    /// An answer that ends in calls.
    calls: &'static str,
    /// Whether its SDK lists models.
    models: bool,
    /// Whether its SDK has embeddings.
    embeddings: bool,
    /// The error of a check with this upstream, where there is one: (class, status, the dialect's own word).
    error: fn(&str, Option<&str>) -> (&'static str, u16, &'static str),
}

const ANTHROPIC: Client = Client {
    stop: "end_turn",
    calls: "tool_use",
    models: true,
    embeddings: false,
    error: |check, _| match check {
        "caller" => ("BadRequestError", 400, "invalid_request_error"),
        "rate" => ("RateLimitError", 429, "rate_limit_error"),
        "credential" => ("InternalServerError", 502, "api_error"),
        _ => ("NotFoundError", 404, "not_found_error"),
    },
};

const GOOGLE: Client = Client {
    stop: "STOP",
    // Google's models end their calls as they end their texts.
    calls: "STOP",
    models: true,
    embeddings: true,
    error: |check, _| match check {
        "caller" => ("ClientError", 400, "INVALID_ARGUMENT"),
        "rate" => ("ClientError", 429, "RESOURCE_EXHAUSTED"),
        "credential" => ("ServerError", 502, "UNAVAILABLE"),
        _ => ("ClientError", 404, "NOT_FOUND"),
    },
};

const LANGCHAIN: Client = Client {
    stop: "stop",
    calls: "tool_calls",
    models: false,
    embeddings: true,
    error: |check, upstream| match (check, upstream) {
        ("caller", Some("openai")) => ("BadRequestError", 400, "bad_value"),
        ("caller", Some("anthropic")) => ("BadRequestError", 400, "invalid_request_error"),
        ("caller", _) => ("BadRequestError", 400, "INVALID_ARGUMENT"),
        ("rate", _) => ("RateLimitError", 429, "rate_limited"),
        ("credential", _) => ("InternalServerError", 502, "upstream_auth"),
        _ => ("NotFoundError", 404, "unknown_model"),
    },
};

const VERCEL: Client = Client {
    calls: "tool-calls",
    error: |check, upstream| {
        let (_, status, code) = (LANGCHAIN.error)(check, upstream);
        ("APICallError", status, code)
    },
    ..LANGCHAIN
};

#[tokio::test]
async fn anthropics_sdk_for_python() {
    if let Some(python) = tool("BURSAR_TEST_PYTHON", "Anthropic's SDK for Python") {
        check(&ANTHROPIC, &[&python, "claude.py"]).await;
    }
}

#[tokio::test]
async fn anthropics_sdk_for_node() {
    if tool("BURSAR_TEST_NODE_MODULES", "Anthropic's SDK for Node").is_some() {
        check(&ANTHROPIC, &["node", "claude.mjs"]).await;
    }
}

#[tokio::test]
async fn googles_sdk_for_python() {
    if let Some(python) = tool("BURSAR_TEST_PYTHON", "Google's SDK for Python") {
        check(&GOOGLE, &[&python, "gemini.py"]).await;
    }
}

#[tokio::test]
async fn langchain_for_python() {
    if let Some(python) = tool("BURSAR_TEST_PYTHON", "LangChain for Python") {
        check(&LANGCHAIN, &[&python, "chains.py"]).await;
    }
}

#[tokio::test]
async fn vercels_sdk_for_compatible_servers() {
    if tool("BURSAR_TEST_NODE_MODULES", "the Vercel AI SDK").is_some() {
        check(&VERCEL, &["node", "vercel.mjs", "compatible"]).await;
    }
}

#[tokio::test]
async fn vercels_sdk_for_openais_chat() {
    if tool("BURSAR_TEST_NODE_MODULES", "the Vercel AI SDK").is_some() {
        check(&VERCEL, &["node", "vercel.mjs", "chat"]).await;
    }
}

async fn check(client: &Client, command: &[&str]) {
    let fake = FakeProvider::start().await;
    let bursar = tells(command, &dialects::script(&fake), facts(client)).await;
    let seen = fake.seen();
    no_client_key(&seen);
    for upstream in DIALECTS {
        saw(upstream, &seen);
    }
    let records = bursar.stop().await.records();
    for upstream in DIALECTS {
        let slug = format!("{upstream}-stream");
        let of = |provider: &str| provider == slug;
        let finals: Vec<_> =
            records.iter().filter(|one| one.provider.as_ref().is_some_and(|slug| of(slug.as_str()))).collect();
        let [streamed] = finals[..] else { panic!("{slug}: one record") };
        assert!(streamed.stream && streamed.is_final, "{slug}");
        assert_eq!((streamed.tokens.input, streamed.tokens.output), (Some(9), Some(2)), "{slug}");
    }
}

fn facts(client: &Client) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let mut add = |check: &str, value: Value| assert!(facts.insert(check.to_owned(), value).is_none());
    let answer = |text: &str| json!({"text": text, "finish": client.stop, "input": 9, "output": 2});
    let call = || json!({"name": "get_weather", "arguments": {"city": "Oslo"}, "finish": client.calls});
    let fails = |check: &str, upstream| {
        let (class, status, kind) = (client.error)(check, upstream);
        json!({"class": class, "status": status, "kind": kind})
    };
    for upstream in DIALECTS {
        add(&format!("chat {upstream}"), answer("Hello there"));
        add(&format!("stream {upstream}"), answer("one two three"));
        let mut round = call();
        round["then"] = json!("7 degrees");
        add(&format!("tools {upstream}"), round);
        add(&format!("call {upstream}"), call());
        add(&format!("json {upstream}"), json!({"city": "Oslo", "degrees": 7}));
        add(&format!("image {upstream}"), json!("A white pixel"));
        for check in ["caller", "rate", "credential"] {
            add(&format!("{check} {upstream}"), fails(check, Some(*upstream)));
        }
    }
    add("unknown model", fails("unknown model", None));
    if client.embeddings {
        for upstream in ["openai", "gemini"] {
            let facts = json!({"count": 2, "first": ["1.000000", "0.000000"], "same": true});
            add(&format!("embeddings {upstream}"), facts);
        }
    }
    if client.models {
        add("models", json!(["fast", "sandbox/echo", "sandbox/embed"]));
        add("model", json!("sandbox/echo"));
    }
    facts
}

/// What a provider was sent, in its own words, whatever those of the client were.
fn saw(upstream: &str, seen: &[SeenRequest]) {
    let asked = |check: &str| {
        let key = key_of(&format!("{upstream}-{check}:main"));
        seen.iter().filter(|one| one.key() == Some(&key)).map(SeenRequest::json).collect::<Vec<_>>()
    };
    let only = |check: &str| match <[Value; 1]>::try_from(asked(check)) {
        Ok([body]) => body,
        Err(all) => panic!("{upstream} {check}: {} requests", all.len()),
    };
    let said = |body: &Value, path: &str| body.pointer(path).cloned().unwrap_or_else(|| panic!("no {path} in {body}"));
    let system = only("chat");
    let holds = |body: &Value, text: &str| assert!(body.to_string().contains(text), "{upstream}: no {text} in {body}");
    holds(&system, "Be brief");
    let tools = asked("tools");
    let [first, after] = &tools[..] else { panic!("{upstream}: a round trip has two requests") };
    match upstream {
        "openai" => {
            assert_eq!(said(first, "/tools/0/function/name"), "get_weather");
            let called = said(after, "/messages/1/tool_calls/0/id");
            assert_eq!(said(after, "/messages/2/tool_call_id"), called, "the result names its call");
            assert_eq!(said(&only("json"), "/response_format/type"), "json_schema");
            holds(&only("image"), "data:image/png;base64,iVBOR");
        }
        "anthropic" => {
            assert_eq!(said(first, "/tools/0/name"), "get_weather");
            let called = said(after, "/messages/1/content/0/id");
            assert_eq!(said(after, "/messages/2/content/0/tool_use_id"), called, "the result names its call");
            assert_eq!(said(&only("json"), "/output_config/format/type"), "json_schema");
            holds(&only("image"), "\"media_type\":\"image/png\"");
        }
        _ => {
            assert_eq!(said(first, "/tools/0/functionDeclarations/0/name"), "get_weather");
            assert_eq!(said(after, "/contents/2/parts/0/functionResponse/name"), "get_weather");
            assert_eq!(said(&only("json"), "/generationConfig/responseMimeType"), "application/json");
            holds(&only("image"), "iVBOR");
        }
    }
    holds(after, "degrees");
    holds(&only("json"), "degrees");
}
