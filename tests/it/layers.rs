//! The house keeps its own rules: what the crate's docs say of layers and of what is named where is read in the source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Crates that one place alone may name: the crate, and where.
const NAMED_IN: &[(&str, &[&str])] = &[
    ("reqwest", &["upstream/"]),
    ("rustls", &["upstream/"]),
    ("sled", &["store/"]),
    ("bincode", &["store/record.rs"]),
    ("zstd", &["store/"]),
    ("aes_gcm", &["credential/cipher.rs"]),
    ("hyper", &["server/", "upstream/", "cli/client.rs"]),
    ("hyper_util", &["server/", "upstream/", "cli/client.rs"]),
    ("hyperlocal", &["cli/client.rs"]),
    ("notify", &["config/watch.rs"]),
    ("notify_debouncer_full", &["config/watch.rs"]),
    ("toml", &["config/"]),
    ("clap", &["cli/"]),
    ("comfy_table", &["cli/"]),
    ("rpassword", &["cli/"]),
    ("saphyr_parser", &["cli/import/yaml.rs"]),
    ("csv", &["cli/import/"]),
    ("sd_notify", &["daemon/"]),
    ("tracing_subscriber", &["log/", "cli/"]),
];

/// What must not stand in these places: the text, the places, and why.
const NOT_SAID_IN: &[(&str, &[&str], &str)] = &[
    ("std::fs", &["adapter/", "rotation/", "credential/", "api/"], "it does no I/O"),
    ("std::net", &["adapter/", "rotation/", "credential/"], "it does no I/O"),
    ("tokio", &["adapter/", "rotation/", "credential/", "api/", "config/", "store/"], "it knows no runtime"),
    ("tracing", &["adapter/", "rotation/", "credential/", "api/"], "it never logs"),
    ("Instant::now", &["adapter/", "rotation/", "credential/", "api/"], "it sees no clock"),
    ("SystemTime", &["adapter/", "rotation/", "credential/", "api/", "execute/", "usage/", "store/"], "clock.rs does"),
    ("std::env", &["adapter/", "rotation/", "credential/", "api/", "upstream/", "store/", "server/"], "config does"),
];

/// Words that have no place outside tests.
const NEVER: &[&str] = &[
    "todo!",
    "unimplemented!",
    "unreachable!",
    "dbg!",
    "panic!",
    ".unwrap()",
    ".unwrap_err()",
    ".expect(",
    "unsafe ",
    "unsafe{",
];

/// A file of the source: its path below `src/`, and its code without comments, texts and tests.
struct Source {
    path: String,
    code: String,
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The program's own files. Those of tests are left out.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    gather(&root().join("src"), &mut files);
    files.sort();
    let is_test = |path: &str| {
        path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "testing.rs")) || path.ends_with("_tests.rs")
    };
    let below = |file: &Path| file.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_owned();
    let read = |file: &PathBuf| Source { path: below(file), code: without_tests(&plain(&text(file))) };
    files.iter().map(read).filter(|source| !is_test(&source.path)).collect()
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

/// The code with blanks where comments and the insides of texts stood. Lines stay where they are.
fn plain(code: &str) -> String {
    let bytes = code.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let blank = |out: &mut Vec<u8>, part: &[u8]| out.extend(part.iter().map(|&b| if b == b'\n' { b } else { b' ' }));
    while at < bytes.len() {
        let rest = &bytes[at..];
        let skipped = if rest.starts_with(b"//") {
            rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
        } else if let Some(end) = raw_text(rest) {
            end
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if rest[0] == b'\'' && is_character(rest) {
            quoted(rest, b'\'')
        } else {
            out.push(rest[0]);
            at += 1;
            continue;
        };
        blank(&mut out, &rest[..skipped]);
        at += skipped;
    }
    String::from_utf8(out).unwrap()
}

/// The length of a raw text that begins here.
fn raw_text(rest: &[u8]) -> Option<usize> {
    let after = rest.strip_prefix(b"br").or_else(|| rest.strip_prefix(b"r"))?;
    let hashes = after.iter().take_while(|&&b| b == b'#').count();
    if after.get(hashes) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = &after[hashes + 1..];
    let end = body.windows(close.len()).position(|part| part == close)?;
    Some(rest.len() - body.len() + end + close.len())
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Whether a quote begins a character, and not a lifetime.
fn is_character(rest: &[u8]) -> bool {
    rest.get(1) == Some(&b'\\')
        || rest.iter().skip(2).take(4).any(|&b| b == b'\'') && rest.get(2) == Some(&b'\'')
        || !rest[1].is_ascii()
}

/// The code without what stands behind `#[cfg(test)]`: an item up to its semicolon or its closing brace.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (semicolon, brace) = (rest.find(';').unwrap_or(rest.len()), rest.find('{').unwrap_or(rest.len()));
        let end = if semicolon < brace { semicolon + 1 } else { brace + closing(&rest[brace..]) };
        out.extend(rest[..end].chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &rest[end..];
    }
    out + rest
}

/// The length of a block that begins with a brace.
fn closing(block: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in block.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    block.len()
}

/// Where a word stands in the code by itself.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let bytes = code.as_bytes();
        let begins = at == 0 || !is_part(word.as_bytes().first()) || !is_part(bytes.get(at - 1));
        let end = at + word.len();
        begins && (!is_part(word.as_bytes().last()) || !is_part(bytes.get(end)))
    })
}

fn line(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

/// The layers, from the top, as the table in the crate's docs has them.
fn layers() -> Vec<Vec<String>> {
    let docs = text(&root().join("src/lib.rs"));
    let rows = docs.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let names = |row: &str| {
        let cell = row.split('|').next().unwrap();
        cell.split("[`").map(|part| part.split('`').next().unwrap().to_owned()).collect()
    };
    rows.map(names).collect()
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_module_uses_those_below_it_and_never_those_above() {
    let layers = layers();
    let rank: BTreeMap<&str, usize> = layers
        .iter()
        .enumerate()
        .flat_map(|(rank, names)| names.iter().map(move |name| (name.as_str(), rank)))
        .collect();
    let mut problems = Vec::new();
    for source in sources() {
        let module = source.path.split(['/', '.']).next().unwrap();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(own) = rank.get(module) else {
            problems.push(format!("{module} is in no row of the layers' table in lib.rs"));
            continue;
        };
        for at in occurrences(&source.code, "crate::") {
            let rest = &source.code[at + "crate::".len()..];
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let place = format!("{}:{}", source.path, line(&source.code, at));
            match rank.get(used.as_str()) {
                _ if used == module => {}
                Some(other) if other > own => {}
                Some(_) => problems.push(format!("{place} uses {used}, which is not below {module}")),
                None => problems.push(format!("{place}: write each use of the crate by its module's name ({used:?})")),
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn crates_are_named_where_they_may_be() {
    let mut problems = Vec::new();
    let mut used = Vec::new();
    for source in sources() {
        for (name, places) in NAMED_IN {
            for at in occurrences(&source.code, name) {
                let follows = source.code[at + name.len()..].starts_with("::");
                let is_path = !source.code[..at].ends_with("::") && !source.code[..at].ends_with("crate::");
                if follows && is_path {
                    used.push(*name);
                    if !places.iter().any(|place| source.path.starts_with(place)) {
                        let line = line(&source.code, at);
                        problems.push(format!("{}:{line} names {name}, which only {places:?} may", source.path));
                    }
                }
            }
        }
    }
    assert_none(&problems);
    for (name, _) in NAMED_IN {
        assert!(used.contains(name), "nobody names {name}: the rule says nothing");
    }
}

#[test]
fn what_knows_no_io_and_no_clock_names_none() {
    let mut problems = Vec::new();
    for source in sources() {
        for (words, places, why) in NOT_SAID_IN {
            if places.iter().any(|place| source.path.starts_with(place)) {
                for at in occurrences(&source.code, words) {
                    problems.push(format!("{}:{} says {words}: {why}", source.path, line(&source.code, at)));
                }
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn nothing_gives_up_or_prints_outside_tests() {
    let mut problems = Vec::new();
    for source in sources() {
        for word in NEVER {
            for at in occurrences(&source.code, word) {
                problems.push(format!("{}:{} says {word}", source.path, line(&source.code, at)));
            }
        }
        for word in ["println!", "eprintln!", "print!", "eprint!"] {
            if !source.path.starts_with("cli/output/") && occurrences(&source.code, word).next().is_some() {
                problems.push(format!("{} prints", source.path));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn tasks_are_spawned_where_they_are_joined() {
    let mut problems = Vec::new();
    for source in sources() {
        let may = ["daemon/", "server/"].iter().any(|place| source.path.starts_with(place));
        for word in ["tokio::spawn", "spawn_local", "JoinSet"] {
            if !may && occurrences(&source.code, word).next().is_some() {
                problems.push(format!("{} says {word}", source.path));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn only_what_crosses_an_edge_is_serialised() {
    let mut problems = Vec::new();
    for source in sources() {
        let may = ["api/", "config/", "adapter/", "store/"].iter().any(|place| source.path.starts_with(place));
        let derives = source.code.match_indices("#[derive(").any(|(at, _)| {
            let list = source.code[at..].split(')').next().unwrap_or_default();
            list.contains("Serialize") || list.contains("Deserialize")
        });
        if derives && !may {
            problems.push(format!("{} derives serde's traits", source.path));
        }
    }
    assert_none(&problems);
}

#[test]
fn the_manifest_forbids_what_it_should() {
    let manifest: toml::Table = text(&root().join("Cargo.toml")).parse().unwrap();
    let lint = |tool: &str, name: &str| manifest["lints"][tool][name].as_str().map(str::to_owned);
    assert_eq!(lint("rust", "unsafe_code").as_deref(), Some("forbid"));
    for name in ["unwrap_used", "expect_used", "panic", "indexing_slicing", "print_stdout", "print_stderr", "dbg_macro"]
    {
        assert!(lint("clippy", name).is_some(), "{name}");
    }
    assert_eq!(manifest["profile"]["release"]["overflow-checks"].as_bool(), Some(true));
    for (name, version) in [("sled", "=0.34.7"), ("bincode", "=1.3.3")] {
        let entry = &manifest["dependencies"][name];
        let found = entry.as_str().or_else(|| entry.get("version")?.as_str());
        assert_eq!(found, Some(version), "{name}");
    }
}

#[test]
fn the_reader_of_the_source_reads() {
    let code = "use crate::a; // use crate::b\nlet x = \"crate::c\"; let y = r#\"crate::\"d\"#; '\"'; fn f<'a>(c: char) {}\n\
                #[cfg(test)]\nmod tests { fn x() { crate::e } }\nuse crate::g;";
    let plain = without_tests(&plain(code));
    let found: Vec<&str> = occurrences(&plain, "crate::").map(|at| &plain[at + 7..at + 8]).collect();
    assert_eq!(found, ["a", "g"]);
    assert_eq!(line(&plain, plain.rfind("crate").unwrap()), 5);
    assert!(layers().len() > 10 && layers().concat().contains(&String::from("clock")));
}

/// The fuzz targets are a package with a lock of its own: one that lags behind keeps them from being built.
#[test]
fn the_lock_of_the_fuzz_targets_knows_every_dependency() {
    let manifest: toml::Table = text(&root().join("Cargo.toml")).parse().unwrap();
    let lock: toml::Table = text(&root().join("tests/fuzz/Cargo.lock")).parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let bursar = packages.iter().find(|one| one["name"].as_str() == Some("bursar")).unwrap();
    let locked: Vec<_> = bursar["dependencies"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let locked: Vec<_> = locked.iter().map(|one| one.split(' ').next().unwrap()).collect();
    let mut wanted: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    wanted.sort_unstable();
    assert_eq!(locked, wanted, "cargo update --manifest-path tests/fuzz/Cargo.toml --workspace");
}
