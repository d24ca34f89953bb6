//! Writers that take a stream frame by frame, whatever pieces it comes in.

use crate::adapter::ingress::StreamWriter;
use crate::adapter::sse::{Frame, Reader};
use crate::bounds;

/// What takes frames.
pub(super) trait Frames: Send {
    /// Takes one.
    fn take(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>);

    /// Takes the end.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// A writer over frames.
pub(super) struct Framed<T> {
    reader: Reader,
    frames: T,
}

impl<T: Frames> Framed<T> {
    pub(super) fn new(frames: T) -> Self {
        Self { reader: Reader::new(bounds::STREAM_FRAME_BYTES_MAX), frames }
    }
}

impl<T: Frames> StreamWriter for Framed<T> {
    fn frames(&mut self, frames: &[u8], out: &mut Vec<u8>) {
        self.reader.push(frames);
        while let Ok(Some(frame)) = self.reader.next_frame() {
            self.frames.take(&frame, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(frame) = self.reader.last_frame() {
            self.frames.take(&frame, out);
        }
        self.frames.end(out);
    }
}
