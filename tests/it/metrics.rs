//! `/metrics` as a scraper reads it, and the trace that goes with a call.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use bursar::api::Outcome;

use crate::fake::{FakeProvider, openai};
use crate::harness::{Bursar, Call, Setup, until};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn scraped(bursar: &Bursar, accept: &str) -> String {
    let reply = bursar.call(Call::get("/metrics").header("accept", accept)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(accept)));
    reply.text().to_owned()
}

/// The samples, by name and labels as they are written.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample =
        |line: &'_ str| line.rsplit_once(' ').map(|(name, value)| (name.len(), value.parse().unwrap())).unwrap();
    let mut all = BTreeMap::new();
    for line in lines {
        let (end, value) = sample(line);
        assert!(all.insert(&line[..end], value).is_none(), "twice: {line}");
    }
    all
}

/// Scrapes until a sample has a value: the usage writer's thread is a little behind.
async fn once(bursar: &Bursar, sample: &str, value: f64) -> String {
    loop {
        let text = scraped(bursar, OPENMETRICS).await;
        if samples(&text).get(sample) == Some(&value) {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A daemon on which a few calls went well, one was refused for the app's own fault, and one met a limit first.
async fn busy(fake: &FakeProvider) -> Bursar {
    let lines = "[limit_groups.acme]\nlimits = { requests_per_minute = 60 }\n";
    let setup = Setup::new().provider("one", &fake.url()).providers(lines);
    let grouped = "priority = 2\nlimit_group = \"acme\"\nlimits = { concurrent = 4 }";
    let budget = "[[budgets]]\nfeature = \"f\"\nper = \"month\"\nrequests = 9\nusd = 1.5";
    let setup = setup.daemon(budget).connection("one:a", "priority = 1").connection("one:b", grouped);
    let bursar = setup.start().await;
    fake.script([openai::chat("ok"), openai::error(400), openai::error(429)]);
    fake.always(openai::chat("ok"));
    for status in [200, 400, 200, 200] {
        assert_eq!(bursar.call(Call::chat("one/m").header("x-bursar-feature", "f")).await.status, status);
    }
    bursar
}

#[tokio::test]
async fn a_scrape_tells_what_happened_and_how_things_stand() {
    let fake = FakeProvider::start().await;
    let bursar = busy(&fake).await;
    let text = once(&bursar, "bursar_usage_records_total", 5.0).await;
    let all = samples(&text);
    let app = text.split("app=\"").nth(1).unwrap().split('"').next().unwrap();
    let call = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"one\",gen_ai_request_model=\"m\"";
    let served = format!("{call},gen_ai_response_model=\"{}\"", openai::MODEL);
    for (sample, value) in [
        (format!("bursar_requests_total{{app=\"{app}\",feature=\"f\",outcome=\"ok\"}}"), 3.0),
        (format!("bursar_requests_total{{app=\"{app}\",feature=\"f\",outcome=\"caller\"}}"), 1.0),
        ("bursar_attempts_total{connection=\"one:a\",outcome=\"rate_short\"}".into(), 1.0),
        ("bursar_attempts_total{connection=\"one:b\",outcome=\"ok\"}".into(), 2.0),
        (format!("gen_ai_client_token_usage_count{{{served},gen_ai_token_type=\"input\"}}"), 3.0),
        (
            format!("gen_ai_client_token_usage_sum{{{served},gen_ai_token_type=\"output\"}}"),
            3.0 * openai::USAGE.1 as f64,
        ),
        (format!("gen_ai_client_operation_duration_seconds_count{{{served}}}"), 3.0),
        ("bursar_connection_health{connection=\"one:a\",bursar_connection_health=\"cooling\"}".into(), 1.0),
        ("bursar_connection_health{connection=\"one:a\",bursar_connection_health=\"ok\"}".into(), 0.0),
        ("bursar_connection_cooling_models{connection=\"one:a\"}".into(), 1.0),
        ("bursar_connections{status=\"enabled\",health=\"ok\"}".into(), 1.0),
        ("bursar_limit{limit_group=\"acme\",figure=\"requests_per_minute\"}".into(), 60.0),
        ("bursar_limit_left{limit_group=\"acme\",figure=\"requests_per_minute\"}".into(), 58.0),
        ("bursar_limit_left{connection=\"one:b\",figure=\"concurrent\"}".into(), 4.0),
        ("bursar_budget_limit{budget=\"feature-f-month\",figure=\"requests\"}".into(), 9.0),
        ("bursar_budget_spent{budget=\"feature-f-month\",figure=\"requests\"}".into(), 4.0),
        ("bursar_budget_limit{budget=\"feature-f-month\",figure=\"usd\"}".into(), 1.5),
        ("bursar_events_total{kind=\"cooling\"}".into(), 1.0),
        ("bursar_usage_records_lost_total".into(), 0.0),
        ("bursar_config_reload_failed".into(), 0.0),
        ("bursar_config_generation".into(), 1.0),
        (format!("bursar_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(all.get(sample.as_str()), Some(&value), "{sample} in\n{text}");
    }
    for sample in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
        "bursar_store_size_bytes{part=\"usage\"}",
        "bursar_store_size_bytes{part=\"state\"}",
        "bursar_retry_budget_left{provider=\"one\"}",
        "bursar_budget_spent{budget=\"feature-f-month\",figure=\"usd\"}",
        "bursar_budget_resets_timestamp_seconds{budget=\"feature-f-month\"}",
    ] {
        assert!(all.get(sample).is_some_and(|value| *value > 0.0), "{sample} in\n{text}");
    }
    let error = format!("gen_ai_client_operation_duration_seconds_count{{{call}");
    let failed = all.iter().any(|(name, _)| name.starts_with(&error) && name.contains("error_type=\"rate_short\""));
    assert!(failed, "{text}");
    bursar.stop().await;
}

#[tokio::test]
async fn a_reload_that_failed_shows_until_the_files_are_mended() {
    let fake = FakeProvider::start().await;
    let setup = Setup::new().ranked("one", &fake.url(), &["a"]);
    let bursar = setup.start().await;
    let place = bursar.place();
    place.save(&place.providers_file(), "[providers.one]\nkind = \"nothing\"\n");
    once(&bursar, "bursar_config_reload_failed", 1.0).await;
    setup.write(bursar.place());
    once(&bursar, "bursar_config_reload_failed", 0.0).await;
    bursar.stop().await;
}

/// The rules of OpenMetrics that a reader trips over: families whole and once, types before samples, units in names, an
/// end; and the same families in Prometheus' older format.
#[tokio::test]
async fn both_formats_are_well_formed_and_say_the_same() {
    let fake = FakeProvider::start().await;
    let bursar = busy(&fake).await;
    let text = once(&bursar, "bursar_usage_records_total", 5.0).await;
    let body = text.strip_suffix("# EOF\n").expect("an end");
    assert!(!body.contains("# EOF"));
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = ("", "");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            (family, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(family), "{family} stands twice");
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.starts_with(&format!("{family} ")) && rest.ends_with(['.', ')']), "{line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} stands in {family}"));
            let expected: &[&str] = match kind {
                "counter" => &["_total"],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_count", "_sum"],
                _ => &[""],
            };
            assert!(expected.contains(&suffix), "{line} in a {kind}");
        }
    }
    let old = scraped(&bursar, PROMETHEUS).await;
    assert!(!old.contains("# UNIT") && !old.contains("# EOF") && !old.contains("stateset"));
    let names = |text: &str| samples(text).into_keys().map(str::to_owned).collect::<BTreeSet<_>>();
    let both: Vec<_> = names(&old).symmetric_difference(&names(&text)).cloned().collect();
    assert_eq!(both, Vec::<String>::new());
    bursar.stop().await;
}

/// The parser that Prometheus' own client library for Python has, where tests/run could install it.
#[tokio::test]
async fn a_real_parser_reads_it() {
    let fake = FakeProvider::start().await;
    let bursar = busy(&fake).await;
    let text = once(&bursar, "bursar_usage_records_total", 5.0).await;
    let old = scraped(&bursar, PROMETHEUS).await;
    bursar.stop().await;
    let Some(python) = std::env::var_os("BURSAR_TEST_PYTHON") else {
        eprintln!("skipped: prometheus_client: BURSAR_TEST_PYTHON is not set, which tests/run does");
        return;
    };
    for (module, text) in [("openmetrics.parser", text), ("parser", old)] {
        let program = format!(
            "import sys\nfrom prometheus_client.{module} import text_string_to_metric_families as parse\n\
             families = list(parse(sys.stdin.read()))\nprint(len(families), sum(len(f.samples) for f in families))"
        );
        let mut child = Command::new(&python)
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{module}: {}\n{text}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        eprintln!("prometheus_client.{module}: {said}");
        let counts: Vec<usize> = said.split_whitespace().map(|count| count.parse().unwrap()).collect();
        assert_eq!(counts[1], samples(&text).len(), "{module} read every sample");
    }
}

#[tokio::test]
async fn the_trace_of_a_call_is_passed_on_and_logged() {
    let fake = FakeProvider::start().await;
    fake.script([openai::error(503)]);
    fake.always(openai::chat("ok"));
    let bursar = Setup::new().ranked("one", &fake.url(), &["a"]).start().await;
    let (trace, state) = ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=value");
    let call = || Call::chat("one/m").header("traceparent", trace).header("tracestate", state);
    assert_eq!(bursar.call(call()).await.status, 200);
    let seen = fake.seen();
    assert_eq!(seen.len(), 2, "a retry belongs to the same trace");
    for request in seen {
        assert_eq!((request.header("traceparent"), request.header("tracestate")), (Some(trace), Some(state)));
    }
    until("the trace in the log", || bursar.log().contains("trace=\"4bf92f3577b34da6a3ce929d0e0e4736\"")).await;
    for bad in ["00-0-0-01", "garbage", &trace.to_uppercase()] {
        let call = Call::chat("one/m").header("traceparent", bad).header("tracestate", state);
        assert_eq!(bursar.call(call).await.status, 200, "a trace that is none is no reason to refuse");
        let seen = fake.seen().pop().unwrap();
        assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (None, None), "{bad}");
    }
    let records = bursar.stop().await.records();
    assert_eq!(records.iter().filter(|record| record.outcome == Outcome::Ok).count(), 4);
}
