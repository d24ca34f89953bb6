//! What is thrown at readers: bytes, damaged samples, and JSON of a format's words in any order.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any bytes.
pub(in crate::adapter) fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

/// Samples with a few bytes gone and others in their place.
pub(in crate::adapter) fn damaged(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let with = proptest::collection::vec(proptest::sample::select(br#"{}[]",:0n-e. \"#.to_vec()), 0..4);
    let parts = (proptest::sample::select(samples), any::<proptest::sample::Index>(), with, 0_usize..6);
    parts.prop_map(|(sample, at, with, gone)| {
        let at = at.index(sample.len());
        let end = (at + gone).min(sample.len());
        [&sample[..at], &with, &sample[end..]].concat()
    })
}

/// JSON of these members' names, with these texts and anything else in any place.
pub(in crate::adapter) fn json_of(
    names: &'static [&'static str],
    texts: &'static [&'static str],
) -> impl Strategy<Value = Value> {
    let mut leaves = vec![json!(null), json!(true), json!(0), json!(u64::MAX), json!(-1.5)];
    leaves.extend(texts.iter().map(|text| json!(text)));
    proptest::sample::select(leaves).prop_recursive(8, 64, 4, move |inner| {
        let members = proptest::collection::vec((proptest::sample::select(names), inner.clone()), 0..6);
        let object = |members: Vec<(&str, Value)>| {
            Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
        };
        prop_oneof![proptest::collection::vec(inner, 0..3).prop_map(Value::from), members.prop_map(object)]
    })
}
