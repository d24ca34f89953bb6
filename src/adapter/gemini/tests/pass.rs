//! Apps that speak Google's dialect: their replies pass, and say of the call what they say to anybody.

use bytes::Bytes;

use super::super::GEMINI;
use super::{TESTED, asked, stream};
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
fn what_passes_says_the_same() {
    TESTED.what_passes_says_the_same();
}

#[test]
fn a_picture_is_content_where_it_passes() {
    let picture = |reason: &str| {
        let part = r#"{"inlineData":{"mimeType":"image/png","data":"QQ=="}}"#;
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{part}]}}{reason}}}],"usageMetadata":{{"promptTokenCount":1}}}}"#
        )
    };
    let passed = stream(&passing(Operation::Chat, true), &[format!("data: {}\n\n", picture("")).as_bytes()]);
    assert!(passed.content && !passed.terminal && passed.error.is_none(), "{passed:?}");
    let body = Bytes::from(picture(r#","finishReason":"OTHER""#));
    let reply = GEMINI.reply(&passing(Operation::Chat, false), &body).unwrap();
    // What it was counted as is not known, and so not zero.
    assert_eq!((reply.seen.error, reply.seen.tokens.input, reply.seen.tokens.output), (None, Some(1), None));
}
