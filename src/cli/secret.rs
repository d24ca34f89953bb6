//! Secrets from the terminal, without echo, or from standard input. Never from an argument: arguments show in `ps` and
//! stay in shells' histories.

use std::io::{self, IsTerminal, Read};

use zeroize::Zeroizing;

use super::exit::{Exit, Failed};
use crate::api::admin::SecretText;
use crate::bounds;
use crate::credential::Secret;

/// Reads a secret for what `prompt` names.
///
/// # Errors
/// When nothing, or nothing that can be a secret, was typed or piped in.
pub(super) fn read(prompt: &str) -> Result<SecretText, Failed> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let typed =
            rpassword::prompt_password(format!("{prompt} (it is not shown): ")).map_err(|error| unread(&error))?;
        checked(Zeroizing::new(typed))
    } else {
        piped(stdin.lock())
    }
}

fn piped(input: impl Read) -> Result<SecretText, Failed> {
    // One allocation of its final size: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bounds::SECRET_BYTES_MAX + 8));
    input.take(bounds::SECRET_BYTES_MAX as u64 + 4).read_to_string(&mut text).map_err(|error| unread(&error))?;
    checked(text)
}

/// The daemon checks with the same code; here it saves the way.
fn checked(text: Zeroizing<String>) -> Result<SecretText, Failed> {
    let bare = Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned());
    match Secret::new(bare.as_bytes().to_vec()) {
        Ok(_) => Ok(SecretText::new(bare)),
        Err(error) => Err(Failed::data(format!("{error}; nothing was changed"))),
    }
}

fn unread(error: &io::Error) -> Failed {
    Failed::new(Exit::Data, format!("the secret cannot be read: {error}; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_from_a_pipe_without_its_line_end() {
        for given in ["sk-canary", "sk-canary\n", "sk-canary\r\n"] {
            assert_eq!(piped(given.as_bytes()).unwrap().expose(), "sk-canary");
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_and_not_repeated() {
        let long = format!("canary{}", "x".repeat(bounds::SECRET_BYTES_MAX));
        for given in ["", "\n", "canary two", "canary\ncanary\n", long.as_str()] {
            let failed = piped(given.as_bytes()).unwrap_err();
            assert_eq!(failed.exit, Exit::Data, "{given:?}");
            assert!(!failed.message.contains("canary"), "{failed}");
        }
        assert!(piped(&b"\xff\xfe"[..]).is_err());
    }
}
