//! The kinds of calls.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::capability::Capability;

/// What kind of work a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A conversation's next turn.
    Chat,
    /// Vectors for texts.
    Embeddings,
    /// The list of models: a connection's test, never an app's call.
    Models,
    /// OpenAI's newer form of a conversation.
    Responses,
    /// Pictures made.
    Images,
    /// Text read aloud.
    Speech,
    /// Speech written down.
    Transcription,
    /// Texts or pictures judged.
    Moderation,
}

impl Operation {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Chat,
        Self::Embeddings,
        Self::Models,
        Self::Responses,
        Self::Images,
        Self::Speech,
        Self::Transcription,
        Self::Moderation,
    ];

    /// The name as it stands in records and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
            Self::Responses => "responses",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Moderation => "moderation",
        }
    }
}

impl Operation {
    /// What a model must be able to do to be asked this; none where every provider can be.
    pub const fn capability(self) -> Option<Capability> {
        Some(match self {
            Self::Chat => Capability::Chat,
            Self::Embeddings => Capability::Embeddings,
            Self::Responses => Capability::Responses,
            Self::Images => Capability::Images,
            Self::Speech => Capability::Speech,
            Self::Transcription => Capability::Transcription,
            Self::Moderation => Capability::Moderation,
            Self::Models => return None,
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|op| op.name() == text).ok_or(())
    }
}
