//! What no provider should do, and some day one does.

use bytes::Bytes;

use super::behaviour::{Behaviour, Step};
use super::reply::{Framing, Reply};

/// Bytes of one write of a large body.
const PIECE_BYTES: usize = 64 * 1024;

/// No HTTP at all.
pub fn garbage() -> Behaviour {
    Behaviour::bytes(&b"\x00\x01\xfe\xffSSH-2.0-fake\r\n\r\n"[..])
}

/// A login page, as captive networks and proxies answer: HTML with a 200.
pub fn html() -> Reply {
    Reply::new(200, "text/html; charset=utf-8", "<!doctype html><title>Please log in</title>")
}

/// JSON that breaks off, in a reply that is whole.
pub fn half_json() -> Reply {
    Reply::new(200, "application/json", r#"{"id":"chatcmpl-fake","choices":[{"index":0,"mess"#)
}

/// A 200 with no body.
pub fn empty() -> Reply {
    Reply::bare(200).header("content-type", "application/json")
}

/// A redirect; `to` must never be called.
pub fn redirect(status: u16, to: &str) -> Reply {
    Reply::bare(status).header("location", to)
}

/// A body that is shorter by one byte than its head claims.
pub fn short_length(reply: Reply) -> Reply {
    let claimed = reply.body_len() + 1;
    reply.framed(Framing::Claimed(claimed))
}

/// JSON that is valid and so many bytes long.
pub fn oversize(bytes: usize) -> Reply {
    let mut pieces = vec![Bytes::from_static(b"[\"")];
    pieces.extend(filling(bytes.saturating_sub(4)));
    pieces.push(Bytes::from_static(b"\"]"));
    Reply::bare(200).header("content-type", "application/json").pieces(pieces)
}

/// A stream whose first frame goes on for so many bytes.
pub fn long_frame(bytes: usize) -> Reply {
    let mut pieces = vec![Bytes::from_static(b"data: \"")];
    pieces.extend(filling(bytes));
    Reply::bare(200).header("content-type", "text/event-stream").framed(Framing::Chunked).pieces(pieces)
}

/// A head of so many lines.
pub fn many_headers(lines: usize) -> Reply {
    (0..lines).fold(Reply::bare(200), |reply, line| reply.header(&format!("x-line-{line}"), line))
}

/// A head with one line that is so many bytes long.
pub fn long_header(bytes: usize) -> Reply {
    Reply::bare(200).header("x-long", "x".repeat(bytes))
}

/// So many preliminary replies before the real one.
pub fn preliminary(count: usize, then: impl Into<Behaviour>) -> Behaviour {
    let mut then = then.into();
    then.steps.insert(0, Step::Write(b"HTTP/1.1 102 Processing\r\n\r\n".repeat(count).into()));
    then
}

/// So many bytes, all of which share one piece of memory.
fn filling(bytes: usize) -> impl Iterator<Item = Bytes> {
    let piece = Bytes::from(vec![b'x'; PIECE_BYTES.min(bytes)]);
    let whole = bytes / PIECE_BYTES;
    let rest = piece.slice(..bytes - whole * PIECE_BYTES);
    std::iter::repeat_n(piece, whole).chain([rest])
}
