//! Providers made of a preset, as their providers and their apps see them.

use serde_json::json;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup, key_of};

/// A provider of this name, made of its preset, at this address; its list is left alone.
fn preset(name: &str, base_url: &str, lines: &str) -> Setup {
    Setup::new()
        .providers(&format!(
            "[providers.{name}]\npreset = \"{name}\"\nbase_url = \"{base_url}\"\nallow_private = true\n\
             fetch_models = false\n{lines}\n"
        ))
        .connection(&format!("{name}:a"), "")
}

#[tokio::test]
async fn a_provider_of_a_preset_answers_and_gets_parameters_under_its_own_names() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/chat/completions").always(openai::chat("ok"));
    let bursar = preset("mistral", &format!("{}/v1", fake.url()), "").start().await;
    let body = r#"{"model":"mistral/mistral-small","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":7,"seed":3,"user":"u"}"#;
    let reply = bursar.call(Call::chat("mistral/mistral-small").body(body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = fake.seen()[0].clone();
    assert_eq!(seen.key(), Some(key_of("mistral:a").as_str()));
    let sent = seen.json();
    assert_eq!((&sent["max_tokens"], &sent["random_seed"]), (&7.into(), &3.into()), "{sent}");
    assert!(sent.get("max_completion_tokens").is_none() && sent.get("user").is_none(), "{sent}");
    let shown = bursar.call(Call::get("/admin/v1/providers/mistral")).await.json();
    assert_eq!(shown["preset"], "mistral");
    assert_eq!(shown["operations"], json!(["chat", "embeddings", "transcription", "moderation"]));
    bursar.stop().await;
}

#[tokio::test]
async fn azure_sees_its_deployment_its_version_and_its_header() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let setup = preset("azure", &format!("{}/openai", fake.url()), "");
    let bursar = setup
        .connection(
            "azure:b",
            "priority = 2\nsettings = { deployment = \"four\", api_version = \"2025-04-01-preview\" }",
        )
        .start()
        .await;
    assert_eq!(bursar.call(Call::chat("azure/gpt-4.1")).await.status, 200);
    let pinned = Call::chat("azure/gpt-4.1").header("x-bursar-connection", "azure:b");
    assert_eq!(bursar.call(pinned).await.status, 200);
    let paths: Vec<_> = fake.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21",
            "/openai/deployments/four/chat/completions?api-version=2025-04-01-preview",
        ]
    );
    let seen = fake.seen()[0].clone();
    assert_eq!(seen.header("api-key"), Some(key_of("azure:a").as_str()));
    assert_eq!(seen.header("authorization"), None);
    bursar.stop().await;
}

#[tokio::test]
async fn a_call_that_a_provider_does_not_have_goes_to_one_that_has_it() {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/embeddings").always(openai::embeddings(1));
    let url = format!("{}/v1", fake.url());
    let setup = preset("groq", &url, "").provider("two", &fake.url()).connection("two:a", "");
    let bursar = setup.providers("[routes.fast]\ntargets = [\"groq/m\", \"two/m\"]").start().await;
    let reply = bursar.call(Call::embed("fast")).await;
    assert_eq!((reply.status, reply.header("x-bursar-provider")), (200, Some("two")), "{}", reply.text());
    let refused = bursar.call(Call::embed("groq/m")).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "capability_missing"));
    assert!(refused.text().contains("embeddings, which the request needs: two has it"), "{}", refused.text());
    assert_eq!(fake.seen().len(), 1, "nobody was asked in vain");
    bursar.stop().await;
}

#[tokio::test]
async fn a_preset_that_is_not_there_stops_the_daemon_and_names_those_that_are() {
    let setup = Setup::new().providers("[providers.fast]\npreset = \"grok\"");
    let remains = Bursar::fail(setup.place()).await;
    assert!(remains.log.contains("there is no preset \"grok\": there are azure, cerebras"), "{}", remains.log);
}
