//! Bytes that are cut, split or nonsense: errors, never panics, and the same whole however it came.

use proptest::prelude::*;
use serde_json::Value;

use super::super::{GEMINI, array};
use super::golden::{cases, read};
use super::{asked, streamed, written};
use crate::adapter::ingress::Ingress;
use crate::adapter::tests::garbage::{damaged, nonsense};

#[test]
fn every_split_of_a_stream_gives_the_same() {
    for (name, path) in cases("stream", ".openai.") {
        let bytes = read(&path);
        let whole = streamed(&[&bytes]);
        let listed = written(array(), &[&whole]);
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(streamed(&[a, b]), whole, "{name} split at {at}");
        }
        for at in 0..=whole.len() {
            let (a, b) = whole.split_at(at);
            assert_eq!(written(array(), &[a, b]), listed, "the list of {name} split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(streamed(&single), whole, "{name} byte by byte");
    }
}

#[test]
fn a_reply_that_ends_early_is_invalid() {
    for (name, path) in cases("reply", ".openai.") {
        let bytes = read(&path);
        for at in 0..bytes.trim_ascii_end().len() {
            assert!(GEMINI.reply(&asked(&name), &bytes[..at]).is_err(), "{name} cut at {at}");
        }
    }
}

#[test]
fn a_request_that_ends_early_is_refused() {
    for (name, path) in cases("request", ".gemini.") {
        let bytes = read(&path);
        for at in 0..bytes.trim_ascii_end().len() {
            assert!(GEMINI.request(&asked(&name), &bytes[..at]).is_err(), "{name} cut at {at}");
        }
    }
}

#[test]
fn a_list_in_pieces_is_json_whatever_comes() {
    let listed = |frames: &str| String::from_utf8(written(array(), &[frames.as_bytes()])).unwrap();
    assert_eq!(listed("data: {\"a\":1}\r\n\r\ndata: {\"b\":2}\r\n\r\n"), "[{\"a\":1}\n,{\"b\":2}\n]\n");
    assert_eq!(listed(": a comment\n\n"), "[]\n");
    assert_eq!(listed("data: half {\n\ndata: 1\n\n"), "[1\n]\n");
    // An error that stands in the stream without being data is one of the list all the same.
    assert_eq!(listed("data: {}\n\n{\"error\": {\"code\": 500}}\n\n"), "[{}\n,{\"error\": {\"code\": 500}}\n]\n");
}

fn all(bytes: &[u8]) {
    for name in ["chat", "embed", "embed-one"] {
        let _ = GEMINI.request(&asked(name), bytes);
        let _ = GEMINI.reply(&asked(name), bytes);
    }
    let frames = streamed(&[b"data: ", bytes, b"\n\n"]);
    let list: Result<Value, _> = serde_json::from_slice(&written(array(), &[&frames, bytes]));
    assert!(list.is_ok());
}

fn samples() -> Vec<Vec<u8>> {
    let folders = [("request", ".gemini."), ("reply", ".openai."), ("stream", ".openai.")];
    folders.into_iter().flat_map(|(folder, dialect)| cases(folder, dialect)).map(|(_, path)| read(&path)).collect()
}

proptest! {
    #[test]
    fn nonsense_is_no_panic(bytes in nonsense()) {
        all(&bytes);
    }

    #[test]
    fn damage_is_no_panic(bytes in damaged(samples())) {
        all(&bytes);
    }
}
