//! The messages, as somebody tired reads them.

use super::*;
use crate::bounds;

#[test]
fn every_problem_is_told_at_once_with_its_line_and_key() {
    let text = r#"
[providers.openai]
modles = { }
enabled = "yes"

[providers.lan]
kind = "opnai"

[[connections]]
provider = "opennai"
name = "main"
secret = { env = "OPENAI_API_KEY" }
priorty = 1
limits = { requests_per_minute = 0 }

[routes.fast]
targets = ["openai", "openai/gpt-4.1-mini"]
"#;
    assert_eq!(
        errors(text),
        [
            r#"providers.toml:3: providers.openai.modles: unknown key; did you mean "models"?"#,
            r#"providers.toml:4: providers.openai.enabled: write true or false, not text"#,
            r#"providers.toml:7: providers.lan.kind: unknown word "opnai"; did you mean "openai"?"#,
            r#"providers.toml:10: connections[0].provider: there is no provider "opennai"; did you mean "openai"?"#,
            r#"providers.toml:13: connections[0].priorty: unknown key; did you mean "priority"?"#,
            r#"providers.toml:14: connections[0].limits.requests_per_minute: write a whole number, at least 1"#,
            r#"providers.toml:17: routes.fast.targets[0]: "openai" names no provider: write "provider/model""#,
        ]
    );
}

#[test]
fn columns_count_characters() {
    let report = catalogue("routes.\"ü\" = { targets = [\"openai/gpt-4.1\"], x = 1 }\n").expect_err("errors");
    let places: Vec<_> = report.errors.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!(places, [(Some(1), Some(8)), (Some(1), Some(46))]);
}

#[test]
fn a_syntax_error_has_its_line_and_hides_what_follows_from_it() {
    let told = errors("[providers.openai]\nenabled = true\nkind = openai\n\n[routes\n");
    assert!(told.iter().any(|error| error.starts_with("providers.toml:3: ")), "{told:?}");
    assert!(told.iter().all(|error| !error.contains("unknown key")), "{told:?}");
    assert_eq!(
        errors("[providers.openai]\nenabled = true\nenabled = false\n"),
        ["providers.toml:3: enabled: duplicate key"]
    );
}

#[test]
fn a_secret_that_was_written_out_is_refused_and_never_repeated() {
    const KEY: &str = "sk-proj-canary0123456789abcdef";
    let connection = |line: &str| format!("[[connections]]\nprovider = \"openai\"\nname = \"main\"\n{line}\n");
    let reference = "secret = { env = \"KEY\" }";
    let texts = [
        connection(&format!("secret = \"{KEY}\"")),
        connection("secret = \"short-canary\""),
        connection(&format!("secret = {{ env = \"{KEY}\" }}")),
        connection("secret = { env = \"not-a-variable-canary\" }"),
        connection("secret = { credential = \"no/name/canary\" }"),
        connection(&format!("{reference}\napi_key = \"canary\"")),
        connection(&format!("{reference}\nkey = \"canary\"")),
        connection(&format!("{reference}\nsettings = {{ headers = {{ Authorization = \"Bearer canary\" }} }}")),
        connection(&format!("{reference}\nsettings = {{ headers = {{ x-team = \"{KEY}\" }} }}")),
        connection(&format!("{reference}\nsettings = {{ headers = {{ x-goog-api-key = \"canary\" }} }}")),
        connection(&format!("{reference}\nlimit_group = \"{KEY}\"")),
        "[providers.openai]\ntoken = \"canary\"".into(),
        format!("[providers.openai]\n\"{KEY}\" = true"),
        format!("[providers.\"{KEY}\"]\nkind = \"openai\""),
        format!("[routes.\"{KEY}\"]\ntargets = [\"openai/gpt-4.1\"]"),
        format!("[routes.fast]\ntargets = [\"{KEY}\"]"),
        "[providers.openai]\nbase_url = \"https://user:canary@api.example.com/v1\"".into(),
        "[providers.openai]\nproxy = \"http://canary@proxy.example.com:3128\"".into(),
        "[providers.openai]\nbase_url = \"canary\"".into(),
        connection(&format!("secret = \"{KEY}")),
        connection(&format!("secret = {KEY}")),
        connection(&format!("{reference}\n\"{KEY}\" = 1\n\"{KEY}\" = 2")),
    ];
    for text in texts {
        let told = errors(&text);
        assert!(!told.is_empty() && told.iter().all(|error| !error.contains("canary")), "{text}\n{told:?}");
    }
    assert_eq!(
        errors(&connection(&format!("secret = \"{KEY}\""))),
        [
            r#"providers.toml:4: connections[0].secret: a secret must not stand here: give a connection secret = { env = "NAME" }, secret = { file = "/path" } or secret = { credential = "name" } instead"#
        ]
    );
}

#[test]
fn a_reference_to_a_secret_is_exactly_one() {
    let connection = |line: &str| format!("[[connections]]\nprovider = \"openai\"\nname = \"main\"\n{line}\n");
    let one_of = r#"exactly one of { env = "NAME" }, { file = "/path" } and { credential = "name" }"#;
    for line in ["secret = { }", "secret = { env = \"A\", file = \"/a\" }"] {
        assert_eq!(
            errors(&connection(line)),
            [format!("providers.toml:4: connections[0].secret: write {one_of}")],
            "{line}"
        );
    }
    assert_eq!(
        errors(&connection("")),
        [format!(
            "providers.toml:1: connections[0]: secret is missing, and kind \"openai\" needs one: write secret = {one_of}"
        )]
    );
    assert_eq!(
        errors(&connection("secret = { file = \"keys/openai\" }")),
        ["providers.toml:4: connections[0].secret.file: write the whole path, beginning with /"]
    );
}

#[test]
fn wrong_sorts_say_what_to_write() {
    let text = r#"
[providers.openai]
base_url = 7
headers = ["x"]
drop = "temperature"
timeouts = { connect = true, wait = "soon", total = "2y" }
day_resets = "Mars/Olympus"
on_timeout = "retry"
[providers.openai.models."gpt-4.1"]
price = { input = "0.40", output = 0.0000001 }
context_window = 1.5
capabilities = ["vison"]
"#;
    assert_eq!(
        errors(text),
        [
            r#"providers.toml:3: providers.openai.base_url: write text in quotes, not a number"#,
            r#"providers.toml:4: providers.openai.headers: write a table, not a list"#,
            r#"providers.toml:5: providers.openai.drop: write a list in [ ], not text"#,
            r#"providers.toml:6: providers.openai.timeouts.connect: is not a duration: write seconds, or text such as "500ms", "20s", "15m", "12h", "30d""#,
            r#"providers.toml:6: providers.openai.timeouts.wait: is not a duration: write seconds, or text such as "500ms", "20s", "15m", "12h", "30d""#,
            r#"providers.toml:6: providers.openai.timeouts.total: must be from 1ms to 1d"#,
            r#"providers.toml:7: providers.openai.day_resets: "Mars/Olympus" is not a time zone: write "UTC" or such as "Europe/Berlin""#,
            r#"providers.toml:8: providers.openai.on_timeout: unknown word "retry"; known here: error, fallback"#,
            r#"providers.toml:10: providers.openai.models."gpt-4.1".price.input: write a number of USD, without quotes, not text"#,
            r#"providers.toml:10: providers.openai.models."gpt-4.1".price.output: "0.0000001" is not a price: write a decimal number of USD with at most 6 decimals, such as 0.40"#,
            r#"providers.toml:11: providers.openai.models."gpt-4.1".context_window: write a whole number, not a decimal number"#,
            r#"providers.toml:12: providers.openai.models."gpt-4.1".capabilities[0]: unknown word "vison"; did you mean "vision"?"#,
        ]
    );
}

#[test]
fn a_hundred_problems_are_enough() {
    let told = errors(&(0..250).map(|n| format!("key{n} = 1\n")).collect::<String>());
    assert_eq!(told.len(), 101);
    assert_eq!(told.last().unwrap(), "providers.toml: and 150 more like these");
}

#[test]
fn what_is_repeated_from_the_file_is_bounded() {
    let long = "x".repeat(500_000);
    for text in [format!("{long} = 1"), format!("[providers.openai]\nkind = \"{long}\"")] {
        let told = errors(&text);
        assert!(told.len() == 1 && told[0].len() < 2 * bounds::ERROR_TEXT_BYTES_MAX, "{} bytes", told[0].len());
    }
}

#[test]
fn a_report_is_one_line_a_problem() {
    let report = catalogue("a = 1\nb = 2\n").expect_err("errors");
    assert_eq!(report.to_string().lines().count(), 2);
}
