//! What a model can do. Capabilities are data; no decision hangs on a model's name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! capabilities {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// One thing that a model can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Capability {
            $($(#[$doc])* $variant),*
        }

        impl Capability {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Capability] = &[$(Capability::$variant),*];

            /// The word in TOML and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Capability::$variant => $name),* }
            }
        }

        impl FromStr for Capability {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($name => Ok(Capability::$variant),)* _ => Err(()) }
            }
        }
    };
}

capabilities! {
    /// Conversations.
    Chat = "chat",
    /// Replies in pieces.
    Stream = "stream",
    /// Tool calls.
    Tools = "tools",
    /// Images in.
    Vision = "vision",
    /// Sound in.
    AudioInput = "audio_input",
    /// PDF files in.
    Pdf = "pdf",
    /// Replies that keep to a JSON schema.
    JsonSchema = "json_schema",
    /// Reasoning before the answer.
    Reasoning = "reasoning",
    /// Vectors for texts.
    Embeddings = "embeddings",
    /// OpenAI's Responses API.
    Responses = "responses",
    /// Images out.
    Images = "images",
    /// Speech out.
    Speech = "speech",
    /// Speech to text.
    Transcription = "transcription",
    /// Moderation.
    Moderation = "moderation",
    /// Probabilities of tokens.
    Logprobs = "logprobs",
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of capabilities, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Capabilities(u32);

impl Capabilities {
    /// No capability.
    pub const NONE: Self = Self(0);

    /// The same set with one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u32)
    }

    /// Whether one is in it.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u32) != 0
    }

    /// What of `needed` is not in it, in the order in which they are shown.
    pub fn missing(self, needed: Self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |&one| needed.has(one) && !self.has(one))
    }

    /// The capabilities in it, in the order in which they are shown.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |&one| self.has(one))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<T: IntoIterator<Item = Capability>>(all: T) -> Self {
        all.into_iter().fold(Self::NONE, Self::with)
    }
}

impl Serialize for Capabilities {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Capability>::deserialize(deserializer)?.into_iter().collect())
    }
}
