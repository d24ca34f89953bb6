//! A provider's stream, read frame by frame: what goes to the app gathers here until it is taken.

use bytes::Bytes;

use super::outlet::Outlet;
use crate::adapter::sse::{self, TooLong};
use crate::adapter::{Forward, ProviderError, Seen, Step, StreamReader};
use crate::api::Failure;
use crate::bounds;
use crate::upstream::{Reply, TransportError};

/// A stream that does not go on.
pub(super) enum TapError {
    /// The connection broke.
    Transport(TransportError),
    /// A frame that is too long.
    TooLong(TooLong),
    /// The provider sent an error.
    Provider(ProviderError),
    /// What it sent cannot be said in the app's dialect.
    Unsayable,
}

/// A stream being read.
pub(super) struct Tap {
    reply: Reply,
    source: Source,
    out: Outlet,
    seen: Seen,
    closed: bool,
}

/// What its bytes are.
enum Source {
    /// Server-sent events.
    Events { frames: sse::Reader, reader: Box<dyn StreamReader> },
    /// Sound or text that nobody here reads. It is over where its bytes are.
    Plain { begun: bool },
}

impl Tap {
    /// Events, read by an adapter's reader.
    pub(super) fn events(reply: Reply, reader: Box<dyn StreamReader>, out: Outlet) -> Self {
        let frames = sse::Reader::new(bounds::STREAM_FRAME_BYTES_MAX);
        Self { reply, source: Source::Events { frames, reader }, out, seen: Seen::default(), closed: false }
    }

    /// Bytes of any other kind.
    pub(super) fn plain(reply: Reply, out: Outlet) -> Self {
        Self { reply, source: Source::Plain { begun: false }, out, seen: Seen::default(), closed: false }
    }

    /// Whether its bytes pass unread.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.source, Source::Plain { .. })
    }

    /// Waits for the next bytes and takes in every frame that they complete. Frames of one read leave together. False at
    /// the end of the stream.
    pub(super) async fn read(&mut self) -> Result<bool, TapError> {
        let bytes = self.wait().await?;
        self.take_up(bytes)
    }

    /// Waits for the next bytes; none at the end of the stream.
    pub(super) async fn wait(&mut self) -> Result<Option<Bytes>, TapError> {
        self.reply.chunk().await.map_err(TapError::Transport)
    }

    /// Takes in every frame that the bytes complete.
    pub(super) fn take_up(&mut self, bytes: Option<Bytes>) -> Result<bool, TapError> {
        let Some(bytes) = bytes else {
            self.end()?;
            return Ok(false);
        };
        match &mut self.source {
            Source::Events { frames, reader } => {
                frames.push(&bytes);
                while let Some(frame) = frames.next_frame().map_err(TapError::TooLong)? {
                    let step = reader.frame(&frame);
                    take_in(&mut self.out, &mut self.seen, step, frame.raw)?;
                }
            }
            Source::Plain { begun } => {
                *begun |= !bytes.is_empty();
                self.seen.content |= *begun;
                self.out.put(&bytes);
            }
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<(), TapError> {
        if let Source::Events { frames, reader } = &mut self.source
            && let Some(frame) = frames.last_frame()
        {
            let step = reader.frame(&frame);
            // The provider left the blank line out; the app shall not miss the frame.
            let whole = [frame.raw, b"\n\n"].concat();
            take_in(&mut self.out, &mut self.seen, step, &whole)?;
        }
        self.close()
    }

    /// Ends the app's stream as its format wants it, whatever became of the provider's: a reader may hold the last frames
    /// back until it is told that no more will come.
    pub(super) fn close(&mut self) -> Result<(), TapError> {
        // A stream that ends with its first content is read to its end twice: before it is given to the app, and after.
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        match &mut self.source {
            Source::Events { reader, .. } => take_in(&mut self.out, &mut self.seen, reader.end(), b"")?,
            Source::Plain { begun } => self.seen.terminal |= *begun,
        }
        self.out.end();
        if self.out.has_failed() { Err(TapError::Unsayable) } else { Ok(()) }
    }

    /// Ends the app's stream in an error, where it has words for one.
    pub(super) fn fail(&mut self, failure: &Failure) {
        if !self.is_plain() {
            self.out.fail(failure);
        }
    }

    /// Ends the app's stream as one that was whole.
    pub(super) fn finish(&mut self) {
        self.out.finish();
    }

    /// What the frames said since the last time this was asked.
    pub(super) fn seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// What has gathered for the app.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.out.take()
    }

    /// How much has gathered.
    pub(super) fn gathered(&self) -> usize {
        self.out.len()
    }
}

/// Takes in one frame. An error frame is not forwarded as it came: the app gets Bursar's word for it.
fn take_in(out: &mut Outlet, all: &mut Seen, step: Step, raw: &[u8]) -> Result<(), TapError> {
    let Step { forward, seen } = step;
    match forward {
        Forward::AsIs if seen.error.is_none() => out.put(raw),
        Forward::Replace(bytes) => out.put(&bytes),
        Forward::AsIs | Forward::Withhold => {}
    }
    all.content |= seen.content;
    all.terminal = seen.terminal || (all.terminal && !seen.reopened);
    all.reopened |= seen.reopened;
    all.tokens = all.tokens.updated_by(seen.tokens);
    all.cost = seen.cost.or(all.cost);
    all.written = all.written.saturating_add(seen.written);
    all.model = seen.model.or_else(|| all.model.take());
    match seen.error {
        Some(error) => Err(TapError::Provider(error)),
        None if out.has_failed() => Err(TapError::Unsayable),
        None => Ok(()),
    }
}
