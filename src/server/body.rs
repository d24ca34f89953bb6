//! A request's body, within its bounds.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::api::{Code, Failure};
use crate::bounds;

const KIB: usize = 1024;

/// What is left for all bodies of the process together, in KiB.
static ROOM: Semaphore = Semaphore::const_new(bounds::REQUEST_BODIES_BYTES_MAX / KIB);

/// A body's share of the room for all.
struct Share {
    room: &'static Semaphore,
    taken: Option<SemaphorePermit<'static>>,
}

/// A body with its share, which is given back with the last of its bytes.
struct Kept {
    body: Bytes,
    _taken: SemaphorePermit<'static>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Share {
    fn of(room: &'static Semaphore) -> Self {
        Self { room, taken: None }
    }

    /// Takes room for a body that has come to so many bytes. A small one needs none.
    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes <= bounds::REQUEST_BODY_BYTES_FREE {
            return Ok(());
        }
        let held = self.taken.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = u32::try_from(bytes.div_ceil(KIB).saturating_sub(held)).unwrap_or(u32::MAX);
        let more = self.room.try_acquire_many(more).map_err(|_| no_room())?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }

    fn keep(self, body: Bytes) -> Bytes {
        match self.taken {
            Some(taken) => Bytes::from_owner(Kept { body, _taken: taken }),
            None => body,
        }
    }
}

/// Gives a body that was made from an app's the place that the app's had among all bodies.
pub(super) fn counted(body: Bytes) -> Result<Bytes, Failure> {
    let mut share = Share::of(&ROOM);
    share.grow(body.len())?;
    Ok(share.keep(body))
}

/// Reads a body of at most `max` bytes. One that says beforehand that it is longer is not read at all.
pub(super) async fn read(headers: &HeaderMap, mut body: Incoming, max: usize) -> Result<Bytes, Failure> {
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let message = "compressed bodies are not read: send the body as it is, without Content-Encoding";
        return Err(Failure::new(Code::UnsupportedMedia, message));
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    let until = Instant::now() + bounds::BODY_TIMEOUT;
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let mut share = Share::of(&ROOM);
    loop {
        let by = until.min(Instant::now() + bounds::BODY_IDLE_TIMEOUT);
        let frame = timeout_at(by, body.frame()).await.map_err(|_| slow())?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
        // A body that comes in one piece, as small ones do, is not copied.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            before => {
                all.extend_from_slice(&before.unwrap_or_default());
                all.extend_from_slice(&data);
            }
        }
        let length = all.len().max(first.as_ref().map_or(0, Bytes::len));
        if length > max {
            return Err(too_large(max));
        }
        share.grow(length)?;
    }
    Ok(share.keep(first.unwrap_or_else(|| all.freeze())))
}

fn too_large(max: usize) -> Failure {
    Failure::new(
        Code::BodyTooLarge,
        format!("the body is larger than {} MiB, which is the most that Bursar takes", max >> 20),
    )
}

fn no_room() -> Failure {
    Failure::new(Code::Unavailable, "too many large bodies are on their way at once: send it again in a moment")
        .retry_after(1)
}

fn slow() -> Failure {
    Failure::new(Code::InvalidRequest, "the body took too long to come: send it without long pauses")
}

fn broken() -> Failure {
    Failure::new(Code::InvalidRequest, "the body broke off before it was whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    static SMALL: Semaphore = Semaphore::const_new(300);

    #[test]
    fn large_bodies_together_are_bounded_and_small_ones_cost_nothing() {
        let grown = |bytes| {
            let mut share = Share::of(&SMALL);
            share.grow(bytes / 2).and_then(|()| share.grow(bytes)).map(|()| share.keep(vec![7; bytes].into()))
        };
        let small = grown(bounds::REQUEST_BODY_BYTES_FREE).unwrap();
        assert_eq!((small.len(), SMALL.available_permits()), (64 * KIB, 300));
        let large = grown(200 * KIB - 1).unwrap();
        assert_eq!((large.len(), SMALL.available_permits()), (200 * KIB - 1, 100));
        let failure = grown(101 * KIB).unwrap_err();
        assert_eq!((failure.code, failure.retry_after_s), (Code::Unavailable, Some(1)));
        assert_eq!(SMALL.available_permits(), 100, "what was refused holds nothing");
        assert!(grown(64 * KIB).is_ok(), "small ones are let in all the same");
        let part = large.slice(10..20);
        drop(large);
        assert_eq!(SMALL.available_permits(), 100, "a part keeps all of it");
        drop(part);
        assert_eq!(SMALL.available_permits(), 300);
    }
}
