//! "Did you mean …?"

use crate::bounds;

/// The known word that `given` was most likely meant to be, if any comes near.
pub(super) fn nearest<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if given.len() > bounds::MODEL_BYTES_MAX {
        return None;
    }
    // A third of the letters may be wrong, and one in short words; more is another word.
    let distance_max = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|word| word.len().abs_diff(given.len()) <= distance_max * char::MAX_LEN_UTF8)
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .filter(|&(distance, _)| distance <= distance_max)
        .min()
        .map(|(_, word)| word)
}

/// `; did you mean "models"?` if a known word comes near, to be put behind what is wrong; else nothing.
pub(super) fn did_you_mean<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    nearest(given, known).map(|word| format!("; did you mean {word:?}?")).unwrap_or_default()
}

/// As [`did_you_mean`], else `; known here: …`. For words of which there are few.
pub(super) fn hint(given: &str, known: &[&str]) -> String {
    let hint = did_you_mean(given, known.iter().copied());
    if hint.is_empty() && !known.is_empty() { format!("; known here: {}", known.join(", ")) } else { hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("modles", ["model", "models", "kind"]), Some("models"));
        assert_eq!(nearest("knid", ["kind", "key"]), Some("kind"));
        assert_eq!(nearest("colour", ["kind", "enabled"]), None);
        assert_eq!(nearest("", ["kind"]), None);
    }

    #[test]
    fn where_nothing_comes_near_the_known_words_are_listed() {
        assert_eq!(hint("modles", &["models"]), "; did you mean \"models\"?");
        assert_eq!(hint("colour", &["a", "kind"]), "; known here: a, kind");
        assert_eq!(hint("colour", &[]), "");
    }
}
