//! What a call used: tokens by what they are, and what else providers bill by.

use serde::{Deserialize, Serialize};

macro_rules! tokens {
    ($($(#[$doc:meta])* $field:ident = $json:literal),* $(,)? ; rarer: $($(#[$rare_doc:meta])* $rare:ident = $rare_json:literal),* $(,)?) => {
        /// What a call used. `None` is unknown, and never 0. In JSON the first four are always there; of the others only
        /// those that are known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
        pub struct Tokens {
            $($(#[$doc])* #[serde(rename = $json)] pub $field: Option<u64>,)*
            $($(#[$rare_doc])* #[serde(rename = $rare_json, default, skip_serializing_if = "Option::is_none")]
            pub $rare: Option<u64>,)*
        }

        impl Tokens {
            /// The names of all figures, as JSON has them.
            pub const NAMES: &'static [&'static str] = &[$($json,)* $($rare_json,)*];

            /// All figures, in the order of [`Tokens::NAMES`].
            pub const fn figures(&self) -> [Option<u64>; Self::NAMES.len()] {
                [$(self.$field,)* $(self.$rare,)*]
            }

            /// The figures put together again.
            pub const fn of_figures(figures: [Option<u64>; Self::NAMES.len()]) -> Self {
                let [$($field,)* $($rare,)*] = figures;
                Self { $($field,)* $($rare,)* }
            }

            /// The same without the figures that are larger than can be.
            #[must_use]
            pub fn within(self, most: u64) -> Self {
                Self::of_figures(self.figures().map(|figure| figure.filter(|figure| *figure <= most)))
            }

            /// What is known now, with what a later frame said put over it: the last figure that is there wins.
            #[must_use]
            pub const fn updated_by(self, later: Self) -> Self {
                Self { $($field: or(later.$field, self.$field),)* $($rare: or(later.$rare, self.$rare),)* }
            }
        }
    };
}

/// The first that is there.
const fn or(first: Option<u64>, second: Option<u64>) -> Option<u64> {
    if first.is_some() { first } else { second }
}

tokens! {
    /// Tokens of the request; cached and cache-writing ones included.
    input = "input_tokens",
    /// Tokens of the reply, reasoning included.
    output = "output_tokens",
    /// Of the input, what the provider read from its cache.
    cached = "cached_tokens",
    /// Of the output, what the model spent on reasoning.
    reasoning = "reasoning_tokens";
    rarer:
    /// Of the input, what the provider wrote to its cache, for however long.
    cache_write = "cache_write_tokens",
    /// Of what was written to the cache, what is kept for an hour.
    cache_write_1h = "cache_write_1h_tokens",
    /// Of the input, sound.
    audio_input = "audio_input_tokens",
    /// Of the output, sound.
    audio_output = "audio_output_tokens",
    /// Of the input, pictures.
    image_input = "image_input_tokens",
    /// Of the output, pictures.
    image_output = "image_output_tokens",
    /// Pictures made.
    images = "images",
    /// Characters read aloud.
    characters = "characters",
    /// Sound written down, in milliseconds.
    audio_ms = "audio_ms",
    /// Searches of the web that the provider made.
    searches = "searches",
}

impl Tokens {
    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// What the request and the reply took together, as far as it is known.
    pub fn total(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_figure_wins_and_nothing_is_forgotten() {
        let first = Tokens { input: Some(5), output: Some(1), images: Some(2), ..Tokens::default() };
        let later = Tokens { output: Some(0), cached: Some(2), ..Tokens::default() };
        let both = Tokens { output: Some(0), cached: Some(2), ..first };
        assert_eq!(first.updated_by(later), both);
        assert_eq!(Tokens::of_figures(both.figures()), both);
    }

    #[test]
    fn json_shows_four_figures_always_and_the_others_where_they_are_known() {
        let json = |tokens: Tokens| serde_json::to_string(&tokens).unwrap();
        let none = r#"{"input_tokens":null,"output_tokens":null,"cached_tokens":null,"reasoning_tokens":null}"#;
        assert_eq!(json(Tokens::default()), none);
        let written = Tokens { cache_write: Some(0), ..Tokens::default() };
        assert_eq!(json(written), none.replace('}', r#","cache_write_tokens":0}"#));
        assert_eq!(serde_json::from_str::<Tokens>(none).unwrap(), Tokens::default());
        assert_eq!(serde_json::from_str::<Tokens>(&json(written)).unwrap(), written);
    }
}
