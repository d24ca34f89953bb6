//! `.env` files, as shells, Docker and the libraries of many languages read them. Nothing in them is expanded: a `$` in a
//! key is a part of the key.

use zeroize::Zeroizing;

use super::Unread;
use super::found::{Found, FoundConnection, FoundSecret};
use super::known::{Holds, by_variable};
use crate::api::admin::SecretText;

/// A variable of a file.
pub(super) struct Variable {
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) value: Zeroizing<String>,
}

/// Reads all variables.
pub(super) fn variables(text: &str) -> Result<Vec<Variable>, Unread> {
    let mut variables = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = line.split_once('=').ok_or_else(|| Unread::new(number, "this line is no NAME=value"))?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
            return Err(Unread::new(number, "what stands before = is no variable's name"));
        }
        let value = value_of(value.trim()).ok_or_else(|| Unread::new(number, "a quote is not closed on its line"))?;
        variables.push(Variable { line: number, name: name.to_owned(), value: Zeroizing::new(value) });
    }
    Ok(variables)
}

/// A value without its quotes; without quotes it ends before a comment.
fn value_of(text: &str) -> Option<String> {
    match text.chars().next() {
        Some('\'') => text.get(1..)?.split_once('\'').map(|(value, _)| value.to_owned()),
        Some('"') => {
            let (mut value, mut escaped) = (String::new(), false);
            for c in text.chars().skip(1) {
                match c {
                    c if escaped => {
                        value.push(if c == 'n' { '\n' } else { c });
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => return Some(value),
                    c => value.push(c),
                }
            }
            None
        }
        _ => Some(text.split(" #").next().unwrap_or_default().trim_end().to_owned()),
    }
}

/// Finds the keys of providers among a file's variables.
pub(super) fn read(text: &str) -> Result<Found, Unread> {
    let variables = variables(text)?;
    let mut found = Found::default();
    let mut others = 0;
    for variable in &variables {
        match by_variable(&variable.name) {
            Some((known, Holds::Key, which)) => {
                let address = variables.iter().find(|one| {
                    let at = by_variable(&one.name);
                    at.is_some_and(|(its, holds, of)| its.slug == known.slug && holds == Holds::Address && of == which)
                });
                let Some(provider) = found.provider(Some(known), address.map(|one| one.value.as_str()), variable.line)
                else {
                    continue;
                };
                add(&mut found, variable, provider, which);
            }
            Some((known, Holds::Address, which)) if known.keyless => {
                if let Some(provider) = found.provider(Some(known), Some(&variable.value), variable.line) {
                    let Ok(name) = "main".parse() else { continue };
                    let connection = FoundConnection::new(variable.line, provider, name, FoundSecret::Unneeded);
                    found.connection(which, connection);
                }
            }
            Some((_, Holds::Address, _)) => {}
            None if variable.name.contains("API_KEY") => {
                found.note(variable.line, format!("{} is the key of nobody that is known here", variable.name));
            }
            None => others += 1,
        }
    }
    if others > 0 {
        let what = if others == 1 { "1 other variable has".into() } else { format!("{others} other variables have") };
        found.note(0, format!("{what} nothing to do with providers"));
    }
    Ok(found)
}

fn add(found: &mut Found, variable: &Variable, provider: crate::api::ProviderSlug, which: &str) {
    let secret = if variable.value.trim().is_empty() {
        FoundSecret::Missing(format!("{} is empty", variable.name))
    } else {
        FoundSecret::Given(SecretText::new(variable.value.trim().to_owned()))
    };
    if let Ok(name) = "main".parse() {
        found.connection(which, FoundConnection::new(variable.line, provider, name, secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_shells_write_them() {
        let text = "# c\n\nexport A=1 # one\nB='x # y' \nC=\"a\\\"b$D\"\nE=\nF=sk-a#b\n";
        let all: Vec<_> =
            variables(text).ok().unwrap().into_iter().map(|one| (one.line, one.value.to_string())).collect();
        let expected = [(3, "1"), (4, "x # y"), (5, "a\"b$D"), (6, ""), (7, "sk-a#b")];
        assert_eq!(all, expected.map(|(line, value)| (line, value.to_owned())));
        for (bad, line) in [("A=1\nsk-canary", 2), ("A='sk-canary", 1), ("A B=sk-canary", 1)] {
            let error = variables(bad).err().unwrap();
            assert!(error.line == line && !error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn keys_are_found_with_their_addresses_and_numbers() {
        let text = "OPENAI_API_KEY=sk-1\nOPENAI_API_KEY_2=sk-2\nAZURE_OPENAI_API_KEY=k\n\
                    AZURE_OPENAI_ENDPOINT=https://eu.openai.azure.com/\nGROQ_API_KEY=\nCOHERE_API_KEY=x\nDEBUG=1\n\
                    OLLAMA_HOST=http://127.0.0.1:11434\n";
        let found = read(text).ok().unwrap();
        let ids: Vec<_> = found.connections.iter().map(|one| format!("{}:{}", one.provider, one.name)).collect();
        let expected = ["openai:main", "openai:2", "azure-eu:main", "groq:main", "ollama-127.0.0.1-11434:main"];
        assert_eq!(ids, expected);
        assert!(matches!(&found.connections[3].secret, FoundSecret::Missing(why) if why.contains("GROQ_API_KEY")));
        let notes: Vec<_> = found.notes.iter().map(|note| note.line).collect();
        assert_eq!(notes, [6, 0]);
    }
}
