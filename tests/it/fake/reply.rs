//! An HTTP reply: what it says, how it is framed, where it ends.

use bytes::Bytes;
use serde_json::Value;

use super::behaviour::{Behaviour, Step};

/// How a body's end is marked.
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// By its true `Content-Length`.
    Length,
    /// By a `Content-Length` that claims this many bytes; the connection is closed after what there is.
    Claimed(usize),
    /// By chunks, one for each piece.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// A reply in the making.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Bytes>,
    framing: Framing,
}

impl Reply {
    /// A reply with a body of this media type, in one piece.
    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self::bare(status).header("content-type", media_type).pieces(vec![body.into()])
    }

    /// A reply with no body and no header.
    pub fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), pieces: Vec::new(), framing: Framing::Length }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        self.header("retry-after", seconds)
    }

    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The body in these pieces, each written by itself.
    pub fn pieces(mut self, pieces: Vec<Bytes>) -> Self {
        self.pieces = pieces;
        self
    }

    /// The same body, split at these offsets instead.
    pub fn split_at(self, offsets: &[usize]) -> Self {
        let mut rest = Bytes::from(self.pieces.concat());
        let mut taken = 0;
        let mut pieces = Vec::new();
        for &offset in offsets {
            pieces.push(rest.split_to(offset - taken));
            taken = offset;
        }
        pieces.push(rest);
        self.pieces(pieces)
    }

    /// The body's bytes.
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The length of the body.
    pub fn body_len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// The reply as it should be, but for a wrong length.
    pub fn whole(self) -> Behaviour {
        let mut steps = self.begun(self.pieces.len());
        match self.framing {
            Framing::Length => {}
            Framing::Chunked => steps.push(Step::Write(Bytes::from_static(b"0\r\n\r\n"))),
            Framing::Claimed(_) | Framing::Close => steps.push(Step::Close),
        }
        Behaviour { steps }
    }

    /// The head and so many pieces, then silence.
    pub fn hang_after(self, pieces: usize) -> Behaviour {
        self.broken_off(pieces, Step::Hang)
    }

    /// The head and so many pieces, then the end of the connection (FIN).
    pub fn cut_after(self, pieces: usize) -> Behaviour {
        self.broken_off(pieces, Step::Close)
    }

    /// The head and so many pieces, then a reset (RST).
    pub fn reset_after(self, pieces: usize) -> Behaviour {
        self.broken_off(pieces, Step::Reset)
    }

    fn broken_off(self, pieces: usize, end: Step) -> Behaviour {
        let mut steps = self.begun(pieces);
        steps.push(end);
        Behaviour { steps }
    }

    fn begun(&self, pieces: usize) -> Vec<Step> {
        let pieces = self.pieces.iter().take(pieces).filter(|piece| !piece.is_empty());
        let framed = pieces.map(|piece| match self.framing {
            Framing::Chunked => [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat().into(),
            _ => piece.clone(),
        });
        std::iter::once(self.head()).chain(framed).map(Step::Write).collect()
    }

    fn head(&self) -> Bytes {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match self.framing {
            Framing::Length => format!("content-length: {}\r\n", self.body_len()),
            Framing::Claimed(length) => format!("content-length: {length}\r\n"),
            Framing::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
            Framing::Close => "connection: close\r\n".to_owned(),
        };
        head += "\r\n";
        head.into()
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Whatever")
}
