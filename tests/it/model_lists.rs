//! Providers' own lists of models: fetched, kept, and known by their bare ids.

use serde_json::Value;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup, soon};

const LISTED: &str = "[providers.one.models.m]\nprice = { input = 2.50, output = 10.00 }";

/// A daemon that fetches lists, with one provider at this address.
fn setup(url: &str, lines: &str) -> Setup {
    let provider =
        format!("[providers.one]\nkind = \"openai\"\nbase_url = \"{url}/v1\"\nallow_private = true\n{lines}");
    Setup::new().providers(&provider).connection("one:a", "").fetching()
}

/// A provider that answers, and lists these models.
async fn fake(models: &[&str]) -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.for_path("/v1/models").always(openai::models(models));
    fake.for_path("/v1/chat/completions").always(openai::chat("ok"));
    fake
}

async fn listed(bursar: &Bursar) -> Vec<String> {
    let list = bursar.call(Call::get("/v1/models")).await.json();
    let id = |model: &Value| model["id"].as_str().unwrap().to_owned();
    list["data"].as_array().unwrap().iter().map(id).collect()
}

/// Waits until a model is listed.
async fn until_listed(bursar: &Bursar, id: &str) -> Vec<String> {
    let poll = async {
        loop {
            let all = listed(bursar).await;
            if all.iter().any(|one| one == id) {
                return all;
            }
        }
    };
    soon("a list of models", poll).await
}

fn asked_for_lists(fake: &FakeProvider) -> usize {
    fake.seen().iter().filter(|seen| seen.method == "GET").count()
}

#[tokio::test]
async fn a_bare_id_is_known_once_the_list_was_fetched_and_after_a_restart_without_the_provider() {
    let fake = fake(&["zeta", "m", "alpha"]).await;
    let bursar = setup(&fake.url(), LISTED).start().await;
    let all = until_listed(&bursar, "one/zeta").await;
    assert_eq!(all, ["one/m", "one/alpha", "one/zeta"], "what TOML lists comes first");
    let reply = bursar.call(Call::chat("zeta")).await;
    assert_eq!((reply.status, reply.header("x-bursar-connection")), (200, Some("one:a")), "{}", reply.text());
    let shown = bursar.call(Call::get("/admin/v1/providers/one")).await.json();
    assert_eq!((&shown["models"][2]["id"], &shown["models"][2]["price"]), (&"zeta".into(), &Value::Null), "{shown}");
    assert!(shown["models_fetched_at"].is_string(), "{shown}");

    let remains = bursar.stop().await;
    let records = remains.records();
    assert_eq!((records[0].model.as_str(), records[0].cost), ("zeta", None), "a price that nobody knows is not 0");
    let before = asked_for_lists(&fake);
    assert_eq!(before, 1);
    fake.for_path("/v1/models").always(openai::error(500));
    let bursar = remains.restart().await;
    assert!(listed(&bursar).await.contains(&"one/zeta".to_owned()));
    assert_eq!(bursar.call(Call::chat("alpha")).await.status, 200);
    let unknown = bursar.call(Call::chat("omega")).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "unknown_model"));
    bursar.stop().await;
    assert_eq!(asked_for_lists(&fake), before, "a list of today is not fetched again");
}

#[tokio::test]
async fn a_check_keeps_the_list_that_it_fetched() {
    let fake = fake(&["old"]).await;
    let bursar = setup(&fake.url(), "").start().await;
    until_listed(&bursar, "one/old").await;
    fake.for_path("/v1/models").always(openai::models(&["new"]));
    let check = Call::post("/admin/v1/providers/one/check", &Value::Null).header("x-bursar-request", "1");
    let checked = bursar.call(check).await;
    assert_eq!(checked.status, 200, "{}", checked.text());
    assert_eq!(listed(&bursar).await, ["one/new"]);
    bursar.stop().await;
}

#[tokio::test]
async fn a_provider_is_asked_once_it_can_be_used_and_not_before() {
    let fake = fake(&["late"]).await;
    let set = setup(&fake.url(), "enabled = false");
    let bursar = set.start().await;
    let on = setup(&fake.url(), "enabled = true").providers_text(bursar.place());
    bursar.place().save(&bursar.place().providers_file(), &on);
    until_listed(&bursar, "one/late").await;
    assert_eq!(asked_for_lists(&fake), 1);

    // With its provider the list goes.
    bursar.place().save(&bursar.place().providers_file(), "[defaults]\nfetch_models = true\n");
    bursar.until_logged("the list of models is forgotten").await;
    let remains = bursar.stop().await;
    assert_eq!(remains.store().model_lists().list().unwrap(), []);
}

#[tokio::test]
async fn a_list_that_cannot_be_fetched_is_told_once_and_takes_nothing_away() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(500));
    let bursar = setup(&fake.url(), LISTED).start().await;
    bursar.until_logged("list of models could not be fetched").await;
    assert_eq!(listed(&bursar).await, ["one/m"]);
    let reload = || Call::post("/admin/v1/reload", &Value::Null).header("x-bursar-request", "1");
    for _ in 0..3 {
        assert_eq!(bursar.call(reload()).await.status, 200);
    }
    let log = bursar.stop().await.log;
    assert_eq!(log.matches("list of models could not be fetched").count(), 1, "{log}");
    assert_eq!(asked_for_lists(&fake), 1, "a reload is no reason to ask again");
}
