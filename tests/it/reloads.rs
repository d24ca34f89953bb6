//! A new configuration in the middle of everything: nothing is dropped, nothing is counted anew, and a request goes by one
//! configuration from its begin to its end.

use std::cell::{Cell, RefCell};

use bursar::api::Outcome;
use futures_util::future::join_all;
use serde_json::json;

use crate::fake::{FakeProvider, Gate, openai};
use crate::harness::{Bursar, Call, Setup, key_of};

/// A route whose first target refuses every request, and whose models are those of one round. The second target is
/// limited, so that what is used of it can be read.
fn house(fake: &FakeProvider, round: usize) -> Setup {
    let targets = format!("targets = [\"picky/m{round}\", \"kind/m{round}\"]");
    Setup::new()
        .ranked("picky", &fake.url(), &["a"])
        .provider("kind", &fake.url())
        .connection("kind:a", "limits = { requests_per_day = 1_000_000 }")
        .providers(&format!("[routes.both]\n{targets}\n[routes.round-{round}]\n{targets}\n"))
}

async fn started(fake: &FakeProvider) -> Bursar {
    fake.for_key(&key_of("kind:a")).always(openai::chat("ok"));
    // Too large for this one, and no fault of its own: the next is tried, every time.
    let picky = openai::error_with(429, "tokens", &json!("request_too_large"));
    fake.for_key(&key_of("picky:a")).always(picky);
    house(fake, 0).start().await
}

async fn reload(bursar: &Bursar, fake: &FakeProvider, round: usize) {
    let place = bursar.place();
    place.save(&place.providers_file(), &house(fake, round).providers_text(place));
    let reply = bursar.call(Call::post("/admin/v1/reload", &json!({})).header("x-bursar-request", "1")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The models that the attempts of a request asked for.
async fn models(bursar: &Bursar, id: &str) -> Vec<String> {
    let told = bursar.call(Call::get(&format!("/admin/v1/requests/{id}"))).await.json();
    let tried = told["candidates"].as_array().unwrap_or_else(|| panic!("{told}")).iter();
    tried.map(|one| one["model"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()).collect()
}

async fn used_today(bursar: &Bursar) -> u64 {
    let shown = bursar.call(Call::get("/admin/v1/connections/kind:a")).await.json();
    let quotas = shown["quotas"].as_array().unwrap().clone();
    let day = |quota: &&serde_json::Value| quota["figure"] == "requests_per_day";
    quotas.iter().find(day).unwrap()["used"].as_u64().unwrap()
}

#[tokio::test]
async fn a_request_that_began_before_a_reload_ends_by_what_it_began_with() {
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    let gate = Gate::new();
    let picky = openai::error_with(429, "tokens", &json!("request_too_large"));
    fake.for_key(&key_of("picky:a")).script([picky.whole().held_by(&gate)]);
    let first = bursar.call(Call::chat("both"));
    let meanwhile = async {
        fake.until_seen(1).await;
        reload(&bursar, &fake, 1).await;
        let second = bursar.call(Call::chat("both")).await;
        gate.open(1);
        second
    };
    let (first, second) = futures_util::future::join(first, meanwhile).await;
    for (reply, round) in [(first, "m0"), (second, "m1")] {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let id = reply.header("x-bursar-request-id").unwrap();
        assert_eq!(models(&bursar, id).await, [round, round]);
    }
    bursar.stop().await;
}

#[tokio::test]
async fn under_load_nothing_is_dropped_or_counted_anew_and_no_request_sees_two() {
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    let (done, ids) = (Cell::new(false), RefCell::new(Vec::new()));
    let calling = async {
        while !done.get() {
            for reply in join_all((0..4).map(|_| bursar.call(Call::chat("both")))).await {
                assert_eq!(reply.status, 200, "{}", reply.text());
                ids.borrow_mut().push(reply.header("x-bursar-request-id").unwrap().to_owned());
            }
        }
    };
    let reloading = async {
        for round in 1..=10 {
            let before = ids.borrow().len();
            reload(&bursar, &fake, round).await;
            while ids.borrow().len() < before + 8 {
                tokio::task::yield_now().await;
            }
        }
        done.set(true);
    };
    tokio::join!(calling, reloading);
    let ids = ids.into_inner();
    let mut rounds = std::collections::BTreeSet::new();
    for id in &ids {
        let models = models(&bursar, id).await;
        assert!(models.len() == 2 && models[0] == models[1], "one configuration from begin to end: {models:?}");
        rounds.extend(models);
    }
    assert!(rounds.len() >= 10, "{rounds:?}");
    assert_eq!(used_today(&bursar).await, ids.len() as u64, "no reload counts anew");
    let records = bursar.stop().await.records();
    let finals = records.iter().filter(|record| record.is_final && record.outcome == Outcome::Ok).count();
    assert_eq!((finals, records.len()), (ids.len(), 2 * ids.len()));
}

/// An error is not the log's last word on files that are in order again.
#[tokio::test]
async fn a_reload_without_a_change_is_logged_and_remembered() {
    let fake = FakeProvider::start().await;
    let bursar = started(&fake).await;
    let last = async || bursar.call(Call::get("/admin/v1/status")).await.json()["last_reload"].clone();
    assert_eq!(last().await, json!(null));
    reload(&bursar, &fake, 0).await;
    bursar.until_logged_times("nothing had changed", 1).await;
    assert!(last().await["changed"] == false && last().await["errors"] == json!([]), "{}", last().await);
    let place = bursar.place();
    place.save(&place.providers_file(), "nonsense");
    bursar.until_logged("the configuration has errors").await;
    reload(&bursar, &fake, 0).await;
    bursar.until_logged_times("nothing had changed", 2).await;
    bursar.stop().await;
}
