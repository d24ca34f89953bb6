//! A price that was put right: what it changes, what stays, and what is said of both.

use serde_json::{Value, json};

use crate::fake::{FakeProvider, Reply as Answer, openai};
use crate::harness::{Bursar, Call, Setup};

fn setup(fake: &FakeProvider, price: &str) -> Setup {
    let lines = format!("[providers.one.models.dear]\n{price}\n[providers.one.models.odd]\n");
    Setup::new().ranked("one", &fake.url(), &["a"]).providers(&lines)
}

async fn reprice(bursar: &Bursar, dry_run: bool) -> Value {
    let asked = json!({"from": "-1h", "dry_run": dry_run});
    let reply = bursar.call(Call::post("/admin/v1/usage/reprice", &asked).header("x-bursar-request", "1")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn total(bursar: &Bursar) -> Value {
    bursar.call(Call::get("/admin/v1/usage?by=model")).await.json()["totals"]["cost_usd"].clone()
}

#[tokio::test]
async fn a_corrected_price_changes_what_was_computed_and_nothing_else() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let bursar = setup(&fake, "price = { input = 1.00, output = 1.00 }").start().await;
    for model in ["one/dear", "one/dear", "one/odd"] {
        assert_eq!(bursar.call(Call::chat(model)).await.status, 200);
    }
    let mut own = json!({"id": "x", "object": "chat.completion", "model": "dear", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]});
    own["usage"] = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": 0.5});
    fake.script([Answer::json(200, &own)]);
    assert_eq!(bursar.call(Call::chat("one/dear")).await.status, 200);
    // 9 tokens in and 2 out cost 11 millionths of a dollar, twice; and half a dollar, which the provider says.
    assert_eq!(total(&bursar).await, 0.500_022);
    setup(&fake, "price = { input = 2.00, output = 3.00 }").write(bursar.place());
    let reload = Call::post("/admin/v1/reload", &json!({})).header("x-bursar-request", "1");
    assert_eq!(bursar.call(reload).await.status, 200);
    let would = reprice(&bursar, true).await;
    assert_eq!(total(&bursar).await, 0.500_022, "a dry run changes nothing");
    let done = reprice(&bursar, false).await;
    assert_eq!((&would["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
    for told in [&would, &done] {
        assert_eq!((&told["records"], &told["changed"]), (&json!(4), &json!(2)), "{told}");
        assert_eq!((&told["providers_own"], &told["unknown"]), (&json!(1), &json!(1)), "{told}");
        assert_eq!((&told["old_cost_usd"], &told["new_cost_usd"]), (&json!(0.500_022), &json!(0.500_048)), "{told}");
        let rows = told["rows"].as_array().unwrap();
        assert_eq!((&rows[0]["model"], &rows[0]["changed"]), (&json!("dear"), &json!(2)), "{told}");
        assert_eq!((&rows[1]["model"], &rows[1]["unknown_why"]), (&json!("odd"), &json!("the model has no price")));
    }
    // Twice 24 millionths: sums follow, by whatever they are asked.
    assert_eq!(total(&bursar).await, 0.500_048);
    assert_eq!(reprice(&bursar, false).await["changed"], 0, "once is enough");
    let records = bursar.stop().await.records();
    let costs: Vec<_> = records.iter().filter_map(|record| record.cost.map(|cost| cost.0)).collect();
    assert_eq!(costs, [24_000, 24_000, 500_000_000]);
}

#[tokio::test]
async fn a_time_that_makes_no_sense_is_named() {
    let fake = FakeProvider::start().await;
    let bursar = setup(&fake, "price = { input = 1 }").start().await;
    for asked in
        [json!({"from": "yesterday"}), json!({"from": "now", "to": "-1h"}), json!({}), json!({"from": "-1h", "x": 1})]
    {
        let reply = bursar.call(Call::post("/admin/v1/usage/reprice", &asked).header("x-bursar-request", "1")).await;
        assert_eq!(reply.status, 400, "{asked}");
    }
    bursar.stop().await;
}
