//! Provider text on its way to an app, a record or a log: bounded, printable, without anything that looks like a key.

use std::borrow::Cow;

use crate::bounds;

/// What stands where a key stood.
pub const REDACTED: &str = "[redacted]";

/// Prefixes under which providers issue keys. A word that begins so is cut out of every text, whoever wrote it.
const KEY_PREFIXES: &[&str] = &["sk-", "sk_", "AIza", "gsk_", "xai-", "pplx-", "nvapi-", "Bearer", "key="];

/// Characters that end a word a key may be.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>')
}

/// As [`sanitise`], without a copy where there is nothing to change: of one word, as names are.
pub fn sanitised(text: &str) -> Cow<'_, str> {
    let plain = text.len() <= bounds::ERROR_TEXT_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && !text.contains(ends_word) && !looks_like_key(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(sanitise(text))
    }
}

/// The text with control characters flattened, keys cut out, and no longer than the bound.
pub fn sanitise(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .take(bounds::ERROR_TEXT_BYTES_MAX * 4)
        .collect();
    let mut clean = String::with_capacity(flat.len());
    let mut after_bearer = false;
    for word in flat.split_inclusive(ends_word) {
        let bare = word.trim_end_matches(ends_word);
        let tail = word.get(bare.len()..).unwrap_or_default();
        let secret = looks_like_key(bare) || (after_bearer && !bare.is_empty());
        after_bearer = bare.ends_with("Bearer") || (after_bearer && bare.is_empty());
        clean.push_str(if secret { REDACTED } else { bare });
        clean.push_str(tail);
    }
    bounded(&clean, bounds::ERROR_TEXT_BYTES_MAX)
}

/// Whether anything in a text looks like a key.
pub fn shows_key(text: &str) -> bool {
    text.split(ends_word).any(looks_like_key)
}

/// A prefix counts where a word, or a part of one, begins with it, and enough follows.
fn looks_like_key(word: &str) -> bool {
    let mut within = false;
    word.bytes().enumerate().any(|(at, byte)| {
        let begins = !std::mem::replace(&mut within, byte.is_ascii_alphanumeric());
        let rest = word.as_bytes().get(at..).unwrap_or_default();
        begins
            && KEY_PREFIXES.iter().any(|prefix| rest.len() >= prefix.len() + 8 && rest.starts_with(prefix.as_bytes()))
    })
}

/// The text cut at a character's border, with an ellipsis where something was cut.
pub fn bounded(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.trim_end().to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_out_and_the_rest_stays() {
        assert_eq!(
            sanitise("Incorrect API key provided: sk-proj-abcdefghijk. Find yours at https://x.test/keys."),
            "Incorrect API key provided: [redacted] Find yours at https://x.test/keys."
        );
        assert_eq!(sanitise("url?key=AIzaSyABCDEFGHIJ failed"), "[redacted] failed");
        assert_eq!(sanitise("got Bearer abcdefgh"), "got Bearer [redacted]");
        assert_eq!(sanitise("task-oriented models desk-12"), "task-oriented models desk-12");
        assert_eq!(sanitise("risk-sk-abcdefghijk"), "[redacted]");
    }

    #[test]
    fn a_name_is_not_copied_unless_it_must_be_changed() {
        assert!(matches!(sanitised("openai/gpt-4.1-mini"), Cow::Borrowed("openai/gpt-4.1-mini")));
        for text in ["sk-abcdefghijk", "a b", "a\nb", "é", "x,sk-abcdefghijk", &"x".repeat(10_000)] {
            assert_eq!(sanitised(text), sanitise(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_one_bounded_line() {
        assert_eq!(sanitise("a\nb\u{1b}[31m\u{2028}c"), "a b [31m c");
        let long = sanitise(&"é ".repeat(1000));
        assert!(long.len() <= bounds::ERROR_TEXT_BYTES_MAX && long.ends_with('…'));
    }
}
