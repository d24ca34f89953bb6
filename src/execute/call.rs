//! A call as it came from an app, and the same in OpenAI's dialect for providers of another.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::adapter::body::{self, BodyError, InPath, Scan};
use crate::adapter::ingress::{self, Ingress};
use crate::adapter::{Asked, Dialect, Refusal};
use crate::api::{AppName, Capabilities, Capability, ConnectionId, Feature, Operation, RequestId};
use crate::bounds;
use crate::connection::admission::input_tokens;

/// A call, access and parsing done.
pub struct Call {
    /// Its id.
    pub id: RequestId,
    /// When its head had been read.
    pub began: Instant,
    /// How long its body then took to come.
    pub body_took: Duration,
    /// Who calls.
    pub app: AppName,
    /// What for.
    pub feature: Feature,
    /// The kind of call.
    pub operation: Operation,
    /// What is asked, in the app's own words.
    pub said: Said,
    /// The app's headers, of which adapters' lists let a few through.
    pub headers: HeaderMap,
    /// Capabilities that the app asks for in addition.
    pub require: Capabilities,
    /// The only connection that may be used.
    pub pin: Option<ConnectionId>,
    /// Whether other candidates may be tried after the first.
    pub fallback: bool,
    /// The time for all of it.
    pub timeout: Option<Duration>,
    /// How long it may wait for a connection with room.
    pub wait: Option<Duration>,
}

/// The header by which an app names the conversation that a request belongs to.
const SESSION_HEADER: HeaderName = HeaderName::from_static("x-bursar-session");

impl Call {
    /// A key for the conversation that the request belongs to, the same for all of its requests; none where nothing tells
    /// of one.
    pub fn conversation(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        (self.app.as_str(), self.said.scan.model.as_str()).hash(&mut hasher);
        let known = match self.headers.get(&SESSION_HEADER) {
            Some(session) => {
                session.as_bytes().hash(&mut hasher);
                true
            }
            None if matches!(self.operation, Operation::Chat | Operation::Responses) => {
                body::conversation(&self.said.body, &mut hasher)
            }
            None => false,
        };
        known.then(|| hasher.finish())
    }
}

/// A request's body with what routing needs of it.
pub struct Said {
    /// The dialect that the app speaks.
    pub dialect: Dialect,
    /// How it was asked.
    pub manner: Manner,
    /// The content type, where the body is a form.
    pub form: Option<HeaderValue>,
    /// The body as it came.
    pub body: Bytes,
    /// What routing needs of it.
    pub scan: Scan,
    /// The same in OpenAI's dialect, once a candidate of another dialect has asked for it.
    in_openai: OnceLock<Result<Box<Said>, Refusal>>,
}

/// How a call is asked beside its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manner {
    /// What its path says, where its dialect puts it there.
    pub path: Option<InPath>,
    /// The path itself, where an operation has several.
    pub endpoint: Option<&'static str>,
    /// How its stream is framed, where it wants one.
    pub framing: Framing,
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// One JSON array, piece by piece: Google's form for apps that do not ask for events (`alt=sse`).
    Array,
}

impl Framing {
    /// The media type of such a stream, where it is not that of events.
    pub fn media_type(self) -> Option<HeaderValue> {
        (self == Self::Array).then(|| HeaderValue::from_static("application/json"))
    }
}

impl Said {
    /// Reads a JSON body, for what routing needs of it.
    ///
    /// # Errors
    /// When it cannot be served.
    pub fn json(dialect: Dialect, operation: Operation, manner: Manner, body: Bytes) -> Result<Self, BodyError> {
        let scan = body::scan(dialect, operation, manner.path.as_ref(), &body)?;
        Ok(Self { dialect, manner, form: None, body, scan, in_openai: OnceLock::new() })
    }

    /// The tokens that it is taken for, guessed from its size.
    pub fn input_estimate(&self) -> u64 {
        if self.form.is_some() {
            return bounds::MEDIA_TOKENS;
        }
        let media = [Capability::Vision, Capability::AudioInput, Capability::Pdf];
        input_tokens(&self.body, media.into_iter().any(|one| self.scan.needs.has(one)))
    }

    /// Reads a form of OpenAI's dialect, whose content type names this boundary.
    ///
    /// # Errors
    /// When it cannot be served.
    pub fn form(
        operation: Operation,
        manner: Manner,
        content_type: HeaderValue,
        boundary: &str,
        body: Bytes,
    ) -> Result<Self, BodyError> {
        let scan = body::scan_form(operation, boundary, &body)?;
        let form = Some(content_type);
        Ok(Self { dialect: Dialect::OpenAi, manner, form, body, scan, in_openai: OnceLock::new() })
    }

    /// Whether one vector is asked for, and not a list of them.
    pub fn single(&self) -> bool {
        self.manner.path.as_ref().is_some_and(|path| path.single)
    }

    /// The same in OpenAI's dialect; translated once, however many candidates are tried.
    ///
    /// # Errors
    /// When something in it cannot be said there.
    pub fn in_openai(&self, asked: &Asked) -> Result<&Self, Refusal> {
        match ingress::of(self.dialect) {
            None => Ok(self),
            Some(ingress) => {
                let said = self.in_openai.get_or_init(|| translated(ingress, asked, &self.body).map(Box::new));
                said.as_deref().map_err(Refusal::clone)
            }
        }
    }
}

fn translated(ingress: &dyn Ingress, asked: &Asked, body: &[u8]) -> Result<Said, Refusal> {
    let body = Bytes::from(ingress.request(asked, body)?);
    Said::json(Dialect::OpenAi, asked.operation, Manner::default(), body).map_err(Refusal::from)
}
