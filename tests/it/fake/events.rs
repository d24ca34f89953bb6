//! A stream of server-sent events, frame by frame.

use bytes::Bytes;
use serde_json::Value;

use super::reply::{Framing, Reply};

/// Events in the making. Each call adds one frame, and each frame is one piece of the reply.
#[derive(Debug, Clone, Default)]
pub struct Events {
    frames: Vec<Frame>,
    crlf: bool,
}

#[derive(Debug, Clone)]
enum Frame {
    /// Lines, ended as the stream's lines are.
    Lines(String),
    Raw(Bytes),
}

impl Events {
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame with this data.
    pub fn data(self, data: &str) -> Self {
        self.frame(Frame::Lines(format!("data: {data}")))
    }

    /// A frame with this object.
    pub fn json(self, data: &Value) -> Self {
        self.data(&data.to_string())
    }

    /// A named frame.
    pub fn event(self, name: &str, data: &Value) -> Self {
        self.frame(Frame::Lines(format!("event: {name}\ndata: {data}")))
    }

    /// A comment, as providers send them to keep a connection open.
    pub fn comment(self, text: &str) -> Self {
        self.frame(Frame::Lines(format!(": {text}")))
    }

    /// Bytes that need not be a frame at all.
    pub fn raw(self, bytes: impl Into<Bytes>) -> Self {
        self.frame(Frame::Raw(bytes.into()))
    }

    /// The first frames only.
    pub fn take(mut self, frames: usize) -> Self {
        self.frames.truncate(frames);
        self
    }

    /// Ends all lines in CRLF.
    pub fn crlf(mut self) -> Self {
        self.crlf = true;
        self
    }

    /// A 200 with these events, chunked.
    pub fn reply(self) -> Reply {
        let crlf = self.crlf;
        let pieces = self.frames.into_iter().map(|frame| match frame {
            Frame::Lines(lines) if crlf => format!("{lines}\n\n").replace('\n', "\r\n").into(),
            Frame::Lines(lines) => format!("{lines}\n\n").into(),
            Frame::Raw(bytes) => bytes,
        });
        Reply::bare(200)
            .header("content-type", "text/event-stream; charset=utf-8")
            .framed(Framing::Chunked)
            .pieces(pieces.collect())
    }

    fn frame(mut self, frame: Frame) -> Self {
        self.frames.push(frame);
        self
    }
}
