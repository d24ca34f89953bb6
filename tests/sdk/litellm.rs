//! Another gateway as the provider: LiteLLM's proxy, which answers in three dialects what its configuration tells it to.
//! It was written by others, so what it says is no mirror of what Bursar expects.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bursar::api::Outcome;
use serde_json::json;

use crate::harness::{Bursar, Call, Reply, Setup, client, key_of};
use crate::tool;

/// What it answers.
const TEXT: &str = "Hello from afar";
/// It takes half a minute to start, more where others are at work.
const START_TIMEOUT: Duration = Duration::from_secs(300);

#[tokio::test]
async fn litellm_as_a_provider_of_three_kinds() {
    let Some(program) = tool("BURSAR_TEST_LITELLM", "LiteLLM's proxy as a provider") else { return };
    let directory = crate::harness::directory();
    // Its key is the one of a connection, which no other may see.
    let key = format!("sk-{}", key_of("openai:main"));
    let litellm = tokio::task::spawn_blocking({
        let (place, key) = (directory.path().to_owned(), key.clone());
        move || LiteLlm::start(&program, &place, &key)
    });
    let Ok(litellm) = tokio::time::timeout(START_TIMEOUT, litellm).await else {
        panic!("LiteLLM has not started after {START_TIMEOUT:?}");
    };
    let litellm = litellm.expect("LiteLLM starts");
    let bursar = bursar(&litellm.url, &key).await;
    chats(&bursar).await;
    streams(&bursar).await;
    falls_back(&bursar).await;
    recorded(bursar).await;
}

/// One provider of each kind before the same proxy, and routes whose first target is out of room.
async fn bursar(url: &str, key: &str) -> Bursar {
    let mut setup = Setup::new();
    for (kind, version) in [("openai", "v1"), ("gemini", "v1beta"), ("anthropic", "v1")] {
        let base = format!("{url}/{version}");
        setup = setup.provider_of(kind, kind, &base, "").connection(&format!("{kind}:main"), "");
    }
    let setup = setup.providers(
        "[routes.of-openai]\ntargets = [\"openai/limited\", \"openai/mock\"]\n\
         [routes.of-anthropic]\ntargets = [\"anthropic/limited\", \"anthropic/mock\"]\n",
    );
    let place = setup.place();
    for kind in ["openai", "gemini", "anthropic"] {
        place.set_key(&format!("{kind}:main"), key);
    }
    Bursar::start(place).await
}

async fn chats(bursar: &Bursar) {
    for kind in ["openai", "gemini", "anthropic"] {
        let reply = bursar.call(Call::chat(&format!("{kind}/mock"))).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        assert_eq!(reply.content(), TEXT, "{kind}");
        assert_eq!(reply.json()["choices"][0]["finish_reason"], "stop", "{kind}");
        assert!(reply.json()["usage"]["prompt_tokens"].as_u64().is_some_and(|count| count > 0), "{kind}");
    }
    let said = [("user", "hi")].map(|(role, content)| json!({"role": role, "content": content}));
    let asked = json!({"model": "anthropic/mock", "max_tokens": 9, "messages": said});
    let reply = bursar.call(Call::post("/v1/messages", &asked)).await;
    assert_eq!(reply.json()["content"][0]["text"], TEXT, "its own dialect passes");
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let reply = bursar.call(Call::post("/v1beta/models/gemini/mock:generateContent", &asked)).await;
    assert_eq!(reply.json()["candidates"][0]["content"]["parts"][0]["text"], TEXT, "its own dialect passes");
}

/// Gemini's stream fails in LiteLLM itself, and Anthropic's is answered at once.
async fn streams(bursar: &Bursar) {
    for kind in ["openai", "anthropic"] {
        let reply = bursar.call(Call::stream(&format!("{kind}/mock"))).await;
        let events = reply.events();
        assert_eq!(client::said(&events), TEXT, "{kind}: {}", reply.text());
        assert_eq!(events.last(), Some(&client::Event::Done), "{kind}");
    }
}

async fn falls_back(bursar: &Bursar) {
    for kind in ["openai", "anthropic"] {
        let refused = bursar.call(Call::chat(&format!("{kind}/limited"))).await;
        assert_eq!((refused.status, refused.code()), (429, "rate_limited".to_owned()), "{kind}");
    }
    for kind in ["openai", "anthropic"] {
        let reply: Reply = bursar.call(Call::chat(&format!("of-{kind}"))).await;
        assert_eq!((reply.status, reply.header("x-bursar-model")), (200, Some("mock")), "{kind}: {}", reply.text());
    }
}

async fn recorded(bursar: Bursar) {
    let records = bursar.stop().await.records();
    let limited = records.iter().filter(|one| one.outcome == Outcome::RateShort && one.is_final);
    assert_eq!(limited.count(), 2, "two were refused, and the routes found another");
    for one in records.iter().filter(|one| one.outcome == Outcome::Ok) {
        assert!(one.tokens.input.is_some() && one.tokens.output.is_some(), "no usage of {one:?}");
    }
}

/// The proxy. It ends with its value.
struct LiteLlm {
    child: Child,
    url: String,
}

impl LiteLlm {
    /// Starts it on a port that was free a moment ago, and reads what it says until it serves.
    fn start(program: &str, place: &Path, key: &str) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let model = |name: &str, answer: &str| {
            let parameters = json!({"model": "openai/mock", "api_key": "unused", "mock_response": answer});
            json!({"model_name": name, "litellm_params": parameters})
        };
        let config = json!({
            "model_list": [model("mock", TEXT), model("limited", "litellm.RateLimitError")],
            "general_settings": {"master_key": key},
            "router_settings": {"num_retries": 0},
            "litellm_settings": {"telemetry": false, "num_retries": 0},
        });
        let file = place.join("litellm.yaml"); // JSON is YAML
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(&file).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.env_clear().env("HOME", place).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("PYTHONUNBUFFERED", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("LiteLLM's program");
        let said = BufReader::new(child.stderr.take().unwrap());
        let own = Self { child, url: format!("http://127.0.0.1:{port}") };
        let mut lines = said.lines().map_while(Result::ok);
        let mut heard = Vec::new();
        let serves =
            lines.by_ref().inspect(|line| heard.push(line.clone())).any(|line| line.contains("Uvicorn running"));
        assert!(serves, "LiteLLM ended: {}", heard.join("\n"));
        // Somebody has to go on reading.
        std::thread::spawn(move || lines.for_each(drop));
        own
    }
}

impl Drop for LiteLlm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
