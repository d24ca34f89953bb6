//! The providers behind the daemon: one for each check and kind, so that each has a script of its own.

use serde_json::{Value, json};

use crate::fake::{Behaviour, Events, FakeProvider, Reply, anthropic, gemini, openai};
use crate::harness::{Setup, key_of};

/// What an answer in JSON says.
pub const WEATHER: &str = r#"{"city": "Oslo", "degrees": 7}"#;
/// The texts of a stream.
pub const TEXTS: &[&str] = &["one ", "two ", "three"];

/// Scripts the fake, and declares everything that is called there.
pub fn script(fake: &FakeProvider) -> Setup {
    let mut all = Upstreams::new(fake, own());
    all.openai("openai-chat", [openai::chat("Hello there"), openai::chat("Hello there")]);
    all.openai("openai-stream", [openai::stream(TEXTS)]);
    all.openai("openai-tools", [openai_call(), openai::chat("7 degrees")]);
    all.openai("openai-call", [openai_streamed_call()]);
    all.openai("openai-json", [openai::chat(WEATHER)]);
    all.openai("openai-embeddings", [openai_embeddings()]);
    all.openai("openai-label", [openai::chat("labelled")]);
    all.openai("openai-cut", [openai::opening(&["Hel", "lo"])]);
    all.openai("openai-hang", [openai::opening(&["Hel"]).reply().hang_after(2)]);
    all.openai("openai-pin", [openai::chat("Hello there")]);
    all.connect("openai-pin", "second", [openai::chat("Hello there")]);

    all.gemini("gemini-chat", [gemini::chat("Hello there")]);
    all.gemini("gemini-stream", [gemini::stream(TEXTS)]);
    all.gemini("gemini-tools", [gemini_call(), gemini::chat("7 degrees")]);
    all.gemini("gemini-call", [gemini_streamed_call()]);
    all.gemini("gemini-json", [gemini::chat(WEATHER)]);
    all.gemini("gemini-embeddings", [gemini_embeddings()]);

    all.anthropic("anthropic-chat", [anthropic::chat("Hello there")]);
    all.anthropic("anthropic-stream", [anthropic::stream(TEXTS)]);
    all.anthropic("anthropic-tools", [anthropic_call(), anthropic::chat("7 degrees")]);
    all.anthropic("anthropic-call", [anthropic_streamed_call()]);
    all.anthropic("anthropic-json", [anthropic::chat(WEATHER)]);

    all.openai("err-caller", [openai::error_with(400, "invalid_request_error", &json!("bad_value"))]);
    all.gemini("err-gemini", [gemini::error(400)]);
    all.openai("err-rate", [openai::error(429).retry_after(3)]);
    all.openai("err-credential", [openai::error(401)]);
    all.openai("err-retries", vec![openai::error(500); 4]);
    all.setup
}

/// What is declared beside the scripted providers: the sandbox, a route of two targets, and a model that cannot call
/// tools.
fn own() -> Setup {
    let setup = Setup::new().provider("chat-only", "http://127.0.0.1:1").connection("chat-only:main", "");
    setup.connection("sandbox:main", "").providers(
        "[providers.sandbox]\nenabled = true\n\
         [routes.fast]\ntargets = [\"openai-chat/m\", \"gemini-chat/m\"]\n\
         [providers.chat-only.models.chat]\ncapabilities = [\"chat\"]\n",
    )
}

/// Providers in the making.
pub struct Upstreams<'a> {
    fake: &'a FakeProvider,
    pub setup: Setup,
}

impl<'a> Upstreams<'a> {
    pub fn new(fake: &'a FakeProvider, setup: Setup) -> Self {
        Self { fake, setup }
    }

    fn openai<B: Into<Behaviour>>(&mut self, slug: &str, behaviours: impl IntoIterator<Item = B>) {
        self.of_kind("openai", slug, behaviours);
    }

    fn anthropic<B: Into<Behaviour>>(&mut self, slug: &str, behaviours: impl IntoIterator<Item = B>) {
        self.of_kind("anthropic", slug, behaviours);
    }

    fn gemini<B: Into<Behaviour>>(&mut self, slug: &str, behaviours: impl IntoIterator<Item = B>) {
        self.of_kind("gemini", slug, behaviours);
    }

    /// A provider of any kind, with one connection.
    pub fn of_kind<B: Into<Behaviour>>(&mut self, kind: &str, slug: &str, behaviours: impl IntoIterator<Item = B>) {
        let version = if kind == "gemini" { "v1beta" } else { "v1" };
        let base = format!("{}/{version}", self.fake.url());
        self.setup = std::mem::take(&mut self.setup).provider_of(kind, slug, &base, "");
        self.connect(slug, "main", behaviours);
    }

    /// The fake tells the connections apart by their keys.
    fn connect<B: Into<Behaviour>>(&mut self, slug: &str, name: &str, behaviours: impl IntoIterator<Item = B>) {
        let id = format!("{slug}:{name}");
        let _ = self.fake.for_key(&key_of(&id)).script(behaviours);
        self.setup = std::mem::take(&mut self.setup).connection(&id, "");
    }
}

const CALL_ARGUMENTS: &str = r#"{"city": "Oslo"}"#;

/// Google's are bytes in base64, and its SDK looks.
pub const SIGNATURE: &str = "c2lnbmF0dXJl";

pub fn openai_call() -> Reply {
    let function = json!({"name": "get_weather", "arguments": CALL_ARGUMENTS});
    let calls = json!([{"id": "call_1", "type": "function", "function": function}]);
    let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
    Reply::json(
        200,
        &json!({
            "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": openai::MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        }),
    )
}

pub fn openai_streamed_call() -> Events {
    let chunk = |delta: Value, finish: Value| {
        json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": openai::MODEL,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        })
    };
    let piece = |call: Value| chunk(json!({"tool_calls": [call]}), Value::Null);
    let (first, rest) = CALL_ARGUMENTS.split_at(5);
    let function = json!({"name": "get_weather", "arguments": ""});
    openai::opening(&[])
        .json(&piece(json!({"index": 0, "id": "call_1", "type": "function", "function": function})))
        .json(&piece(json!({"index": 0, "function": {"arguments": first}})))
        .json(&piece(json!({"index": 0, "function": {"arguments": rest}})))
        .json(&chunk(json!({}), json!("tool_calls")))
        .data(openai::DONE)
}

pub fn gemini_call() -> Reply {
    Reply::json(200, &gemini_call_body())
}

pub fn gemini_streamed_call() -> Events {
    Events::new().crlf().json(&gemini_call_body())
}

/// A call as thinking models make them: with a signature that must come back.
fn gemini_call_body() -> Value {
    let call = json!({"name": "get_weather", "args": {"city": "Oslo"}});
    let part = json!({"functionCall": call, "thoughtSignature": SIGNATURE});
    let candidate = json!({"content": {"parts": [part], "role": "model"}, "finishReason": "STOP", "index": 0});
    json!({"candidates": [candidate], "modelVersion": openai::MODEL, "responseId": "fake"})
}

pub fn anthropic_call() -> Reply {
    anthropic::message(
        &json!([{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}]),
        "tool_use",
    )
}

pub fn anthropic_streamed_call() -> Events {
    let piece = |json: &str| json!({"type": "input_json_delta", "partial_json": json});
    let (first, rest) = CALL_ARGUMENTS.split_at(5);
    let block = json!({"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}});
    anthropic::end(
        anthropic::block_of(anthropic::opening(), 0, &block, &[piece(""), piece(first), piece(rest)]),
        "tool_use",
    )
}

/// In base64, as all clients here ask for it.
fn openai_embeddings() -> Reply {
    let item = |index| json!({"object": "embedding", "index": index, "embedding": "AACAPwAAAAA="});
    let usage = json!({"prompt_tokens": 2, "total_tokens": 2});
    Reply::json(200, &json!({"object": "list", "data": [item(0), item(1)], "model": openai::MODEL, "usage": usage}))
}

pub fn gemini_embeddings() -> Reply {
    Reply::json(200, &json!({"embeddings": [{"values": [1.0, 0.0]}, {"values": [1.0, 0.0]}]}))
}
