//! What user interfaces keep with providers and connections: JSON objects of their own, bounded, and never a secret.
//!
//! They go out in every reply that shows their provider or connection, so a key that was put here by mistake would be
//! shown to every viewer. What looks like one is refused, and not repeated.

use serde_json::Value;

use super::failure;
use crate::api::Failure;
use crate::api::admin::Object;
use crate::bounds;
use crate::config;

/// Texts under a key such as `token` are taken for one from this length on, if no blank is in them: no name, colour or
/// column is that long.
const SECRET_TEXT_BYTES_MIN: usize = 20;

/// Checks an object and gives the text that is stored: empty for an empty object.
///
/// # Errors
/// When it is too large or too deep, or something in it looks like a secret.
pub(super) fn checked(field: &str, object: &Object) -> Result<String, Failure> {
    if object.is_empty() {
        return Ok(String::new());
    }
    check(field, object, 1)?;
    let text = Value::Object(object.clone()).to_string();
    if text.len() > bounds::NOTES_BYTES_MAX {
        let message = format!("has {} bytes, and {} are the most", text.len(), bounds::NOTES_BYTES_MAX);
        return Err(failure::at(field, &message));
    }
    Ok(text)
}

fn check(field: &str, object: &Object, depth: usize) -> Result<(), Failure> {
    if depth > bounds::NOTES_DEPTH_MAX {
        return Err(failure::at(field, &format!("is deeper than {} levels", bounds::NOTES_DEPTH_MAX)));
    }
    for (key, value) in object {
        let named = config::names_secret(key);
        if is_secret(key) || holds_secret(field, value, named, depth)? {
            let message = "holds what looks like a secret, and everybody who may look would see it: \
                           `bursar credentials set` takes secrets";
            return Err(failure::at(field, message));
        }
    }
    Ok(())
}

/// Whether a value is a secret, or holds one.
fn holds_secret(field: &str, value: &Value, named: bool, depth: usize) -> Result<bool, Failure> {
    match value {
        Value::String(text) => {
            Ok(is_secret(text) || (named && text.len() >= SECRET_TEXT_BYTES_MIN && !text.contains(char::is_whitespace)))
        }
        Value::Array(_) if depth >= bounds::NOTES_DEPTH_MAX => {
            Err(failure::at(field, &format!("is deeper than {} levels", bounds::NOTES_DEPTH_MAX)))
        }
        Value::Array(items) => {
            for item in items {
                if holds_secret(field, item, named, depth + 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Object(object) => check(field, object, depth + 1).map(|()| false),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(false),
    }
}

/// Whether a text has a word that begins and is as long as keys are, or is a private key or a signed token.
fn is_secret(text: &str) -> bool {
    let signed = |word: &str| word.starts_with("eyJ") && word.matches('.').count() == 2;
    text.contains("-----BEGIN")
        || config::looks_like_secret(text)
        || text
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '='))
            .any(|word| config::looks_like_secret(word) || signed(word))
}

/// Changes an object as RFC 7396 has it: members that are null go, objects are changed member by member, and everything
/// else takes the place of what was there.
pub(super) fn merge(object: &mut Object, patch: Object) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                object.remove(&key);
            }
            Value::Object(change) => {
                let there = object.entry(key).or_insert(Value::Null);
                if !there.is_object() {
                    *there = Value::Object(Object::new());
                }
                if let Value::Object(there) = there {
                    merge(there, change);
                }
            }
            value => {
                object.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    fn said(value: Value) -> Result<String, String> {
        checked("ui_preferences", &object(value)).map_err(|failure| failure.message)
    }

    /// The examples of RFC 7396, appendix A, of which both sides are objects.
    #[test]
    fn a_merge_patch_does_what_the_rfc_has() {
        for (original, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = object(original.clone());
            merge(&mut merged, object(patch.clone()));
            assert_eq!(Value::Object(merged), result, "{original} with {patch}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_refused_and_not_repeated() {
        let canary = "sk-canary0canary0canary0";
        for bad in [
            json!({"note": canary}),
            json!({"note": format!("the key is \"{canary}\", keep it")}),
            json!({"deep": {"deeper": [[canary]]}}),
            json!({canary: 1}),
            json!({"api_key": "0123456789abcdefcanary"}),
            json!({"headers": {"Authorization": ["canarycanarycanarycanary"]}}),
            json!({"pem": "-----BEGIN PRIVATE KEY-----canary"}),
            json!({"jwt": "eyJcanary.canary.canary"}),
        ] {
            let refused = said(bad.clone()).expect_err(&bad.to_string());
            assert!(refused.contains("looks like a secret") && !refused.contains("canary"), "{refused}");
        }
        for good in [
            json!({"colour": "blue", "columns": ["name", "key"], "sort": {"key": "created_at"}}),
            json!({"token": "a short one", "secret": false, "note": "sk-short"}),
            json!({"password": "the one that Ada knows, ask her"}),
        ] {
            assert_eq!(said(good.clone()).as_deref(), Ok(good.to_string().as_str()));
        }
        assert_eq!(said(json!({})), Ok(String::new()));
    }

    #[test]
    fn notes_are_bounded_in_size_and_depth() {
        assert!(said(json!({"a": "x".repeat(bounds::NOTES_BYTES_MAX - 8)})).is_ok());
        assert!(said(json!({"a": "x".repeat(bounds::NOTES_BYTES_MAX)})).unwrap_err().contains("are the most"));
        for wrap in [|inner: Value| json!({"a": inner}), |inner: Value| json!([inner])] {
            let deep = (0..bounds::NOTES_DEPTH_MAX + 1).fold(json!(1), |inner, _| wrap(inner));
            assert!(said(json!({"a": deep})).unwrap_err().contains("is deeper than"));
        }
    }
}
