//! The events of a stream: blocks one after the other, each with its number.

use serde_json::{Value, json};

use crate::adapter::sse;

/// Writes an event. Its data repeats its name.
pub(super) fn event(out: &mut Vec<u8>, name: &str, members: Value) {
    let mut data = json!({"type": name});
    if let (Some(data), Value::Object(members)) = (data.as_object_mut(), members) {
        data.extend(members);
    }
    sse::write_event(out, name, data.to_string().as_bytes());
}

/// The blocks of one message.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The number of the block that is open, or of the next.
    index: u32,
    open: bool,
}

impl Blocks {
    /// Begins a block; the one before it ends.
    pub(super) fn begin(&mut self, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        self.open = true;
        event(out, "content_block_start", json!({"index": self.index, "content_block": block}));
    }

    /// Adds to the open block.
    pub(super) fn add(&self, delta: &Value, out: &mut Vec<u8>) {
        event(out, "content_block_delta", json!({"index": self.index, "delta": delta}));
    }

    /// Ends the open block, if there is one.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.open) {
            event(out, "content_block_stop", json!({"index": self.index}));
            self.index += 1;
        }
    }

    /// A block that is said at once.
    pub(super) fn whole(&mut self, block: &Value, out: &mut Vec<u8>) {
        self.begin(block, out);
        self.close(out);
    }
}
