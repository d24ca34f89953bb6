//! How many tokens a call will take, guessed before it is made: its own from its size, the reply's from how long replies
//! were before. What it really took is known when it ends, and settles the guess.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use crate::api::Feature;
use crate::bounds;

/// The share of a new figure in an average: one in so many. A change of habit shows after a few dozen calls.
const SHARE: f64 = 1.0 / 16.0;

/// The tokens that a body is taken for: a quarter of its bytes, and a constant for each image, recording or document in
/// it, whose bytes say nothing about its tokens. Never 0.
pub fn input_tokens(body: &[u8], with_media: bool) -> u64 {
    let (mut bytes, mut media) = (body.len(), 0);
    if with_media {
        let mut begin = 0;
        let ends = memchr::memchr2_iter(b'"', b' ', body).chain([body.len()]);
        for end in ends {
            let run = end.saturating_sub(begin);
            if run >= bounds::MEDIA_BYTES_MIN {
                bytes -= run;
                media += 1;
            }
            begin = end + 1;
        }
        // One at a URL is not in the body.
        media = media.max(1);
    }
    let text = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(bounds::TEXT_BYTES_PER_TOKEN);
    text.saturating_add(bounds::MEDIA_TOKENS.saturating_mul(media)).max(1)
}

/// The moving averages of replies' lengths, by feature and model. Bounded: what was not used for long is forgotten.
#[derive(Debug, Default)]
pub struct Averages {
    hasher: RandomState,
    maps: Mutex<Maps>,
}

#[derive(Debug, Default)]
struct Maps {
    young: HashMap<u64, f64>,
    old: HashMap<u64, f64>,
}

impl Averages {
    /// The tokens that a reply is expected to have, at most `most` of them.
    pub fn output_tokens(&self, feature: &Feature, model: &str, most: Option<u64>) -> u64 {
        let key = self.key(feature, model);
        let average = self.maps.lock().unwrap_or_else(PoisonError::into_inner).get(key);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an average of counts")]
        let expected = average.map_or(bounds::OUTPUT_TOKENS_DEFAULT, |average| average.ceil() as u64);
        most.map_or(expected, |most| expected.min(most))
    }

    /// Takes in the length of a reply.
    pub fn observe(&self, feature: &Feature, model: &str, output: u64) {
        let key = self.key(feature, model);
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_precision_loss, reason = "an average of counts")]
        let seen = output as f64;
        let average = maps.get(key).map_or(seen, |average| average + (seen - average) * SHARE);
        maps.put(key, average);
    }

    fn key(&self, feature: &Feature, model: &str) -> u64 {
        self.hasher.hash_one((feature.as_str(), model))
    }
}

impl Maps {
    fn get(&self, key: u64) -> Option<f64> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn put(&mut self, key: u64, average: f64) {
        if self.young.len() >= bounds::OUTPUT_AVERAGES_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, average);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().unwrap()
    }

    #[test]
    fn text_counts_by_its_size_and_media_by_the_piece() {
        assert_eq!(input_tokens(b"", false), 1);
        assert_eq!(input_tokens(&[b'x'; 4_001], false), 1_001);
        let image = "A".repeat(400_000);
        let body = format!(r#"{{"text": "what is this", "url": "data:image/png;base64,{image}", "b": "{image}"}}"#);
        let tokens = input_tokens(body.as_bytes(), true);
        assert!((3_000..3_100).contains(&tokens), "{tokens}");
        assert!(input_tokens(br#"{"url": "https://example.com/a.png"}"#, true) > bounds::MEDIA_TOKENS);
    }

    #[test]
    fn a_reply_is_expected_to_be_as_long_as_those_before_and_no_longer_than_it_may_be() {
        let (averages, feature) = (Averages::default(), feature("auto-translation"));
        let expect = |most| averages.output_tokens(&feature, "m", most);
        assert_eq!((expect(None), expect(Some(20))), (bounds::OUTPUT_TOKENS_DEFAULT, 20));
        averages.observe(&feature, "m", 100);
        assert_eq!(expect(None), 100);
        averages.observe(&feature, "m", 260);
        assert_eq!((expect(None), expect(Some(50))), (110, 50));
        assert_eq!(averages.output_tokens(&feature, "other", None), bounds::OUTPUT_TOKENS_DEFAULT);
    }

    #[test]
    fn what_is_used_is_kept_among_any_number_of_others() {
        let (averages, often) = (Averages::default(), feature("often"));
        for n in 0..5 * bounds::OUTPUT_AVERAGES_MAX {
            averages.observe(&feature("rare"), &n.to_string(), 1);
            if n % 100 == 0 {
                averages.observe(&often, "m", 77);
            }
        }
        assert_eq!(averages.output_tokens(&often, "m", None), 77);
        let maps = averages.maps.lock().unwrap();
        assert!(maps.young.len() + maps.old.len() <= 2 * bounds::OUTPUT_AVERAGES_MAX);
    }
}
