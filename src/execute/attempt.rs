//! One attempt: send, read the head, and go on to a whole reply or to a stream's first content.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tokio::time::{Instant, timeout_at};

use super::failure::{self, Failed};
use super::ledger::Ledger;
use super::outlet::Outlet;
use super::tap::{Tap, TapError};
use super::wire::{self, WireError};
use super::{Call, Worker};
use crate::adapter::{Asked, Invalid, ProviderError, hints, hub, ingress};
use crate::api::{Code, Operation, Outcome};
use crate::bounds;
use crate::config::Timeouts;
use crate::rotation::Candidate;
use crate::upstream::{Reply, Via};

/// What an attempt brought that is worth giving to the app.
pub(super) enum Success {
    /// A whole body, in the caller's dialect.
    Whole {
        /// The body.
        body: Bytes,
    },
    /// The same in the frames of the stream that was asked for.
    Frames {
        /// The frames.
        frames: Bytes,
    },
    /// A stream that has begun to say something.
    Begun {
        /// The stream.
        tap: Box<Tap>,
        /// Whether its terminal event has come already.
        terminal: bool,
    },
}

/// A candidate's answer, with the head's facts for the app.
pub(super) struct Answered {
    pub(super) success: Success,
    pub(super) headers: HeaderMap,
    pub(super) timeouts: Timeouts,
    pub(super) deadline: Instant,
}

/// Tries one candidate once.
pub(super) async fn attempt(
    worker: &Worker,
    call: &Call,
    candidate: &Candidate,
    ledger: &mut Ledger,
) -> Result<Answered, Failed> {
    let timeouts = timeouts(call, candidate);
    let deadline = ledger.began() + timeouts.total;
    if call.timeout.is_some() {
        ledger.apps_deadline(deadline);
    }
    let asked = wire::asked(call, candidate, ledger.engine().clock.wall_ms() / 1000);
    let request = wire::request(call, candidate, &asked, (ledger.labels().trace.as_ref(), &ledger.engine().vault))
        .map_err(|error| {
            ledger.unsent();
            unsayable(error)
        })?;
    let first_byte = if asked.stream { timeouts.first_byte_streamed } else { timeouts.first_byte };
    let first_byte_at = Instant::now() + first_byte;
    // Whichever runs out first is the one to name.
    let (by, waited) = if deadline < first_byte_at { (deadline, timeouts.total) } else { (first_byte_at, first_byte) };
    let sent_at = Instant::now();
    let sent = timeout_at(by, worker.upstream.send(via(candidate), request)).await;
    ledger.waited(sent_at.elapsed());
    let reply = match sent {
        Err(_) => return Err(Failed::timeout("no reply", waited)),
        Ok(Err(error)) => {
            if !error.was_sent() {
                ledger.unsent();
            }
            return Err(Failed::transport(&error));
        }
        Ok(Ok(reply)) => reply,
    };
    ledger.head(reply.status.as_u16(), &reply.headers);
    let mut headers = wire::given_back(candidate, &reply.headers);
    let media_type = reply.headers.get(CONTENT_TYPE).cloned();
    let reading = Reading { call, asked: &asked, candidate, timeouts: &timeouts, deadline };
    let success = reading.read(reply, ledger).await?;
    let media_type = match &success {
        Success::Begun { tap, .. } if tap.is_plain() => media_type,
        Success::Begun { .. } | Success::Frames { .. } => call.said.manner.framing.media_type(),
        Success::Whole { .. } => None,
    };
    headers.extend(media_type.map(|media_type| (CONTENT_TYPE, media_type)));
    Ok(Answered { success, headers, timeouts, deadline })
}

/// How a candidate is reached.
pub(super) fn via(candidate: &Candidate) -> Via<'_> {
    if candidate.provider.adapter.facts().in_process {
        Via::Sandbox(&candidate.connection.fault)
    } else {
        Via::Network(&candidate.provider.transport)
    }
}

/// The most special word wins: provider, connection, model, request.
pub(super) fn timeouts(call: &Call, candidate: &Candidate) -> Timeouts {
    let mut timeouts = candidate.provider.timeouts.with(&candidate.connection.timeouts);
    if let Some(facts) = &candidate.facts {
        timeouts = timeouts.with(&facts.timeouts);
    }
    timeouts.total = call.timeout.unwrap_or(timeouts.total);
    timeouts
}

fn unsayable(error: WireError) -> Failed {
    match error {
        WireError::Refused(refusal) => Failed {
            // What is told of it may quote the prompt.
            noted: Some("the request cannot be said in this provider's format".into()),
            param: refusal.param,
            unsaid: true,
            ..Failed::new(Outcome::Caller, refusal.code, refusal.message)
        },
        WireError::Credential(message) => Failed::new(Outcome::Credential, Code::UpstreamAuth, message),
        WireError::Url => Failed::new(Outcome::Caller, Code::InvalidRequest, "the model's name makes no URL"),
    }
}

/// Reads one reply.
struct Reading<'a> {
    call: &'a Call,
    asked: &'a Asked,
    candidate: &'a Candidate,
    timeouts: &'a Timeouts,
    deadline: Instant,
}

impl Reading<'_> {
    async fn read(&self, mut reply: Reply, ledger: &mut Ledger) -> Result<Success, Failed> {
        if !reply.status.is_success() {
            return Err(self.refused(reply, ledger).await);
        }
        let kind = media_type(&reply.headers);
        if reply.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Failed::invalid(&Invalid("it is compressed, which was not asked for".into())));
        }
        let plain = matches!(self.asked.operation, Operation::Speech | Operation::Transcription);
        match (self.asked.stream, kind) {
            (true, Kind::Events) => self.begin(self.events(reply), ledger).await,
            (_, Kind::Other | Kind::Unknown | Kind::Events) if plain => {
                self.begin(Tap::plain(reply, Outlet::of(self.call, self.asked)), ledger).await
            }
            (_, Kind::Other) => Err(Failed::invalid(&Invalid("it is neither JSON nor a stream of events".into()))),
            (true, Kind::Unknown) => self.begin(self.events(reply), ledger).await,
            // A provider that was asked for a stream may still answer at once.
            (true | false, _) => self.whole(&mut reply, ledger).await,
        }
    }

    /// An answer with an error status. A 3xx is one: redirects are never followed.
    async fn refused(&self, mut reply: Reply, ledger: &mut Ledger) -> Failed {
        let now = Instant::now();
        let by = self.deadline.min(now + bounds::ERROR_BODY_TIMEOUT);
        let body = reply.beginning(bounds::ERROR_BODY_BYTES_MAX, by).await;
        ledger.waited(now.elapsed());
        let adapter = self.candidate.provider.adapter;
        let mut error = adapter.error(reply.status.as_u16(), &reply.headers, &body);
        let wall_ms = ledger.engine().clock.wall_ms();
        error.retry_after = error.retry_after.or_else(|| hints::retry_after_undated(&reply.headers, wall_ms));
        if reply.status.is_redirection() {
            error.message = format!("the provider answered with a redirect ({})", reply.status.as_u16());
            error.outcome = Outcome::Transient;
        }
        if wire::repeats_credential(&error, &body, self.candidate, &ledger.engine().vault) {
            return Failed::provider(failure::silenced(error), None);
        }
        Failed::provider(error, Some((adapter.facts().dialect, body)))
    }

    async fn whole(&self, reply: &mut Reply, ledger: &mut Ledger) -> Result<Success, Failed> {
        let (by, now) = (self.deadline, Instant::now());
        let read = timeout_at(by, reply.whole_within(bounds::REPLY_BODY_BYTES_MAX, self.timeouts.idle)).await;
        ledger.waited(now.elapsed());
        let body = match read {
            Err(_) => return Err(Failed::timeout("no whole reply", self.timeouts.total)),
            Ok(Ok(None)) => return Err(Failed::timeout("nothing more of its reply", self.timeouts.idle)),
            Ok(Ok(Some(body))) => body,
            Ok(Err(error)) => return Err(Failed::transport(&error)),
        };
        // A stream that came at once is told in frames, and those are made of OpenAI's words.
        let asked = if self.asked.pass && self.asked.stream {
            Cow::Owned(Asked { pass: false, ..self.asked.clone() })
        } else {
            Cow::Borrowed(self.asked)
        };
        let read = self.candidate.provider.adapter.reply(&asked, &body).map_err(|error| Failed::invalid(&error))?;
        ledger.note(&read.seen);
        if let Some(error) = read.seen.error {
            return Err(in_band(error, ledger));
        }
        self.told(&asked, read.body.unwrap_or(body)).map_err(|error| Failed::invalid(&error))
    }

    /// A whole answer as the app wants it.
    fn told(&self, asked: &Asked, body: Bytes) -> Result<Success, Invalid> {
        // Other calls than a chat are answered in JSON then: only a chat's frames can be made up.
        if asked.stream && asked.operation == Operation::Chat {
            let mut out = Outlet::of(self.call, asked);
            out.put(&hub::at_once(&body, asked.include_usage)?);
            out.end();
            out.finish();
            return Ok(Success::Frames { frames: out.take().unwrap_or_default() });
        }
        match ingress::of(self.call.said.dialect).filter(|_| !asked.pass) {
            Some(ingress) => Ok(Success::Whole { body: ingress.reply(asked, &body)?.into() }),
            None => Ok(Success::Whole { body }),
        }
    }

    /// A stream of events.
    fn events(&self, reply: Reply) -> Tap {
        let reader = self.candidate.provider.adapter.stream(self.asked);
        Tap::events(reply, reader, Outlet::of(self.call, self.asked))
    }

    /// Holds the head and the first frames back until there is content, or for as long as an app may be kept waiting.
    async fn begin(&self, tap: Tap, ledger: &mut Ledger) -> Result<Success, Failed> {
        let mut tap = Box::new(tap);
        let commit_at = Instant::now() + self.timeouts.commit_after;
        loop {
            let now = Instant::now();
            let idle_at = now + self.timeouts.idle;
            let came = timeout_at(self.deadline.min(commit_at).min(idle_at), tap.wait()).await;
            ledger.waited(now.elapsed());
            let read = came.map(|came| came.and_then(|bytes| tap.take_up(bytes)));
            let seen = tap.seen();
            ledger.note(&seen);
            match read {
                Err(_) if Instant::now() >= self.deadline => {
                    return Err(Failed::timeout("no content", self.timeouts.total));
                }
                Err(_) if Instant::now() >= idle_at && commit_at > idle_at => {
                    return Err(Failed::timeout("nothing more of its stream", self.timeouts.idle));
                }
                Err(_) => return Ok(Success::Begun { tap, terminal: false }),
                Ok(Err(TapError::Provider(error))) => return Err(in_band(error, ledger)),
                Ok(Err(TapError::Transport(error))) => return Err(Failed::transport(&error)),
                Ok(Err(TapError::TooLong(error))) => {
                    return Err(Failed::new(Outcome::Transient, Code::UpstreamTooLarge, error.to_string()));
                }
                Ok(Err(TapError::Unsayable)) => {
                    return Err(Failed::invalid(&Invalid("it cannot be said in the app's dialect".into())));
                }
                Ok(Ok(false)) if !seen.terminal => {
                    return Err(Failed::invalid(&Invalid("its stream ended before it said anything".into())));
                }
                Ok(Ok(true)) if !seen.content && tap.gathered() < bounds::HELD_FRAMES_BYTES_MAX => {}
                Ok(Ok(_)) => return Ok(Success::Begun { tap, terminal: seen.terminal }),
            }
        }
    }
}

/// An error inside a 200, before content: the class that it names.
fn in_band(error: ProviderError, ledger: &Ledger) -> Failed {
    Failed::provider(ledger.heard(error), None)
}

/// What a reply says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Events,
    /// It does not say, or says no more than "bytes".
    Unknown,
    Other,
}

fn media_type(headers: &HeaderMap) -> Kind {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return Kind::Unknown };
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is = |names: &[&str]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
    let suffix = essence.len().checked_sub("+json".len()).and_then(|at| essence.get(at..));
    if is(&["application/json", "application/x-ndjson"]) || suffix.is_some_and(|end| end.eq_ignore_ascii_case("+json"))
    {
        Kind::Json
    } else if is(&["text/event-stream"]) {
        Kind::Events
    } else if is(&["", "application/octet-stream", "text/plain"]) {
        Kind::Unknown
    } else {
        Kind::Other
    }
}
