//! Apps that speak Google's dialect: their replies pass, and say of the call what they say to anybody.

use bytes::Bytes;

use super::super::GEMINI;
use super::golden::{cases, read};
use super::{Streamed, asked, stream};
use crate::adapter::{Adapter, Asked};
use crate::api::Operation;

fn passing(operation: Operation, stream: bool) -> Asked {
    Asked { pass: true, ..asked(operation, stream) }
}

#[test]
fn one_vector_is_asked_for_only_where_the_app_itself_asks_for_one() {
    let path = |pass, single| GEMINI.path(&Asked { pass, single, ..asked(Operation::Embeddings, false) });
    assert_eq!(path(true, true), "/models/gemini-2.5-flash:embedContent");
    for (pass, single) in [(true, false), (false, true), (false, false)] {
        assert_eq!(path(pass, single), "/models/gemini-2.5-flash:batchEmbedContents");
    }
}

#[test]
fn a_passed_reply_says_the_same() {
    for (name, path) in cases("decode", ".gemini.") {
        let operation = if name.starts_with("embed") { Operation::Embeddings } else { Operation::Chat };
        let body = Bytes::from(read(&path));
        let passed = GEMINI.reply(&passing(operation, false), &body).unwrap();
        let translated = GEMINI.reply(&asked(operation, false), &body).unwrap();
        assert_eq!((passed.body, passed.seen), (None, translated.seen), "{name}");
    }
}

#[test]
fn a_passed_stream_says_the_same_and_every_frame_of_it_goes_out() {
    for (name, path) in cases("stream", ".gemini.") {
        let bytes = read(&path);
        let frames = bytes.split(|&b| b == b'\n').filter(|line| line.starts_with(b"data:")).count();
        let passed = stream(&passing(Operation::Chat, true), &[&bytes]);
        let translated = stream(&asked(Operation::Chat, true), &[&bytes]);
        assert!(passed.passed >= frames && passed.out.is_empty(), "{name}: {passed:?}");
        assert_eq!(Streamed { passed: 0, ..passed }, Streamed { out: Vec::new(), ..translated }, "{name}");
    }
}
