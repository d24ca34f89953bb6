//! Names and ids: checked once, where they enter, and trusted from there on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::bounds;

/// A name that does not have the form every slug, name and label has: `[a-z0-9][a-z0-9._-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// The name is not a slug.
    #[error(
        "{given:?} is not a valid name: use 1 to {max} of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
        max = bounds::NAME_BYTES_MAX
    )]
    NotASlug {
        /// What was given, cut to a bounded length.
        given: String,
    },
    /// A connection id lacks its colon.
    #[error("{given:?} is not a connection id: write provider:name, for example openai:main")]
    NoColon {
        /// What was given, cut to a bounded length.
        given: String,
    },
}

impl IdError {
    fn not_a_slug(given: &str) -> Self {
        Self::NotASlug { given: cut(given) }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(bounds::NAME_BYTES_MAX + 1).collect()
}

fn is_slug(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= bounds::NAME_BYTES_MAX
        && bytes.first().copied().is_some_and(alnum)
        && bytes.iter().all(|&b| alnum(b) || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_slug(text) { Ok(Self(text.into())) } else { Err(IdError::not_a_slug(text)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        text_schema!($name, "^[a-z0-9][a-z0-9._-]{0,63}$");
    };
}

/// Describes an id to readers of the API: a text of this form.
macro_rules! text_schema {
    ($name:ident, $pattern:literal) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some($pattern))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

slug!(
    /// The slug of a provider: `openai`, `gemini`, `lan-vllm`.
    ProviderSlug
);
slug!(
    /// The name of a connection within its provider: `main`.
    ConnectionName
);
slug!(
    /// The name of a route, the model alias that apps use: `fast`.
    RouteName
);
slug!(
    /// The name of a limit group: `org-acme`.
    LimitGroup
);
slug!(
    /// The name of a budget: `translator-day`.
    BudgetName
);
slug!(
    /// What an app does with a call, the label that usage is grouped by: `auto-translation`.
    Feature
);
slug!(
    /// The calling program: its name in `[apps]`, else the user's name, else `uid-N`.
    AppName
);

impl Feature {
    /// The label of calls that give none.
    pub fn unlabelled() -> Self {
        Self("unlabelled".into())
    }
}

impl AppName {
    /// The app of a user who is in no `[apps]` table; characters that a label cannot hold become `-`.
    pub fn for_user(name: Option<&str>, uid: u32) -> Self {
        name.and_then(|name| name.parse().ok()).unwrap_or_else(|| Self(format!("uid-{uid}").into()))
    }
}

/// `provider:name`, everywhere: paths, headers, records, command line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The provider that the connection is an account at.
    pub provider: ProviderSlug,
    /// Its name there.
    pub name: ConnectionName,
}

impl ConnectionId {
    /// Puts an id together.
    pub fn new(provider: ProviderSlug, name: ConnectionName) -> Self {
        Self { provider, name }
    }

    /// Writes the id in the place of a text: for whoever looks up many.
    pub fn write_to(&self, text: &mut String) {
        text.clear();
        [self.provider.as_str(), ":", self.name.as_str()].into_iter().for_each(|part| text.push_str(part));
    }
}

impl FromStr for ConnectionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (provider, name) = text.split_once(':').ok_or_else(|| IdError::NoColon { given: cut(text) })?;
        Ok(Self::new(provider.parse()?, name.parse()?))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.name)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ConnectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

text_schema!(ConnectionId, "^[a-z0-9][a-z0-9._-]{0,63}:[a-z0-9][a-z0-9._-]{0,63}$");
text_schema!(RequestId, "^req_[0-9a-f]{32}$");

/// The id of one request: time-ordered, 128 bits, shown as `req_` and 32 hexadecimal digits.
///
/// The upper 48 bits are the wall clock in milliseconds, as in UUIDv7, so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u128);

impl RequestId {
    /// Puts an id together from a wall-clock time in milliseconds and 80 bits that are unique within it.
    pub fn from_parts(unix_ms: u64, unique: u128) -> Self {
        Self((u128::from(unix_ms) << 80) | (unique & ((1 << 80) - 1)))
    }

    /// The whole id as a number.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// The id that [`RequestId::as_u128`] gave.
    pub fn from_u128(id: u128) -> Self {
        Self(id)
    }

    /// A text from which other unique ids are made.
    pub fn seed(self) -> String {
        self.shown().as_str().trim_start_matches("req_").to_owned()
    }

    /// The id as it is shown, without an allocation: every reply and every line of the log has one.
    pub fn shown(self) -> ShownId {
        let mut text = *b"req_00000000000000000000000000000000";
        let mut rest = self.0;
        for place in text.iter_mut().skip(4).rev() {
            let digit = (rest & 0xf) as u8;
            *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            rest >>= 4;
        }
        ShownId(text)
    }
}

/// A request's id as text.
pub struct ShownId([u8; 36]);

impl ShownId {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix("req_")
            .filter(|hex| hex.len() == 32)
            .and_then(|hex| u128::from_str_radix(hex, 16).ok())
            .map(Self)
            .ok_or_else(|| IdError::not_a_slug(text))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown().as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_checked_at_the_door() {
        for good in ["a", "0", "gpt-4.1_mini", &"a".repeat(64)] {
            assert!(good.parse::<Feature>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "A", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<Feature>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_connection_id_reads_back_as_written() {
        let id: ConnectionId = "openai:main".parse().unwrap();
        assert_eq!((id.provider.as_str(), id.name.as_str()), ("openai", "main"));
        assert_eq!(id.to_string(), "openai:main");
        assert!("openai".parse::<ConnectionId>().unwrap_err().to_string().contains("provider:name"));
    }

    #[test]
    fn request_ids_sort_by_time_and_read_back() {
        let (early, late) = (RequestId::from_parts(1, u128::MAX), RequestId::from_parts(2, 0));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(late.to_string().parse::<RequestId>().unwrap(), late);
    }

    #[test]
    fn an_unknown_user_still_has_an_app_name() {
        assert_eq!(AppName::for_user(Some("www-data"), 33).as_str(), "www-data");
        assert_eq!(AppName::for_user(Some("DOMAIN\\x"), 7).as_str(), "uid-7");
        assert_eq!(AppName::for_user(None, 65534).as_str(), "uid-65534");
    }
}
