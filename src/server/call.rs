//! From an app's request to a call: labels and pins out of headers, checked.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::Context;
use crate::access::Identity;
use crate::adapter::Dialect;
use crate::adapter::body::{BodyError, boundary};
use crate::api::{Capabilities, Code, ConnectionId, Failure, Feature, Operation, RequestId};
use crate::bounds;
use crate::execute::{Call, Manner, Said};

/// The headers that are Bursar's.
const FEATURE: HeaderName = HeaderName::from_static("x-bursar-feature");
const CONNECTION: HeaderName = HeaderName::from_static("x-bursar-connection");
const FALLBACK: HeaderName = HeaderName::from_static("x-bursar-fallback");
const TIMEOUT: HeaderName = HeaderName::from_static("x-bursar-timeout-ms");
const WAIT: HeaderName = HeaderName::from_static("x-bursar-wait-ms");

/// What a path asks for.
pub(super) struct Asks {
    pub(super) dialect: Dialect,
    pub(super) operation: Operation,
    pub(super) manner: Manner,
}

impl Asks {
    /// A call whose body says all of it.
    pub(super) fn in_body(dialect: Dialect, operation: Operation) -> Self {
        Self { dialect, operation, manner: Manner::default() }
    }
}

/// What an app says beside the body.
pub(super) struct Beside {
    pub(super) feature: Option<Feature>,
    pub(super) pin: Option<ConnectionId>,
    pub(super) fallback: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) wait: Option<Duration>,
}

impl Beside {
    /// Reads the headers that are Bursar's.
    pub(super) fn in_headers(headers: &HeaderMap) -> Result<Self, Failure> {
        Ok(Self {
            feature: text(headers, &FEATURE)?.map(feature).transpose()?,
            pin: text(headers, &CONNECTION)?.map(pin).transpose()?,
            fallback: fallback(headers)?,
            timeout: text(headers, &TIMEOUT)?.map(timeout).transpose()?,
            wait: text(headers, &WAIT)?.map(wait).transpose()?,
        })
    }
}

/// When and as what a request came.
pub(super) struct Received {
    pub(super) id: RequestId,
    pub(super) began: Instant,
    /// How long the body took to come: time that is the app's, and not Bursar's.
    pub(super) body_took: Duration,
    pub(super) headers: HeaderMap,
}

impl Received {
    /// A request that has just come.
    pub(super) fn now(context: &Context, headers: HeaderMap) -> Self {
        Self { id: context.engine().next_id(), began: Instant::now(), body_took: Duration::ZERO, headers }
    }

    /// Reads the body that goes with it.
    pub(super) async fn body(&mut self, body: Incoming) -> Result<Bytes, Failure> {
        let body = super::body::read(&self.headers, body, bounds::REQUEST_BODY_BYTES_MAX).await;
        self.body_took = self.began.elapsed();
        body
    }

    /// The call that a body asks for. It is on the heap from the start: futures that hold it stay small.
    pub(super) fn call(self, identity: Identity, asks: Asks, body: Bytes) -> Result<Box<Call>, Failure> {
        let beside = Beside::in_headers(&self.headers)?;
        let operation = asks.operation;
        let said = self.said(asks, body).map_err(invalid)?;
        let labelled = said.scan.feature.as_deref().map(feature).transpose()?;
        Ok(Box::new(Call {
            id: self.id,
            began: self.began,
            body_took: self.body_took,
            app: identity.app,
            feature: beside.feature.or(labelled).unwrap_or(identity.feature),
            operation,
            said,
            headers: self.headers,
            require: Capabilities::NONE,
            pin: beside.pin,
            fallback: beside.fallback,
            timeout: beside.timeout,
            wait: beside.wait,
        }))
    }
}

impl Received {
    /// Forms come for what has a form alone: JSON does for everything else, whatever the content type says.
    fn said(&self, asks: Asks, body: Bytes) -> Result<Said, BodyError> {
        let Asks { dialect, operation, manner } = asks;
        let content_type = self.headers.get(CONTENT_TYPE);
        let form = content_type.and_then(|value| Some((value, boundary(value.to_str().ok()?)?)));
        match form {
            Some((value, boundary)) if manner.endpoint.is_some() => {
                Said::form(operation, manner, value.clone(), boundary, body)
            }
            _ if operation == Operation::Transcription => Err(BodyError {
                message: "a recording comes in a form: send multipart/form-data with the fields file and model".into(),
                param: None,
            }),
            _ => Said::json(dialect, operation, manner, body),
        }
    }
}

/// A body that Bursar cannot serve.
pub(super) fn invalid(error: BodyError) -> Failure {
    Failure { param: error.param, ..Failure::new(Code::InvalidRequest, error.message) }
}

/// A feature label.
pub(super) fn feature(text: &str) -> Result<Feature, Failure> {
    text.parse().map_err(|error| Failure::new(Code::InvalidLabel, format!("the feature label {error}")))
}

/// A connection that a request is pinned to.
pub(super) fn pin(text: &str) -> Result<ConnectionId, Failure> {
    text.parse().map_err(|error| Failure::new(Code::InvalidRequest, format!("the connection {error}")))
}

fn fallback(headers: &HeaderMap) -> Result<bool, Failure> {
    match text(headers, &FALLBACK)? {
        None | Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(Failure::new(Code::InvalidRequest, "X-Bursar-Fallback must be on or off")),
    }
}

fn timeout(text: &str) -> Result<Duration, Failure> {
    millis("X-Bursar-Timeout-Ms", 1, text)
}

/// How long a request may wait for room; 0: not at all.
fn wait(text: &str) -> Result<Duration, Failure> {
    millis("X-Bursar-Wait-Ms", 0, text)
}

fn millis(header: &str, least: u64, text: &str) -> Result<Duration, Failure> {
    let most = bounds::TIMEOUT_MAX;
    let time = text.parse().ok().filter(|millis| *millis >= least).map(Duration::from_millis);
    time.filter(|time| *time <= most).ok_or_else(|| {
        let message = format!("{header} must be a whole number from {least} to {}", most.as_millis());
        Failure::new(Code::InvalidRequest, message)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::new(Code::InvalidRequest, format!("{name} stands there more than once: send it once")));
    }
    value
        .to_str()
        .map(|text| Some(text.trim()))
        .map_err(|_| Failure::new(Code::InvalidRequest, format!("{name} is not plain text")))
}
