//! What must be nowhere: keys, and what prompts say, in whatever coding.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::{Remains, records_of, setup};

/// What every prompt of these tests says.
pub fn prompt() -> String {
    format!("prompt{}", reversed(setup::canary()))
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn canaries() -> [(&'static str, Vec<Vec<u8>>); 2] {
    [("a key", codings(setup::canary())), ("a prompt", codings(&reversed(setup::canary())))]
}

/// Looks for the canaries in all that a daemon said.
pub fn sweep_said(remains: &Remains, heard: &[u8]) {
    for (name, needles) in canaries() {
        assert_clean(&needles, remains.log.as_bytes(), &format!("the log shows {name}"));
        assert_clean(&needles, heard, &format!("a reply shows {name}"));
    }
}

/// Looks for the canaries in all that a daemon wrote and said.
pub fn sweep(remains: &Remains, heard: &[u8]) {
    sweep_said(remains, heard);
    for (name, needles) in canaries() {
        let place = &remains.place;
        for file in files(place.path()) {
            if !file.starts_with(place.secrets()) {
                let bytes = fs::read(&file).unwrap_or_default();
                assert_clean(&needles, &bytes, &format!("{} holds {name}", file.display()));
            }
        }
        // Blocks of records are compressed, so no search through the files finds what they hold. A test that leaves a store
        // that does not open has said so itself.
        if place.store().join("manifest").exists()
            && let Ok(store) = remains.opened()
        {
            let records = format!("{:?}", records_of(&store));
            assert_clean(&needles, records.as_bytes(), &format!("a record holds {name}"));
        }
    }
}

fn assert_clean(needles: &[Vec<u8>], haystack: &[u8], what: &str) {
    for needle in needles {
        let found = find(haystack, needle).map(|at| {
            let around = at.saturating_sub(200)..(at + needle.len() + 80).min(haystack.len());
            String::from_utf8_lossy(&haystack[around]).into_owned()
        });
        assert!(found.is_none(), "{what}: …{}…", found.unwrap_or_default());
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|&byte| byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// The canary as it is, in hexadecimal digits, and in base64 at each of the three places where it may begin.
fn codings(canary: &str) -> Vec<Vec<u8>> {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![canary.to_owned(), canary.to_ascii_uppercase(), hex.to_uppercase(), hex];
    for before in 0..3 {
        let text = format!("{}{canary}", "x".repeat(before));
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let coded = engine.encode(&text);
            // The first and the last characters depend on what stands beside it.
            all.push(coded[4..coded.len() - 3].to_owned());
        }
    }
    all.sort();
    all.dedup();

    all.into_iter().map(String::into_bytes).collect()
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

#[test]
fn a_canary_is_found_in_every_coding() {
    let canary = setup::canary();
    let needles = codings(canary);
    let found = |text: &str| needles.iter().any(|needle| find(text.as_bytes(), needle).is_some());
    assert!(found(&format!("xx{canary}yy")));
    for before in 0..3 {
        assert!(found(&STANDARD_NO_PAD.encode(format!("{}{canary}after", "y".repeat(before)))));
    }
    let hex: String = canary.bytes().map(|byte| format!("{byte:02X}")).collect();
    assert!(found(&hex) && !found("nothing of the sort"));
}
