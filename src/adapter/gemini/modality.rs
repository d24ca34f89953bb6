//! How much of a count is sound, and how much pictures: Google tells it as a list, of which two entries matter.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Tokens by what they are, of those that are priced apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modalities {
    pub audio: Option<u64>,
    pub image: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    modality: Option<Modality>,
    token_count: Option<u64>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "UPPERCASE")]
enum Modality {
    Audio,
    Image,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Modalities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Modalities;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of counts")
    }

    fn visit_unit<E>(self) -> Result<Modalities, E> {
        Ok(Modalities::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Modalities, A::Error> {
        let mut all = Modalities::default();
        while let Some(count) = seq.next_element::<Count>()? {
            let sum = match count.modality {
                Some(Modality::Audio) => &mut all.audio,
                Some(Modality::Image) => &mut all.image,
                Some(Modality::Other) | None => continue,
            };
            *sum = Some(sum.unwrap_or(0).saturating_add(count.token_count.unwrap_or(0)));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_and_pictures_are_told_from_the_rest() {
        let read = |json: &str| serde_json::from_str::<Modalities>(json).unwrap();
        let list = r#"[{"modality":"TEXT","tokenCount":9},{"modality":"AUDIO","tokenCount":5},{"modality":"NEW"},
            {"modality":"IMAGE"},{"tokenCount":1},{"modality":"AUDIO","tokenCount":2}]"#;
        assert_eq!(read(list), Modalities { audio: Some(7), image: Some(0) });
        assert_eq!(read("null"), Modalities::default());
        assert_eq!(read("[]"), Modalities::default());
    }
}
