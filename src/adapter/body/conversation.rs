//! By what a conversation is known: what its requests have in common from the first to the last.

use std::hash::{Hash as _, Hasher};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::Text;

/// What the dialects have at a body's first level that stays the same while a conversation goes on.
#[derive(Deserialize)]
struct Beginning<'a> {
    #[serde(borrow)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, rename = "systemInstruction", alias = "system_instruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow, alias = "contents", alias = "input")]
    messages: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    role: Option<Text<'a>>,
}

/// Hashes what the requests of one conversation have in common: the key that the app gave (OpenAI's `prompt_cache_key`,
/// else `user`), else all up to the first message of the user's, byte by byte. Returns whether there was anything.
pub fn conversation(body: &[u8], hasher: &mut impl Hasher) -> bool {
    let Ok(begin) = serde_json::from_slice::<Beginning<'_>>(body) else { return false };
    if let Some(key) = said(begin.prompt_cache_key).or_else(|| said(begin.user)) {
        key.hash(hasher);
        return true;
    }
    for raw in [begin.system, begin.instructions, begin.system_instruction] {
        said(raw).hash(hasher);
    }
    let Some(messages) = said(begin.messages) else { return false };
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(messages) else {
        messages.hash(hasher);
        return true;
    };
    for message in list {
        message.get().hash(hasher);
        let role = serde_json::from_str::<Message<'_>>(message.get()).ok().and_then(|message| message.role);
        // Google's first message needs no role.
        if role.is_none_or(|role| role.0 == "user") {
            break;
        }
    }
    true
}

/// What stands there, unless that is nothing.
fn said(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "\"\""))
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    fn key(body: &str) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        conversation(body.as_bytes(), &mut hasher).then(|| hasher.finish())
    }

    #[test]
    fn a_conversation_keeps_its_key_while_it_grows() {
        for (first, later, other) in [
            (
                r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}"#,
                r#"{"temperature":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"user","content":"v"}]}"#,
                r#"{"messages":[{"role":"system","content":"t"},{"role":"user","content":"u"}]}"#,
            ),
            (
                r#"{"system":"s","messages":[{"role":"user","content":"u"}]}"#,
                r#"{"system":"s","messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#,
                r#"{"system":"t","messages":[{"role":"user","content":"u"}]}"#,
            ),
            (
                r#"{"systemInstruction":{"parts":[]},"contents":[{"parts":[{"text":"u"}]}]}"#,
                r#"{"systemInstruction":{"parts":[]},"contents":[{"parts":[{"text":"u"}]},{"role":"model","parts":[]}]}"#,
                r#"{"contents":[{"parts":[{"text":"u"}]}]}"#,
            ),
            (
                r#"{"user":"u1","messages":[{"role":"user","content":"x"}]}"#,
                r#"{"user":"u1","messages":[{"role":"user","content":"y"}]}"#,
                r#"{"user":"u2","messages":[{"role":"user","content":"x"}]}"#,
            ),
            (
                r#"{"prompt_cache_key":"k","user":"u1","input":"x"}"#,
                r#"{"prompt_cache_key":"k","user":"u2","input":"y"}"#,
                r#"{"prompt_cache_key":"l","user":"u1","input":"x"}"#,
            ),
        ] {
            assert!(key(first).is_some(), "{first}");
            assert_eq!(key(first), key(later), "{first}");
            assert_ne!(key(first), key(other), "{first}");
        }
        assert_eq!((key("{}"), key("--x"), key(r#"{"file":1}"#)), (None, None, None));
    }
}
