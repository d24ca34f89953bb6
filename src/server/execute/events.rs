//! A streamed reply: OpenAI's chunks in, Bursar's events out.

use bytes::Bytes;

use super::gather::{Gathered, Who};
use crate::adapter::hub::Said;
use crate::adapter::sse;
use crate::api::execute::ExecuteEvent;
use crate::api::{Code, ErrorBody, Failure};
use crate::bounds;
use crate::execute::{Ledger, Relay};
use crate::server::unread::Patience;

/// A running reply. Dropping it hangs up on the provider.
pub(super) struct Events {
    who: Who,
    relay: Box<Relay>,
    frames: sse::Reader,
    gathered: Gathered,
    ended: bool,
}

impl Events {
    /// The events of a stream.
    pub(super) fn new(who: Who, relay: Box<Relay>, gathered: Gathered) -> Self {
        Self { who, relay, frames: sse::Reader::new(bounds::STREAM_FRAME_BYTES_MAX), gathered, ended: false }
    }

    /// How long they may take.
    pub(super) fn patience(&self) -> Patience {
        Patience { until: self.relay.deadline(), unread: self.relay.unread() }
    }

    /// The next bytes for the app, whole events; none at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let mut out = Vec::new();
            match self.relay.next().await {
                Some(bytes) => {
                    if let Err(failure) = self.translate(&bytes, &mut out) {
                        let _ = self.relay.cut(failure.code, &failure.message).await;
                        self.end(&mut out, &ExecuteEvent::Error(ErrorBody::of(&failure)));
                    }
                }
                None => {
                    let reply = self.gathered.reply(&self.who, self.relay.ledger());
                    self.end(&mut out, &ExecuteEvent::Done(Box::new(reply)));
                }
            }
            if !out.is_empty() {
                return Some(out.into());
            }
        }
        None
    }

    /// Says frames of OpenAI's dialect in events.
    fn translate(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.ended = translate(&mut self.frames, &mut self.gathered, bytes, out)?;
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>, event: &ExecuteEvent) {
        self.ended = true;
        write(out, event);
    }
}

/// Says frames of OpenAI's dialect in events; true where an error ended them.
fn translate(
    frames: &mut sse::Reader,
    gathered: &mut Gathered,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, Failure> {
    let too_long = |error: sse::TooLong| Failure::new(Code::UpstreamTooLarge, error.to_string());
    frames.push(bytes);
    while let Some(frame) = frames.next_frame().map_err(too_long)? {
        let Some(data) = frame.data.filter(|data| data.trim_ascii() != b"[DONE]") else { continue };
        let mut said = Said::read(&data).map_err(|invalid| Failure::new(Code::UpstreamInvalid, invalid.to_string()))?;
        if let Some(error) = said.error.take() {
            write(out, &ExecuteEvent::Error(ErrorBody { error }));
            return Ok(true);
        }
        gathered.add(said)?.iter().for_each(|event| write(out, event));
    }
    Ok(false)
}

/// The events of an answer whose frames are all there.
///
/// # Errors
/// As [`Gathered::add`].
pub(super) fn all_at_once(
    who: &Who,
    mut gathered: Gathered,
    frames: &[u8],
    ledger: &Ledger,
) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    // One frame may hold all of an answer.
    let mut reader = sse::Reader::new(bounds::REPLY_BODY_BYTES_MAX.saturating_add(bounds::STREAM_FRAME_BYTES_MAX));
    translate(&mut reader, &mut gathered, frames, &mut out)?;
    write(&mut out, &ExecuteEvent::Done(Box::new(gathered.reply(who, ledger))));
    Ok(out)
}

fn write(out: &mut Vec<u8>, event: &ExecuteEvent) {
    sse::write_event(out, event.name(), &event.to_json());
}
