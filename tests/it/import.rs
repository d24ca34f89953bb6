//! Moving in, with the program's own command and a real daemon: what is planned, what is made, that it is done once, and
//! that no key shows anywhere.

use std::path::{Path, PathBuf};

use bursar::api::admin::{ConnectionList, ConnectionStatus};
use serde_json::Value;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup, key_of};
use crate::operators::{Said, run};

/// Saves a file where keys may be.
fn saved(bursar: &Bursar, name: &str, text: &str) -> PathBuf {
    let file = bursar.place().secrets().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

async fn import(bursar: &Bursar, file: &Path, options: &str) -> Said {
    run(bursar.place(), &format!("import {} {options}", file.display()), "").await
}

async fn connections(bursar: &Bursar) -> ConnectionList {
    run(bursar.place(), "connections list --format json", "").await.object()
}

fn config(fake: &FakeProvider) -> String {
    format!(
        "model_list:\n  - model_name: quick\n    litellm_params:\n      model: openai/m\n      api_base: {url}/v1\n      \
         api_key: os.environ/LAN_API_KEY\n      rpm: 50\n  - model_name: strange\n    litellm_params:\n      \
         model: bedrock/x\n  - model_name: tiny\n    litellm_params:\n      model: groq/llama-tiny\n\
         router_settings:\n  model_group_alias: {{\"speedy\": \"quick\"}}\n",
        url = fake.url()
    )
}

/// The whole way: a plan, the tables into the file, the connections into the store, a call that works, nothing left to do.
#[tokio::test]
async fn a_configuration_of_litellm_is_moved_in_once() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("moved"));
    let bursar = Setup::new().start().await;
    let file = saved(&bursar, "config.yaml", &config(&fake));
    let env = saved(&bursar, "env", &format!("LAN_API_KEY={}\n", key_of("lan:main")));
    let providers = bursar.place().providers_file();
    let before = std::fs::read_to_string(&providers).unwrap();
    let options = format!("--env-file {} --write {}", env.display(), providers.display());

    let said = import(&bursar, &file, &format!("{options} --dry-run")).await;
    assert_eq!(said.code, 3, "{said:?}");
    for part in
        ["[routes.quick]", "[routes.speedy]", "add", "preset = \"groq\"", "GROQ_API_KEY is not set", "config.yaml:10:"]
    {
        assert!(said.out.contains(part), "{part} in {}", said.out);
    }
    assert_eq!(std::fs::read_to_string(&providers).unwrap(), before, "a dry run changes nothing");
    assert!(connections(&bursar).await.connections.is_empty());
    let said = import(&bursar, &file, &options).await;
    assert!(said.code == 2 && said.err.contains("--yes"), "nobody can be asked: {said:?}");

    let said = import(&bursar, &file, &format!("{options} --yes")).await;
    assert_eq!(said.code, 0, "{said:?}");
    let written = std::fs::read_to_string(&providers).unwrap();
    assert!(written.starts_with(&before) && !written.contains(crate::harness::canary_of_keys()));
    let there = connections(&bursar).await.connections;
    assert_eq!((there.len(), there[0].limits.requests_per_minute), (1, Some(50)));
    for model in ["quick", "speedy"] {
        let reply = bursar.call(Call::chat(model)).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "moved"), "{}", reply.text());
    }
    assert_eq!(fake.seen()[0].key(), Some(key_of("lan:main").as_str()));

    let again = import(&bursar, &file, &format!("{options} --yes")).await;
    assert!(again.code == 0 && again.out.contains("nothing to do"), "{again:?}");
    let again = import(&bursar, &file, &format!("{options} --dry-run --format json")).await;
    assert_eq!(again.object::<Value>()["changes"], false);
    assert_eq!(std::fs::read_to_string(&providers).unwrap(), written);
    bursar.stop().await;
}

#[tokio::test]
async fn a_file_of_variables_becomes_connections_of_what_is_built_in() {
    let bursar = Setup::new().start().await;
    let (first, second, gemini) = (key_of("openai:main"), key_of("openai:2"), key_of("gemini:main"));
    let text =
        format!("OPENAI_API_KEY='{first}'\nexport OPENAI_API_KEY_2={second}\nGEMINI_API_KEY={gemini}\nDEBUG=1\n");
    let file = saved(&bursar, ".env", &text);
    let said = import(&bursar, &file, "--yes").await;
    assert_eq!(said.code, 0, "{said:?}");
    let ids: Vec<_> = connections(&bursar).await.connections.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["gemini:main", "openai:2", "openai:main"]);
    assert_eq!(import(&bursar, &file, "--dry-run").await.code, 0, "nothing is left to do");

    // Another key under the same name is told of, and changes nothing.
    let file = saved(&bursar, ".env", &format!("OPENAI_API_KEY={}-other\n", key_of("openai:main")));
    let said = import(&bursar, &file, "--yes").await;
    assert!(said.code == 0 && said.out.contains("credentials rotate openai:main"), "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_table_of_keys_keeps_its_order_its_switches_and_its_limits() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().provider("one", &fake.url()).start().await;
    let url = format!("{}/v1", fake.url());
    let rows = serde_json::json!([
        {"provider": "openai", "name": "Main", "api_key": key_of("openai:main"), "base_url": url, "priority": 2, "is_active": 1, "rate_limit_per_minute": 30},
        {"provider": "openai", "name": "Old", "api_key": key_of("openai:old"), "base_url": url, "priority": 1, "is_active": 0},
        {"provider": "openai", "name": "Sealed", "api_key": "eyJpdiI6InNlYWxlZCJ9", "base_url": url},
    ]);
    let file = saved(&bursar, "ai_connections.json", &serde_json::to_string_pretty(&rows).unwrap());
    let said = import(&bursar, &file, "--yes").await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("encrypted"), "{said:?}");
    let there = connections(&bursar).await.connections;
    let shown: Vec<_> = there
        .iter()
        .map(|one| (one.id.to_string(), one.status, one.priority, one.limits.requests_per_minute))
        .collect();
    let expected = [
        // At the address that is declared already, under the name that it has there.
        ("one:old".into(), ConnectionStatus::Disabled, 1, None),
        ("one:main".into(), ConnectionStatus::Enabled, 2, Some(30)),
    ];
    assert_eq!(shown, expected);
    assert!(there.iter().all(|one| one.secret.set));
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    assert_eq!(fake.seen()[0].key(), Some(key_of("openai:main").as_str()), "the one that is off is not used");
    bursar.stop().await;
}

/// Without --write, what needs a table that is not there waits for it.
#[tokio::test]
async fn tables_that_are_not_written_are_asked_for() {
    let bursar = Setup::new().start().await;
    let file =
        saved(&bursar, ".env", &format!("GROQ_API_KEY={}\nOPENAI_API_KEY={}\n", key_of("groq:a"), key_of("openai:a")));
    let said = import(&bursar, &file, "--yes").await;
    assert_eq!(said.code, 78, "{said:?}");
    assert!(
        said.out.contains("openai:main is added") && said.err.contains("groq:main") && said.err.contains("--write"),
        "{said:?}"
    );
    let said = import(&bursar, &file, &format!("--yes --write {}", bursar.place().providers_file().display())).await;
    assert!(said.code == 0 && said.out.contains("groq:main is added"), "{said:?}");
    bursar.stop().await;
}

/// A fragment refers to what other files declare: it is checked together with them. The first brings its directory along.
#[tokio::test]
async fn tables_go_into_a_fragment_beside_the_rest() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("moved"));
    let bursar = Setup::new().provider("one", &fake.url()).start().await;
    let file = saved(&bursar, "config.yaml", &config(&fake));
    let env = saved(&bursar, "env", &format!("LAN_API_KEY={}\n", key_of("one:main")));
    let fragments = bursar.place().providers_file().with_extension("d");
    let into = |name: &str| format!("--yes --env-file {} --write {}", env.display(), fragments.join(name).display());
    let said = import(&bursar, &file, &into("litellm.toml")).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(std::fs::read_to_string(fragments.join("litellm.toml")).unwrap().contains("\"one/m\""), "{said:?}");
    assert_eq!(bursar.call(Call::chat("quick")).await.content(), "moved");

    std::fs::remove_file(fragments.join("litellm.toml")).unwrap();
    run(bursar.place(), "reload", "").await;
    let elsewhere = bursar.place().path().join("elsewhere.toml");
    let said = import(&bursar, &file, &format!("--yes --write {}", elsewhere.display())).await;
    assert!(said.code == 65 && said.err.contains("there is no provider \"one\""), "it is checked alone: {said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_with_its_line_and_never_with_its_keys() {
    let bursar = Setup::new().start().await;
    let key = key_of("openai:main");
    for (name, text, line) in [
        ("a.yaml", format!("model_list:\n  - litellm_params: [{key}\n"), "line "),
        ("b.json", format!("[\n{{\"api_key\": \"{key}\" 1}}]"), "line 2"),
        ("c.env", format!("A=1\n{key}\n"), "line 2"),
        ("d.csv", format!("provider,api_key\nopenai,{key},{key}\n"), "line 2"),
        ("e.yaml", format!("keys: {key}\n"), "model_list"),
    ] {
        let file = saved(&bursar, name, &text);
        let said = import(&bursar, &file, "--yes").await;
        assert!(said.code == 65 && said.err.contains(line) && said.err.contains("nothing was changed"), "{said:?}");
    }
    let missing = bursar.place().path().join("nowhere");
    assert_eq!(import(&bursar, &missing, "--yes").await.code, 65);
    assert!(connections(&bursar).await.connections.is_empty());
    bursar.stop().await;
}
