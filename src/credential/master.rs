//! The master key: given from outside, never stored, and the root of every other key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::cipher::{Cipher, CipherError, KEY_BYTES, KeyId};

/// What the given key is used for; another use would take another text.
const INFO: &[u8] = b"bursar/master/v1";

/// 32 random bytes that wrap the data keys. Debug shows its id alone.
pub struct MasterKey {
    given: Zeroizing<[u8; KEY_BYTES]>,
    derived: Zeroizing<[u8; KEY_BYTES]>,
}

/// What was given is not a master key. The text never shows any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MasterKeyError {
    /// An empty file or credential.
    #[error("the master key is empty")]
    Empty,
    /// Neither 32 bytes nor their text.
    #[error("the master key has {bytes} bytes, and a whole one has 32, raw or as base64 or hexadecimal text")]
    Length {
        /// How many bytes there are.
        bytes: usize,
    },
    /// All bytes are the same: somebody's placeholder.
    #[error("the master key is one byte repeated, and was never random")]
    NotRandom,
    /// The system's random numbers cannot be read, or a derivation failed.
    #[error("no random numbers can be had from the system")]
    Random,
}

impl MasterKey {
    /// Reads what a key file or a systemd credential holds: 32 raw bytes, or their base64 or hexadecimal text with
    /// white space around it.
    ///
    /// # Errors
    /// When it is empty, not 32 bytes, or plainly not random.
    pub fn parse(bytes: &[u8]) -> Result<Self, MasterKeyError> {
        if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes) {
            return Self::from_raw(Zeroizing::new(raw));
        }
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Err(MasterKeyError::Empty);
        }
        let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
        let decoded = from_hex(text)
            .or_else(|| engines.iter().find_map(|engine| engine.decode(text).ok().map(Zeroizing::new)))
            .and_then(|decoded| <[u8; KEY_BYTES]>::try_from(decoded.as_slice()).ok());
        match decoded {
            Some(raw) => Self::from_raw(Zeroizing::new(raw)),
            None => Err(MasterKeyError::Length { bytes: bytes.len() }),
        }
    }

    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut raw = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(raw.as_mut_slice()).map_err(|_| MasterKeyError::Random)?;
        Self::from_raw(raw)
    }

    fn from_raw(given: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, MasterKeyError> {
        if given.iter().all(|byte| given.first() == Some(byte)) {
            return Err(MasterKeyError::NotRandom);
        }
        let derived = derive(&given, INFO)?;
        Ok(Self { given, derived })
    }

    /// The key for another use.
    pub(super) fn derive(&self, info: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, MasterKeyError> {
        derive(&self.given, info)
    }

    /// Which key this is; tells nothing about the key.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.derived)
    }

    /// The key as a line of base64, for the file that `keys init` writes and for nothing else.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = STANDARD.encode(self.given.as_slice());
        text.push('\n');
        Zeroizing::new(text)
    }

    /// What wraps and unwraps data keys.
    pub(super) fn cipher(&self) -> Result<Cipher, CipherError> {
        Cipher::new(&self.derived)
    }
}

fn from_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

fn derive(given: &Zeroizing<[u8; KEY_BYTES]>, info: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, MasterKeyError> {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    Hkdf::<Sha256>::new(None, given.as_slice())
        .expand(info, derived.as_mut_slice())
        .map_err(|_| MasterKeyError::Random)?;
    Ok(derived)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8; 32] = b"canary-canary-canary-canary-1234";

    #[test]
    fn raw_hexadecimal_and_base64_give_the_same_key() {
        let hex: String = RAW.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = MasterKey::parse(RAW).unwrap();
        for text in
            [hex.clone(), hex.to_uppercase(), format!("  {}\n", STANDARD.encode(RAW)), URL_SAFE_NO_PAD.encode(RAW)]
        {
            assert_eq!(MasterKey::parse(text.as_bytes()).unwrap().id(), key.id(), "{text}");
        }
        assert_eq!(MasterKey::parse(key.to_text().as_bytes()).unwrap().id(), key.id());
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for (given, error) in [
            (&b""[..], MasterKeyError::Empty),
            (b" \n", MasterKeyError::Empty),
            (&RAW[..31], MasterKeyError::Length { bytes: 31 }),
            (b"canary-canary-canary-canary-1234\n", MasterKeyError::Length { bytes: 33 }),
            (b"Y2FuYXJ5", MasterKeyError::Length { bytes: 8 }),
            (&[0; 32], MasterKeyError::NotRandom),
        ] {
            let refused = MasterKey::parse(given).unwrap_err();
            assert_eq!(refused, error);
            assert!(!refused.to_string().contains("canary"));
        }
    }

    #[test]
    fn two_new_keys_differ_and_print_as_their_ids() {
        let (one, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        assert_ne!(one.id(), other.id());
        let shown = format!("{:?}", MasterKey::parse(RAW).unwrap());
        assert!(shown.starts_with("MasterKey(") && !shown.contains("canary") && shown.len() == 27, "{shown}");
    }
}
