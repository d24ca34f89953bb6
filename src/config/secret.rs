//! References to secrets, and the signs of a secret that was written out.
//!
//! A secret itself never stands in TOML: files are copied, shown and committed. What stands there says where the
//! secret is; opening it is work of the layers above. Where a secret was written all the same, it is never repeated.

use std::fmt;
use std::path::PathBuf;

use super::document::Value;
use super::walk::Cursor;

/// Where a connection's secret is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable of the daemon.
    Env(String),
    /// A file, by its whole path.
    File(PathBuf),
    /// A systemd credential, by its name.
    Credential(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
        }
    }
}

/// What is said of a secret in the file.
pub(super) const WRITTEN_OUT: &str = "a secret must not stand here: give a connection \
    secret = { env = \"NAME\" }, secret = { file = \"/path\" } or secret = { credential = \"name\" } instead";

/// What is said of the master key in the file.
const KEY_WRITTEN_OUT: &str = "a secret must not stand here: \
    the master key is named by credential = \"name\" or file = \"/path\"";

/// What may stand at `secret =`.
pub(super) const WANTED: &str = "exactly one of { env = \"NAME\" }, { file = \"/path\" } and { credential = \"name\" }";

/// How the keys of providers in use begin, and the words before them in headers.
const BEGINNINGS: &[&str] = &["sk-", "sk_", "AIza", "xai-", "gsk_", "hf_", "pplx-", "r8_", "Bearer ", "Basic "];
/// No key that begins so is shorter; many a model's or variable's name is.
const KEY_BYTES_MIN: usize = 20;

/// Words that are written before a secret.
const KEY_WORDS: &[&str] = &[
    "access_token",
    "api_key",
    "api_token",
    "apikey",
    "auth_token",
    "authorization",
    "bearer",
    "bearer_token",
    "key",
    "master_key",
    "password",
    "secret",
    "secret_key",
    "token",
];

/// Whether a text begins and is as long as providers' keys are.
pub fn looks_like_one(text: &str) -> bool {
    text.len() >= KEY_BYTES_MIN && BEGINNINGS.iter().any(|&beginning| text.starts_with(beginning))
}

/// Whether what stands behind this key is a secret.
pub fn names_one(key: &str) -> bool {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    KEY_WORDS.contains(&plain.as_str())
}

/// What is said of a secret in this table.
pub(super) fn written_out(table: &str) -> &'static str {
    if table == "keys" { KEY_WRITTEN_OUT } else { WRITTEN_OUT }
}

/// Reads a reference.
pub(super) fn read(at: &Cursor<'_>) -> Option<SecretRef> {
    if let Value::Text(_) = at.value() {
        at.error(WRITTEN_OUT);
        return None;
    }
    let fields = at.fields(&["env", "file", "credential"])?;
    match (fields.get("env"), fields.get("file"), fields.get("credential")) {
        (Some(env), None, None) => variable(&env).map(SecretRef::Env),
        (None, Some(file), None) => file.path().map(SecretRef::File),
        (None, None, Some(credential)) => credential_name(&credential).map(SecretRef::Credential),
        _ => {
            at.error(format!("write {WANTED}"));
            None
        }
    }
}

/// The name of an environment variable. What is not one may be the secret itself, so it is not shown.
fn variable(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    let good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if !good {
        at.error("is not the name of an environment variable, such as OPENAI_API_KEY");
        return None;
    }
    Some(name.to_owned())
}

/// The name of a systemd credential: a plain file name.
pub(super) fn credential_name(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@');
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.bytes().all(plain) {
        at.error("is not the name of a systemd credential, such as openai-main");
        return None;
    }
    Some(name.to_owned())
}
