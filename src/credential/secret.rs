//! A secret in plain form: checked where it enters, wiped where it ends.

use std::fmt;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::bounds;

/// The fewest bytes of a secret of which the last four may be shown.
const HINT_BYTES_MIN: usize = 12;

/// A key or token as the provider gave it, fit to be the value of a header.
///
/// It cannot be cloned, printed or serialised, and its memory is wiped on drop.
pub struct Secret(Zeroizing<Vec<u8>>);

/// What was given cannot be a secret. The text never shows any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Nothing, or nothing but a line's end.
    #[error("the secret is empty")]
    Empty,
    /// More bytes than a header should carry.
    #[error("the secret has {bytes} bytes, and {max} are the most", max = bounds::SECRET_BYTES_MAX)]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// A space, a line's end or another byte that no header value holds.
    #[error("the secret holds a character at byte {at} that no key has: white space, a control character or not ASCII")]
    NotPrintable {
        /// The place of the first such byte, from 0.
        at: usize,
    },
}

impl Secret {
    /// Takes a secret, without one line end after it (files and pipes have one).
    ///
    /// # Errors
    /// When it is empty, too long, or has a byte that is not visible ASCII.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(bytes);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(SecretError::Empty);
        }
        if bytes.len() > bounds::SECRET_BYTES_MAX {
            return Err(SecretError::TooLong { bytes: bytes.len() });
        }
        match bytes.iter().position(|byte| !byte.is_ascii_graphic()) {
            Some(at) => Err(SecretError::NotPrintable { at }),
            None => Ok(Self(bytes)),
        }
    }

    /// Takes what was checked when it was sealed, and has been authenticated since.
    pub(super) fn opened(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The plain bytes, for the one upstream call and for nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// `…` and the last four characters, by which an operator tells keys apart; nothing of a short secret.
    pub fn hint(&self) -> Option<String> {
        let tail = self.0.len().checked_sub(4).filter(|_| self.0.len() >= HINT_BYTES_MIN)?;
        let last4 = std::str::from_utf8(self.0.get(tail..)?).ok()?;
        Some(format!("…{last4}"))
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_or_a_pipe_holds_is_taken() {
        for given in ["sk-canary", "sk-canary\n", "sk-canary\r\n"] {
            assert_eq!(Secret::new(given.into()).unwrap().expose(), b"sk-canary");
        }
    }

    #[test]
    fn what_cannot_be_a_header_value_is_refused_without_showing_it() {
        for (given, error) in [
            ("", SecretError::Empty),
            ("\n", SecretError::Empty),
            ("sk canary", SecretError::NotPrintable { at: 2 }),
            ("sk-canary\n\n", SecretError::NotPrintable { at: 9 }),
            ("sk-canary\0", SecretError::NotPrintable { at: 9 }),
            ("schlüssel", SecretError::NotPrintable { at: 4 }),
        ] {
            let refused = Secret::new(given.into()).unwrap_err();
            assert_eq!(refused, error, "{given:?}");
            assert!(!refused.to_string().contains("canary"));
        }
        let long = vec![b'a'; bounds::SECRET_BYTES_MAX + 1];
        assert_eq!(Secret::new(long).unwrap_err(), SecretError::TooLong { bytes: bounds::SECRET_BYTES_MAX + 1 });
    }

    #[test]
    fn only_the_end_of_a_long_secret_is_hinted_at() {
        assert_eq!(Secret::new("sk-12345678".into()).unwrap().hint(), None);
        assert_eq!(Secret::new("sk-123456789".into()).unwrap().hint().as_deref(), Some("…6789"));
    }

    #[test]
    fn it_prints_as_nothing() {
        let secret = Secret::new("sk-canary-canary".into()).unwrap();
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(…) Secret(…)");
    }
}
