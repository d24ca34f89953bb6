//! Server-sent events, read so that any split of the bytes gives the same frames.
//!
//! The rules are those of the HTML standard, "9.2.6 Interpreting an event stream": lines end in LF, CR or CRLF, a byte
//! order mark may come first, a blank line ends a frame, lines that begin with a colon are comments, and several `data`
//! lines join with LF. Beyond the standard, bytes after the last blank line are a frame too: some providers leave the
//! final newline out. The whole frame is kept as it came, so that it can pass through untouched.

use std::borrow::Cow;

use bytes::BytesMut;
use thiserror::Error;

/// A frame is longer than the reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a frame of the stream is longer than {max} bytes")]
pub struct TooLong {
    /// The bound in bytes.
    pub max: usize,
}

/// One event, or a comment between events, borrowed from the reader.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// All its bytes, the blank line included.
    pub raw: &'a [u8],
    /// The event's name; empty where it has none.
    pub event: &'a [u8],
    /// The data lines, joined; none where the frame holds only comments.
    pub data: Option<Cow<'a, [u8]>>,
    /// Lines that are neither fields nor comments: a bare error body in the stream shows here.
    pub stray: bool,
}

/// Splits bytes into frames.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    /// Bytes at the front that the last frame took; dropped before the next is looked for.
    taken: usize,
    /// Bytes from `taken` on that hold no frame's end.
    scanned: usize,
    started: bool,
    max: usize,
}

impl Reader {
    /// A reader of frames of at most so many bytes.
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), taken: 0, scanned: 0, started: false, max }
    }

    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.drop_taken();
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// When the bytes so far are already longer than a frame may be.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, TooLong> {
        let waiting = self.buffer.get(self.taken..).unwrap_or_default();
        if let Some(length) = frame_end(waiting, self.scanned) {
            return Ok(Some(self.take(length)));
        }
        if waiting.len() > self.max {
            return Err(TooLong { max: self.max });
        }
        // A CR at the very end may be the first half of a CRLF, and the blank line may begin one line end earlier.
        self.scanned = waiting.len().saturating_sub(3);
        Ok(None)
    }

    /// What is left when the bytes have ended: a last frame without its blank line.
    pub fn last_frame(&mut self) -> Option<Frame<'_>> {
        let left = self.pending();
        (left > 0).then(|| self.take(left))
    }

    fn take(&mut self, length: usize) -> Frame<'_> {
        let start = self.taken;
        self.taken += length;
        self.scanned = 0;
        let first = !std::mem::replace(&mut self.started, true);
        let raw = self.buffer.get(start..self.taken).unwrap_or_default();
        parse(raw, first)
    }

    fn drop_taken(&mut self) {
        if self.taken > 0 {
            let _ = self.buffer.split_to(self.taken);
            self.taken = 0;
        }
    }
}

/// The length of the first frame, its blank line included. Bytes before `from` are known to hold no end.
fn frame_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == b'\n' || b == b'\r')?;
        let after = after_line_end(bytes, at)?;
        match bytes.get(after)? {
            b'\n' | b'\r' => return after_line_end(bytes, after),
            _ => at = after,
        }
    }
}

/// Where the line end at `at` stops. A CR that is the last byte so far is undecided, unless a blank line came before.
fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes.get(at)?, bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', None) => None,
        _ => Some(at + 1),
    }
}

fn parse(raw: &[u8], first: bool) -> Frame<'_> {
    let body = if first { raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw) } else { raw };
    let mut frame = Frame { raw, event: b"", data: None, stray: false };
    for line in body.split(|&b| b == b'\n' || b == b'\r').filter(|line| !line.is_empty()) {
        let (name, value) = match line.iter().position(|&b| b == b':') {
            Some(0) => continue,
            Some(colon) => {
                let (name, value) = line.split_at(colon);
                let value = value.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match name {
            b"data" => frame.data = Some(join(frame.data.take(), value)),
            b"event" => frame.event = value,
            b"id" | b"retry" => {}
            _ => frame.stray = true,
        }
    }
    frame
}

fn join<'a>(before: Option<Cow<'a, [u8]>>, line: &'a [u8]) -> Cow<'a, [u8]> {
    match before {
        None => Cow::Borrowed(line),
        Some(before) => {
            let mut joined = before.into_owned();
            joined.push(b'\n');
            joined.extend_from_slice(line);
            Cow::Owned(joined)
        }
    }
}

/// Writes one event whose data is a single line, as JSON always is.
pub fn write_data(out: &mut Vec<u8>, data: &[u8]) {
    debug_assert!(!data.iter().any(|&b| b == b'\n' || b == b'\r'), "data of several lines needs several fields");
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// As [`write_data`], under an event's name.
pub fn write_event(out: &mut Vec<u8>, event: &str, data: &[u8]) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.push(b'\n');
    write_data(out, data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything a frame says, owned: its bytes, its event, its data.
    type Owned = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

    fn read(pieces: &[&[u8]]) -> Vec<Owned> {
        let mut reader = Reader::new(1 << 20);
        let mut frames = Vec::new();
        let mut keep = |frame: Frame<'_>| {
            frames.push((frame.raw.to_vec(), frame.event.to_vec(), frame.data.map(Cow::into_owned)));
        };
        for piece in pieces {
            reader.push(piece);
            while let Some(frame) = reader.next_frame().unwrap() {
                keep(frame);
            }
        }
        if let Some(frame) = reader.last_frame() {
            keep(frame);
        }
        frames
    }

    fn data(bytes: &[u8]) -> Vec<Option<String>> {
        read(&[bytes]).into_iter().map(|frame| frame.2.map(|data| String::from_utf8(data).unwrap())).collect()
    }

    const MIXED: &[u8] =
        b"\xEF\xBB\xBF: hello\n\ndata: a\r\n\r\nevent: x\rdata:b\rdata: c\r\rid: 7\ndata\n\ndata: \xC3\xA9";

    #[test]
    fn line_ends_comments_marks_and_a_missing_last_newline_are_read() {
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(data(MIXED), [None, text("a"), text("b\nc"), text(""), text("é")]);
    }

    #[test]
    fn every_split_gives_the_same_frames() {
        let whole = read(&[MIXED]);
        for at in 0..=MIXED.len() {
            let (a, b) = MIXED.split_at(at);
            assert_eq!(read(&[a, b]), whole, "split at {at}");
        }
        let single: Vec<&[u8]> = MIXED.chunks(1).collect();
        assert_eq!(read(&single), whole);
    }

    #[test]
    fn the_frames_together_are_the_bytes() {
        let bytes: Vec<u8> = read(&[MIXED]).into_iter().flat_map(|frame| frame.0).collect();
        assert_eq!(bytes, MIXED);
    }

    #[test]
    fn a_frame_without_end_is_refused_at_the_bound() {
        let mut reader = Reader::new(100);
        reader.push(&[b'x'; 100]);
        assert_eq!(reader.next_frame(), Ok(None));
        reader.push(b"x");
        assert_eq!(reader.next_frame(), Err(TooLong { max: 100 }));
    }

    #[test]
    fn a_bare_object_between_frames_is_noticed() {
        let mut reader = Reader::new(1000);
        reader.push(b"{\n  \"error\": {}\n}\n\n");
        assert!(reader.next_frame().unwrap().unwrap().stray);
    }

    proptest! {
        #[test]
        fn no_bytes_are_lost_whatever_comes(pieces in proptest::collection::vec("[a:\r\n ]{0,8}", 0..12)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let whole = pieces.concat();
            let split = read(&pieces);
            prop_assert_eq!(&split, &read(&[&whole]));
            let bytes: Vec<u8> = split.into_iter().flat_map(|frame| frame.0).collect();
            prop_assert_eq!(bytes, whole);
        }
    }
}
