//! Why requests went where they went, as operators and apps are told.

use bursar::api::Outcome;
use bursar::api::admin::{DryRun, ExplainAction, ExplainSource, ExplainedCandidate, ExplainedRequest};
use http::StatusCode;
use serde_json::json;

use crate::fake::{FakeProvider, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Reply, Setup, key_of};
use crate::operators::run;

fn id_of(reply: &Reply) -> String {
    reply.header("x-bursar-request-id").expect("every reply has its id").to_owned()
}

async fn explained(bursar: &Bursar, id: &str) -> ExplainedRequest {
    let reply = bursar.call(Call::get(&format!("/admin/v1/requests/{id}"))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).expect("the API's object")
}

async fn dry_run(bursar: &Bursar, asked: &serde_json::Value) -> DryRun {
    let reply = bursar.call(Call::post("/admin/v1/explain", asked).header("x-bursar-request", "1")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).expect("the API's object")
}

/// Each candidate in short: its name, what came of it, and as what.
fn in_short(candidates: &[ExplainedCandidate]) -> Vec<String> {
    let short = |one: &ExplainedCandidate| {
        let as_what = one.outcome.map(|outcome| outcome.name()).or(one.reason.as_deref()).unwrap_or("-");
        format!("{} {} {as_what}", one.connection, one.action.name())
    };
    candidates.iter().map(short).collect()
}

async fn with_one_off_one_refused_and_one_busy(fake: &FakeProvider) -> Bursar {
    fake.for_key(&key_of("one:refused")).always(openai::error(401));
    fake.for_key(&key_of("one:busy")).always(openai::error(429));
    fake.for_key(&key_of("one:good")).always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["off", "refused", "busy", "good"]).start().await;
    assert_eq!(run(bursar.place(), "connections disable one:off", "").await.code, 0);
    bursar
}

#[tokio::test]
async fn a_request_is_explained_with_whom_it_passed_over_and_whom_it_tried() {
    let fake = FakeProvider::start().await;
    let bursar = with_one_off_one_refused_and_one_busy(&fake).await;
    let first = bursar.call(Call::chat("one/m").header("x-bursar-feature", "translation")).await;
    let second = bursar.call(Call::chat("one/m")).await;
    let told = explained(&bursar, &id_of(&first)).await;
    assert_eq!(
        in_short(&told.candidates),
        ["one:off skipped disabled", "one:refused tried credential", "one:busy tried rate_short", "one:good tried ok"]
    );
    assert_eq!((told.outcome, told.feature.as_str(), told.model.as_str()), (Outcome::Ok, "translation", "one/m"));
    assert_eq!((told.source, told.skipped_more), (ExplainSource::Memory, Some(0)));
    let [off, refused, .., good] = &told.candidates[..] else { panic!("{told:?}") };
    assert_eq!((off.message.as_str(), off.status, off.at), ("it is switched off", None, None));
    assert_eq!((refused.status, good.status, good.model.as_deref()), (Some(401), Some(200), Some("m")));
    assert!(refused.error.is_some() && refused.at >= Some(told.at) && good.duration_ms <= told.duration_ms, "{told:?}");

    let told = explained(&bursar, &id_of(&second)).await;
    assert_eq!(in_short(&told.candidates)[..2], ["one:off skipped disabled", "one:refused skipped rejected"]);

    let said = run(bursar.place(), &format!("explain {}", id_of(&first)), "").await;
    for part in ["translation", "skipped", "it is switched off", "rate_short", "the provider refused the credential"] {
        assert!(said.code == 0 && said.out.contains(part), "{part}: {said:?}");
    }
    let said = run(bursar.place(), &format!("explain {} --format json", id_of(&first)), "").await;
    assert_eq!(said.object::<ExplainedRequest>().candidates.len(), 4);
    bursar.stop().await;
}

#[tokio::test]
async fn a_request_that_failed_or_was_streamed_is_explained_too() {
    let fake = FakeProvider::start().await;
    fake.always(openai::error(500));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let told = explained(&bursar, &id_of(&bursar.call(Call::chat("one/m")).await)).await;
    assert_eq!(in_short(&told.candidates), ["one:a tried transient", "one:a tried transient"]);
    assert_eq!((told.outcome, told.candidates[0].waited_ms), (Outcome::Transient, Some(0)));
    assert!(told.error.is_some() && told.candidates[1].waited_ms.is_some(), "{told:?}");

    let told = explained(&bursar, &id_of(&bursar.call(Call::chat("nobody/m")).await)).await;
    assert_eq!((told.outcome, told.candidates.len()), (Outcome::Caller, 0));

    fake.always(openai::stream(&["Hel", "lo"]));
    let told = explained(&bursar, &id_of(&bursar.call(Call::stream("one/m")).await)).await;
    assert_eq!((told.stream, in_short(&told.candidates)), (true, vec!["one:a tried ok".to_owned()]));
    bursar.stop().await;
}

#[tokio::test]
async fn what_a_new_daemon_knows_of_older_requests_are_their_attempts() {
    let fake = FakeProvider::start().await;
    let bursar = with_one_off_one_refused_and_one_busy(&fake).await;
    let id = id_of(&bursar.call(Call::chat("one/m")).await);
    let bursar = bursar.stop().await.restart().await;
    let told = explained(&bursar, &id).await;
    let tried = ["one:refused tried credential", "one:busy tried rate_short", "one:good tried ok"];
    assert_eq!((told.source, in_short(&told.candidates)), (ExplainSource::Records, tried.map(str::to_owned).into()));
    assert_eq!(
        (told.skipped_more, told.waited_ms, told.candidates[0].waited_ms),
        (None, None, None),
        "unknown is null, and not 0"
    );
    assert!(told.note.as_ref().is_some_and(|note| note.contains("not known any more")), "{told:?}");
    let said = run(bursar.place(), &format!("explain {id}"), "").await;
    assert!(said.out.contains("usage records") && said.err.contains("not known any more"), "{said:?}");

    let said = run(bursar.place(), &format!("explain req_{:032x}", 7), "").await;
    assert!(said.code == 65 && said.err.contains("30 days") && said.err.contains("retention"), "{said:?}");
    let said = run(bursar.place(), "explain 7", "").await;
    assert!(said.code == 2 && said.err.contains("x-bursar-request-id"), "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_where_a_request_would_go_and_takes_nobodys_turn() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = Setup::new()
        .provider("one", &fake.url())
        .providers("[providers.one.models.blind]\ncapabilities = [\"chat\"]\ncontext_window = 100\n")
        .providers("[routes.fast]\ntargets = [\"one/blind\", \"one/m\"]\n")
        .connection("one:a", "")
        .connection("one:b", "")
        .start()
        .await;
    let mut answered = Vec::new();
    for _ in 0..4 {
        let would = dry_run(&bursar, &json!({"model": "one/m"})).await;
        assert_eq!(dry_run(&bursar, &json!({"model": "one/m"})).await.candidates, would.candidates);
        let reply = bursar.call(Call::chat("one/m")).await;
        let connection = reply.header("x-bursar-connection").unwrap();
        assert_eq!(connection, would.candidates[0].connection.to_string(), "as it was foretold");
        answered.push(connection.to_owned());
    }
    assert_eq!(answered, ["one:a", "one:b", "one:a", "one:b"]);
    assert_eq!(fake.seen().len(), 4, "a dry run calls nobody");

    let told = dry_run(&bursar, &json!({"route": "fast", "require": ["vision"]})).await;
    assert_eq!(in_short(&told.candidates)[0], "one:a skipped lacks");
    assert!(told.candidates[0].message.contains("vision"), "{told:?}");
    let would: Vec<_> = told.candidates.iter().filter(|one| one.action == ExplainAction::WouldTry).collect();
    assert!(would.len() == 2 && would.iter().all(|one| one.model.as_deref() == Some("m")), "{told:?}");
    let told = dry_run(&bursar, &json!({"model": "one/blind", "tokens": 101})).await;
    assert_eq!(in_short(&told.candidates), ["one:a skipped too_large", "one:b skipped too_large"]);
    assert!(told.message.contains("nothing can serve"), "{told:?}");
    let told = dry_run(&bursar, &json!({"model": "fast", "connection": "one:b", "feature": "f"})).await;
    assert!(told.candidates.iter().all(|one| one.connection.to_string() == "one:b"), "{told:?}");

    let said = run(bursar.place(), "explain --dry-run --model fast --require vision --feature f", "").await;
    assert!(said.code == 0 && said.out.contains("would try") && said.err.contains("asked for m"), "{said:?}");
    for (line, code, help) in [
        ("explain --dry-run -m nobody/m", 65, "GET /v1/models"),
        ("explain --dry-run -m one/m --connection one:nobody", 65, "no connection one:nobody"),
    ] {
        let said = run(bursar.place(), line, "").await;
        assert!(said.code == code && said.err.contains(help), "{line}: {said:?}");
    }
    bursar.stop().await;
}

#[tokio::test]
async fn an_app_sees_its_own_requests_and_no_others() {
    let fake = FakeProvider::start().await;
    fake.for_key(&key_of("one:refused")).always(openai::error(401));
    fake.always(openai::chat("ok"));
    let uid = rustix::process::geteuid().as_raw();
    let named = |app: &str| format!("[apps.{app}]\nmatch = {{ user = {uid} }}\n");
    let setup =
        || Setup::new().server("admin_socket = \"DIR/admin.sock\"").ranked("one", &fake.url(), &["refused", "a"]);
    let bursar = setup().daemon(&named("first")).start().await;
    let id = id_of(&bursar.call(Call::chat("one/m")).await);
    let own = || Call::get(&format!("/v1/bursar/requests/{id}"));
    let told = bursar.call(own()).await;
    assert_eq!((told.status, told.json()["app"].as_str()), (200, Some("first")));
    let candidates: Vec<ExplainedCandidate> = serde_json::from_value(told.json()["candidates"].clone()).unwrap();
    assert_eq!(in_short(&candidates), ["one:refused tried credential", "one:a tried ok"]);
    assert_eq!(candidates[0].error, None, "what a provider says of an account is its operator's");
    let refused = bursar.call(Call::get(&format!("/admin/v1/requests/{id}"))).await;
    assert_eq!(refused.status, 403, "all requests are the operators'");

    // The same user is another app from here on.
    setup().daemon(&named("second")).write(bursar.place());
    assert_eq!(run(bursar.place(), "reload", "").await.code, 0);
    let refused = bursar.call(own()).await;
    assert_refused(&refused, StatusCode::NOT_FOUND, "not_found");
    assert!(!refused.text().contains("first"), "{}", refused.text());
    let nobodys = bursar.call(Call::get(&format!("/v1/bursar/requests/req_{:032x}", 7))).await;
    let plain = |reply: &Reply| reply.text().replace(&id, "ID").replace(&format!("req_{:032x}", 7), "ID");
    assert_eq!(plain(&refused), plain(&nobodys), "what is another's cannot be told from what is not");
    assert_refused(&bursar.call(Call::get("/v1/bursar/requests/7")).await, StatusCode::NOT_FOUND, "not_found");
    assert_eq!(run(bursar.place(), &format!("explain {id}"), "").await.code, 0, "operators see all");
    bursar.stop().await;
}
