//! What was used, asked in every way: sums, records page by page, exports that are broken off, and an app's own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use bursar::api::usage::{Dimension, RecordId, UsageReport};
use bursar::api::{CostSource, NanoUsd, Operation, Outcome, RecordPage, RequestId, Tokens, UsageRecord};
use bursar::clock::Clock;
use bursar::credential::MasterKey;
use bursar::store::Store;
use http::StatusCode;
use serde_json::Value;

use crate::fake::{FakeProvider, openai};
use crate::harness::client::assert_refused;
use crate::harness::{Bursar, Call, Setup, program};
use crate::operators::run;

/// A daemon with so many calls behind it, under a feature each for even and odd ones.
async fn used(fake: &FakeProvider, calls: usize) -> Bursar {
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    for n in 0..calls {
        let feature = if n.is_multiple_of(2) { "even" } else { "odd" };
        assert_eq!(bursar.call(Call::chat("one/m").header("x-bursar-feature", feature)).await.status, 200);
    }
    bursar
}

async fn page(bursar: &Bursar, query: &str) -> RecordPage<UsageRecord> {
    let reply = bursar.call(Call::get(&format!("/admin/v1/usage/records?{query}"))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn records_are_paged_either_way_and_filtered() {
    let fake = FakeProvider::start().await;
    let bursar = used(&fake, 7).await;
    let mut ids = Vec::new();
    let mut at = String::new();
    loop {
        let page = page(&bursar, &format!("limit=2{at}")).await;
        assert!(page.records.len() <= 2);
        ids.extend(page.records.iter().map(|record| record.id));
        let Some(next) = page.next else { break };
        at = format!("&after={next}");
    }
    assert_eq!(ids.len(), 7);
    assert!(ids.windows(2).all(|two| two[0] > two[1]), "newest first");
    let oldest = page(&bursar, "order=oldest").await;
    assert!(oldest.records.iter().map(|record| record.id).eq(ids.iter().rev().copied()));
    let odd = page(&bursar, "feature=odd&outcome=ok&connection=one:a").await;
    assert_eq!(odd.records.len(), 3);
    assert!(page(&bursar, "to=2020-01-01").await.records.is_empty());
    assert!(page(&bursar, "model=another").await.records.is_empty());
    bursar.stop().await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_by_name() {
    let fake = FakeProvider::start().await;
    let bursar = used(&fake, 0).await;
    for (path, param) in [
        ("/admin/v1/usage?from=tomorrowish", "from"),
        ("/admin/v1/usage?step=year", "step"),
        ("/admin/v1/usage?by=app,colour", "by"),
        ("/admin/v1/usage?outcome=good", "outcome"),
        ("/admin/v1/usage?limit=5", "limit"),
        ("/admin/v1/usage/records?limit=0", "limit"),
        ("/admin/v1/usage/records?after=x", "after"),
        ("/admin/v1/usage/records?colour=red", "colour"),
    ] {
        let reply = bursar.call(Call::get(path)).await;
        assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/problem+json")), "{path}");
        let problem = reply.json();
        assert_eq!((&problem["code"], &problem["param"]), (&"invalid_request".into(), &param.into()), "{problem}");
    }
    bursar.stop().await;
}

/// Whoever asks as an app sees that app's usage, and nothing by which another could be named.
#[tokio::test]
async fn an_app_sees_its_own_usage_and_never_anothers() {
    let fake = FakeProvider::start().await;
    fake.always(openai::chat("ok"));
    let uid = rustix::process::geteuid().as_raw();
    let as_app = |name: &str| format!("[apps.{name}]\nmatch = {{ user = {uid} }}\n");
    let setup = Setup::new().ranked("one", &fake.url(), &["a"]);
    let first = setup.clone().daemon(&as_app("first")).start().await;
    assert_eq!(first.call(Call::chat("one/m").header("x-bursar-feature", "secret-plans")).await.status, 200);
    let report = |reply: crate::harness::Reply| serde_json::from_slice::<UsageReport>(&reply.body).unwrap();
    let own = report(first.call(Call::get("/v1/bursar/usage?by=app,feature")).await);
    assert_eq!((own.totals.requests, own.rows[0].labels[&Dimension::App].as_deref()), (1, Some("first")));

    // The same program, called another app from now on.
    let place = first.place();
    place.save(&place.daemon_file(), &setup.clone().daemon(&as_app("second")).daemon_text(place));
    assert_eq!(
        first.call(Call::post("/admin/v1/reload", &Value::Null).header("x-bursar-request", "1")).await.status,
        200
    );
    let second = first;
    for query in ["", "?by=app,feature,connection,model,outcome", "?feature=secret-plans", "?step=hour&by=app"] {
        let reply = second.call(Call::get(&format!("/v1/bursar/usage{query}"))).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.text().contains("first") && !reply.text().contains("secret"), "{}", reply.text());
        assert_eq!(report(reply).totals.requests, 0, "{query}");
    }
    for query in ["?app=first", "?app=second&app=first", "?limit=3", "?after=1"] {
        let reply = second.call(Call::get(&format!("/v1/bursar/usage{query}"))).await;
        assert_refused(&reply, StatusCode::BAD_REQUEST, "invalid_request");
    }
    assert_eq!(report(second.call(Call::get("/admin/v1/usage")).await).totals.requests, 1, "operators see all");
    second.stop().await;
}

#[tokio::test]
async fn people_page_through_records_as_the_last_line_says() {
    let fake = FakeProvider::start().await;
    let bursar = used(&fake, 5).await;
    let said = run(bursar.place(), "usage records --limit 3", "").await;
    assert_eq!((said.code, said.out.lines().count()), (0, 4), "{said:?}");
    let next = said.err.trim().rsplit(' ').next().unwrap().to_owned();
    let said = run(bursar.place(), &format!("usage records --limit 3 --after {next}"), "").await;
    assert_eq!((said.code, said.out.lines().count(), said.err.as_str()), (0, 3, ""), "{said:?}");
    let said = run(bursar.place(), "usage records --feature odd --format csv", "").await;
    assert_eq!(said.out.lines().count(), 3, "{said:?}");
    let page: RecordPage<UsageRecord> = run(bursar.place(), "usage records --format json", "").await.object();
    assert_eq!((page.records.len(), page.next), (5, None));
    let said = run(bursar.place(), "usage records --outcome fine", "").await;
    assert!(said.code == 65 && said.err.contains("outcome") && said.err.contains("rate_short"), "{said:?}");
    bursar.stop().await;
}

#[tokio::test]
async fn an_export_is_whole_and_goes_on_where_it_was_broken_off() {
    let fake = FakeProvider::start().await;
    let bursar = used(&fake, 6).await;
    let file = bursar.place().path().join("usage.jsonl");
    let name = file.display().to_string();
    let said = run(bursar.place(), &format!("usage export --output {name}"), "").await;
    assert!(said.code == 0 && said.err.contains("6 records"), "{said:?}");
    let whole = std::fs::read_to_string(&file).unwrap();
    let ids: Vec<String> = whole
        .lines()
        .map(|line| serde_json::from_str::<UsageRecord>(line).unwrap())
        .map(|record| record.id.to_string())
        .collect();
    assert!(ids.len() == 6 && ids.windows(2).all(|two| two[0] < two[1]), "oldest first: {ids:?}");

    let said = run(bursar.place(), &format!("usage export --output {name}"), "").await;
    assert!(said.code == 65 && said.err.contains("--resume"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
    // Broken off in the middle of the fourth line.
    let cut = whole.lines().take(3).map(|line| line.len() + 1).sum::<usize>() + 20;
    std::fs::write(&file, &whole[..cut]).unwrap();
    assert_eq!(run(bursar.place(), &format!("usage export --output {name} --resume"), "").await.code, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
    assert_eq!(bursar.call(Call::chat("one/m")).await.status, 200);
    assert_eq!(run(bursar.place(), &format!("usage export --output {name} --resume"), "").await.code, 0);
    let longer = std::fs::read_to_string(&file).unwrap();
    assert!(longer.starts_with(&whole) && longer.lines().count() == 7, "what has come since is added");

    let csv = bursar.place().path().join("usage.csv");
    let line = format!("usage export --format csv --feature odd --output {} --resume", csv.display());
    for _ in 0..2 {
        assert_eq!(run(bursar.place(), &line, "").await.code, 0);
        let text = std::fs::read_to_string(&csv).unwrap();
        assert_eq!((text.lines().count(), text.starts_with("id,request_id,at,final,")), (4, true), "{text}");
    }
    bursar.stop().await;
}

/// `bursar usage export | head` ends without a word of complaint.
#[tokio::test]
async fn an_export_that_nobody_reads_any_more_ends_quietly() {
    let fake = FakeProvider::start().await;
    let bursar = used(&fake, 3).await;
    let place = bursar.place();
    let mut child = Command::new(program())
        .arg("--config")
        .arg(place.daemon_file())
        .args(["usage", "export"])
        .env_clear()
        .env("HOME", place.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is written, as by a reader that is gone.
    drop(child.stdout.take());
    let (status, said) = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_to_string(&mut said).unwrap();
        (child.wait().unwrap(), said)
    })
    .await
    .unwrap();
    assert!(status.success() && said.is_empty(), "{status}: {said}");
    let said = run(place, "usage export", "").await;
    assert_eq!(BufReader::new(said.out.as_bytes()).lines().count(), 3);
    bursar.stop().await;
}

/// Records of an ordinary host, one every few seconds.
fn many(count: u64) -> Vec<UsageRecord> {
    // Of the last hours and days: what is older than records are kept for would be gone before it is asked for.
    let now_ms = u64::try_from(Clock::system().wall_ms()).unwrap();
    let record = |n: u64| {
        let at_ms = now_ms - (count - n) * 250;
        let request_id = RequestId::from_parts(at_ms, u128::from(n) << 8);
        UsageRecord {
            id: RecordId(request_id.as_u128()),
            request_id,
            at_ms: i64::try_from(at_ms).unwrap(),
            is_final: true,
            app: "shop".parse().unwrap(),
            feature: format!("feature-{}", n % 7).parse().unwrap(),
            provider: "openai".parse().ok(),
            connection: "openai:main".parse().ok(),
            model: "fast".into(),
            model_sent: Some("gpt-4.1-mini".into()),
            model_served: Some("gpt-4.1-mini-2025-04-14".into()),
            operation: Operation::Chat,
            stream: n.is_multiple_of(2),
            outcome: Outcome::Ok,
            status: Some(200),
            tokens: Tokens { input: Some(900 + n % 100), output: Some(n % 300), ..Tokens::default() },
            cost: Some(NanoUsd(n % 1_000_000)),
            cost_source: Some(CostSource::Prices),
            estimated: false,
            partial: false,
            ttft_ms: Some(n % 900),
            duration_ms: n % 9_000,
            error: None,
        }
    };
    (0..count).map(record).collect()
}

/// The most memory that a process ever had, in KiB, as long as it runs.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

/// A few pages at a time, however many there are. `BURSAR_EXPORTED` makes them more than in CI.
#[tokio::test]
async fn an_export_of_many_records_takes_little_memory() {
    let count: u64 = std::env::var("BURSAR_EXPORTED").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let place = Setup::new().place();
    {
        let key = MasterKey::parse(&std::fs::read(place.key_file()).unwrap()).unwrap();
        let store = Store::open(&place.store(), &key).unwrap();
        many(count).chunks(1_000).for_each(|chunk| drop(store.usage().append(chunk).unwrap()));
    }
    let bursar = Bursar::start(place).await;
    let file = bursar.place().path().join("all.jsonl");
    let mut command = Command::new(program());
    command.arg("--config").arg(bursar.place().daemon_file()).args(["usage", "export", "--output"]).arg(&file);
    let began = std::time::Instant::now();
    let (status, peak) = tokio::task::spawn_blocking(move || {
        let mut child = command.env_clear().stderr(Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        loop {
            peak = peak_kib(child.id()).unwrap_or(0).max(peak);
            if let Some(status) = child.try_wait().unwrap() {
                return (status, peak);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    })
    .await
    .unwrap();
    let took = began.elapsed();
    assert!(status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    let ids: Vec<&str> = text.lines().map(|line| line.get(7..39).unwrap()).collect();
    assert_eq!(ids.len() as u64, count);
    assert!(ids.windows(2).all(|two| two[0] < two[1]), "oldest first, each once");
    eprintln!("{count} records, {} MiB, in {took:?}; the command's peak was {} MiB", text.len() >> 20, peak >> 10);
    assert!(peak < 64 << 10, "{peak} KiB");
    bursar.stop().await;
}
