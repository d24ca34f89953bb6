//! The form of every stored value, and the only file that names bincode.
//!
//! A value is a format byte, a bincode body and a CRC-32 over the kind of record, its key, the format and the body. So
//! a damaged value, and a sound one that stands under another key, are both noticed. bincode does not describe itself:
//! a field that is added reads old bytes wrongly. Hence the format byte, and the rule that the struct of a format
//! (`…V1`) never changes: a new form is a new struct, and the old one stays to be read.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::bounds;

const CRC_BYTES: usize = 4;

/// What is stored under one key.
pub(super) trait Record: Sized {
    /// The kind of record, part of its checksum.
    const KIND: &'static str;
    /// The format that is written.
    const FORMAT: u8;

    /// The body in the format that is written.
    fn to_body(&self) -> Result<Vec<u8>, RecordError>;
    /// Reads the body of any format up to the one that is written.
    fn from_body(format: u8, body: &[u8]) -> Result<Self, RecordError>;
}

/// A stored value that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Bits changed, or the value belongs elsewhere.
    #[error("the checksum of a {kind} record does not match")]
    Checksum {
        /// The kind of record.
        kind: &'static str,
    },
    /// A newer version of this program wrote it.
    #[error("a {kind} record has format {format}, which this version does not know")]
    Format {
        /// The kind of record.
        kind: &'static str,
        /// The format that it names.
        format: u8,
    },
    /// The checksum holds, and yet the body makes no sense: a fault of the program that wrote it.
    #[error("a {kind} record cannot be decoded: {reason}")]
    Body {
        /// The kind of record.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl RecordError {
    /// A body that makes no sense.
    pub(crate) fn body(kind: &'static str, reason: impl ToString) -> Self {
        Self::Body { kind, reason: reason.to_string() }
    }
}

/// The value that stores a record under a key.
pub(super) fn encode<R: Record>(key: &[u8], record: &R) -> Result<Vec<u8>, RecordError> {
    let body = record.to_body()?;
    let crc = checksum(R::KIND, key, R::FORMAT, &body);
    let mut value = Vec::with_capacity(1 + body.len() + CRC_BYTES);
    value.push(R::FORMAT);
    value.extend_from_slice(&body);
    value.extend_from_slice(&crc.to_le_bytes());
    Ok(value)
}

/// The record that a value stores under a key.
pub(super) fn decode<R: Record>(key: &[u8], value: &[u8]) -> Result<R, RecordError> {
    let broken = || RecordError::Checksum { kind: R::KIND };
    let (&format, rest) = value.split_first().ok_or_else(broken)?;
    let (body, crc) = rest.split_last_chunk::<CRC_BYTES>().ok_or_else(broken)?;
    if u32::from_le_bytes(*crc) != checksum(R::KIND, key, format, body) {
        return Err(broken());
    }
    if format == 0 || format > R::FORMAT {
        return Err(RecordError::Format { kind: R::KIND, format });
    }
    R::from_body(format, body)
}

fn checksum(kind: &str, key: &[u8], format: u8, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for part in [kind.as_bytes(), key, &[format], body] {
        crc.update(&(part.len() as u64).to_le_bytes());
        crc.update(part);
    }
    crc.finalize()
}

/// Fixed-size integers, a bound on what decoding may allocate, and nothing left over.
fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(bounds::STORE_RECORD_BYTES_MAX)
        .reject_trailing_bytes()
}

/// A form's bytes.
pub(super) fn to_bytes<T: Serialize>(kind: &'static str, form: &T) -> Result<Vec<u8>, RecordError> {
    options().serialize(form).map_err(|reason| RecordError::body(kind, reason))
}

/// A form from its bytes, all of them.
pub(super) fn from_bytes<T: DeserializeOwned>(kind: &'static str, bytes: &[u8]) -> Result<T, RecordError> {
    options().deserialize(bytes).map_err(|reason| RecordError::body(kind, reason))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample(String, Option<u64>);

    impl Record for Sample {
        const KIND: &'static str = "sample";
        const FORMAT: u8 = 1;

        fn to_body(&self) -> Result<Vec<u8>, RecordError> {
            to_bytes(Self::KIND, &(&self.0, self.1))
        }

        fn from_body(_: u8, body: &[u8]) -> Result<Self, RecordError> {
            from_bytes(Self::KIND, body).map(|(text, number)| Self(text, number))
        }
    }

    proptest! {
        #[test]
        fn a_record_reads_back_under_its_own_key_only(text in ".{0,200}", number: Option<u64>, key: Vec<u8>) {
            let sample = Sample(text, number);
            let value = encode(&key, &sample).unwrap();
            prop_assert_eq!(&decode::<Sample>(&key, &value).unwrap(), &sample);
            let elsewhere = [&key[..], b"x"].concat();
            prop_assert!(decode::<Sample>(&elsewhere, &value).is_err());
        }

        #[test]
        fn cut_lengthened_and_flipped_values_are_errors(text in ".{0,40}", number: Option<u64>, more in 1..9_usize) {
            let value = encode(b"k", &Sample(text, number)).unwrap();
            for end in 0..value.len() {
                prop_assert!(decode::<Sample>(b"k", &value[..end]).is_err());
            }
            prop_assert!(decode::<Sample>(b"k", &[&value[..], &vec![0; more]].concat()).is_err());
            for bit in 0..value.len() * 8 {
                let mut flipped = value.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(decode::<Sample>(b"k", &flipped).is_err());
            }
        }

        #[test]
        fn bodies_with_bytes_left_over_are_errors(number: u64, more in 1..9_usize) {
            let body = [to_bytes("sample", &number).unwrap(), vec![0; more]].concat();
            prop_assert!(from_bytes::<u64>("sample", &body).is_err());
        }
    }

    #[test]
    fn a_newer_format_is_named_and_a_length_from_nowhere_allocates_nothing() {
        let mut value = vec![9];
        value.extend_from_slice(&checksum("sample", b"k", 9, b"").to_le_bytes());
        let newer = RecordError::Format { kind: "sample", format: 9 };
        assert_eq!(decode::<Sample>(b"k", &value).unwrap_err(), newer);
        assert!(from_bytes::<Vec<u8>>("sample", &u64::MAX.to_le_bytes()).is_err());
    }
}
