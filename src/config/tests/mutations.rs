//! Broken files: whatever stands in one, it is taken or told, and nothing else happens.

use proptest::prelude::*;

use super::*;

/// A file that uses every table.
const TEXT: &str = r#"
[defaults.timeouts]
connect = "5s"
[providers.lan]
kind = "openai"
base_url = "https://10.0.0.7/v1"
headers = { X-Team = "blue" }
rename = { a = "b" }
[providers.lan.models."a/b"]
capabilities = ["chat"]
price = { input = 0.40, tiers = [{ above_input_tokens = 1, output = 2.5 }] }
[routes.fast]
targets = ["lan/a/b"]
[limit_groups.acme]
limits = { requests_per_minute = 2_000 }
day_resets = "UTC"
[[connections]]
provider = "lan"
name = "main"
secret = { env = "KEY" }
settings = { organization = "o", timeouts = { idle = 1.5 } }
expires_at = 2027-06-30T12:00:00Z
"#;

/// A reading ends with a value, or with at least one error that says something.
fn taken_or_told(text: &str) {
    catalogue_taken_or_told(text);
    daemon_taken_or_told(text);
}

fn catalogue_taken_or_told(text: &str) {
    told(text, catalogue(text).map(|_| ()));
}

fn daemon_taken_or_told(text: &str) {
    told(text, daemon_in(text, None, &user()).map(|_| ()));
}

fn told(text: &str, result: Result<(), Report>) {
    let Err(report) = result else { return };
    assert!(!report.errors.is_empty(), "refused without a word:\n{text}");
    assert!(report.errors.iter().all(|error| !error.message.is_empty()), "{text}");
}

#[test]
fn every_beginning_of_the_shipped_files_is_taken_or_told() {
    let beginnings: [(_, fn(&str)); 2] =
        [("providers.toml", catalogue_taken_or_told), ("bursar.toml", daemon_taken_or_told)];
    for (name, taken_or_told) in beginnings {
        let text = std::fs::read_to_string(shipped(name)).unwrap();
        // All of them where the file is most varied; further down, where it repeats itself, one in thirteen.
        for end in text.char_indices().map(|(at, _)| at).filter(|at| *at < 4_000 || at % 13 == 0) {
            taken_or_told(&text[..end]);
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = 100_000;
    for text in [
        format!("a = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("a = {}", "{ a = ".repeat(deep)),
        format!("a{} = 1", ".a".repeat(deep)),
        format!("[a{}]", ".a".repeat(deep)),
        "[[connections]]\n".repeat(20_000),
    ] {
        taken_or_told(&text);
        assert!(catalogue(&text).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_taken_or_told(text in "(?s).{0,200}") {
        taken_or_told(&text);
    }

    #[test]
    fn a_mutated_file_is_taken_or_told(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, "[a-z0-9=\\[\\]{}\"'., \n_-]{0,6}"), 1..5)
    ) {
        let mut text: Vec<char> = TEXT.chars().collect();
        for (at, length, new) in cuts {
            let from = at.index(text.len() + 1);
            let to = (from + length).min(text.len());
            text.splice(from..to, new.chars());
        }
        taken_or_told(&text.into_iter().collect::<String>());
    }

    #[test]
    fn a_value_of_the_wrong_sort_is_taken_or_told(
        line in 0..TEXT.lines().count(),
        value in prop::sample::select(vec!["1", "-1", "1e400", "nan", "\"\"", "[]", "{}", "[[]]", "1979-05-27", "true", "0x7f"])
    ) {
        let lines = TEXT.lines().enumerate().map(|(at, text)| match text.split_once(" = ") {
            Some((key, _)) if at == line => format!("{key} = {value}\n"),
            _ => format!("{text}\n"),
        });
        taken_or_told(&lines.collect::<String>());
    }
}
