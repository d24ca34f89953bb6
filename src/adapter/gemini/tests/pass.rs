//! Apps that speak Google's dialect: their replies pass, and say of the call what they say to anybody.

use super::super::GEMINI;
use super::{TESTED, asked};
use crate::adapter::{Adapter, Asked};
use crate::api::Operation;

#[test]
fn one_vector_is_asked_for_only_where_the_app_itself_asks_for_one() {
    let path = |pass, single| GEMINI.path(&Asked { pass, single, ..asked(Operation::Embeddings, false) });
    assert_eq!(path(true, true), "/models/gemini-2.5-flash:embedContent");
    for (pass, single) in [(true, false), (false, true), (false, false)] {
        assert_eq!(path(pass, single), "/models/gemini-2.5-flash:batchEmbedContents");
    }
}

#[test]
fn what_passes_says_the_same() {
    TESTED.what_passes_says_the_same();
}
