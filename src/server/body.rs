//! A request's body, within its bounds.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::api::{Code, Failure};
use crate::bounds;

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
        if all.len().max(first.as_ref().map_or(0, Bytes::len)) > max {
            return Err(too_large(max));
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

fn too_large(max: usize) -> Failure {
    Failure::new(
        Code::BodyTooLarge,
        format!("the body is larger than {} MiB, which is the most that Bursar takes", max >> 20),
    )
}

fn slow() -> Failure {
    Failure::new(Code::InvalidRequest, "the body took too long to come: send it without long pauses")
}

fn broken() -> Failure {
    Failure::new(Code::InvalidRequest, "the body broke off before it was whole")
}
