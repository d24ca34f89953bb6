//! Google's stream as a list of JSON that is written in pieces, for apps that call `streamGenerateContent` without
//! `alt=sse` (Gemini API reference, "Method: models.streamGenerateContent").

use std::str;

use serde_json::value::RawValue;

use super::framed::{Framed, Frames};
use crate::adapter::ingress::StreamWriter;
use crate::adapter::sse::Frame;

/// A writer that takes frames of Google's own dialect, passed or translated, errors too, and writes the list.
pub fn array() -> Box<dyn StreamWriter> {
    Box::new(Framed::new(Array { begun: false }))
}

struct Array {
    begun: bool,
}

impl Frames for Array {
    fn take(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        // An error may stand in the stream as it is, without being data.
        let text = match frame.data.as_deref() {
            Some(data) => str::from_utf8(data),
            None => str::from_utf8(frame.raw),
        };
        let Some(item) = text.ok().and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) else { return };
        out.extend_from_slice(if self.begun { b"\n," } else { b"[" });
        self.begun = true;
        out.extend_from_slice(item.get().as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.begun { b"\n]\n" } else { b"[]\n" });
    }
}
